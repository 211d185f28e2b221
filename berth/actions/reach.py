"""`logs`, `shell`, `port-forward`: which pods of a release are meant, and what is done with them."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass

from berth.actions.operations import Outcome, ordinal, pods_by_set, require_ordinals, run_operation, selector_of
from berth.actions.roles import Operations
from berth.cluster.exec import NothingRunsError, nothing_runs
from berth.cluster.follow import Following
from berth.cluster.forward import PortForward, Report
from berth.cluster.kube import Kube
from berth.cluster.record import ReleaseRecord
from berth.core.errors import FailedError, InputError
from berth.core.objects import Json
from berth.core.operations import Operation
from berth.core.reach import container_of, ports_of
from berth.core.readiness import owned_pods

#: What `shell` runs where nothing else is asked for: the better shell, where there are two.
SHELL = ("sh", "-c", "if command -v bash >/dev/null 2>&1; then exec bash; else exec sh; fi")


@dataclass(frozen=True, slots=True)
class Selection:
    """The pods that a user names: by ordinals, by the role that they call themselves, or, with neither, all."""

    ordinals: Collection[int] = ()
    role: str = ""


def choose(kube: Kube, record: ReleaseRecord, selection: Selection, operations: Operations) -> list[Json]:
    """The pods of a release that are meant, by set and ordinal.

    Raises:
        InputError: an ordinal has no pod, or the profile has no operation that tells roles.
        FailedError: there are no pods, none calls itself that, or nothing runs in them that could.
    """
    pods = [pod for owned in pods_by_set(kube, record).values() for pod in owned.values()]
    require_ordinals(record.name, selection.ordinals, {ordinal(pod) for pod in pods})
    if not pods:
        raise FailedError(f"release {record.name} has no pods", hint="`status` says how it stands")
    if selection.role:
        return _of_role(kube, record, selection.role, pods, operations(record.profile).get("role"))
    return [pod for pod in pods if ordinal(pod) in selection.ordinals or not selection.ordinals]


def choose_one(kube: Kube, record: ReleaseRecord, selection: Selection, operations: Operations) -> tuple[Json, str]:
    """The one pod that is meant, and, where a role has several, a line that says which of them it is.

    Raises:
        InputError, FailedError: see `choose`; also InputError where several are meant.
    """
    pods = choose(kube, record, selection, operations)
    names = [str(pod["metadata"]["name"]) for pod in pods]
    if len(pods) == 1:
        return pods[0], ""
    if selection.role:
        return pods[0], f"{_and(names)} call themselves {selection.role}; this is {names[0]}"
    roles = ""
    with suppress(InputError):  # The profile need not be in this library.
        roles = ", or --role ROLE" if "role" in operations(record.profile) else ""
    numbers = ", ".join(map(str, sorted({ordinal(pod) for pod in pods})))
    raise InputError(
        f"one pod is needed, and release {record.name} has several: {', '.join(names)}",
        hint=f"--ordinal K, K being one of {numbers}{roles}",
    )


@contextmanager
def reaching(pod: Json, container: str) -> Iterator[None]:
    """Say in one way, of whatever is done in the block, that nothing runs in a container ("" for any of the pod).

    Raises:
        FailedError: the pod's node is simulated, or the cluster is.
    """
    try:
        if why := nothing_runs(pod, container):
            raise NothingRunsError(why, everywhere=True)
        yield
    except NothingRunsError as error:
        what = f"there is nothing to reach in {pod['metadata']['name']}"
        raise FailedError(what, why=error.why, hint="a cluster that runs containers") from None


def follow(
    kube: Kube, record: ReleaseRecord, pods: Sequence[Json], *, every: bool, container: str, tail: int | None
) -> Following:
    """Follow the logs of these pods, and those that come in their place; ``every``: also those that join them.

    Raises:
        InputError: a pod has no such container.
    """
    names = {pod["metadata"]["name"]: container_of(pod, container) for pod in pods}
    sets = [body for body in record.manifests if body["kind"] == "StatefulSet"]

    def chosen(pod: Json) -> str | None:
        if every and any(owned_pods(body, [pod]) for body in sets):
            try:
                return container_of(pod, container)
            except InputError:  # A pod of another revision, or of another set, may have none of that name.
                return None
        return names.get(pod["metadata"]["name"])

    return Following(kube, record.namespace, selector_of(record), chosen, tail)


def forward(kube: Kube, pod: Json, specs: Sequence[str], address: str, report: Report) -> PortForward:
    """Listen for connections to ports of a pod.

    Raises:
        InputError: a port is none, or the pod has none of that name.
        FailedError: nothing runs in the pod.
        DeniedError, ClusterError, LocalError: see `PortForward`.
    """
    ports = [ports_of(spec, pod) for spec in specs]
    meta = pod["metadata"]
    with reaching(pod, ""):
        return PortForward(kube, meta["namespace"], meta["name"], meta["uid"], ports, address, report)


def _of_role(kube: Kube, record: ReleaseRecord, role: str, pods: Sequence[Json], asked: Operation | None) -> list[Json]:
    if asked is None:
        raise InputError(
            f"the profile {record.profile} has no operation that tells roles", hint="--ordinal K names a pod"
        )
    results = run_operation(kube, record.namespace, asked, pods)
    for result in results:
        if result.outcome is Outcome.NOT_RUN:
            raise FailedError(
                f"nobody can say which pod of {record.name} calls itself {role}",
                why=f"{result.pod}: {result.why}",
                hint="--ordinal K names a pod",
            )
    said = {result.pod: result.output.partition("\n")[0] if result.passed else "" for result in results}
    found = [pod for pod in pods if said.get(pod["metadata"]["name"]) == role]
    if not found:
        each = "; ".join(f"{result.pod}: {said[result.pod] or result.why or 'nothing'}" for result in results)
        raise FailedError(
            f"no pod of release {record.name} calls itself {role!r}",
            why=f"the operation role says {each}",
            hint="one of these words, or --ordinal K",
        )
    return found


def _and(names: Sequence[str]) -> str:
    return f"{', '.join(names[:-1])} and {names[-1]}"
