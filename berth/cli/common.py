"""What every task shares: its options, the decorator, and how an error becomes words and an exit code."""

from __future__ import annotations

import inspect
import os
import signal
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

from invoke.context import Context
from invoke.tasks import Task, task

from berth.core.errors import BerthError, ExitCode, InputError

if TYPE_CHECKING:
    from berth.output import Printer

#: What ``invoke.yaml`` may set under ``berth:``; None means "not set".
DEFAULTS: dict[str, Any] = {
    "berth": {"context": None, "kubeconfig": None, "namespace": None, "env": None, "timeout": None, "patience": None}
}

#: A task's options by attribute, as the user gave them.
Flags = SimpleNamespace


@dataclass(frozen=True, slots=True)
class Option:
    """One option of a task: a switch where the default is a bool, a list where it may be given several times."""

    name: str
    help: str
    default: str | bool | None = None
    many: bool = False

    @property
    def attribute(self) -> str:
        """The option's name in `Flags`."""
        return self.name.replace("-", "_")


def berth_task(*options: Option, **settings: Any) -> Callable[[Callable[[Context, Flags], int | None]], Task[Any]]:
    """Make an Invoke task of a function that returns an exit code (None: done) and may raise a BerthError.

    Short flags are not derived: a letter that one day means --data and the next --dry-run is how data is lost.
    """

    def decorate(function: Callable[[Context, Flags], int | None]) -> Task[Any]:
        def run(context: Context, /, **given: Any) -> None:
            code = call(lambda: function(context, Flags(**given)))
            if code:
                sys.exit(code)

        run.__name__, run.__doc__, run.__module__ = function.__name__, function.__doc__, function.__module__
        # Invoke reads a task's options from its signature.
        first, keyword = inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.KEYWORD_ONLY
        run.__signature__ = inspect.Signature(  # type: ignore[attr-defined]
            [
                inspect.Parameter("invocation", first),
                *(inspect.Parameter(option.attribute, keyword, default=option.default) for option in options),
            ]
        )
        made: Task[Any] = task(  # type: ignore[assignment]
            run,
            help={option.name: option.help for option in options},
            iterable=[option.attribute for option in options if option.many],
            auto_shortflags=False,
            **settings,
        )
        return made

    return decorate


def call(function: Callable[[], int | None]) -> int:
    """Run, print what went wrong on standard error, and return the exit code."""
    # A job that is cancelled gets SIGTERM: it stops as cleanly as at Ctrl-C.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        return function() or ExitCode.DONE
    except BerthError as error:
        for problem in error.problems:
            print(f"error: {problem}", file=sys.stderr)
        return error.exit_code
    except BrokenPipeError:
        # The reader went away (`| head`): nothing to say, and nobody to say it to.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 141
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        return ExitCode.INTERRUPTED
    except OSError as error:
        named = f"{error.filename}: " if error.filename else ""
        print(f"error: {named}{error.strerror or error}", file=sys.stderr)
        return ExitCode.FAILED
    except Exception as error:
        if os.environ.get("BERTH_DEBUG"):
            raise
        print(f"error: berth itself failed: {type(error).__name__}: {error}", file=sys.stderr)
        print("  try: BERTH_DEBUG=1 shows where; please report it with that", file=sys.stderr)
        return ExitCode.FAILED


def setting(context: Context, name: str, flag: str | None) -> str | None:
    """A flag, else what ``invoke.yaml`` or the environment sets, else None."""
    if flag is not None:
        return flag
    value = context.config.get("berth", {}).get(name)
    return None if value is None else str(value)


def one_of(flag: str, value: str, known: Sequence[str]) -> str:
    """The value of an option that takes one of a few words.

    Raises:
        InputError: it is none of them.
    """
    if value not in known:
        raise InputError(f"--{flag} {value} is not known", hint=f"one of: {', '.join(known)}")
    return value


def note(text: str) -> None:
    """A line for people, on standard error, so that standard output stays what was asked for."""
    print(text, file=sys.stderr)


def ask(question: str) -> str:
    """The user's answer, stripped and in lower case; the question goes to standard error."""
    print(question, end=" ", file=sys.stderr, flush=True)
    try:
        return input().strip().lower()
    except EOFError:
        return ""


def ask_unstick(shown: Printer, output: str) -> Callable[[Sequence[str]], bool] | None:
    """Asks whether pods that block their own fix may be deleted; None where there is nobody to ask."""
    if output != "text" or not on_terminal():
        return None

    def asked(names: Sequence[str]) -> bool:
        with shown.paused():
            note(f"not ready: {', '.join(names)}; Kubernetes waits for such a pod, so that it blocks its own fix")
            return ask("delete it once the change is applied? its claims stay [yes/no]") in ("y", "yes")

    return asked


def count_of(flag: str, written: str | None) -> int | None:
    """The number of an option that takes one from 1 on; None where it was not given.

    Raises:
        InputError: it is none.
    """
    if written is None:
        return None
    if not written.isascii() or not written.isdecimal() or len(written) > 9 or int(written) == 0:
        raise InputError(f"--{flag} {written} is no number that it could be", hint="a whole number, 1 or more")
    return int(written)


def ordinals_of(written: Sequence[str]) -> tuple[int, ...]:
    """The ordinals that an option names.

    Raises:
        InputError: one is no ordinal.
    """
    for text in written:
        if not text.isascii() or not text.isdecimal() or len(text) > 9:
            raise InputError(
                f"--ordinal {text} is not an ordinal", hint="a number from 0 on, the one in the pod's name"
            )
    return tuple(map(int, written))


def on_terminal() -> bool:
    """Whether there is somebody to ask."""
    return sys.stdin is not None and sys.stdin.isatty()
