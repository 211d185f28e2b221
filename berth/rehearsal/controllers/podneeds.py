"""What must be there before a pod's containers can start: bound claims, ConfigMaps and Secrets.

Source of the texts: kubernetes pkg/kubelet/volumemanager, pkg/volume/{configmap,secret}, pkg/kubelet/kubelet_pods.go.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from berth.core.objects import Json
from berth.rehearsal.kinds import CLAIMS, CONFIG_MAPS, SECRETS, Kind

if TYPE_CHECKING:
    from berth.rehearsal.store import Store

_SOURCES: tuple[tuple[str, str, Kind, str], ...] = (
    ("configMap", "name", CONFIG_MAPS, "configmap"),
    ("secret", "secretName", SECRETS, "secret"),
)


def unmounted(store: Store, pod: Json) -> str:
    """Why a volume of the pod cannot be mounted, as the event says it; "" when all can."""
    namespace = pod["metadata"]["namespace"]
    for volume in pod["spec"].get("volumes") or ():
        if "persistentVolumeClaim" in volume:
            name = volume["persistentVolumeClaim"]["claimName"]
            claim = store.get(CLAIMS, namespace, name)
            if claim is None or (claim.get("status") or {}).get("phase") != "Bound":
                why = f'persistentvolumeclaim "{name}" not found' if claim is None else "PVC is not bound"
                unbound = f"error processing PVC {namespace}/{name}: {why}"
                return (
                    f"Unable to attach or mount volumes: unmounted volumes=[{volume['name']}], unattached volumes=[], "
                    f"failed to process volumes=[{volume['name']}]: {unbound}"
                )
        for kind, key, name in _named(volume):
            missing = _missing(store, kind, namespace, name, key)
            if missing:
                return f'MountVolume.SetUp failed for volume "{volume["name"]}" : {missing}'
    return ""


def _named(volume: Json) -> Iterator[tuple[tuple[Kind, str], tuple[str, ...], str]]:
    """The ConfigMaps and Secrets that a volume cannot do without: kind, keys, name."""
    for source, field, kind, word in _SOURCES:
        parts = [(volume.get(source), field)]
        parts += [(part.get(source), "name") for part in (volume.get("projected") or {}).get("sources") or ()]
        for part, name_field in parts:
            if part and not part.get("optional") and part.get(name_field):
                keys = tuple(item["key"] for item in part.get("items") or ())
                yield (kind, word), keys, part[name_field]


def _missing(store: Store, kind: tuple[Kind, str], namespace: str, name: str, keys: tuple[str, ...]) -> str:
    found = store.get(kind[0], namespace, name)
    if found is None:
        return f'{kind[1]} "{name}" not found'
    known = {*(found.get("data") or {}), *(found.get("binaryData") or {})}
    for key in keys:
        if key not in known:
            return f"references non-existent {'config' if kind[0] is CONFIG_MAPS else 'secret'} key: {key}"
    return ""


def mount_failure(pod: Json, container: Json, message: str) -> str:
    """What a kubelet says of a volume that its driver does not mount."""
    volumes = {volume["name"]: volume for volume in pod["spec"].get("volumes") or () if "projected" not in volume}
    mounted = {mount["name"] for mount in container.get("volumeMounts") or ()}
    # Claims first: theirs are the disks that fail.
    names = sorted(volumes, key=lambda name: ("persistentVolumeClaim" not in volumes[name], name not in mounted))
    why = message or "rpc error: code = DeadlineExceeded desc = context deadline exceeded"
    return f'MountVolume.SetUp failed for volume "{names[0] if names else "data"}" : {why}'


def unconfigured(store: Store, pod: Json, container: Json) -> str:
    """Which ConfigMap, Secret or key of its environment a container misses; "" for none."""
    namespace = pod["metadata"]["namespace"]
    for source in container.get("envFrom") or ():
        for field, kind, word in (("configMapRef", CONFIG_MAPS, "configmap"), ("secretRef", SECRETS, "secret")):
            part = source.get(field)
            if part and not part.get("optional") and store.get(kind, namespace, part["name"]) is None:
                return f'{word} "{part["name"]}" not found'
    for entry in container.get("env") or ():
        for field, kind, word, title in (
            ("configMapKeyRef", CONFIG_MAPS, "configmap", "ConfigMap"),
            ("secretKeyRef", SECRETS, "secret", "Secret"),
        ):
            part = (entry.get("valueFrom") or {}).get(field)
            if not part or part.get("optional"):
                continue
            found = store.get(kind, namespace, part["name"])
            if found is None:
                return f'{word} "{part["name"]}" not found'
            if part["key"] not in {*(found.get("data") or {}), *(found.get("binaryData") or {})}:
                return f"couldn't find key {part['key']} in {title} {namespace}/{part['name']}"
    return ""
