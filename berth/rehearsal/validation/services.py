"""Services. Source: kubernetes pkg/apis/core/validation."""

from __future__ import annotations

from collections.abc import Sequence

from berth.core.objects import Json
from berth.rehearsal.kinds import SERVICES
from berth.rehearsal.validation import formats, metadata
from berth.rehearsal.validation.endpoints import endpoint_address
from berth.rehearsal.validation.errors import (
    Errors,
    all_invalid,
    duplicate,
    duplicate_as,
    forbidden,
    go_json,
    invalid,
    invalid_as,
    not_supported,
    required,
    shown,
)
from berth.rehearsal.validation.internal import compact
from berth.rehearsal.validation.probes import port

PROTOCOLS = ("SCTP", "TCP", "UDP")
TYPES = ("ClusterIP", "ExternalName", "LoadBalancer", "NodePort")
_DISTRIBUTIONS = ("PreferClose", "PreferSameZone", "PreferSameNode")
_POLICIES = ("PreferDualStack", "RequireDualStack", "SingleStack")
_BALANCED = "may only be used when `type` is 'LoadBalancer'"
#: Seconds in a day, the longest that a session sticks.
_MOST_SECONDS = 86400


def create_service(new: Json) -> Errors:
    """A new Service."""
    return metadata.created(SERVICES, new["metadata"], formats.label) + _service(new, None)


def update_service(new: Json, old: Json) -> Errors:
    """A Service that is there already: its address stays."""
    wrong = metadata.changed(new, old)
    if "ExternalName" not in (new["spec"].get("type"), old["spec"].get("type")):
        wrong += _addresses_kept(new["spec"], old["spec"]) + _families_kept(new["spec"], old["spec"])
    classes = [each["spec"].get("loadBalancerClass") for each in (new, old)]
    if new["spec"].get("type") == old["spec"].get("type") == "LoadBalancer" and classes[0] != classes[1]:
        wrong.append(invalid_as("spec.loadBalancerClass", _null(classes[0]), "may not change once set"))
    wrong += _balancer_class(new["spec"])
    if _needs_check(new["spec"]) and _needs_check(old["spec"]):
        key = "healthCheckNodePort"
        if new["spec"].get(key, 0) != old["spec"].get(key, 0):
            wrong.append(forbidden(f"spec.{key}", "field is immutable"))
    return wrong + _service(new, old)


def _null(value: str | None) -> str:
    return "null" if value is None else shown(value)


def _headless(spec: Json) -> bool:
    return bool(spec.get("clusterIPs") == ["None"])


def _reachable(spec: Json) -> bool:
    kind = spec.get("type")
    return kind in ("LoadBalancer", "NodePort") or (kind == "ClusterIP" and bool(spec.get("externalIPs")))


def _needs_check(spec: Json) -> bool:
    return spec.get("type") == "LoadBalancer" and spec.get("externalTrafficPolicy") == "Local"


def _service(new: Json, old: Json | None) -> Errors:
    spec: Json = new["spec"]
    wrong: Errors = []
    ports, kind = spec.get("ports") or [], spec.get("type", "")
    if not ports and not _headless(spec) and kind != "ExternalName":
        wrong.append(required("spec.ports"))
    wrong += _of_type(spec, kind)
    names: set[str] = set()
    for index, each in enumerate(ports):
        wrong += _port(f"spec.ports[{index}]", each, len(ports) > 1, names)
    wrong += metadata.labels("spec.selector", spec.get("selector"))
    wrong += _affinity(spec) + _addresses(spec, old)
    known = (old["spec"].get("externalIPs") or []) if old else []
    for index, text in enumerate(spec.get("externalIPs") or ()):
        at = f"spec.externalIPs[{index}]"
        errors = all_invalid(at, text, formats.ip(text)) if text not in known else []
        wrong += errors or endpoint_address(at, text)
    if not kind:
        wrong.append(required("spec.type"))
    elif kind not in TYPES:
        wrong.append(not_supported("spec.type", kind, TYPES))
    wrong += _port_pairs(ports, kind) + _ranges(spec, kind)
    nodes = spec.get("allocateLoadBalancerNodePorts")
    if nodes is not None and kind != "LoadBalancer":
        wrong.append(forbidden("spec.allocateLoadBalancerNodePorts", _BALANCED))
    return wrong + _balancer_class(spec) + _traffic(spec, kind)


def _of_type(spec: Json, kind: str) -> Errors:
    if kind in ("LoadBalancer", "NodePort") and _headless(spec):
        return [invalid("spec.clusterIPs[0]", "None", f"may not be set to 'None' for {kind} services")]
    if kind != "ExternalName":
        return []
    words = "may not be set for ExternalName services"
    wrong: Errors = [forbidden(f"spec.{key}", words) for key in ("clusterIPs", "ipFamilies") if spec.get(key)]
    if spec.get("ipFamilyPolicy") is not None:
        wrong.append(forbidden("spec.ipFamilyPolicy", words))
    name = spec.get("externalName", "").removesuffix(".")
    if not name:
        return [*wrong, required("spec.externalName")]
    return wrong + all_invalid("spec.externalName", name, formats.subdomain(name))


def _port(path: str, each: Json, named: bool, names: set[str]) -> Errors:
    wrong: Errors = []
    name = each.get("name", "")
    if named and not name:
        wrong.append(required(f"{path}.name"))
    elif name:
        wrong += all_invalid(f"{path}.name", name, formats.label(name))
        if name in names:
            wrong.append(duplicate(f"{path}.name", name))
        names.add(name)
    number = each.get("port", 0)
    wrong += all_invalid(f"{path}.port", number, formats.port_number(number))
    if each.get("protocol") not in PROTOCOLS:
        wrong.append(not_supported(f"{path}.protocol", each.get("protocol", ""), PROTOCOLS))
    wrong += port(f"{path}.targetPort", each.get("targetPort", 0))
    protocol = each.get("appProtocol")
    if protocol is not None:
        wrong += all_invalid(f"{path}.appProtocol", protocol, formats.label_key(protocol))
    return wrong


def _affinity(spec: Json) -> Errors:
    kind, config = spec.get("sessionAffinity", ""), spec.get("sessionAffinityConfig")
    if kind not in ("ClientIP", "None"):
        return [not_supported("spec.sessionAffinity", kind, ("ClientIP", "None"))]
    if kind == "None":
        if config is None:
            return []
        return [forbidden("spec.sessionAffinityConfig", "must not be set when session affinity is None")]
    seconds = ((config or {}).get("clientIP") or {}).get("timeoutSeconds", 0)
    if 0 < seconds <= _MOST_SECONDS:
        return []
    at = "spec.sessionAffinityConfig.clientIP.timeoutSeconds"
    return [invalid(at, seconds, f"must be greater than 0 and less than {_MOST_SECONDS}")]


def _port_pairs(ports: Sequence[Json], kind: str) -> Errors:
    wrong: Errors = []
    if kind == "ClusterIP":
        words = "may not be used when `type` is 'ClusterIP'"
        wrong += [forbidden(f"spec.ports[{i}].nodePort", words) for i, each in enumerate(ports) if each.get("nodePort")]
    for key in ("nodePort", "port"):
        seen: set[tuple[str, int]] = set()
        for index, each in enumerate(ports):
            pair = (each.get("protocol", ""), each.get(key, 0))
            if key == "nodePort" and not pair[1]:
                continue
            if pair in seen and key == "nodePort":
                wrong.append(duplicate(f"spec.ports[{index}].nodePort", pair[1]))
            elif pair in seen:
                written = compact("core.ServicePort", {"protocol": pair[0], "port": pair[1]})
                wrong.append(duplicate_as(f"spec.ports[{index}]", written))
            seen.add(pair)
    return wrong


def _ranges(spec: Json, kind: str) -> Errors:
    found = spec.get("loadBalancerSourceRanges") or []
    if not found:
        return []
    at = "spec.LoadBalancerSourceRanges"
    wrong: Errors = [] if kind == "LoadBalancer" else [forbidden(at, _BALANCED)]
    for index, text in enumerate(found):
        wrong += all_invalid(f"{at}[{index}]", text.strip(), formats.cidr(text.strip()))
    return wrong


def _balancer_class(spec: Json) -> Errors:
    name, at = spec.get("loadBalancerClass"), "spec.loadBalancerClass"
    if name is None:
        return []
    if spec.get("type") != "LoadBalancer":
        return [forbidden(at, _BALANCED)]
    return all_invalid(at, name, formats.label_key(name))


def _traffic(spec: Json, kind: str) -> Errors:
    wrong: Errors = []
    policy, at = spec.get("externalTrafficPolicy", ""), "spec.externalTrafficPolicy"
    if not _reachable(spec):
        if policy:
            wrong.append(invalid(at, policy, "may only be set for externally-accessible services"))
    elif policy not in ("Cluster", "Local"):
        wrong.append(not_supported(at, policy, ("Cluster", "Local")) if policy else required(at))
    check = spec.get("healthCheckNodePort", 0)
    if check and not _needs_check(spec):
        detail = "may only be set when `type` is 'LoadBalancer' and `externalTrafficPolicy` is 'Local'"
        wrong.append(invalid("spec.healthCheckNodePort", check, detail))
    inner = spec.get("internalTrafficPolicy")
    if inner is None and kind in ("ClusterIP", "LoadBalancer", "NodePort"):
        wrong.append(required("spec.internalTrafficPolicy"))
    if inner is not None and inner not in ("Cluster", "Local"):
        wrong.append(not_supported("spec.internalTrafficPolicy", inner, ("Cluster", "Local")))
    spread = spec.get("trafficDistribution")
    if spread is not None and spread not in _DISTRIBUTIONS:
        wrong.append(not_supported("spec.trafficDistribution", spread, _DISTRIBUTIONS))
    return wrong


def _addresses(spec: Json, old: Json | None) -> Errors:
    if spec.get("type") == "ExternalName":
        return []
    wrong: Errors = []
    one, many, at = spec.get("clusterIP", ""), spec.get("clusterIPs") or [], "spec.clusterIPs"
    if one and not many:
        wrong.append(required(at))
    elif one and many[0] != one:
        wrong.append(invalid(at, many, "first value must match `clusterIP`"))
    elif not one and many:
        wrong.append(invalid(at, many, "must be empty when `clusterIP` is not specified"))
    families = spec.get("ipFamilies") or []
    for index, family in enumerate(families):
        if family not in ("IPv4", "IPv6"):
            wrong.append(not_supported(f"spec.ipFamilies[{index}]", family, ("IPv4", "IPv6")))
        if family in families[:index]:
            wrong.append(duplicate(f"spec.ipFamilies[{index}]", family))
    policy = spec.get("ipFamilyPolicy")
    if policy is not None and policy not in _POLICIES:
        wrong.append(not_supported("spec.ipFamilyPolicy", policy, _POLICIES))
    known = (old["spec"].get("clusterIPs") or []) if old else []
    errors: Errors = []
    for index, text in enumerate(many):
        if index == 0 and text == "None":
            if len(many) > 1:
                errors.append(invalid(at, many, "'None' must be the first and only value"))
        elif text not in known:
            errors += all_invalid(f"{at}[{index}]", text, formats.ip(text))
    wrong += errors
    if len(many) > 2:
        wrong.append(invalid(at, many, "may only hold up to 2 values"))
    if errors or _headless(spec):
        return wrong
    if len(many) > 1 and len({":" in text for text in many}) < 2:
        wrong.append(invalid(at, many, "may specify no more than one IP for each IP family"))
    for index, (text, family) in enumerate(zip(many, families, strict=False)):
        if (":" in text) != (family == "IPv6"):
            detail = f"expected an {family} value as indicated by `ipFamilies[{index}]`"
            wrong.append(invalid(f"{at}[{index}]", text, detail))
    return wrong


def _addresses_kept(new: Json, old: Json) -> Errors:
    if _headless(old) and _headless(new):
        return []
    many, before, at = new.get("clusterIPs") or [], old.get("clusterIPs") or [], "spec.clusterIPs"
    wrong: Errors = []
    if len(many) == len(before):
        for index, text in enumerate(before):
            if text != many[index]:
                wrong.append(invalid(f"{at}[{index}]", many, "may not change once set"))
        return wrong
    if len(before) > len(many):
        if not many:
            wrong.append(invalid_as(f"{at}[0]", "null" if new.get("clusterIPs") is None else "[]", _UNSET))
        elif many[0] != before[0]:
            wrong.append(invalid(f"{at}[0]", many, "may not change once set"))
        if len(many) == 1 and new.get("ipFamilyPolicy") != "SingleStack":
            detail = "must be set to 'SingleStack' when releasing the secondary clusterIP"
            wrong.append(invalid_as("spec.ipFamilyPolicy", _null(new.get("ipFamilyPolicy")), detail))
    elif before and many[0] != before[0]:
        wrong.append(invalid(f"{at}[0]", many, "may not change once set"))
    return wrong


_UNSET = "primary clusterIP can not be unset"


def _families_kept(new: Json, old: Json) -> Errors:
    if _headless(old) != _headless(new) or _headless(new):
        return []
    many, before = new.get("ipFamilies") or [], old.get("ipFamilies") or []
    if len(many) == len(before):
        changed = [index for index, family in enumerate(before) if family != many[index]]
        return [invalid("spec.ipFamilies[0]", many, "may not change once set") for _ in changed]
    if many and before and many[0] != before[0]:
        written = go_json(new.get("clusterIPs"))
        return [invalid_as("spec.ipFamilies[0]", written, "may not change once set")]
    return []


def update_service_status(new: Json, old: Json) -> Errors:
    """The status of a Service."""
    wrong = metadata.changed(new, old)
    ingress = ((new.get("status") or {}).get("loadBalancer") or {}).get("ingress") or []
    if ingress and new["spec"].get("type") != "LoadBalancer":
        detail = "may only be used when `spec.type` is 'LoadBalancer'"
        return [*wrong, forbidden("status.loadBalancer.ingress", detail)]
    for index, each in enumerate(ingress):
        if each.get("ip"):
            at = f"status.loadBalancer.ingress[{index}].ip"
            wrong += all_invalid(at, each["ip"], formats.ip(each["ip"]))
    return wrong
