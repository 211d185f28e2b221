"""What a drain of a node would do to the pods of releases: whether it ends, what stays ready, and who comes back.

A drain asks for the eviction of all pods of a node at once, and asks again for those that a budget refuses, until none
is left; nothing but its own timeout ends that. Source: staging/src/k8s.io/kubectl/pkg/drain/drain.go in kubernetes.
What the eviction API answers: pkg/registry/core/pod/storage/eviction.go there.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from berth.core.diagnosis.storage import place_of
from berth.core.objects import Json, dig, ordinals
from berth.core.placement import reachable, why_not
from berth.core.readiness import owned_pods, pod_ready
from berth.core.scaling import quorum_of
from berth.core.status import selects

#: Other nodes of which it is said one by one why they do not take a pod.
_NAMED = 3


@dataclass(frozen=True, slots=True)
class Eviction:
    """What the eviction API would answer for a pod now, and why.

    ``budget`` names the budget of which the eviction takes one disruption, "" where it takes none.
    """

    allowed: bool
    why: str
    budget: str = ""


@dataclass(frozen=True, slots=True)
class PodDrain:
    """One pod of a node. ``elsewhere`` are other nodes that could take it, None where nodes could not be read.

    ``held`` says why it could not come back elsewhere: what binds its volume, or what other nodes have against it.
    """

    namespace: str
    release: str
    set_name: str
    pod: str
    ordinal: int
    ready: bool
    eviction: Eviction
    elsewhere: tuple[str, ...] | None
    held: str = ""
    role: str | None = None

    @property
    def returns(self) -> bool:
        """Whether it could run again before its node is back."""
        return self.elsewhere is None or bool(self.elsewhere)


@dataclass(frozen=True, slots=True)
class SetDrain:
    """What is left of a set: ``at_once`` of its ready pods can be away at the same time.

    ``members`` is the number of pods that it wants; ``quorum`` how many of them must be ready, 0 for a set that needs
    none.
    """

    namespace: str
    name: str
    members: int
    ready: int
    at_once: int
    quorum: int

    @property
    def left(self) -> int:
        """How many stay ready, at the least."""
        return self.ready - self.at_once

    @property
    def problem(self) -> str:
        """What the drain takes from the set, "" for nothing that matters."""
        if self.left < self.quorum:
            said = f"{self.left} of {self.members} would stay ready, {self.quorum} needed"
            if self.ready < self.quorum:
                return f"{self.name} has no quorum even now: {self.ready} of {self.members} ready, {self.quorum} needed"
            return f"loses the quorum of {self.name}: {said}" if self.at_once else ""
        return f"leaves no pod of {self.name} ready" if self.at_once and not self.left else ""


@dataclass(frozen=True, slots=True)
class NodeDrain:
    """One node; ``blocked`` says at what a drain would stop and wait."""

    node: str
    pods: tuple[PodDrain, ...] = ()
    sets: tuple[SetDrain, ...] = ()
    blocked: tuple[str, ...] = ()

    @property
    def problems(self) -> tuple[str, ...]:
        """Why draining it is not safe, the worst first."""
        away = [pod.pod for pod in self.pods if not pod.returns]
        said = [f"blocked: {'; '.join(self.blocked)}"] if self.blocked else []
        said += [one.problem for one in self.sets if one.problem]
        said += [f"pods stay away until the node is back: {', '.join(away)}"] if away else []
        return tuple(said)

    @property
    def safe(self) -> bool:
        """Whether the drain ends, leaves enough members, and all pods can come back."""
        return not self.problems

    @property
    def verdict(self) -> str:
        """One line, without the node."""
        if self.problems:
            return "; ".join(self.problems)
        return "safe" if self.pods else "safe: none of these pods is on it"


@dataclass(frozen=True, slots=True)
class Scene:
    """What was read. ``nodes`` and ``volumes`` are by name, None where they may not be read.

    ``sets`` are live StatefulSets with the release that each belongs to; ``roles`` are by namespace and pod.
    """

    sets: Sequence[tuple[str, Json]]
    pods: Sequence[Json] = ()
    claims: Sequence[Json] = ()
    budgets: Sequence[Json] = ()
    volumes: Mapping[str, Json] | None = field(default_factory=dict)
    nodes: Mapping[str, Json] | None = field(default_factory=dict)
    roles: Mapping[tuple[str, str], str] = field(default_factory=dict)


def eviction(pod: Json, budgets: Iterable[Json]) -> Eviction:
    """What the eviction API would answer; ``budgets`` may be of any namespace."""
    phase, space = dig(pod, "status", "phase"), dig(pod, "metadata", "namespace")
    if dig(pod, "metadata", "deletionTimestamp"):
        return Eviction(True, "it is on its way out already")
    if phase in ("Succeeded", "Failed", "Pending"):
        return Eviction(True, f"no budget counts for a pod that is {phase}")
    labels = dig(pod, "metadata", "labels", default={}) or {}
    mine = [
        budget
        for budget in budgets
        if dig(budget, "metadata", "namespace") == space and selects(dig(budget, "spec", "selector"), labels)
    ]
    if not mine:
        return Eviction(True, "nothing holds it back: no budget covers it")
    if len(mine) > 1:
        names = ", ".join(sorted(budget["metadata"]["name"] for budget in mine))
        return Eviction(False, f"the eviction API refuses a pod with more than one budget: {names}")
    return _by_budget(pod, mine[0])


def _by_budget(pod: Json, budget: Json) -> Eviction:
    name, status = str(budget["metadata"]["name"]), budget.get("status") or {}
    healthy, desired = int(status.get("currentHealthy", 0)), int(status.get("desiredHealthy", 0))
    if not pod_ready(pod):
        if dig(budget, "spec", "unhealthyPodEvictionPolicy") == "AlwaysAllow":
            return Eviction(True, f"it is not ready, and budget {name} lets such pods go (AlwaysAllow)")
        if healthy >= desired > 0:
            return Eviction(True, f"it is not ready, and budget {name} has its {desired} healthy pods without it")
    if int(status.get("observedGeneration", 0)) < int(dig(budget, "metadata", "generation", default=1)):
        return Eviction(False, f"budget {name} has just been changed and not been counted yet", name)
    allowed = int(status.get("disruptionsAllowed", 0))
    if allowed > 0:
        return Eviction(True, f"budget {name} allows {allowed} disruption{'' if allowed == 1 else 's'}", name)
    return Eviction(False, f"budget {name} needs {desired} healthy pods and has {healthy}", name)


def check(scene: Scene, wanted: Sequence[str] = ()) -> tuple[NodeDrain, ...]:
    """What a drain of each node alone would do, by their names: those ``wanted``, for none all that hold pods."""
    by_node: dict[str, list[PodDrain]] = {node: [] for node in wanted}
    for release, body in scene.sets:
        for ordinal, pod in sorted(_pods(body, scene.pods).items()):
            node = str(dig(pod, "spec", "nodeName", default=""))
            if node and (not wanted or node in by_node):
                by_node.setdefault(node, []).append(_pod(release, body, ordinal, pod, scene))
    return tuple(_node(node, pods, scene) for node, pods in sorted(by_node.items()))


def unplaced(scene: Scene) -> list[str]:
    """The pods that no node has yet."""
    pods = (pod for _, body in scene.sets for pod in _pods(body, scene.pods).values())
    return sorted(str(pod["metadata"]["name"]) for pod in pods if not dig(pod, "spec", "nodeName"))


def _pods(body: Json, pods: Iterable[Json]) -> dict[int, Json]:
    space = dig(body, "metadata", "namespace")
    return owned_pods(body, (pod for pod in pods if dig(pod, "metadata", "namespace") == space))


def _pod(release: str, body: Json, ordinal: int, pod: Json, scene: Scene) -> PodDrain:
    meta = pod["metadata"]
    space, name = str(meta["namespace"]), str(meta["name"])
    elsewhere, held = _elsewhere(pod, scene)
    return PodDrain(
        space,
        release,
        str(body["metadata"]["name"]),
        name,
        ordinal,
        pod_ready(pod),
        eviction(pod, scene.budgets),
        elsewhere,
        held,
        scene.roles.get((space, name)),
    )


def _elsewhere(pod: Json, scene: Scene) -> tuple[tuple[str, ...] | None, str]:
    """The other nodes that could take the pod, and what keeps it from the rest where there is none."""
    if scene.nodes is None:
        return None, ""
    here = str(dig(pod, "spec", "nodeName", default=""))
    others = {name: node for name, node in sorted(scene.nodes.items()) if name != here}
    volumes = list(_volumes(pod, scene))
    for claim, volume in volumes:
        if not any(reachable(volume, node) for node in others.values()):
            return (), f"the volume of claim {claim} is bound to {place_of(volume) or 'this node'}"
    against: dict[str, str] = {}
    for name, node in others.items():
        far = next((claim for claim, volume in volumes if not reachable(volume, node)), "")
        why = f"does not reach the volume of claim {far}" if far else why_not(node, pod, scene.nodes, scene.pods)
        if why:
            against[name] = why
    fit = tuple(name for name in others if name not in against)
    if fit:
        return fit, ""
    said = [f"{name} {why}" for name, why in list(against.items())[:_NAMED]]
    said += [f"and {len(against) - _NAMED} more"] if len(against) > _NAMED else []
    return (), f"no other node takes it: {'; '.join(said)}" if said else "there is no other node"


def _volumes(pod: Json, scene: Scene) -> Iterable[tuple[str, Json]]:
    """The claims of a pod whose volumes are known, with these."""
    space = dig(pod, "metadata", "namespace")
    bound = {
        str(claim["metadata"]["name"]): str(dig(claim, "spec", "volumeName", default=""))
        for claim in scene.claims
        if dig(claim, "metadata", "namespace") == space
    }
    for volume in dig(pod, "spec", "volumes", default=[]) or []:
        claim = str(dig(volume, "persistentVolumeClaim", "claimName", default=""))
        body = (scene.volumes or {}).get(bound.get(claim, ""))
        if body is not None:
            yield claim, body


def _node(node: str, pods: Sequence[PodDrain], scene: Scene) -> NodeDrain:
    """Several pods of one node go one after the other as the budgets allow; those without one go together."""
    blocked = [f"{pod.pod}: {pod.eviction.why}" for pod in pods if not pod.eviction.allowed]
    free = {
        (str(dig(b, "metadata", "namespace")), str(b["metadata"]["name"])): int(
            dig(b, "status", "disruptionsAllowed", default=0)
        )
        for b in scene.budgets
    }
    at_once: dict[tuple[str, str], int] = {}
    for (space, budget), allowed in free.items():
        counted = [pod for pod in pods if (pod.namespace, pod.eviction.budget) == (space, budget)]
        counted = [pod for pod in counted if pod.eviction.allowed]
        stuck = [pod for pod in counted if not pod.returns]
        if len(stuck) >= allowed and len(counted) > allowed > 0:
            first, names = stuck[:allowed], ", ".join(pod.pod for pod in stuck[:allowed])
            rest = ", ".join(pod.pod for pod in counted if pod not in first)
            blocked.append(f"{rest}: budget {budget} lets no more go once {names} is away and cannot come back")
        for key, number in _most(counted, allowed).items():
            at_once[key] = at_once.get(key, 0) + number
    for key, number in _most([pod for pod in pods if pod.eviction.allowed and not pod.eviction.budget]).items():
        at_once[key] = at_once.get(key, 0) + number
    touched = {(pod.namespace, pod.set_name) for pod in pods}
    sets = [_set(body, at_once, scene) for _, body in scene.sets if _key(body) in touched]
    return NodeDrain(node, tuple(pods), tuple(sets), tuple(blocked))


def _most(pods: Iterable[PodDrain], limit: int | None = None) -> dict[tuple[str, str], int]:
    """How many ready pods of each set can be away at the same time, of those that go under one limit."""
    found: dict[tuple[str, str], int] = {}
    for pod in pods:
        if pod.ready:
            key = (pod.namespace, pod.set_name)
            found[key] = found.get(key, 0) + 1
    return found if limit is None else {key: min(number, limit) for key, number in found.items()}


def _key(body: Json) -> tuple[str, str]:
    return str(dig(body, "metadata", "namespace", default="")), str(body["metadata"]["name"])


def _set(body: Json, at_once: Mapping[tuple[str, str], int], scene: Scene) -> SetDrain:
    space, name = _key(body)
    ready = sum(pod_ready(pod) for pod in _pods(body, scene.pods).values())
    return SetDrain(space, name, len(ordinals(body)), ready, at_once.get((space, name), 0), quorum_of(body))
