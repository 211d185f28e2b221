"""rehearse: an action on a throw-away simulated cluster, and the timeline of what came of it."""

from __future__ import annotations

import io
import json
import os
import shlex
import sys
import tempfile
from collections.abc import Sequence
from contextlib import redirect_stdout
from pathlib import Path
from typing import TYPE_CHECKING

from invoke.context import Context

from berth.cli import options, stage
from berth.cli.common import Flags, Option, berth_task, note, one_of, setting
from berth.core.errors import ExitCode, FailedError, InputError, did_you_mean

if TYPE_CHECKING:
    from berth.core.objects import Json
    from berth.rehearsal.scenario import Scenario
    from berth.rehearsal.timeline import Timeline
    from berth.rehearsal.trial import Trial

#: Between actions that follow one another.
THEN = "then"
#: The annotation in which kubectl apply keeps what it was given.
_APPLIED = "kubectl.kubernetes.io/last-applied-configuration"
#: Actions that need a release to be there before them.
_BUILDS = ("up", "plan")


@berth_task(
    *(options.PROFILE, options.NAME, options.NAMESPACE, options.ENV, options.VALUES, options.SET),
    Option("scenario", "what befalls the cluster: the name of a scenario that comes with berth, or a file"),
    Option(
        "pace", "how fast time passes: instant, real, or a factor such as 10x (default: the scenario's, or instant)"
    ),
    Option("seed", "a number: what is random comes out the same with the same one (default: the scenario's, or 0)"),
    Option("from-context", "fill the cluster with the objects of this kubeconfig context; Secrets come without values"),
    options.KUBECONFIG,
    Option("output", "text or json: how the timeline is printed", "text"),
    Option("watch", "go on for this long after the action, in the cluster's time: 10m"),
    Option("picture", "write the timeline as a picture, too: a file that ends in .svg or .html"),
)
def rehearse(ctx: Context, flags: Flags) -> int | None:
    """Run an action on a throw-away simulated cluster, and show what happened to each ordinal and claim, and when.

    The action follows two dashes: rehearse --profile postgres --scenario node-lost -- up --set replicas=5. Several are
    joined by the word then; the scenario begins with the last one. Where the first is neither up nor plan, the profiles
    are brought up before it. The exit code is that of the last action.
    """
    from berth.rehearsal import picture, scenariofile
    from berth.rehearsal.clock import Pace
    from berth.rehearsal.scenario import Scenario
    from berth.rehearsal.timeline import Recorder
    from berth.rehearsal.trial import Trial

    one_of("output", flags.output, ("text", "json"))
    shape = _shape(flags.picture)
    actions = _actions(_rest(ctx))
    scenario = scenariofile.find(flags.scenario) if flags.scenario else Scenario()
    pace = Pace.parse(flags.pace or scenario.pace or "instant")
    seed = _seed(flags.seed) if flags.seed else scenario.seed
    after = _duration(flags.watch) if flags.watch else 0.0
    objects = _copied(ctx, flags) if flags.from_context else ()
    release = _release_flags(flags)
    if actions[0][0] not in _BUILDS and not objects:
        actions.insert(0, ["up"])
    with tempfile.TemporaryDirectory(prefix="berth-rehearsal-") as directory:
        trial = Trial(Path(directory), scenario, pace=pace, seed=seed, objects=objects)
        passing = trial.wait if pace.instant else None
        try:
            with stage.on(stage.Stage(trial.kubeconfig, trial.now, passing, _command(flags))):
                for action in actions[:-1]:
                    note(f"first: {_shown(action)}")
                    _prepare(trial, action, release)
                trial.begin()
                recorder = Recorder(trial.world)
                with redirect_stdout(sys.stderr if flags.output == "json" else sys.stdout):
                    code = _run(trial, actions[-1], release)
                trial.watch(after)
                timeline = recorder.finish(_title(flags, scenario, actions[-1]))
        finally:
            trial.close()
    if code == ExitCode.BAD_INPUT and not timeline.moments:
        return code  # The action was not begun: there is nothing to show.
    _show(timeline, flags.output)
    for words in timeline.to_come:
        note(f"the scenario has more in store: {words} (--watch 10m goes on for that long after the action)")
    if shape:
        made = picture.svg(timeline) if shape == ".svg" else picture.html(timeline)
        Path(flags.picture).write_text(made, encoding="utf-8")
        note(f"picture: {flags.picture}")
    return code


def _rest(ctx: Context) -> list[str]:
    """The words behind two dashes; Invoke's own copy of them has lost its quotes, so the program's words go first."""
    if "--" in sys.argv:
        return sys.argv[sys.argv.index("--") + 1 :]
    return shlex.split(getattr(ctx, "remainder", ""))


def _actions(words: Sequence[str]) -> list[list[str]]:
    """The actions, each a task's name and its options.

    Raises:
        InputError: there is none, or one is no task that works on a cluster.
    """
    known = _known()
    actions: list[list[str]] = [[]]
    for word in words:
        if word == THEN:
            actions.append([])
        else:
            actions[-1].append(word)
    for action in actions:
        if not action:
            what = (
                f"there is an action missing beside {THEN!r}" if len(actions) > 1 else "there is no action to rehearse"
            )
            raise InputError(what, hint="rehearse --profile postgres -- up then up --set replicas=5")
        if action[0] not in known:
            raise InputError(
                f"{action[0]!r} is no action that can be rehearsed",
                hint=did_you_mean(action[0], known) or f"one of: {', '.join(sorted(known))}",
            )
        for flag in ("--context", "--kubeconfig"):
            if any(word == flag or word.startswith(f"{flag}=") for word in action):
                raise InputError(
                    f"{action[0]} {flag} makes no sense in a rehearsal",
                    why="the action runs on the throw-away cluster",
                    hint="rehearse --from-context CTX fills it from a cluster",
                )
    return actions


def _known() -> list[str]:
    """The tasks that work on a cluster and have a profile: they take both options."""
    from berth.cli import namespace

    # The task of a group that has its name, such as rollout, is known by it as well.
    names = [name for own, others in namespace.task_names.items() for name in (own, *others)]
    return [
        name
        for name in names
        if name not in ("rehearse", "import")  # An import reads what runs, and writes files.
        and {"kubeconfig", "profile"} <= set(namespace[name].argspec(namespace[name].body).parameters)
    ]


def _release_flags(flags: Flags) -> list[str]:
    made = []
    for name in ("profile", "values", "set"):
        made += [word for value in getattr(flags, name) for word in (f"--{name}", value)]
    for name in ("name", "namespace", "env"):
        if getattr(flags, name):
            made += [f"--{name}", getattr(flags, name)]
    return made


def _prepare(trial: Trial, action: list[str], release: list[str]) -> None:
    """Run what comes before, in silence as long as it goes well."""
    said = io.StringIO()
    with redirect_stdout(said):
        code = _run(trial, action, release)
    if code == ExitCode.INTERRUPTED:
        raise KeyboardInterrupt
    if code not in (ExitCode.DONE, ExitCode.CHANGES):
        print(said.getvalue(), end="", file=sys.stderr)
        raise FailedError(
            f"the rehearsal did not come to its action: {_shown(action)} ended with exit code {code}",
            why="the lines above say it",
        )


def _run(trial: Trial, action: list[str], release: list[str]) -> int:
    """Run a task as the program would, on the trial's cluster; its exit code."""
    from berth.cli.program import main

    task, *given = action
    own = _taken_by(task, release)
    try:
        main(["berth", task, *own, *given, "--kubeconfig", str(trial.kubeconfig)])
    except SystemExit as end:
        return int(end.code or 0)
    finally:
        sys.stdout.flush()
    return ExitCode.DONE


def _taken_by(task: str, release: list[str]) -> list[str]:
    """Of the release's flags, those that the task takes: teardown, for one, takes no values.

    Who is about one release that is there takes its name or its profile.
    """
    from berth.cli import namespace

    known = set(namespace[task].argspec(namespace[task].body).parameters)
    if "--name" in release and "profile" not in namespace[task].iterable:
        known.discard("profile")
    pairs = zip(release[::2], release[1::2], strict=True)
    return [word for flag, value in pairs if flag[2:] in known for word in (flag, value)]


def _copied(ctx: Context, flags: Flags) -> list[Json]:
    """The objects of a live cluster that a rehearsal knows.

    Secrets come without their values, releases' records whole: in them, values are masked.

    Raises:
        BerthError: the cluster cannot be read.
    """
    from berth.cli import target as targets
    from berth.cluster.record import RECORD_TYPE
    from berth.core.errors import BerthError
    from berth.rehearsal.kinds import EVENTS, KINDS, LEASES

    target = targets.named(flags.from_context, setting(ctx, "kubeconfig", flags.kubeconfig))
    kube = target.connect()
    note(f"copying from {target.description}; nothing is written there")
    found: list[Json] = []
    try:
        for kind in KINDS:
            if kind in (EVENTS, LEASES):
                continue
            try:
                found += kube.list(kind.group, kind.kind).items
            except BerthError as error:
                note(f"left out: {kind.plural}: {error.problems[0].what}")
    finally:
        kube.close()
    return [body if body["kind"] != "Secret" or body.get("type") == RECORD_TYPE else _emptied(body) for body in found]


def _emptied(secret: Json) -> Json:
    """A Secret without its values, which kubectl keeps in an annotation as well."""
    meta = {**secret["metadata"]}
    annotations = {name: text for name, text in (meta.get("annotations") or {}).items() if name != _APPLIED}
    meta["annotations"] = annotations
    return {**secret, "metadata": meta, "data": dict.fromkeys(secret.get("data") or {}, "")}


def _shape(file: str | None) -> str:
    """What the picture is to be, by its ending; "" for none.

    Raises:
        InputError: by neither, or it could not be written.
    """
    if not file:
        return ""
    path = Path(file).absolute()
    if path.suffix not in (".svg", ".html"):
        raise InputError(f"--picture {file} has no ending that says what it should be", hint="end it in .svg or .html")
    if not path.parent.is_dir():
        raise InputError("the picture's directory does not exist", where=str(Path(file).parent))
    if path.is_dir() or not os.access(path if path.exists() else path.parent, os.W_OK):
        raise InputError("the picture cannot be written", where=file)
    return path.suffix


def _seed(text: str) -> int:
    try:
        return int(text)
    except ValueError:
        raise InputError(f"--seed {text} is no whole number") from None


def _duration(text: str) -> float:
    from berth.core.quantities import parse_duration

    return parse_duration(text)


def _command(flags: Flags) -> str:
    """How another action is rehearsed on the same release: {} stands for it."""
    named = ("scenario", "from_context", "kubeconfig")
    more = [f"--{name.replace('_', '-')} {shlex.quote(getattr(flags, name))}" for name in named if getattr(flags, name)]
    words = " ".join(["invoke rehearse", _shown(_release_flags(flags)), *more, "--"])
    return " ".join(words.replace("{", "{{").replace("}", "}}").split()) + " {}"


def _shown(words: Sequence[str]) -> str:
    """Words as they may be shown and kept: values of options are as secret as what they set, so paths stay alone.

    The tag of an image, a number and a word of the command line's own are none.
    """
    made = []
    for before, word in zip(["", *words], words, strict=False):
        path, equals, value = word.removeprefix("--set=").partition("=")
        is_set = equals and (before == "--set" or word.startswith("--set="))
        made.append(word[: -len(value)] + "..." if is_set and value and not _harmless(path, value) else word)
    return shlex.join(made)


def _harmless(path: str, value: str) -> bool:
    return value.isdigit() or value in ("true", "false") or path.split(".")[0] in ("image", "storage", "resources")


def _title(flags: Flags, scenario: Scenario, action: list[str]) -> str:
    profiles = ", ".join(flags.profile)
    words = f"{profiles}: {_shown(action)}" if profiles else _shown(action)
    return f"{words} ({scenario.name})" if flags.scenario else words


def _show(timeline: Timeline, output: str) -> None:
    if output == "json":
        print(json.dumps(timeline.to_json()))
        return
    print(f"\ntimeline of {timeline.title}: {timeline.seconds:.1f} s of the cluster's time")
    for line in timeline.to_lines() or ["  nothing happened"]:
        print(line)
