"""Addresses and ports of services: what the API server's allocators give, keep and take back.

Which address or port a service gets is derived from its name, so that two runs give the same; a real server draws it.
Source of the rules: kubernetes pkg/registry/core/service/storage/alloc.go, and strategy.go for what a change drops.
"""

from __future__ import annotations

import json
from hashlib import sha256
from ipaddress import IPv4Address, IPv4Network, ip_address
from typing import Any

from berth.core.objects import Json
from berth.rehearsal.admission.view import View
from berth.rehearsal.kinds import SERVICES
from berth.rehearsal.refusal import ApiError, FieldError, invalid

#: Where cluster addresses come from; as in the local control plane.
RANGE = IPv4Network("10.96.0.0/16")
#: Where node ports come from.
PORTS = range(30000, 32768)
#: The lower end of both ranges is left to those who name their address or port (KEP-3070, KEP-3668).
_STATIC_ADDRESSES, _STATIC_PORTS = 256, 86
_NONE = "None"


def allocated(view: View, service: Json, old: Json | None) -> Json:
    """The service with its families, cluster address and node ports.

    Raises:
        ApiError: 422, the address or port that it names cannot be had.
    """
    spec = dict(service.get("spec") or {})
    before = (old or {}).get("spec")
    if before is not None:
        _keep(spec, before)
        _drop(spec, before)
    name = str(service["metadata"].get("name", ""))
    others = [
        other.get("spec") or {} for other in view.list(SERVICES) if not _is_same(other["metadata"], service["metadata"])
    ]
    if spec.get("type") != "ExternalName" and _well_formed(spec):
        _families(name, spec, before)
        _address(service, spec, before, others)
    if _needs_ports(spec):
        _node_ports(service, spec, before, others)
    new = {**service, "spec": spec}
    if before is not None and spec.get("type") != "LoadBalancer" and "status" in service:
        new["status"] = {**service["status"], "loadBalancer": {}}
    return new


def _is_same(left: Json, right: Json) -> bool:
    return (left.get("namespace"), left.get("name")) == (right.get("namespace"), right.get("name"))


def _keep(spec: Json, before: Json) -> None:
    """An update that leaves out what was allocated does not mean to give it back."""
    if "ExternalName" not in (spec.get("type"), before.get("type")):
        if before.get("clusterIPs") and not spec.get("clusterIPs"):
            if spec.get("clusterIP") in (None, "", before.get("clusterIP")):
                spec["clusterIPs"] = before["clusterIPs"]
        elif spec.get("clusterIP") and spec["clusterIP"] != before.get("clusterIP"):
            if spec.get("clusterIPs") == before.get("clusterIPs"):
                spec["clusterIPs"] = [spec["clusterIP"]]
        if not spec.get("clusterIP") and before.get("clusterIP"):
            spec["clusterIP"] = before["clusterIP"]
    if _needs_ports(spec) and _needs_ports(before):
        both = _ports_of(before) & _ports_of(spec)
        known = {port.get("name", ""): port.get("nodePort", 0) for port in before.get("ports") or []}
        spec["ports"] = [
            {**port, "nodePort": known[port.get("name", "")]}
            if not port.get("nodePort") and known.get(port.get("name", ""), 0) not in (*both, 0)
            else port
            for port in spec.get("ports") or []
        ]
    if _needs_health(spec) and _needs_health(before) and not spec.get("healthCheckNodePort"):
        spec["healthCheckNodePort"] = before.get("healthCheckNodePort", 0)


def _drop(spec: Json, before: Json) -> None:
    """What the new type has no use for goes, unless the update says something of its own about it."""
    if before.get("type") != "ExternalName" and spec.get("type") == "ExternalName":
        if all(spec.get(key) == before.get(key) for key in ("clusterIP", "clusterIPs")):
            spec.pop("clusterIP", None)
            spec.pop("clusterIPs", None)
        _drop_same(spec, before, "ipFamilies", "ipFamilyPolicy", "internalTrafficPolicy")
    if _needs_ports(before) and not _needs_ports(spec) and _ports_of(spec) <= _ports_of(before):
        spec["ports"] = [{key: port[key] for key in port if key != "nodePort"} for port in spec.get("ports") or []]
    if not _needs_health(spec):
        _drop_same(spec, before, "healthCheckNodePort")
    if before.get("type") == "LoadBalancer" and spec.get("type") != "LoadBalancer":
        _drop_same(spec, before, "allocateLoadBalancerNodePorts", "loadBalancerClass")
    if _reachable(before) and not _reachable(spec):
        _drop_same(spec, before, "externalTrafficPolicy")


def _drop_same(spec: Json, before: Json, *keys: str) -> None:
    for key in keys:
        if key in spec and spec[key] == before.get(key):
            del spec[key]


def _reachable(spec: Json) -> bool:
    return _needs_ports(spec) or (spec.get("type") == "ClusterIP" and bool(spec.get("externalIPs")))


def _needs_ports(spec: Json) -> bool:
    return spec.get("type") in ("NodePort", "LoadBalancer")


def _needs_health(spec: Json) -> bool:
    return spec.get("type") == "LoadBalancer" and spec.get("externalTrafficPolicy") == "Local"


def _ports_of(spec: Json) -> set[int]:
    found = {port.get("nodePort") or 0 for port in spec.get("ports") or []}
    return (found | {spec.get("healthCheckNodePort") or 0}) - {0} if _needs_ports(spec) else found - {0}


def _well_formed(spec: Json) -> bool:
    """Whether validation will have nothing to say of the addresses; it comes later, and says it better."""
    addresses = spec.get("clusterIPs") or []
    if (spec.get("clusterIP") or "") != (addresses[0] if addresses else ""):
        return False
    return all(address == _NONE or _parsed(address) is not None for address in addresses)


def _parsed(address: Any) -> Any:
    try:
        return ip_address(address)
    except ValueError:
        return None


def _families(name: str, spec: Json, before: Json | None) -> None:
    selectorless = spec.get("clusterIP") == _NONE and not spec.get("selector")
    if "ipFamilyPolicy" not in spec:
        kept = (before or {}).get("ipFamilyPolicy")
        spec["ipFamilyPolicy"] = kept or ("RequireDualStack" if selectorless else "SingleStack")
    families = list(spec.get("ipFamilies") or [])
    for number, address in enumerate(spec.get("clusterIPs") or []):
        if address == _NONE:
            break
        if number >= len(families):
            family = "IPv4" if isinstance(_parsed(address), IPv4Address) else "IPv6"
            if family != "IPv4":
                value = json.dumps(spec["clusterIPs"], separators=(",", ":"))
                raise _invalid(name, f"spec.clusterIPs[{number}]", value, f"{family} is not configured on this cluster")
            families.append(family)
    if selectorless:
        families = families or ["IPv4"]
        if len(families) < 2 and spec["ipFamilyPolicy"] != "SingleStack":
            families.append("IPv6" if families[0] == "IPv4" else "IPv4")
        spec["ipFamilies"] = families
        return
    if spec["ipFamilyPolicy"] == "RequireDualStack":
        why = "this cluster is not configured for dual-stack services"
        raise _invalid(name, "spec.ipFamilyPolicy", '"RequireDualStack"', why)
    for number, family in enumerate(families):
        # What is no family at all is for validation to name.
        if family == "IPv6":
            raise _invalid(name, f"spec.ipFamilies[{number}]", json.dumps(family), "not configured on this cluster")
    spec["ipFamilies"] = families or ["IPv4"]


def _address(service: Json, spec: Json, before: Json | None, others: list[Json]) -> None:
    asked = spec.get("clusterIP") or ""
    if asked == _NONE or (before is not None and before.get("clusterIP")):
        return
    taken = {address for other in others for address in other.get("clusterIPs") or []}
    if asked:
        why = ""
        if IPv4Address(asked) not in RANGE or asked in (str(RANGE[0]), str(RANGE[-1])):
            why = f"the provided IP ({asked}) is not in the valid range. The range of valid IPs is {RANGE}"
        elif asked in taken:
            why = "provided IP is already allocated"
        if why:
            value = json.dumps(spec["clusterIPs"], separators=(",", ":"))
            name = str(service["metadata"].get("name", ""))
            raise _invalid(name, "spec.clusterIPs", value, f"failed to allocate IP {asked}: {why}")
        return
    size = RANGE.num_addresses - _STATIC_ADDRESSES - 1
    start = _number(service)
    for step in range(size):
        address = str(RANGE[_STATIC_ADDRESSES + (start + step) % size])
        if address not in taken:
            spec |= {"clusterIP": address, "clusterIPs": [address]}
            return
    raise ApiError(500, "InternalError", "Internal error occurred: failed to allocate a serviceIP: range is full")


def _node_ports(service: Json, spec: Json, before: Json | None, others: list[Json]) -> None:
    name = str(service["metadata"].get("name", ""))
    taken = {number for other in others for number in _ports_of(other)}
    own = _ports_of(before) if before is not None else set()
    given = spec.get("type") == "NodePort" or spec.get("allocateLoadBalancerNodePorts") is not False
    ports: list[Json] = []
    #: Ports of one number share a node port, whatever their protocol; only when they are made together.
    shared: dict[int, int] = {}
    wanted = {port["port"]: port["nodePort"] for port in reversed(spec.get("ports") or []) if port.get("nodePort")}
    for number, port in enumerate(spec.get("ports") or []):
        asked = port.get("nodePort") or (wanted.get(port.get("port", 0), 0) if before is None else 0)
        common = shared.get(port.get("port", 0), 0) if before is None else 0
        if not asked and common:
            asked = common
        if not asked and given:
            asked = _free_port(service, number, taken | own | set(shared.values()))
        elif asked and asked != common and asked not in own:
            _check_port(name, number, asked, taken | set(shared.values()))
        if asked:
            shared.setdefault(port.get("port", 0), asked)
            taken.add(asked)
        ports.append({**port, "nodePort": asked} if asked else port)
    if "ports" in spec:
        spec["ports"] = ports
    if _needs_health(spec) and not spec.get("healthCheckNodePort"):
        spec["healthCheckNodePort"] = _free_port(service, len(ports), taken | own)


def _check_port(name: str, number: int, asked: int, taken: set[int]) -> None:
    path = f"spec.ports[{number}].nodePort"
    if asked not in PORTS:
        valid = f"{PORTS.start}-{PORTS.stop - 1}"
        why = f"provided port is not in the valid range. The range of valid ports is {valid}"
        raise _invalid(name, path, str(asked), why)
    if asked in taken:
        raise _invalid(name, path, str(asked), "provided port is already allocated")


def _free_port(service: Json, number: int, taken: set[int]) -> int:
    dynamic = PORTS[_STATIC_PORTS:]
    start = _number(service) + number
    for step in range(len(dynamic)):
        port = dynamic[(start + step) % len(dynamic)]
        if port not in taken:
            return port
    raise ApiError(500, "InternalError", "Internal error occurred: failed to allocate a nodePort: range is full")


def _number(service: Json) -> int:
    meta = service["metadata"]
    return int.from_bytes(sha256(f"{meta.get('namespace', '')}/{meta.get('name', '')}".encode()).digest()[:6], "big")


def _invalid(name: str, path: str, value: str, why: str) -> ApiError:
    return invalid(SERVICES, name, [FieldError("FieldValueInvalid", path, f"Invalid value: {value}: {why}")])
