"""`scale`: another number of pods for a release that is there, with the values that it was made with."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from berth.actions.plan import require_no_rollout
from berth.actions.prepare import recorded
from berth.actions.scaling import Stage, find_stages, scaled_set
from berth.cluster.kube import Kube
from berth.cluster.record import ReleaseRecord
from berth.core.errors import ClusterError, DeniedError, InputError, PreflightError, Problem
from berth.core.events import Ledger
from berth.core.ledger import SetShape, make_ledger, release_claims
from berth.core.objects import Json, Manifest, ObjectRef, dig, ordinals
from berth.core.operations import Operation, operations_of
from berth.core.plan import scaled_by_controller
from berth.core.readiness import judge, owned_pods, pod_ready
from berth.core.render import Release
from berth.core.report import DOWN
from berth.core.scaling import Wishes, budget_problems, quorum_problem
from berth.library import Library

#: Says where the number came from, in errors about it.
SOURCE = "--replicas"


@dataclass(frozen=True, slots=True)
class Scaling:
    """What a release is scaled to: its set as it is now, the release as it will be, and the way there."""

    record: ReleaseRecord
    release: Release
    live: Json
    stages: tuple[Stage, ...]
    ledger: Ledger

    @property
    def settled(self) -> bool:
        """Whether the set has that many pods already, all ready, and no run was stopped on the way."""
        same = len(ordinals(self.live)) == self.release.values.data.get("replicas")
        return same and not self.stages and self.record.status == "deployed" and judge(self.live).current


def find_scaling(kube: Kube, library: Library, record: ReleaseRecord, replicas: int, wishes: Wishes) -> Scaling:
    """Look at the release and its set, and check what speaks against another number of pods; nothing is written.

    Raises:
        InputError: the profile does not take that number, or the record cannot be rendered.
        PreflightError: an autoscaler, a disruption budget or a quorum speaks against it.
        ClusterError: the release has no set on the cluster.
    """
    if record.status in ("removing", *DOWN):
        raise ClusterError(
            f"release {record.name} in {record.namespace} was taken down", hint="`invoke up` brings it back"
        )
    require_no_rollout(record)
    release = _release(library, record, replicas, wishes)
    live = _live(kube, release)
    manifest = scaled_set(release, live)
    if manifest is None:
        raise ClusterError(
            f"release {record.name} in {record.namespace} has no set of that many pods on the cluster",
            why=f"with `replicas: {replicas}` its profile {record.profile} renders none that exists",
            hint="`invoke plan` shows what differs",
        )
    body = live[manifest.ref]
    problems = [*_scalers(kube, manifest.ref, body)]
    if not wishes.insist:
        problems += _hindrances(kube, record, body, replicas)
    if problems:
        raise PreflightError(problems)
    stages = find_stages(release, live, record.scaling, (), wishes)
    before = operations_of(release.profile).get("beforeScaleDown")
    return Scaling(record, release, body, stages, _ledger(kube, record, body, manifest, before))


def _release(library: Library, record: ReleaseRecord, replicas: int, wishes: Wishes) -> Release:
    """The recorded release at that number; a user who insists gets what the profile allows in between only."""
    try:
        return recorded(library, record, {"replicas": replicas}, SOURCE)
    except InputError:
        operations = operations_of(library.load(record.profile)).values()
        between = {key: value for operation in operations for key, value in operation.between.items()}
        if not (wishes.insist and between):
            raise
        return recorded(library, record, {**between, "replicas": replicas}, SOURCE)


def _live(kube: Kube, release: Release) -> dict[ObjectRef, Json]:
    refs = [manifest.ref for manifest in release.manifests if manifest.ref.kind == "StatefulSet"]
    return {ref: body for ref in refs if (body := kube.get(ref)) is not None}


def _scalers(kube: Kube, ref: ObjectRef, body: Json) -> Iterator[Problem]:
    """The autoscalers that set the number themselves."""
    try:
        scalers = kube.list("autoscaling", "HorizontalPodAutoscaler", ref.namespace).items
    except DeniedError:
        if scaled_by_controller(body):
            yield Problem(
                f"an autoscaler has set the number of pods of {ref}",
                why="whether it still exists may not be read with these credentials",
                hint="the role that berth needs is in docs/reference/rbac.md",
            )
        return
    for scaler in scalers:
        target = dig(scaler, "spec", "scaleTargetRef", default={})
        if target.get("kind") == ref.kind and target.get("name") == ref.name:
            name = scaler["metadata"]["name"]
            yield Problem(
                f"HorizontalPodAutoscaler/{name} sets the number of pods of {ref}",
                why="it would set its own number again",
                hint=f"change its minReplicas and maxReplicas, or delete it: `kubectl edit hpa {name} "
                f"-n {ref.namespace}`",
            )


def _hindrances(kube: Kube, record: ReleaseRecord, body: Json, replicas: int) -> list[Problem]:
    """What a user may insist against: a quorum, and disruption budgets."""
    if replicas >= len(ordinals(body)):
        return []
    quorum = quorum_problem(body, replicas)
    found = [quorum] if quorum else []
    try:
        budgets = kube.list("policy", "PodDisruptionBudget", record.namespace).items
    except DeniedError:
        return found
    pods = owned_pods(body, kube.list("", "Pod", record.namespace).items)
    ready = [ordinal for ordinal, pod in pods.items() if pod_ready(pod)]
    return found + budget_problems(body, budgets, list(pods.values()), replicas, ready)


def _ledger(kube: Kube, record: ReleaseRecord, live: Json, desired: Manifest, operation: Operation | None) -> Ledger:
    """The claims that stay without a pod, and what becomes of those whose pods go."""
    wanted, claims = ordinals(desired.body), kube.list("", "PersistentVolumeClaim", record.namespace).items
    templates = tuple(t["metadata"]["name"] for t in live["spec"].get("volumeClaimTemplates") or [])
    shape = SetShape(desired.ref.name, templates, wanted)
    left = [one for one in release_claims(record.name, [shape], claims) if one[2]]
    deletes = dig(desired.body, "spec", "persistentVolumeClaimRetentionPolicy", "whenScaled") == "Delete"
    lines = make_ledger(left, _volumes(kube, left), _classes(kube), deletes)
    if operation is not None and operation.claims and wanted and not deletes:
        why = f"the claim stays, and no pod may take it again once {operation.name} has passed"
        going = set(ordinals(live)) - set(wanted)
        lines = tuple(replace(line, why=why) if line.ordinal in going else line for line in lines)
    return Ledger(record.name, lines, (), False)


def _volumes(kube: Kube, claims: Sequence[tuple[Json, int, bool]]) -> dict[str, Json] | None:
    names = {str(dig(claim, "spec", "volumeName", default="")) for claim, _, _ in claims} - {""}
    try:
        found = {name: kube.get(ObjectRef("", "PersistentVolume", "", name)) for name in names}
    except DeniedError:
        return None
    return {name: body for name, body in found.items() if body is not None}


def _classes(kube: Kube) -> dict[str, Json]:
    try:
        return {body["metadata"]["name"]: body for body in kube.list("storage.k8s.io", "StorageClass").items}
    except DeniedError:
        return {}
