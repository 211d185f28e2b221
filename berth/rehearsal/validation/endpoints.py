"""Endpoints and their slices. Source: kubernetes pkg/apis/core/validation and pkg/apis/discovery/validation."""

from __future__ import annotations

import ipaddress

from berth.core.objects import Json
from berth.rehearsal.kinds import ENDPOINTS, SLICES
from berth.rehearsal.validation import formats, metadata
from berth.rehearsal.validation.errors import (
    Errors,
    all_invalid,
    duplicate,
    immutable,
    invalid,
    not_supported,
    required,
    too_many,
)

PROTOCOLS = ("SCTP", "TCP", "UDP")
ADDRESS_TYPES = ("FQDN", "IPv4", "IPv6")
#: The bounds of a slice: endpoints, ports, addresses of an endpoint, hints.
_ENDPOINTS, _PORTS, _ADDRESSES, _HINTS = 1000, 20000, 100, 8


def endpoint_address(path: str, text: str) -> Errors:
    """An address that a packet can be sent to."""
    found = formats.address(text)
    if found is None:
        return [invalid(path, text, "must be a valid IP address")]
    multicast = found.is_multicast and (
        found in ipaddress.ip_network("224.0.0.0/24") if found.version == 4 else str(found).startswith("ff02:")
    )
    rules = (
        (found.is_unspecified, f"may not be unspecified ({text})"),
        (found.is_loopback, "may not be in the loopback range (127.0.0.0/8, ::1/128)"),
        (found.is_link_local, "may not be in the link-local range (169.254.0.0/16, fe80::/10)"),
        (multicast, "may not be in the link-local multicast range (224.0.0.0/24, ff02::/10)"),
    )
    return [invalid(path, text, words) for broken, words in rules if broken]


def create_endpoints(new: Json) -> Errors:
    """New Endpoints."""
    wrong = metadata.created(ENDPOINTS, new["metadata"], formats.subdomain)
    for index, subset in enumerate(new.get("subsets") or ()):
        wrong += _subset(f"subsets[{index}]", subset)
    return wrong


def update_endpoints(new: Json, old: Json) -> Errors:
    """Endpoints that are there already."""
    wrong = metadata.changed(new, old)
    if new.get("subsets") == old.get("subsets"):
        return wrong + metadata.created(ENDPOINTS, new["metadata"], formats.subdomain)
    return wrong + create_endpoints(new)


def _subset(path: str, subset: Json) -> Errors:
    wrong: Errors = []
    if not subset.get("addresses") and not subset.get("notReadyAddresses"):
        wrong.append(required(path, "must specify `addresses` or `notReadyAddresses`"))
    for key in ("addresses", "notReadyAddresses"):
        for index, each in enumerate(subset.get(key) or ()):
            at, text, name = f"{path}.{key}[{index}]", each.get("ip", ""), each.get("hostname", "")
            errors = all_invalid(f"{at}.ip", text, formats.ip(text))
            wrong += errors
            if name:
                wrong += all_invalid(f"{at}.hostname", name, formats.label(name))
            node = each.get("nodeName")
            if node is not None:
                wrong += all_invalid(f"{at}.nodeName", node, formats.subdomain(node))
            wrong += endpoint_address(f"{at}.ip", text)
    ports = subset.get("ports") or []
    for index, each in enumerate(ports):
        at, name, number = f"{path}.ports[{index}]", each.get("name", ""), each.get("port", 0)
        if name:
            wrong += all_invalid(f"{at}.name", name, formats.label(name))
        elif len(ports) > 1:
            wrong.append(required(f"{at}.name"))
        wrong += all_invalid(f"{at}.port", number, formats.port_number(number))
        if each.get("protocol") not in PROTOCOLS:
            wrong.append(not_supported(f"{at}.protocol", each.get("protocol", ""), PROTOCOLS))
        if each.get("appProtocol") is not None:
            wrong += all_invalid(f"{at}.appProtocol", each["appProtocol"], formats.label_key(each["appProtocol"]))
    return wrong


def create_slice(new: Json) -> Errors:
    """A new EndpointSlice."""
    return _slice(new, new.get("endpoints"))


def update_slice(new: Json, old: Json) -> Errors:
    """An EndpointSlice that is there already."""
    found = new.get("endpoints")
    wrong = _slice(new, found if found != old.get("endpoints") else None)
    return wrong + immutable("addressType", new.get("addressType", ""), old.get("addressType", ""))


def _slice(new: Json, endpoints: list[Json] | None) -> Errors:
    wrong = metadata.created(SLICES, new["metadata"], formats.subdomain)
    kind = new.get("addressType", "")
    if not kind:
        wrong.append(required("addressType"))
    elif kind not in ADDRESS_TYPES:
        wrong.append(not_supported("addressType", kind, ADDRESS_TYPES))
    wrong += _ports(new.get("ports") or [])
    endpoints = endpoints or []
    if len(endpoints) > _ENDPOINTS:
        return [*wrong, too_many("endpoints", len(endpoints), _ENDPOINTS)]
    return wrong + [
        error for index, each in enumerate(endpoints) for error in _endpoint(f"endpoints[{index}]", each, kind)
    ]


def _ports(found: list[Json]) -> Errors:
    if len(found) > _PORTS:
        return [too_many("ports", len(found), _PORTS)]
    wrong: Errors = []
    names: list[str] = []
    for index, each in enumerate(found):
        at, name = f"ports[{index}]", each.get("name", "")
        if name:
            wrong += all_invalid(f"{at}.name", name, formats.label(name))
        if name in names:
            wrong.append(duplicate(f"{at}.name", name))
        names.append(name)
        if each.get("protocol") not in PROTOCOLS:
            wrong.append(not_supported(f"{at}.protocol", each.get("protocol", ""), PROTOCOLS))
        if each.get("appProtocol") is not None:
            wrong += all_invalid(f"{at}.appProtocol", each["appProtocol"], formats.label_key(each["appProtocol"]))
    return wrong


def _endpoint(path: str, each: Json, kind: str) -> Errors:
    wrong: Errors = []
    addresses = each.get("addresses") or []
    if not addresses:
        wrong.append(required(f"{path}.addresses", "must contain at least 1 address"))
    elif len(addresses) > _ADDRESSES:
        wrong.append(too_many(f"{path}.addresses", len(addresses), _ADDRESSES))
    for index, text in enumerate(addresses):
        wrong += _slice_address(f"{path}.addresses", index, text, kind)
    if each.get("nodeName") is not None:
        wrong += all_invalid(f"{path}.nodeName", each["nodeName"], formats.subdomain(each["nodeName"]))
    wrong += metadata.labels(f"{path}.deprecatedTopology", each.get("deprecatedTopology"))
    if each.get("hostname") is not None:
        wrong += all_invalid(f"{path}.hostname", each["hostname"], formats.label(each["hostname"]))
    zones = (each.get("hints") or {}).get("forZones") or []
    if len(zones) > _HINTS:
        return [*wrong, too_many(f"{path}.hints.forZones", len(zones), _HINTS)]
    for index, zone in enumerate(zones):
        name = zone.get("name", "")
        wrong += all_invalid(f"{path}.hints.forZones[{index}].name", name, formats.label_value(name))
    return wrong


def _slice_address(path: str, index: int, text: str, kind: str) -> Errors:
    at = f"{path}[{index}]"
    if kind == "FQDN":
        if not text:
            return [required(at)]
        name = text.removesuffix(".")
        if wrong := formats.subdomain(name):
            return [invalid(at, name, ",".join(wrong))]
        detail = "should be a domain with at least two segments separated by dots"
        return [] if "." in name else [invalid(at, name, detail)]
    if kind not in ADDRESS_TYPES:
        return []
    if errors := all_invalid(at, text, formats.ip(text)):
        return errors
    found: Errors = []
    if (":" in text) != (kind == "IPv6"):
        found.append(invalid(path, text, f"must be an {kind} address"))
    return found + endpoint_address(at, text)
