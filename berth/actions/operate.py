"""`operate`: an operation of the profile, run by hand in the pods of a release."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping

from berth.actions.gate import has_container
from berth.actions.operations import Outcome, Result, choose, ordinal, pods_by_set, require_ordinals, run_each
from berth.cluster.exec import NothingRunsError
from berth.cluster.kube import Kube
from berth.cluster.record import ReleaseRecord
from berth.core.errors import FailedError, InputError, did_you_mean
from berth.core.objects import ObjectRef
from berth.core.operations import Operation


def pick(operations: Mapping[str, Operation], name: str, profile: str) -> Operation:
    """The operation of a name.

    Raises:
        InputError: the profile has none.
    """
    if name in operations:
        return operations[name]
    hint = did_you_mean(name, operations) if operations else "it declares none"
    raise InputError(f"the profile {profile} has no operation {name!r}", hint=hint)


def operate(
    kube: Kube, record: ReleaseRecord, operations: Mapping[str, Operation], operation: Operation, named: Collection[int]
) -> Iterator[Result]:
    """Run an operation in the pods of a release, and yield each result as soon as it is there.

    ``named`` are ordinals: only in these, where there are any. An operation of the primary that is told an ordinal
    takes that one, whatever it calls itself.

    Raises:
        InputError: an ordinal has no pod, or the operation needs one to be named.
        FailedError: no pod is there, or none is the primary.
        DeniedError: no permission for pods/exec.
    """
    sets = {ref: pods for ref, pods in pods_by_set(kube, record).items() if _fits(record, ref, operation)}
    there = sorted({number for pods in sets.values() for number in pods})
    require_ordinals(record.name, named, there)
    if not there:
        where = f"that have a container {operation.container}" if operation.container else "at all"
        raise FailedError(f"release {record.name} has no pods {where}", hint="`status` says how it stands")
    if operation.pods in ("one", "condemned") and len(named) != 1 and (operation.pods == "one" or not named):
        raise InputError(
            f"the operation {operation.name} runs in a pod that you name",
            why=f"the profile says pods: {operation.pods}",
            hint=f"--ordinal K, K being one of {', '.join(map(str, there))}",
        )
    for pods in sets.values():
        every = list(pods.values())
        if named:
            chosen = [pod for pod in every if ordinal(pod) in named]
        else:
            try:
                chosen = choose(kube, record.namespace, operation, every, role=operations.get("role"))
            except NothingRunsError as error:
                pod = every[0]["metadata"]["name"]
                yield Result(operation.name, pod, ordinal(every[0]), Outcome.NOT_RUN, None, "", error.why, 0.0)
                return
        yield from run_each(kube, record.namespace, operation, chosen)


def _fits(record: ReleaseRecord, ref: ObjectRef, operation: Operation) -> bool:
    return any(ObjectRef.of(body) == ref and has_container(body, operation.container) for body in record.manifests)
