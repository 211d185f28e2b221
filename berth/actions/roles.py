"""What the operations of a profile say in the pods that run, for those who only look."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace

from berth.actions.operations import Outcome, Result, run_operation
from berth.cluster.kube import Kube
from berth.cluster.runner import in_parallel
from berth.core.diagnosis import telling
from berth.core.errors import BerthError, InputError
from berth.core.objects import Json, ObjectRef, dig
from berth.core.operations import Operation
from berth.core.readiness import pod_ready
from berth.core.report import Recorded, Role, Snapshot

#: How long a profile's operation may take in a pod, in seconds: a status is no place to wait.
SHORT = 5.0

#: The operations of a profile by name.
Operations = Callable[[str], Mapping[str, Operation]]


def read_roles(
    kube: Kube,
    recorded: Sequence[Recorded],
    seen: Snapshot,
    operations: Operations,
    wanted: Sequence[str] = ("role",),
    longest: float = SHORT,
) -> tuple[dict[tuple[str, str], list[Role]], list[str]]:
    """What the profiles' ``wanted`` operations say in the pods that run, and what was not found out.

    Each gets ``longest`` seconds at most.

    One is asked first: where that runs no containers, nor do the others.
    """
    tasks, notes = _tasks(recorded, seen, operations, wanted, longest)
    silent: dict[tuple[str, str], list[str]] = {}
    roles: dict[tuple[str, str], list[Role]] = {}
    for some in (tasks[:1], tasks[1:]):
        for (namespace, operation, pod), outcome in in_parallel(some, lambda task: _run(kube, *task)):
            name = pod["metadata"]["name"]
            if isinstance(outcome, BerthError):
                notes.append(f"operation {operation.name} was not run: {outcome.problems[0].what}")
            elif outcome.outcome is Outcome.NOT_RUN:
                notes.append(f"operations were not run: {name}: {outcome.why}")
                if not roles and pod is tasks[0][2]:
                    return roles, notes
            elif outcome.code is None:
                # A busy machine is no broken release, and a container that went away in between is told by its pod.
                silent.setdefault((operation.name, outcome.why), []).append(name)
            else:
                roles.setdefault((namespace, name), []).append(_role(operation.name, outcome, pod_ready(pod)))
    notes += [f"operation {name} has no result in {', '.join(pods)}: {why}" for (name, why), pods in silent.items()]
    return roles, list(dict.fromkeys(notes))


def _tasks(
    recorded: Sequence[Recorded], seen: Snapshot, operations: Operations, wanted: Sequence[str], longest: float
) -> tuple[list[tuple[str, Operation, Json]], list[str]]:
    """Which operation is to be run in which pod, by namespace: only a ready pod has to pass others than ``role``."""
    tasks: list[tuple[str, Operation, Json]] = []
    notes: list[str] = []
    known: dict[str, Mapping[str, Operation]] = {}
    for one in recorded:
        running = [
            pod
            for pod in _pods(one, seen)
            if dig(pod, "status", "phase") == "Running" and not dig(pod, "metadata", "deletionTimestamp")
        ]
        if running and one.profile not in known:
            try:
                known[one.profile] = operations(one.profile)
            except InputError as error:
                known[one.profile] = {}
                notes.append(f"operations of profile {one.profile} were not run: {error.problems[0].what}")
        for operation in (known[one.profile][name] for name in wanted if running and name in known[one.profile]):
            short = replace(operation, timeout=min(operation.timeout, longest))
            tasks += [(one.namespace, short, pod) for pod in running if operation.name == "role" or pod_ready(pod)]
    return tasks, notes


def _run(kube: Kube, namespace: str, operation: Operation, pod: Json) -> Result:
    return run_operation(kube, namespace, operation, [pod])[0]


def _role(name: str, result: Result, ready: bool) -> Role:
    """Only of the operation ``role`` the output is a role; a pod that is not ready need not pass any."""
    output = result.output.strip().splitlines()
    if result.passed:
        return Role(name, output[0] if output and name == "role" else "")
    if not ready:
        return Role(name)
    said = telling(output)
    return Role(name, "", f"{result.outcome}: {result.why}" + (f": {said}" if said else ""))


def _pods(one: Recorded, seen: Snapshot) -> Iterator[Json]:
    for manifest in one.manifests:
        if manifest.get("kind") == "StatefulSet":
            live = seen.live.get(ObjectRef.of(manifest))
            yield from seen.pods.get(str(dig(live, "metadata", "uid", default="")), ())
