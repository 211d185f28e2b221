"""Pods and the templates of pods. Source: kubernetes pkg/apis/core/validation."""

from __future__ import annotations

import re
from collections.abc import Mapping

from berth.core.objects import Json
from berth.rehearsal.kinds import PODS
from berth.rehearsal.validation import formats, metadata
from berth.rehearsal.validation.containers import (
    Around,
    containers,
    ephemeral_containers,
    every,
    image_for_pod,
    init_containers,
)
from berth.rehearsal.validation.errors import (
    MAX_INT32,
    Errors,
    all_invalid,
    between,
    forbidden,
    invalid,
    not_supported,
    required,
    too_long,
)
from berth.rehearsal.validation.pod_volumes import file_references, volumes
from berth.rehearsal.validation.resources import pod_resource, requirements
from berth.rehearsal.validation.scheduling import affinity, gates, spread
from berth.rehearsal.validation.security import host_users, pod_context
from berth.rehearsal.validation.selectors import tolerations

DNS_POLICIES = ("ClusterFirstWithHostNet", "ClusterFirst", "Default", "None")
RESTART_POLICIES = ("Always", "OnFailure", "Never")
#: What the annotation says that ReplicaSets and budgets look at when they choose pods to end.
_DELETION_COST = "controller.kubernetes.io/pod-deletion-cost"
_MIRROR = "kubernetes.io/config.mirror"


def check_create(pod: Json) -> Errors:
    """A new pod."""
    meta, spec = pod["metadata"], pod["spec"]
    wrong = metadata.created(PODS, meta, formats.subdomain) + of_pod(pod)
    if spec.get("ephemeralContainers"):
        wrong.append(forbidden("spec.ephemeralContainers", "cannot be set on create"))
    if spec.get("nodeName") and spec.get("schedulingGates"):
        wrong.append(forbidden("spec.nodeName", "cannot be set until all schedulingGates have been cleared"))
    return wrong


def of_pod(pod: Json) -> Errors:
    """What holds of a pod, but for its metadata, whenever it is written."""
    spec = pod["spec"]
    wrong = meaningful("metadata.annotations", pod["metadata"].get("annotations"), spec)
    wrong += pod_spec("spec", spec, pod["metadata"].get("name", ""), is_pod=True)
    if not spec.get("serviceAccountName"):
        for index, volume in enumerate(spec.get("volumes") or ()):
            for number, source in enumerate((volume.get("projected") or {}).get("sources") or ()):
                if source.get("serviceAccountToken") is not None:
                    at = f"spec.volumes[{index}].projected.sources[{number}].serviceAccountToken"
                    wrong.append(forbidden(at, "must not be specified when serviceAccountName is not set"))
    for key in ("containers", "initContainers"):
        for index, each in enumerate(spec.get(key) or ()):
            wrong += image_for_pod(f"spec.{key}[{index}]", each)
    return wrong


def template(path: str, found: Json) -> Errors:
    """A template of pods."""
    meta, spec = found.get("metadata") or {}, found.get("spec") or {}
    wrong = metadata.labels(f"{path}.labels", meta.get("labels"))
    wrong += metadata.annotated(f"{path}.annotations", meta.get("annotations"))
    wrong += meaningful(f"{path}.annotations", meta.get("annotations"), spec)
    wrong += pod_spec(f"{path}.spec", spec, "", is_pod=False)
    if spec.get("ephemeralContainers"):
        wrong.append(forbidden(f"{path}.spec.ephemeralContainers", "ephemeral containers not allowed in pod template"))
    return wrong


def meaningful(path: str, found: Mapping[str, str] | None, spec: Json) -> Errors:
    """Annotations that mean something for pods."""
    wrong: Errors = []
    if not found:
        return wrong
    if _MIRROR in found and not spec.get("nodeName"):
        detail = "must set spec.nodeName if mirror pod annotation is set"
        wrong.append(invalid(f"{path}[{_MIRROR}]", found[_MIRROR], detail))
    cost = found.get(_DELETION_COST, "0")
    if not re.fullmatch(r"0|-?[1-9]\d*", cost) or not -(2**31) <= int(cost) <= MAX_INT32:
        wrong.append(invalid(f"{path}[{_DELETION_COST}]", cost, "must be a 32bit integer"))
    return wrong


def pod_spec(path: str, spec: Json, pod_name: str, *, is_pod: bool) -> Errors:
    """``spec`` of a pod or a template. ``pod_name`` is "" for templates."""
    grace = spec.get("terminationGracePeriodSeconds")
    wrong: Errors = [] if grace is not None else [required(f"{path}.terminationGracePeriodSeconds")]
    found, errors = volumes(f"{path}.volumes", spec.get("volumes") or (), pod_name, is_pod=is_pod)
    wrong += errors
    claims = {each.get("name", "") for each in spec.get("resourceClaims") or ()}
    users = spec.get("hostUsers") is not False
    around = Around(found, claims, grace, spec.get("restartPolicy", ""), users)
    regular, early = spec.get("containers") or (), spec.get("initContainers") or ()
    wrong += containers(f"{path}.containers", regular, around)
    wrong += init_containers(f"{path}.initContainers", early, regular, around)
    wrong += ephemeral_containers(f"{path}.ephemeralContainers", spec, around)
    wrong += _whole_pod(f"{path}.resources", spec)
    wrong += _host_network(path, spec, is_pod)
    wrong += _choice(f"{path}.restartPolicy", spec.get("restartPolicy", ""), RESTART_POLICIES)
    wrong += _choice(f"{path}.dnsPolicy", spec.get("dnsPolicy", ""), DNS_POLICIES)
    wrong += metadata.labels(f"{path}.nodeSelector", spec.get("nodeSelector"))
    wrong += pod_context(f"{path}.securityContext", spec.get("securityContext"), spec)
    wrong += affinity(f"{path}.affinity", spec.get("affinity"))
    wrong += _dns(f"{path}.dnsConfig", spec.get("dnsConfig"), spec.get("dnsPolicy", ""))
    for index, gate in enumerate(spec.get("readinessGates") or ()):
        kind = gate.get("conditionType", "")
        wrong += all_invalid(f"{path}.readinessGates[{index}].conditionType", kind, formats.label_key(kind))
    wrong += gates(f"{path}.schedulingGates", spec.get("schedulingGates") or ())
    wrong += spread(f"{path}.topologySpreadConstraints", spec.get("topologySpreadConstraints") or ())
    wrong += host_users(path, spec)
    wrong += _host_name(path, spec)
    wrong += _names(path, spec)
    return wrong + file_references(path, spec, every(path, spec))


def _choice(path: str, value: str, values: tuple[str, ...]) -> Errors:
    if value in values:
        return []
    return [not_supported(path, value, values)] if value else [required(path)]


def _names(path: str, spec: Json) -> Errors:
    wrong: Errors = []
    for key in ("serviceAccountName", "nodeName"):
        if spec.get(key):
            wrong += all_invalid(f"{path}.{key}", spec[key], formats.subdomain(spec[key]))
    deadline = spec.get("activeDeadlineSeconds")
    if deadline is not None and not 1 <= deadline <= MAX_INT32:
        wrong.append(invalid(f"{path}.activeDeadlineSeconds", deadline, between(1, MAX_INT32)))
    for key in ("hostname", "subdomain"):
        if spec.get(key):
            wrong += all_invalid(f"{path}.{key}", spec[key], formats.label(spec[key]))
    wrong += tolerations(f"{path}.tolerations", spec.get("tolerations") or ())
    for index, alias in enumerate(spec.get("hostAliases") or ()):
        wrong += all_invalid(f"{path}.hostAliases[{index}].ip", alias.get("ip", ""), formats.ip(alias.get("ip", "")))
        for number, name in enumerate(alias.get("hostnames") or ()):
            wrong += all_invalid(f"{path}.hostAliases[{index}].hostnames[{number}]", name, formats.subdomain(name))
    if spec.get("priorityClassName"):
        name = spec["priorityClassName"]
        wrong += all_invalid(f"{path}.priorityClassName", name, formats.subdomain(name))
    if spec.get("runtimeClassName") is not None:
        name = spec["runtimeClassName"]
        wrong += all_invalid(f"{path}.runtimeClassName", name, formats.subdomain(name))
    if spec.get("preemptionPolicy") is not None:
        wrong += _choice(f"{path}.preemptionPolicy", spec["preemptionPolicy"], ("PreemptLowerPriority", "Never"))
    if spec.get("overhead"):
        wrong += requirements(f"{path}.overhead", {"limits": spec["overhead"]})
    system = spec.get("os")
    if system is not None:
        name = system.get("name", "")
        if not name:
            wrong.append(required(f"{path}.os.name"))
        elif name not in ("linux", "windows"):
            wrong.append(not_supported(f"{path}.os", name, ("linux", "windows")))
    return wrong


def _whole_pod(path: str, spec: Json) -> Errors:
    found = spec.get("resources")
    if found is None:
        return []
    wrong: Errors = []
    if found.get("claims") is not None:
        wrong.append(forbidden(f"{path}.claims", "claims may not be set for Resources at pod-level"))
    return wrong + requirements(path, found, pod_resource)


def _host_network(path: str, spec: Json, is_pod: bool) -> Errors:
    if not spec.get("hostNetwork"):
        return []
    wrong: Errors = []
    for index, container in enumerate(spec.get("containers") or ()):
        for number, port in enumerate(container.get("ports") or ()):
            host = port.get("hostPort", 0)
            if (is_pod or host) and host != port.get("containerPort", 0):
                detail = "must match `containerPort` when `hostNetwork` is true"
                wrong.append(invalid(f"{path}.containers[{index}].ports[{number}].hostPort", host, detail))
    return wrong


def _host_name(path: str, spec: Json) -> Errors:
    name, at = spec.get("hostnameOverride"), f"{path}.hostnameOverride"
    if name is None:
        return []
    wrong: Errors = []
    if spec.get("setHostnameAsFQDN"):
        wrong.append(forbidden(at, "may not be specified when setHostnameAsFQDN is true"))
    if spec.get("hostNetwork"):
        wrong.append(forbidden(at, "may not be specified when hostNetwork is true"))
    if len(name) > 64:
        wrong.append(too_long(at, 64))
    return wrong + all_invalid(at, name, formats.subdomain(name))


def _dns(path: str, config: Json | None, policy: str) -> Errors:
    if policy == "None":
        if config is None:
            return [required(path, "must provide `dnsConfig` when `dnsPolicy` is None")]
        if not config.get("nameservers"):
            detail = "must provide at least one DNS nameserver when `dnsPolicy` is None"
            return [required(f"{path}.nameservers", detail)]
    if config is None:
        return []
    wrong: Errors = []
    servers, searches = config.get("nameservers") or [], config.get("searches") or []
    if len(servers) > 3:
        wrong.append(invalid(f"{path}.nameservers", servers, "must not have more than 3 nameservers"))
    for index, server in enumerate(servers):
        wrong += all_invalid(f"{path}.nameservers[{index}]", server, formats.ip(server))
    if len(searches) > 32:
        wrong.append(invalid(f"{path}.searches", searches, "must not have more than 32 search paths"))
    if len(" ".join(searches)) > 2048:
        detail = "must not have more than 2048 characters (including spaces) in the search list"
        wrong.append(invalid(f"{path}.searches", searches, detail))
    for index, search in enumerate(searches):
        if search != ".":
            text = search.removesuffix(".")
            wrong += all_invalid(f"{path}.searches[{index}]", text, formats.underscored_subdomain(text))
    for index, option in enumerate(config.get("options") or ()):
        if not option.get("name"):
            wrong.append(required(f"{path}.options[{index}]", "must not be empty"))
    return wrong
