"""What the Endpoints object of a Service says: the older form of EndpointSlices, which a cluster still keeps.

Pure. Source: kubernetes pkg/controller/endpoint/endpoints_controller.go and pkg/api/v1/endpoints/util.go.
"""

from __future__ import annotations

from collections.abc import Iterable

from berth.core.objects import Json
from berth.rehearsal.controllers.podstate import is_ready
from berth.rehearsal.controllers.ports import in_endpoints_order, port_number


def endpoints_of(service: Json, pods: Iterable[Json]) -> list[Json]:
    """The subsets: addresses that have the same ports, ready ones apart from the others.

    Pods that are being deleted are in it only where the Service publishes addresses that are not ready.
    """
    spec = service["spec"]
    published = bool(spec.get("publishNotReadyAddresses"))
    by_ports: dict[str, tuple[list[Json], list[Json], list[Json]]] = {}
    for pod in pods:
        if not published and "deletionTimestamp" in pod["metadata"]:
            continue
        address = _address(service, pod)
        ports = _ports(spec, pod)
        if address is None or (not ports and spec.get("ports")):
            continue
        _, ready, unready = by_ports.setdefault(repr(ports), (ports, [], []))
        (ready if published or is_ready(pod) else unready).append(address)
    subsets = []
    for ports, ready, unready in by_ports.values():
        subset: Json = {}
        if ready:
            subset["addresses"] = sorted(ready, key=_order)
        if unready:
            subset["notReadyAddresses"] = sorted(unready, key=_order)
        if ports:
            subset["ports"] = ports
        subsets.append(subset)
    return subsets


def _address(service: Json, pod: Json) -> Json | None:
    status, meta, spec = pod["status"], pod["metadata"], pod["spec"]
    family = (service["spec"].get("ipFamilies") or ["IPv4"])[0]
    entries = status.get("podIPs") or [{"ip": status["podIP"]}]
    found = next((entry["ip"] for entry in entries if (":" in entry["ip"]) == (family == "IPv6")), None)
    if found is None:
        return None
    address: Json = {"ip": found}
    if spec.get("hostname") and spec.get("subdomain") == service["metadata"]["name"]:
        address["hostname"] = spec["hostname"]
    if spec.get("nodeName"):
        address["nodeName"] = spec["nodeName"]
    target = {"kind": "Pod", "namespace": meta["namespace"], "name": meta["name"], "uid": meta["uid"]}
    return {**address, "targetRef": target}


def _ports(spec: Json, pod: Json) -> list[Json]:
    ports = []
    for entry in spec.get("ports") or ():
        number = port_number(pod, entry)
        if number is not None:
            port: Json = {"port": number, "protocol": entry.get("protocol", "TCP")}
            if entry.get("name"):
                port["name"] = entry["name"]
            if entry.get("appProtocol"):
                port["appProtocol"] = entry["appProtocol"]
            ports.append(port)
    return in_endpoints_order(ports)


def _order(address: Json) -> tuple[str, str]:
    return address["ip"], address["targetRef"]["uid"]
