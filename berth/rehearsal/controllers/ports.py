"""The ports of a Service as a pod has them, and the order in which the real controllers write them.

That order is by a hash of how Go prints the port, so it looks random, but it is the same on every cluster.
Source: kubernetes staging/src/k8s.io/endpointslice/util/controller_utils.go and pkg/api/v1/endpoints.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache

from berth.core.objects import Json


def port_number(pod: Json, port: Json) -> int | None:
    """Where a pod listens for a Service's port; None where it has no port of the name that the Service gives."""
    target = port.get("targetPort", port["port"])
    if isinstance(target, int):
        return target or int(port["port"])
    spec = pod["spec"]
    sidecars = [entry for entry in spec.get("initContainers") or () if entry.get("restartPolicy") == "Always"]
    for container in (*spec["containers"], *sidecars):
        for entry in container.get("ports") or ():
            same_protocol = entry.get("protocol", "TCP") == port.get("protocol", "TCP")
            if entry.get("name") == target and same_protocol:
                return int(entry["containerPort"])
    return None


def in_slice_order(ports: Iterable[Json]) -> list[Json]:
    """Ports as an EndpointSlice has them."""
    return sorted(ports, key=_slice_hash)


def in_endpoints_order(ports: Iterable[Json]) -> list[Json]:
    """Ports as an Endpoints object has them."""
    return sorted(ports, key=_endpoints_hash)


def _slice_hash(port: Json) -> int:
    name, number, protocol = port.get("name", ""), port["port"], port["protocol"]
    return _fnv128a(
        f"(v1.EndpointPort){{Name:(*string){name} Protocol:(*v1.Protocol){protocol} Port:(*int32){number} "
        f"AppProtocol:(*string){port.get('appProtocol', '<nil>')}}}"
    )


def _endpoints_hash(port: Json) -> int:
    name, number, protocol = port.get("name", ""), port["port"], port["protocol"]
    return _fnv128a(
        f"(v1.EndpointPort){{Name:(string){name} Port:(int32){number} Protocol:(v1.Protocol){protocol} "
        f"AppProtocol:(*string){port.get('appProtocol', '<nil>')}}}"
    )


@lru_cache(maxsize=1024)
def _fnv128a(text: str) -> int:
    total = 0x6C62272E07BB014262B821756295C58D
    for byte in text.encode():
        total = ((total ^ byte) * 0x1000000000000000000013B) & (1 << 128) - 1
    return total
