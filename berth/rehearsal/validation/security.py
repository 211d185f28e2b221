"""Security contexts of pods and containers. Source: kubernetes pkg/apis/core/validation."""

from __future__ import annotations

import re

from berth.core.objects import Json
from berth.rehearsal.validation import formats
from berth.rehearsal.validation.errors import (
    Errors,
    all_invalid,
    duplicate,
    forbidden,
    invalid,
    invalid_as,
    not_supported,
    required,
    too_long,
)
from berth.rehearsal.validation.internal import compact
from berth.rehearsal.validation.pod_volumes import descending

_PROFILES = ("Localhost", "RuntimeDefault", "Unconfined")
_SEGMENT = "[a-z0-9]([-_a-z0-9]*[a-z0-9])?"
_SYSCTL = rf"^({_SEGMENT}[\./])*{_SEGMENT}$"
#: The longest path that a profile of AppArmor can have.
_MOST_PROFILE = 4095


def pod_context(path: str, found: Json | None, spec: Json) -> Errors:
    """``spec.securityContext``."""
    if found is None:
        return []
    wrong: Errors = []
    for key in ("fsGroup", "runAsUser", "runAsGroup"):
        if found.get(key) is not None:
            wrong += all_invalid(f"{path}.{key}", found[key], formats.identity(found[key]))
    for index, group in enumerate(found.get("supplementalGroups") or ()):
        wrong += all_invalid(f"{path}.supplementalGroups[{index}]", group, formats.identity(group))
    if spec.get("shareProcessNamespace") and spec.get("hostPID"):
        detail = "ShareProcessNamespace and HostPID cannot both be enabled"
        wrong.append(invalid(f"{path}.shareProcessNamespace", True, detail))
    wrong += _sysctls(f"{path}.sysctls", found.get("sysctls") or [])
    wrong += _one_of(f"{path}.fsGroupChangePolicy", found.get("fsGroupChangePolicy"), ("Always", "OnRootMismatch"))
    wrong += _seccomp(f"{path}.seccompProfile", found.get("seccompProfile"))
    wrong += _apparmor(f"{path}.appArmorProfile", found.get("appArmorProfile"))
    wrong += _one_of(f"{path}.supplementalGroupsPolicy", found.get("supplementalGroupsPolicy"), ("Merge", "Strict"))
    change = found.get("seLinuxChangePolicy")
    return wrong + _one_of(f"{path}.seLinuxChangePolicy", change, ("MountOption", "Recursive"))


def container_context(path: str, found: Json | None, *, host_users: bool) -> Errors:
    """``securityContext`` of a container."""
    if found is None:
        return []
    wrong: Errors = []
    for key in ("runAsUser", "runAsGroup"):
        if found.get(key) is not None:
            wrong += all_invalid(f"{path}.{key}", found[key], formats.identity(found[key]))
    mount = found.get("procMount")
    if mount is not None:
        wrong += _one_of(f"{path}.procMount", mount, ("Default", "Unmasked"))
        if host_users and mount == "Unmasked":
            wrong.append(invalid(f"{path}.procMount", mount, "`hostUsers` must be false to use `Unmasked`"))
    wrong += _seccomp(f"{path}.seccompProfile", found.get("seccompProfile"))
    if found.get("allowPrivilegeEscalation") is False:
        written = compact("core.SecurityContext", found)
        if found.get("privileged"):
            detail = "cannot set `allowPrivilegeEscalation` to false and `privileged` to true"
            wrong.append(invalid_as(path, written, detail))
        if "CAP_SYS_ADMIN" in ((found.get("capabilities") or {}).get("add") or ()):
            detail = "cannot set `allowPrivilegeEscalation` to false and `capabilities.Add` CAP_SYS_ADMIN"
            wrong.append(invalid_as(path, written, detail))
    return wrong + _apparmor(f"{path}.appArmorProfile", found.get("appArmorProfile"))


def _one_of(path: str, value: str | None, values: tuple[str, ...]) -> Errors:
    return [] if value is None or value in values else [not_supported(path, value, values)]


def _seccomp(path: str, found: Json | None) -> Errors:
    if found is None:
        return []
    wrong = _profile_type(f"{path}.type", found.get("type", ""), "type is required when seccompProfile is set")
    local, at = found.get("localhostProfile"), f"{path}.localhostProfile"
    if found.get("type") == "Localhost":
        if local is None:
            return [*wrong, required(at, "must be set when seccomp type is Localhost")]
        return wrong + descending(at, local)
    if local is not None:
        written = compact("core.SeccompProfile", found)
        wrong.append(invalid_as(at, written, "can only be set when seccomp type is Localhost"))
    return wrong


def _profile_type(path: str, value: str, missing: str) -> Errors:
    return _one_of(path, value, _PROFILES) if value else [required(path, missing)]


def _apparmor(path: str, found: Json | None) -> Errors:
    if found is None:
        return []
    local, at = found.get("localhostProfile"), f"{path}.localhostProfile"
    if found.get("type") != "Localhost":
        wrong = _profile_type(f"{path}.type", found.get("type", ""), "type is required when appArmorProfile is set")
        if not wrong and local is not None:
            wrong.append(invalid(at, local, "can only be set when AppArmor type is Localhost"))
        return wrong
    if local is None:
        return [required(at, "must be set when AppArmor type is Localhost")]
    wrong = []
    if local.strip() != local:
        wrong.append(invalid(at, local, "must not be padded with whitespace"))
    elif not local:
        wrong.append(required(at, "must be set when AppArmor type is Localhost"))
    return [*wrong, too_long(at, _MOST_PROFILE)] if len(local) > _MOST_PROFILE else wrong


def _sysctls(path: str, found: list[Json]) -> Errors:
    wrong: Errors = []
    seen: set[str] = set()
    for index, each in enumerate(found):
        name, at = each.get("name", ""), f"{path}[{index}].name"
        if not name:
            wrong.append(required(at))
        elif len(name) > 253 or not re.fullmatch(_SYSCTL[1:-1], name):
            wrong.append(invalid(at, name, f"must have at most 253 characters and match regex {_SYSCTL}"))
        elif name in seen:
            wrong.append(duplicate(at, name))
        seen.add(name)
    return wrong


def host_users(path: str, spec: Json) -> Errors:
    """A pod in a user namespace shares nothing else with its node."""
    if spec.get("hostUsers") is not False:
        return []
    keys = (("hostNetwork", "hostNetwork"), ("hostPID", "HostPID"), ("hostIPC", "HostIPC"))
    return [forbidden(f"{path}.{label}", "when `hostUsers` is false") for key, label in keys if spec.get(key)]
