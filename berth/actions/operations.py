"""Runs the operations that a profile declares, pod by pod."""

from __future__ import annotations

import time
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum

from berth.cluster.exec import ExecTimedOut, Executed, NothingRunsError, execute, nothing_runs
from berth.cluster.kube import Kube
from berth.cluster.record import ReleaseRecord
from berth.core.errors import ClusterError, FailedError, InputError, Problem
from berth.core.events import OperationDone
from berth.core.objects import Json, Manifest, ObjectRef
from berth.core.operations import PRIMARY, Operation
from berth.core.quantities import format_duration
from berth.core.readiness import owned_pods, pod_selector
from berth.core.render import Release
from berth.output.plain import harmless

#: How many lines of an output are shown: its last ones.
SHOWN = 10


class Outcome(StrEnum):
    """How an operation ended in a pod; NOT_RUN: the cluster runs no containers, so that nobody knows."""

    PASSED = "passed"
    FAILED = "failed"
    TIMED_OUT = "timed out"
    NOT_RUN = "not run"


_VERBS = {Outcome.FAILED: "failed", Outcome.TIMED_OUT: "timed out"}


@dataclass(frozen=True, slots=True)
class Result:
    """How an operation ended in one pod.

    ``code`` is None where no command ended. ``output`` is what it printed on standard output, stripped; where it did
    not pass, then what it printed on standard error. ``why`` says in words what went wrong, "" where it passed.
    """

    operation: str
    pod: str
    ordinal: int
    outcome: Outcome
    code: int | None
    output: str
    why: str
    seconds: float

    @property
    def passed(self) -> bool:
        """Whether it ran and its exit code was 0."""
        return self.outcome is Outcome.PASSED


def run_operation(kube: Kube, namespace: str, operation: Operation, pods: Iterable[Json]) -> list[Result]:
    """Run an operation in these pods, one after the other, whatever becomes of it in one of them.

    Where the cluster runs no containers, no further pod is asked.

    Raises:
        DeniedError: no permission for pods/exec.
        TargetError: the cluster does not answer.
    """
    return list(run_each(kube, namespace, operation, pods))


def run_each(kube: Kube, namespace: str, operation: Operation, pods: Iterable[Json]) -> Iterator[Result]:
    """The same as `run_operation`, each result as soon as it is there."""
    for pod in pods:
        begun = time.monotonic()
        try:
            ended = _run(kube, namespace, operation, pod)
        except NothingRunsError as error:
            yield _result(operation, pod, begun, Outcome.NOT_RUN, why=error.why)
            if error.everywhere:
                return
        except ExecTimedOut as error:
            why = f"it did not end in {format_duration(operation.timeout)}"
            yield _result(operation, pod, begun, Outcome.TIMED_OUT, why=why, out=error.out, err=error.err)
        except ClusterError as error:
            why = ": ".join(filter(None, (error.problems[0].what, error.problems[0].why)))
            yield _result(operation, pod, begun, Outcome.FAILED, why=why)
        else:
            if ended.code == 0:
                yield _result(operation, pod, begun, Outcome.PASSED, 0, out=ended.out)
            else:
                why = f"exit code {ended.code}"
                yield _result(operation, pod, begun, Outcome.FAILED, ended.code, why, ended.out, ended.err)


def choose(
    kube: Kube,
    namespace: str,
    operation: Operation,
    pods: Sequence[Json],
    *,
    role: Operation | None = None,
    named: Collection[int] = (),
) -> list[Json]:
    """The pods, of those of one set, in which an operation runs by its ``pods``.

    ``named`` are the ordinals that a caller or a user names: those that are about to go (condemned), those that are new
    or gone (others are all but these), the one. The primary is the pod in which ``role`` prints the word.

    Raises:
        NothingRunsError: the primary is wanted, and the cluster runs no containers.
        FailedError: no pod is the primary, or more than one.
        DeniedError, TargetError: see `run_operation`.
    """
    match operation.pods:
        case "each":
            return list(pods)
        case "others":
            return [pod for pod in pods if ordinal(pod) not in named]
        case "primary":
            return [_primary(kube, namespace, operation, pods, role)]
        case _:
            return [pod for pod in pods if ordinal(pod) in named]


def pods_of(kube: Kube, release: Release | ReleaseRecord) -> list[Json]:
    """The pods of a release, of all its sets."""
    return kube.list("", "Pod", release.namespace, label_selector=selector_of(release)).items


def selector_of(release: Release | ReleaseRecord) -> str | None:
    """The label selector by which the pods of a release are found, see `pod_selector`."""
    bodies = [one.body if isinstance(one, Manifest) else one for one in release.manifests]
    return pod_selector(release.name, bodies)


def pods_by_set(kube: Kube, record: ReleaseRecord) -> dict[ObjectRef, dict[int, Json]]:
    """The pods of a release by set and ordinal."""
    listed = pods_of(kube, record)
    return {
        ObjectRef.of(body): dict(sorted(owned_pods(body, listed).items()))
        for body in record.manifests
        if body["kind"] == "StatefulSet"
    }


def require_ordinals(release: str, named: Collection[int], there: Collection[int]) -> None:
    """Refuse ordinals that have no pod.

    Raises:
        InputError: with those that do.
    """
    missing = sorted(set(named) - set(there))
    if missing:
        known = f"it has {', '.join(map(str, sorted(there)))}" if there else "it has no pods"
        raise InputError(f"release {release} has no pod of ordinal {', '.join(map(str, missing))}", hint=known)


def ordinal(pod: Json) -> int:
    """The ordinal of a pod of a set."""
    return int(pod["metadata"]["name"].rpartition("-")[2])


def done(results: Iterable[Result], set_name: str) -> list[OperationDone]:
    """The events that say what came of an operation: one for all pods of the set in which it ended in the same way."""
    alike: dict[tuple[str, str, str, str], list[Result]] = {}
    for result in results:
        shown = "" if result.passed else result.output
        alike.setdefault((result.operation, result.outcome, result.why, shown), []).append(result)
    return [
        OperationDone(
            operation,
            set_name,
            tuple(result.pod for result in same),
            outcome,
            why,
            tuple(shown.splitlines()[-SHOWN:]),
            max(result.seconds for result in same),
        )
        for (operation, outcome, why, shown), same in alike.items()
    ]


def require(results: Sequence[Result], hint: str = "") -> None:
    """Go on only where none failed; what was not run is no failure.

    Raises:
        FailedError: one did, or timed out; with the last line that each of them printed.
    """
    problems = [
        Problem(
            f"the operation {result.operation} {_VERBS[result.outcome]} in {result.pod}: {result.why}",
            why="".join(result.output.splitlines()[-1:]),
            hint=hint,
        )
        for result in results
        if result.outcome in _VERBS
    ]
    if problems:
        raise FailedError(problems)


def _run(kube: Kube, namespace: str, operation: Operation, pod: Json) -> Executed:
    if why := nothing_runs(pod, operation.container):
        raise NothingRunsError(why, everywhere=True)
    name = pod["metadata"]["name"]
    return execute(kube, namespace, name, operation.container, operation.command, operation.timeout)


def _result(
    operation: Operation,
    pod: Json,
    begun: float,
    outcome: Outcome,
    code: int | None = None,
    why: str = "",
    out: str = "",
    err: str = "",
) -> Result:
    lines = [*out.strip().splitlines(), *err.strip().splitlines()]
    printed = "\n".join(map(harmless, lines))
    seconds = time.monotonic() - begun
    return Result(operation.name, pod["metadata"]["name"], ordinal(pod), outcome, code, printed, why, seconds)


def _primary(kube: Kube, namespace: str, operation: Operation, pods: Sequence[Json], role: Operation | None) -> Json:
    """The pod that calls itself the primary."""
    what = f"the operation {operation.name} runs in the primary"
    if role is None:
        raise FailedError(
            f"{what}, and the profile has no operation that finds it",
            hint=f"declare an operation role that prints {PRIMARY} there",
        )
    results = run_operation(kube, namespace, role, pods)
    for result in results:
        if result.outcome is Outcome.NOT_RUN:
            raise NothingRunsError(result.why, everywhere=True)
    found = [result.pod for result in results if result.passed and result.output == PRIMARY]
    if len(found) != 1:
        said = "; ".join(f"{result.pod}: {result.output or result.why or 'nothing'}" for result in results)
        number = "no pod calls itself that" if not found else f"{' and '.join(found)} call themselves that"
        raise FailedError(
            f"{what}: {number}", why=f"the operation {role.name} says {said}" if said else "no pod is there"
        )
    return next(pod for pod in pods if pod["metadata"]["name"] == found[0])
