"""The containers of a pod. Source: kubernetes pkg/apis/core/validation."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from berth.core.objects import Json
from berth.rehearsal.validation import formats
from berth.rehearsal.validation.environment import sources, variables
from berth.rehearsal.validation.errors import (
    Errors,
    all_invalid,
    duplicate,
    forbidden,
    invalid,
    not_found,
    not_supported,
    required,
    too_many,
)
from berth.rehearsal.validation.pod_volumes import devices, mounts, pull_policy
from berth.rehearsal.validation.probes import lifecycle, probes
from berth.rehearsal.validation.resources import requirements
from berth.rehearsal.validation.security import container_context

PROTOCOLS = ("SCTP", "TCP", "UDP")
RESTART_POLICIES = ("Always", "Never", "OnFailure")
_NO_PROBES = "may not be set for init containers without restartPolicy=Always"
_NOT_EPHEMERAL = "cannot be set for an Ephemeral Container"
#: What a debugging container cannot have.
_EPHEMERAL_FORBIDDEN = (
    *("ports", "resources", "resizePolicy", "livenessProbe", "readinessProbe", "startupProbe", "lifecycle"),
    *("restartPolicy", "restartPolicyRules"),
)


@dataclass(frozen=True, slots=True)
class Around:
    """What of the pod the checks of a container need."""

    volumes: Mapping[str, Json]
    claims: Collection[str]
    grace: int | None
    restart_policy: str
    host_users: bool


def every(path: str, spec: Json) -> Iterator[tuple[str, Json]]:
    """Every container of a pod with its path, the init containers first, as the server walks them."""
    for key in ("initContainers", "containers", "ephemeralContainers"):
        for index, container in enumerate(spec.get(key) or ()):
            yield f"{path}.{key}[{index}]", container


def containers(path: str, found: Sequence[Json], around: Around) -> Errors:
    """``containers``."""
    if not found:
        return [required(path)]
    wrong: Errors = []
    names: set[str] = set()
    for index, each in enumerate(found):
        at, name = f"{path}[{index}]", each.get("name", "")
        wrong += _common(at, each, around)
        if name in names:
            wrong.append(duplicate(f"{at}.name", name))
        names.add(name)
        if each.get("lifecycle") is not None:
            wrong += lifecycle(f"{at}.lifecycle", each["lifecycle"], around.grace)
        wrong += probes(at, each, around.grace)
        wrong += _restart_rules(at, each)
    return wrong + _host_ports(path, found)


def init_containers(path: str, found: Sequence[Json], regular: Iterable[Json], around: Around) -> Errors:
    """``initContainers``; those that always restart are sidecars and have probes."""
    wrong: Errors = []
    names = {each.get("name", "") for each in regular}
    for index, each in enumerate(found):
        at, name = f"{path}[{index}]", each.get("name", "")
        wrong += _common(at, each, around)
        sidecar = each.get("restartPolicy") == "Always"
        wrong += _restart_rules(at, each)
        if name in names:
            wrong.append(duplicate(f"{at}.name", name))
        elif name:
            names.add(name)
        wrong += _host_ports(path, [each])
        if sidecar:
            if each.get("lifecycle") is not None:
                wrong += lifecycle(f"{at}.lifecycle", each["lifecycle"], around.grace)
            wrong += probes(at, each, around.grace)
        else:
            keys = ("lifecycle", "livenessProbe", "readinessProbe", "startupProbe")
            wrong += [forbidden(f"{at}.{key}", _NO_PROBES) for key in keys if each.get(key) is not None]
            for number, policy in enumerate(each.get("resizePolicy") or ()):
                if policy.get("restartPolicy") == "RestartContainer":
                    detail = "must not be set to 'RestartContainer' for non-sidecar initContainers"
                    wrong.append(invalid(f"{at}.resizePolicy[{number}].restartPolicy", "RestartContainer", detail))
    return wrong


def ephemeral_containers(path: str, spec: Json, around: Around) -> Errors:
    """``ephemeralContainers``."""
    wrong: Errors = []
    others = {each.get("name", "") for key in ("containers", "initContainers") for each in spec.get(key) or ()}
    names = set(others)
    for index, each in enumerate(spec.get("ephemeralContainers") or ()):
        at, name = f"{path}[{index}]", each.get("name", "")
        wrong += _common(at, each, around) + image_for_pod(at, each)
        if name in names:
            wrong.append(duplicate(f"{at}.name", name))
        names.add(name)
        target = each.get("targetContainerName", "")
        if target and target not in others:
            wrong.append(not_found(f"{at}.targetContainerName", target))
        wrong += [forbidden(f"{at}.{key}", _NOT_EPHEMERAL) for key in _EPHEMERAL_FORBIDDEN if each.get(key)]
        for number, mount in enumerate(each.get("volumeMounts") or ()):
            keys = [key for key in ("subPath", "subPathExpr") if mount.get(key)]
            wrong += [forbidden(f"{at}.volumeMounts[{number}].{key}", _NOT_EPHEMERAL) for key in keys]
    return wrong


def image_for_pod(path: str, container: Json) -> Errors:
    """Images of pods, not of templates, may not have blanks around them."""
    image = container.get("image", "")
    if image == image.strip():
        return []
    return [invalid(f"{path}.image", image, "must not have leading or trailing whitespace")]


def _common(path: str, found: Json, around: Around) -> Errors:
    wrong: Errors = []
    name = found.get("name", "")
    wrong += all_invalid(f"{path}.name", name, formats.label(name)) if name else [required(f"{path}.name")]
    if not found.get("image"):
        wrong.append(required(f"{path}.image"))
    policy = found.get("terminationMessagePolicy", "")
    if policy not in ("File", "FallbackToLogsOnError"):
        wrong.append(not_supported(f"{path}.terminationMessagePolicy", policy, ("File", "FallbackToLogsOnError")))
    wrong += _ports(f"{path}.ports", found.get("ports") or ())
    wrong += variables(f"{path}.env", found.get("env") or ())
    wrong += sources(f"{path}.envFrom", found.get("envFrom") or ())
    wrong += mounts(f"{path}.volumeMounts", found, around.volumes)
    wrong += devices(f"{path}.volumeDevices", found, around.volumes)
    wrong += pull_policy(f"{path}.imagePullPolicy", found.get("imagePullPolicy", ""))
    wrong += requirements(f"{path}.resources", found.get("resources") or {}, claims=around.claims)
    wrong += _resize(f"{path}.resizePolicy", found.get("resizePolicy") or (), around.restart_policy)
    context = found.get("securityContext")
    return wrong + container_context(f"{path}.securityContext", context, host_users=around.host_users)


def _ports(path: str, found: Iterable[Json]) -> Errors:
    wrong: Errors = []
    names: set[str] = set()
    for index, each in enumerate(found):
        at, name = f"{path}[{index}]", each.get("name", "")
        if name:
            if messages := formats.port_name(name):
                wrong += all_invalid(f"{at}.name", name, messages)
            elif name in names:
                wrong.append(duplicate(f"{at}.name", name))
            else:
                names.add(name)
        number = each.get("containerPort", 0)
        if number == 0:
            wrong.append(required(f"{at}.containerPort"))
        else:
            wrong += all_invalid(f"{at}.containerPort", number, formats.port_number(number))
        if each.get("hostPort"):
            wrong += all_invalid(f"{at}.hostPort", each["hostPort"], formats.port_number(each["hostPort"]))
        if each.get("protocol") not in PROTOCOLS:
            wrong.append(not_supported(f"{at}.protocol", each.get("protocol", ""), PROTOCOLS))
    return wrong


def _host_ports(path: str, found: Iterable[Json]) -> Errors:
    wrong: Errors = []
    taken: set[str] = set()
    for index, container in enumerate(found):
        for number, each in enumerate(container.get("ports") or ()):
            if not each.get("hostPort"):
                continue
            key = f"{each.get('protocol', '')}/{each.get('hostIP', '')}/{each['hostPort']}"
            if key in taken:
                wrong.append(duplicate(f"{path}[{index}].ports[{number}].hostPort", key))
            taken.add(key)
    return wrong


def _resize(path: str, found: Iterable[Json], restart_policy: str) -> Errors:
    wrong: Errors = []
    seen: set[str] = set()
    for index, each in enumerate(found):
        name, policy = each.get("resourceName", ""), each.get("restartPolicy", "")
        if name in seen:
            wrong.append(duplicate(f"{path}[{index}]", name))
        seen.add(name)
        if name not in ("cpu", "memory"):
            wrong.append(not_supported(path, name, ("cpu", "memory")) if name else required(path))
        if policy not in ("NotRequired", "RestartContainer"):
            wrong.append(not_supported(path, policy, ("NotRequired", "RestartContainer")) if policy else required(path))
        if restart_policy == "Never" and policy != "NotRequired":
            wrong.append(invalid(path, policy, "must be 'NotRequired' when pod `restartPolicy` is 'Never'"))
    return wrong


def _restart_rules(path: str, found: Json) -> Errors:
    wrong: Errors = []
    policy, rules = found.get("restartPolicy"), found.get("restartPolicyRules") or []
    at = f"{path}.restartPolicy"
    if policy is None:
        if rules:
            wrong.append(required(at, "must specify restartPolicy when restart rules are used"))
    elif policy not in RESTART_POLICIES:
        wrong.append(not_supported(at, policy, RESTART_POLICIES))
    if len(rules) > 20:
        wrong.append(too_many(f"{path}.restartPolicyRules", len(rules), 20))
    for index, rule in enumerate(rules):
        at = f"{path}.restartPolicyRules[{index}]"
        if rule.get("action") not in ("Restart", "RestartAllContainers"):
            actions = ("Restart", "RestartAllContainers")
            wrong.append(not_supported(f"{at}.action", rule.get("action", ""), actions))
        codes = rule.get("exitCodes")
        if codes is None:
            wrong.append(required(f"{at}.exitCodes", "must be specified"))
            continue
        if codes.get("operator") not in ("In", "NotIn"):
            wrong.append(not_supported(f"{at}.exitCodes.operator", codes.get("operator", ""), ("In", "NotIn")))
        if len(codes.get("values") or ()) > 255:
            wrong.append(too_many(f"{at}.exitCodes.values", len(codes["values"]), 255))
    return wrong
