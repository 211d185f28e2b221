"""The gate at the end of `up`: the engine itself says whether it is ready, where Kubernetes only saw probes pass."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from berth.actions.operations import Outcome, Result, done, pods_of, require, run_operation
from berth.cluster.kube import Kube
from berth.cluster.mirror import rest
from berth.cluster.waiting import SILENCE, Patience
from berth.core.errors import DeniedError
from berth.core.events import Event, OperationDone, StillWaiting
from berth.core.objects import Json, dig
from berth.core.operations import Operation, operations_of
from berth.core.readiness import owned_pods
from berth.core.render import Release

#: Seconds between two tries.
EVERY = 3.0

_HINT = (
    "`operate --operation ready` asks again, --patience 5m waits longer; "
    "what was applied stands, so correct the cause and run the same command again"
)


def gate(
    kube: Kube, release: Release, patience: Patience, monotonic: Callable[[], float], alive: Callable[[], None]
) -> Iterator[Event]:
    """Run the operation `ready`, where the profile has one, on every pod until it has passed on all of them.

    A pod that has passed is not asked again. Where the cluster runs no containers, or we may run no commands in them,
    that is said, and no failure. ``alive`` may raise to stop.

    Raises:
        FailedError: it does not pass on some pod for as long as a state may look like a failure.
    """
    operation = operations_of(release.profile).get("ready")
    if operation is None:
        return
    for manifest in release.manifests:
        if manifest.ref.kind == "StatefulSet" and has_container(manifest.body, operation.container):
            set_gate = _SetGate(kube, release, manifest.body, operation)
            try:
                yield from set_gate.until_passed(patience.suspect, monotonic, alive)
            except DeniedError as error:
                # The set is there and ready by its probes: who may not look further has that at least.
                yield OperationDone(operation.name, manifest.ref.name, (), Outcome.NOT_RUN, error.problems[0].what)


def has_container(statefulset: Json, container: str) -> bool:
    """Whether the pods of a set have the container, "" being any."""
    names = [each["name"] for each in dig(statefulset, "spec", "template", "spec", "containers", default=[])]
    return not container or container in names


class _SetGate:
    """The tries in one set's pods."""

    def __init__(self, kube: Kube, release: Release, statefulset: Json, operation: Operation) -> None:
        self._kube, self._release, self._operation = kube, release, operation
        self._set = statefulset
        self._results: dict[str, Result] = {}

    def until_passed(
        self, patience: float, monotonic: Callable[[], float], alive: Callable[[], None]
    ) -> Iterator[Event]:
        begun = spoke = monotonic()
        name = self._set["metadata"]["name"]
        while True:
            alive()
            self._try()
            now = monotonic()
            failed = [result for result in self._results.values() if not _settled(result)]
            if not failed:
                yield from done(self._results.values(), name)
                return
            if now - begun >= patience:
                yield from done(failed, name)
                require(failed, _HINT)
            if now - spoke >= SILENCE:
                spoke = now
                why = tuple(map(_words, failed[:8]))
                yield StillWaiting(f"operation {self._operation.name} of {name}", why, now - begun)
            rest(EVERY, monotonic, alive)

    def _try(self) -> None:
        """Ask the pods that have not passed so far; those that have gone no longer count."""
        namespace = self._release.namespace
        pods = owned_pods(self._set, pods_of(self._kube, self._release))
        names = {ordinal: pod["metadata"]["name"] for ordinal, pod in sorted(pods.items())}
        self._results = {name: result for name, result in self._results.items() if name in names.values()}
        settled = {name for name, result in self._results.items() if _settled(result)}
        due = [pods[ordinal] for ordinal, name in names.items() if name not in settled]
        for result in run_operation(self._kube, namespace, self._operation, due):
            self._results[result.pod] = result


def _words(result: Result) -> str:
    """A result in one line, with the last one that the command printed."""
    return ": ".join((result.pod, result.why, *result.output.splitlines()[-1:]))


def _settled(result: Result) -> bool:
    return result.outcome in (Outcome.PASSED, Outcome.NOT_RUN)
