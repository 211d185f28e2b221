"""logs, shell and port-forward: into the pods of a release."""

from __future__ import annotations

import sys
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

from invoke.context import Context

from berth.cli import options
from berth.cli.common import Flags, Option, berth_task, note
from berth.cli.operate import declared
from berth.core.errors import BerthError, ExitCode, InputError, InterruptedRunError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from berth.actions.reach import Selection
    from berth.cluster.follow import Following
    from berth.cluster.kube import Kube
    from berth.cluster.record import ReleaseRecord
    from berth.core.objects import Json

_ROLE = Option("role", "the pod that calls itself so by the profile's operation role: primary, standby, leader ...")
_CONTAINER = Option("container", "container (default: the pod's main one)")
_ONE = (*options.ONE_RELEASE, Option("ordinal", "the pod of this ordinal, for a release with several"), _ROLE)


@berth_task(
    *options.ONE_RELEASE,
    Option("ordinal", "only of the pod of this ordinal; may be given several times", many=True),
    _ROLE,
    Option("container", "container, init containers included (default: the pod's main one)"),
    Option("tail", "how many of the last lines of each pod, or all", "50"),
    Option("previous", "of the run before, where a container was started again", False),
    Option("follow", "go on with what comes, also from pods that are replaced, until Ctrl-C", False),
)
def logs(ctx: Context, flags: Flags) -> int | None:
    """Show what the pods of a release have written: invoke logs --profile nginx --follow.

    Of several pods, each line says its pod. Control characters are written out. Exit code 1 where a pod has no log;
    Ctrl-C is how following ends, and no error.
    """
    tail = _tail(flags.tail)
    if flags.previous and flags.follow:
        raise InputError("a run that is over cannot be followed", hint="--previous or --follow")
    with _found(ctx, flags, flags.ordinal) as (kube, record, selection):
        from berth.actions.reach import choose, follow
        from berth.cluster.follow import read_log
        from berth.core.reach import container_of

        pods = choose(kube, record, selection, declared)
        if flags.follow:
            every = not (selection.ordinals or selection.role)
            return _follow(follow(kube, record, pods, every=every, container=flags.container or "", tail=tail), pods)
        code = ExitCode.DONE
        named = [(pod["metadata"]["name"], container_of(pod, flags.container or "")) for pod in pods]
        for name, container in named:
            prefix = f"{name} | " if len(pods) > 1 else ""
            try:
                lines = read_log(kube, record.namespace, name, container, tail=tail, previous=flags.previous)
            except BerthError as error:
                if error.exit_code is not ExitCode.FAILED:
                    raise
                print(f"error: {error.problems[0]}", file=sys.stderr)
                code = ExitCode.FAILED
                continue
            _print(f"{prefix}{line}" for line in lines)
        return code


@berth_task(
    *_ONE,
    _CONTAINER,
    Option("command", "what `sh -c` runs there, in place of a shell to type in"),
)
def shell(ctx: Context, flags: Flags) -> int | None:
    """Open a shell in a pod of a release, or run a command there: invoke shell --profile postgres --role primary.

    On a terminal every key goes to the container, Ctrl-C too. Elsewhere --command runs without input, and what it
    prints is passed on as it is. The exit code is the command's own.
    """
    terminal = sys.stdin is not None and sys.stdin.isatty() and sys.stdout.isatty()
    if not terminal and not flags.command:
        hint = "--command 'CMD' runs one without; `operate` runs an operation of the profile"
        raise InputError("a shell needs a terminal", why="standard input and output are not both one", hint=hint)
    with _found(ctx, flags, _listed(flags.ordinal)) as (kube, record, selection):
        from berth.actions.reach import SHELL, choose_one, reaching
        from berth.cluster.terminal import interact, pass_on
        from berth.core.reach import container_of

        pod, said = choose_one(kube, record, selection, declared)
        container = container_of(pod, flags.container or "")
        name = str(pod["metadata"]["name"])
        if said:
            note(said)
        command = ("sh", "-c", flags.command) if flags.command else SHELL
        with reaching(pod, container):
            if terminal:
                note(f"in {name}, container {container}")
                where = (sys.stdin.fileno(), sys.stdout.fileno())
                return interact(kube, record.namespace, name, container, command, *where)
            out, err = sys.stdout.buffer, sys.stderr.buffer
            try:
                return pass_on(kube, record.namespace, name, container, command, out, err)
            except KeyboardInterrupt:
                raise InterruptedRunError("interrupted; the command may go on in the container") from None


@berth_task(
    *_ONE,
    Option("port", "LOCAL:REMOTE, REMOTE or :REMOTE, a number or the name of a port; several times", many=True),
    Option("address", "address of this machine to listen on", "127.0.0.1"),
)
def port_forward(ctx: Context, flags: Flags) -> int | None:
    """Reach ports of a pod on this machine: invoke port-forward --profile postgres --role primary --port 5432.

    REMOTE alone takes the same number here, :REMOTE a free one. It goes on until Ctrl-C, which is no error; a pod that
    is replaced under its name is found again by new connections.
    """
    from berth.core.reach import check_ports

    check_ports(flags.port)
    with _found(ctx, flags, _listed(flags.ordinal), says=print) as (kube, record, selection):
        from berth.actions.reach import choose_one, forward
        from berth.output.plain import harmless

        pod, said = choose_one(kube, record, selection, declared)
        if said:
            note(said)
        name = pod["metadata"]["name"]
        forwarding = forward(kube, pod, flags.port, flags.address, lambda text: note(harmless(text)))
        with suppress(KeyboardInterrupt), forwarding:
            for here, remote in forwarding.ports:
                print(f"forwarding {here} -> {name}:{remote}", flush=True)
            forwarding.serve()
    return None


@contextmanager
def _found(
    ctx: Context, flags: Flags, ordinals: Sequence[str], says: Callable[[str], object] = note
) -> Iterator[tuple[Kube, ReleaseRecord, Selection]]:
    """The cluster, the release and the pods that the options name.

    The target is said on standard error where standard output is the containers'.
    """
    if ordinals and flags.role:
        raise InputError("--ordinal and --role both name pods", hint="leave one of both out")
    numbers = [_ordinal(text) for text in ordinals]
    from berth.actions.reach import Selection
    from berth.cli.target import one_release, require_one

    require_one(flags)
    if flags.profile:
        declared(flags.profile)  # A typing error is told before a cluster is asked for anything.
    with one_release(ctx, flags) as (kube, record, target):
        says(f"target: {target}")
        yield kube, record, Selection(numbers, flags.role or "")


def _follow(following: Following, pods: Sequence[Json]) -> ExitCode:
    """Print what comes until Ctrl-C; several pods are told apart from the moment on when there are several."""
    from berth.cluster.follow import Line
    from berth.output.plain import harmless

    names = {str(pod["metadata"]["name"]) for pod in pods}
    with suppress(KeyboardInterrupt), following:
        for item in following:
            if isinstance(item, Line):
                names.add(item.pod)
                prefix = f"{item.pod} | " if len(names) > 1 else ""
                print(f"{prefix}{harmless(item.text)}", flush=following.idle())
            else:
                sys.stdout.flush()
                note(harmless(item.text))
    return ExitCode.DONE


def _print(lines: Iterable[str]) -> None:
    from berth.output.plain import harmless

    for line in lines:
        print(harmless(line))


def _tail(text: str) -> int | None:
    if text == "all":
        return None
    if not text.isdecimal():
        raise InputError(f"--tail {text} is no number of lines", hint="a whole number, or all")
    return int(text)


def _listed(ordinal: str | None) -> list[str]:
    return [] if ordinal is None else [ordinal]


def _ordinal(text: str) -> int:
    if not text.isdecimal():
        raise InputError(f"--ordinal {text} is not an ordinal", hint="a number from 0 on, the one in the pod's name")
    return int(text)
