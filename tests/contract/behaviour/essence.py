"""What must be equal of an object on two clusters: everything but what no two clusters have in common.

Each thing that is left out, or put in other words, says why.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable

from berth.core.objects import Json

#: Each cluster counts by itself and at its own times; the namespace is another one on each.
_OWN = frozenset({"uid", "resourceVersion", "creationTimestamp", "namespace", "selfLink"})
#: The node that a pod gets is a matter of what else runs, and these follow from it.
_BY_NODE = frozenset(
    {"topology.kubernetes.io/zone", "topology.kubernetes.io/region", "volume.kubernetes.io/selected-node"}
)
#: Uids in names (of volumes) and in texts.
_UID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")
_TOKEN_VOLUME = re.compile(r"kube-api-access-[a-z0-9]{5}")
_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z")


def plain(value: object, space: str = "") -> object:
    """A value without uids, times, random ends and the namespace's name."""
    if isinstance(value, dict):
        return {_text(key, space): plain(entry, space) for key, entry in value.items()}
    if isinstance(value, list):
        return [plain(entry, space) for entry in value]
    return _text(value, space) if isinstance(value, str) else value


def _text(value: str, space: str) -> str:
    value = _TOKEN_VOLUME.sub("kube-api-access-?", _UID.sub("?", _TIME.sub("?", value)))
    return value.replace(space, "SPACE") if space else value


def essence(resource: str, body: Json) -> Json:
    """The object as it must be on every cluster."""
    space = body["metadata"].get("namespace", "")
    made = _BY_KIND.get(resource, dict)(body)
    kept = {key: value for key, value in made.items() if key not in ("apiVersion", "kind")}
    found = plain({**kept, "metadata": _metadata(made["metadata"])}, space)
    assert isinstance(found, dict)
    return found


def key(resource: str, body: Json) -> str:
    """Which objects of two clusters are the same one: those of one name, or of one purpose where that is random."""
    if resource == "endpointslices":
        return str((body["metadata"].get("labels") or {}).get("kubernetes.io/service-name"))
    if resource == "persistentvolumes":
        return str(body["spec"]["claimRef"]["name"])
    return str(body["metadata"]["name"])


def _metadata(meta: Json) -> Json:
    found = {name: value for name, value in meta.items() if name not in _OWN}
    for name in ("labels", "annotations"):
        if name in found:
            found[name] = {label: value for label, value in found[name].items() if label not in _BY_NODE}
    if "managedFields" in found:
        found["managedFields"] = sorted(
            found["managedFields"],
            key=lambda entry: (entry["manager"], entry["operation"], entry.get("subresource", "")),
        )
    # Finalizers are a set.
    if "finalizers" in found:
        found["finalizers"] = sorted(found["finalizers"])
    return found


def _set(body: Json) -> Json:
    return body


def _pod(body: Json) -> Json:
    status = body.get("status") or {}
    spec = {name: value for name, value in body["spec"].items() if name != "nodeName"}
    # The controller takes the claims of a pod from a map, and Go goes through maps in no order.
    spec["volumes"] = sorted(spec.get("volumes") or (), key=lambda entry: str(plain(entry["name"])))
    # The nodes are kwok on one cluster and the rehearsal's kubelet on the other, each a field manager of its own.
    meta = {name: value for name, value in body["metadata"].items() if name != "managedFields"}
    troubled = trouble(body)
    containers = [
        {
            "name": entry["name"],
            "ready": entry["ready"],
            # How far a container is that cannot start, and how often it was tried, is a matter of the moment.
            **({} if troubled else {"state": sorted(entry["state"]), "restarts": entry["restartCount"]}),
        }
        for entry in status.get("containerStatuses") or ()
    ]
    conditions = {
        entry["type"]: [entry["status"], entry.get("reason", "")]
        for entry in status.get("conditions") or ()
        # kwok says nothing of why a container is not ready when its image cannot be pulled: only the kubelet does.
    }
    seen = {"phase": status.get("phase"), "qosClass": status.get("qosClass"), "conditions": conditions}
    return {"metadata": meta, "spec": spec, "status": {**seen, "containers": containers}}


def trouble(pod: Json) -> str:
    """The fault that a pod was given: image, crash, unready, or "" for none."""
    fault = (pod["metadata"].get("annotations") or {}).get("berth.dev/fault", "")
    images = [entry["image"] for entry in pod["spec"]["containers"]]
    return fault or ("image" if any(image.endswith((":nope", ":bad")) for image in images) else "")


def _claim(body: Json) -> Json:
    # Provisioner and binder write as other programs there.
    return {**body, "metadata": {name: value for name, value in body["metadata"].items() if name != "managedFields"}}


def _volume(body: Json) -> Json:
    spec = body["spec"]
    reference = {name: spec["claimRef"][name] for name in ("apiVersion", "kind", "name")}
    kept = ("accessModes", "capacity", "persistentVolumeReclaimPolicy", "storageClassName", "volumeMode")
    # Where the data are, and with that the node that can have them, is the provisioner's business.
    meta = {"finalizers": body["metadata"].get("finalizers", [])}
    spec = {name: spec[name] for name in kept} | {"claimRef": reference}
    return {"metadata": meta, "spec": spec, "status": {"phase": body["status"]["phase"]}}


def _slice(body: Json) -> Json:
    # Name random, addresses and nodes as they come, and the order of endpoints is none.
    endpoints = [
        {
            "conditions": entry.get("conditions"),
            "hostname": entry.get("hostname"),
            "target": {name: entry["targetRef"][name] for name in ("kind", "name")},
        }
        for entry in body.get("endpoints") or ()
    ]
    endpoints.sort(key=lambda entry: str(entry["target"]["name"]))
    labels = body["metadata"].get("labels")
    return {
        "metadata": {"labels": labels},
        "endpoints": endpoints,
        "ports": body.get("ports"),
        "addressType": body["addressType"],
    }


def _budget(body: Json) -> Json:
    status = dict(body.get("status") or {})
    # Pods that were evicted a moment ago, by name and time; dropped when their deletion has been seen.
    status.pop("disruptedPods", None)
    meta = dict(body["metadata"])
    # API server and controller both write the status, and who of them was the last to change a field depends on whether
    # the controller looked in the moment between the end of a pod and its successor.
    meta["managedFields"] = [entry for entry in meta["managedFields"] if "subresource" not in entry]
    return {**body, "metadata": meta, "status": status}


_BY_KIND: dict[str, Callable[[Json], Json]] = {
    "statefulsets": _set,
    "pods": _pod,
    "persistentvolumeclaims": _claim,
    "persistentvolumes": _volume,
    "endpointslices": _slice,
    "poddisruptionbudgets": _budget,
}


def differences(left: object, right: object, path: str = "") -> Iterable[str]:
    """Every place where two values differ, with both."""
    if isinstance(left, dict) and isinstance(right, dict):
        for name in sorted(left.keys() | right.keys()):
            yield from differences(left.get(name, "(absent)"), right.get(name, "(absent)"), f"{path}.{name}")
    elif isinstance(left, list) and isinstance(right, list) and len(left) == len(right):
        for index, (one, other) in enumerate(zip(left, right, strict=True)):
            yield from differences(one, other, f"{path}[{index}]")
    elif left != right:
        yield f"{path}: kubernetes has {left!r}, the rehearsal {right!r}"
