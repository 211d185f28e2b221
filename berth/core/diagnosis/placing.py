"""Pods that no node takes, and pods whose node is lost."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

from berth.core.diagnosis.model import Cause, Scene, Weight, latest, namespace_of
from berth.core.diagnosis.storage import place_of, pod_claims
from berth.core.objects import Json, dig

#: What the cluster autoscaler and Karpenter say of a pod that they bring a node for.
_NODE_COMING = ("TriggeredScaleUp", "Nominated")

#: What preemption would not help with is said of every node once more.
_PREEMPTION = re.compile(r"\.? (no new claims to deallocate, )?preemption: .*", re.DOTALL)

#: Of the scheduler's reasons (kubernetes pkg/scheduler/framework/plugins), what to try; {0} is what they name, and
#: {nodes} the nodes that they are about. The first that fits a reason counts.
_CONSTRAINTS: tuple[tuple[re.Pattern[str], str, str], ...] = tuple(
    (re.compile(pattern), about, hint)
    for pattern, about, hint in (
        (r"Insufficient (\S+)", "", "ask for less {0} (--set resources.requests.{0}=...), or add nodes"),
        (r"were unschedulable|node\.kubernetes\.io/unschedulable", "cordoned", "kubectl uncordon {nodes}"),
        (r"node\.kubernetes\.io/(?:not-ready|unreachable)", "lost", "bring {nodes} back: the kubelet does not answer"),
        (r"node\.kubernetes\.io/(\w+)-pressure", "pressed", "free {0} on {nodes}"),
        (r"untolerated taint \{([^:}]+)", "", "tolerate the taint {0}, or take it off its nodes"),
        (r"anti-affinity", "", "each pod wants a node of its own: add nodes, or relax the rule"),
        (r"topology spread", "", "the pods must be spread evenly: add nodes where there are fewest, or relax the rule"),
        (r"node affinity/selector", "", "no node has the labels that the pod asks for"),
        (r"available persistent volumes to bind", "", "make a volume that fits the claim, where a node is free"),
        (r"exceed max volume count", "", "the nodes attach no more volumes: add nodes"),
        (r"Too many pods", "", "the nodes take no more pods: add nodes"),
        (r"free ports", "", "a host port is taken on every node"),
    )
)
_VOLUME_ELSEWHERE = re.compile(r"volume node affinity conflict|PersistentVolume's node affinity")
_GENERAL = "add nodes, or relax what the message names (resources, spread, taints, the volume's zone)"


def of_scheduling(statefulset: Json, ordinal: int, pod: Json, scene: Scene) -> Cause | None:
    """Why the scheduler has found no node: which constraint, on how many nodes."""
    condition = _condition(pod, "PodScheduled")
    if condition.get("status") != "False":
        return None
    name, message = pod["metadata"]["name"], str(condition.get("message", "no node fits"))
    if condition.get("reason") == "SchedulingGated":
        return Cause(Weight.SUSPECT, "SchedulingGated", f"{name}: {message}")
    coming = latest(scene.events, pod, _NODE_COMING)
    if coming:
        said = f"{name}: a node for it is being added ({coming.get('message', '')})"
        return Cause(Weight.TRANSIENT, "NodeComing", said)
    message = _PREEMPTION.sub("", message).rstrip(".")
    if "unbound immediate PersistentVolumeClaims" in message:
        hint = "its claim is not bound; `kubectl describe pvc` says why"
        return Cause(Weight.SUSPECT, "Unschedulable", f"{name}: {message}", hint)
    if _VOLUME_ELSEWHERE.search(message):
        return _volume_elsewhere(statefulset, ordinal, name, message, scene)
    waiting = [
        claim["metadata"]["name"]
        for claim in pod_claims(statefulset, ordinal, scene)
        if dig(claim, "status", "phase", default="Pending") == "Pending" and _waits(claim, scene)
    ]
    after = f"; claim {', '.join(waiting)} waits for that (WaitForFirstConsumer)" if waiting else ""
    return Cause(Weight.SUSPECT, "Unschedulable", f"{name}: {message}{after}", _hints(message, scene))


def of_node(pod: Json, scene: Scene) -> Cause | None:
    """That the node of a pod is gone, or does not answer: what the pod's status says is old then."""
    state = node_trouble(pod, scene)
    if not state:
        return None
    name, node = pod["metadata"]["name"], pod["spec"]["nodeName"]
    if "exist" in state:
        hint = f"it is made anew when its pod is cleared away; if that lasts: {force(pod)}"
        return Cause(Weight.SUSPECT, "NodeGone", f"{name}: {state}", hint)
    hint = f"bring {node} back; if it is gone for good, `kubectl delete node {node}` frees the pod and its volume"
    return Cause(Weight.SUSPECT, "NodeNotReady", f"{name}: {state}", hint)


def node_trouble(pod: Json, scene: Scene) -> str:
    """What is wrong with a pod's node, "" for nothing that is known."""
    node = dig(pod, "spec", "nodeName")
    if not node or scene.nodes is None:
        return ""
    body = scene.nodes.get(node)
    if body is None:
        return f"its node {node} does not exist any more"
    condition = _condition(body, "Ready")
    if condition.get("status", "True") == "True":
        return ""
    said = condition.get("message") or condition.get("reason") or "no reason is given"
    return f"its node {node} is not ready: {said}"


def pressure(node: str, scene: Scene) -> str:
    """The resources that a node is short of, in its own words (DiskPressure), "" for none."""
    conditions = dig((scene.nodes or {}).get(node), "status", "conditions", default=[])
    return ", ".join(c["type"] for c in conditions if c["type"].endswith("Pressure") and c["status"] == "True")


def force(pod: Json) -> str:
    """The command that forgets a pod whose node can no longer say that it has stopped."""
    return f"kubectl delete pod {pod['metadata']['name']} -n {namespace_of(pod)} --force"


def _volume_elsewhere(statefulset: Json, ordinal: int, name: str, message: str, scene: Scene) -> Cause:
    """The pod has a volume already, and where that is no node takes it."""
    where = [
        (claim["metadata"]["name"], volume, place_of((scene.volumes or {}).get(volume)))
        for claim in pod_claims(statefulset, ordinal, scene)
        if (volume := dig(claim, "spec", "volumeName"))
    ]
    placed = [(claim, place) for claim, _, place in where if place]
    if not placed:
        hint = "the volume does not move: make room where it is (kubectl describe pv)"
        return Cause(Weight.SUSPECT, "VolumeElsewhere", f"{name}: {message}", hint)
    claim, place = placed[0]
    lost = [node for node in place.nodes if scene.nodes is not None and node not in scene.nodes]
    said = f"{name}: the volume of claim {claim} is in {place}, where no node takes the pod: {message}"
    if lost:
        said = f"{name}: the volume of claim {claim} is on node {', '.join(lost)}, which does not exist any more"
        hint = f"bring the node back, or delete claim {claim} if its data is not needed or is elsewhere too"
        return Cause(Weight.SUSPECT, "VolumeElsewhere", said, hint)
    others = [part for part in _hints(message, scene).split("; ") if part != _GENERAL]
    hint = "; ".join([f"a volume does not move: make room in {place}", *others])
    return Cause(Weight.SUSPECT, "VolumeElsewhere", said, hint)


def _waits(claim: Json, scene: Scene) -> bool:
    body = (scene.classes or {}).get(dig(claim, "spec", "storageClassName") or "")
    return bool(body and body.get("volumeBindingMode") == "WaitForFirstConsumer")


def _hints(message: str, scene: Scene) -> str:
    """What to try for each constraint that the message counts nodes for."""
    found: dict[str, None] = {}
    for part in message.partition(": ")[2].split(", "):
        for pattern, about, hint in _CONSTRAINTS:
            match = pattern.search(part)
            if match:
                nodes = " ".join(_nodes(about, scene)) or "the nodes"
                found[hint.format(*(group.rstrip(".") for group in match.groups()), nodes=nodes)] = None
                break
    return "; ".join(list(found)[:3]) or _GENERAL


def _nodes(about: str, scene: Scene) -> Iterable[str]:
    for name, body in sorted((scene.nodes or {}).items()):
        if about == "cordoned" and dig(body, "spec", "unschedulable"):
            yield name
        elif about == "lost" and _condition(body, "Ready").get("status", "True") != "True":
            yield name
        elif about == "pressed" and pressure(name, scene):
            yield name


def _condition(body: Json, kind: str) -> Mapping[str, str]:
    found: Iterable[Mapping[str, str]] = dig(body, "status", "conditions", default=[]) or []
    return next((condition for condition in found if condition["type"] == kind), {})
