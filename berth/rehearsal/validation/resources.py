"""Amounts of resources, and the names of resources. Source: kubernetes pkg/apis/core/validation and core/helper."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from decimal import Decimal

from berth.core.objects import Json
from berth.rehearsal.amounts import NotAQuantity, canonical, parse, value
from berth.rehearsal.validation import formats
from berth.rehearsal.validation.errors import (
    NOT_NEGATIVE,
    POSITIVE,
    Errors,
    all_invalid,
    duplicate,
    forbidden,
    invalid,
    not_found,
    not_supported,
    required,
)

NOT_WHOLE = "must be an integer"
HUGE_PAGES = "hugepages-"

_CONTAINER = frozenset({"cpu", "memory", "ephemeral-storage"})
_COUNTED = frozenset(
    {"pods", "resourcequotas", "services", "replicationcontrollers", "secrets", "configmaps", "persistentvolumeclaims"}
    | {"services.nodeports", "services.loadbalancers"}
)
_SPLIT = frozenset(f"{side}.{name}" for side in ("requests", "limits") for name in _CONTAINER)
#: What a ResourceQuota limits, and what there is besides.
QUOTA = _CONTAINER | _SPLIT | _COUNTED | {"requests.storage"}
_STANDARD = QUOTA | {"storage"}


def number(text: str | None) -> Decimal:
    """An amount that is known to be one; nothing is zero."""
    return parse(text) if text else Decimal(0)


def amount(name: str, text: str, path: str) -> Errors:
    """An amount is not negative, and whole where things are counted."""
    found: Errors = []
    many = number(text)
    if many < 0:
        found.append(invalid(path, canonical(text), NOT_NEGATIVE))
    if is_counted(name) and many != many.to_integral_value():
        found.append(invalid(path, canonical(text), NOT_WHOLE))
    return found


def above_zero(text: str, path: str) -> Errors:
    """An amount of something that there must be some of."""
    return [] if number(text) > 0 else [invalid(path, canonical(text), POSITIVE)]


def basic(text: str, path: str) -> Errors:
    """An amount that is not negative."""
    many = value(number(text))
    return [invalid(path, many, "must be a valid resource quantity")] if many < 0 else []


def is_native(name: str) -> bool:
    """Whether the resource is one of Kubernetes' own."""
    return "/" not in name or "kubernetes.io/" in name


def is_extended(name: str) -> bool:
    """Whether the resource is one that somebody's device plug-in offers."""
    if is_native(name) or name.startswith("requests."):
        return False
    return not formats.label_key(f"requests.{name}")


def is_counted(name: str) -> bool:
    """Whether there are only whole ones of the resource."""
    return name in _COUNTED or is_extended(name)


def overcommits(name: str) -> bool:
    """Whether more may be promised than there is."""
    return is_native(name) and not name.startswith(HUGE_PAGES)


def resource_name(name: str, path: str) -> Errors:
    """The name of any resource."""
    found = all_invalid(path, name, formats.label_key(name))
    if not found and "/" not in name and name not in _STANDARD and not _is_huge(name):
        return [invalid(path, name, "must be a standard resource type or fully qualified")]
    return found


def _is_huge(name: str) -> bool:
    return name.startswith((HUGE_PAGES, f"requests.{HUGE_PAGES}"))


def container_resource(name: str, path: str) -> Errors:
    """The name of a resource that containers use."""
    found = resource_name(name, path)
    if "/" not in name:
        if name not in _CONTAINER and not name.startswith(HUGE_PAGES):
            found.append(invalid(path, name, "must be a standard resource for containers"))
    elif not is_native(name) and not is_extended(name):
        found.append(invalid(path, name, "doesn't follow extended resource name standard"))
    return found


def pod_resource(name: str, path: str) -> Errors:
    """The name of a resource that a pod as a whole may have."""
    found = resource_name(name, path)
    if not found and name not in ("cpu", "memory") and not name.startswith(HUGE_PAGES):
        found.append(not_supported(path, name, ("cpu", HUGE_PAGES, "memory")))
    return found


def quota_resource(name: str, path: str) -> Errors:
    """The name of something that a ResourceQuota limits."""
    found = resource_name(name, path)
    if "/" not in name and name not in QUOTA and not _is_huge(name):
        found.append(invalid(path, name, "must be a standard resource for quota"))
    return found


def requirements(
    path: str,
    found: Json,
    naming: Callable[[str, str], Errors] = container_resource,
    claims: Collection[str] = (),
) -> Errors:
    """The requests and limits of a container or a pod."""
    wrong: Errors = []
    limits: Mapping[str, str] = found.get("limits") or {}
    requests: Mapping[str, str] = found.get("requests") or {}
    for name, text in limits.items():
        at = f"{path}.limits[{name}]"
        wrong += naming(name, at) + amount(name, text, at) + _huge(name, text, at)
    for name, text in requests.items():
        at = f"{path}.requests[{name}]"
        wrong += naming(name, at) + amount(name, text, at)
        limit = limits.get(name)
        if limit is not None:
            if number(text) != number(limit) and not overcommits(name):
                detail = f"must be equal to {name} limit of {canonical(limit)}"
                wrong.append(invalid(f"{path}.requests", canonical(text), detail))
            elif number(text) > number(limit):
                detail = f"must be less than or equal to {name} limit of {canonical(limit)}"
                wrong.append(invalid(f"{path}.requests", canonical(text), detail))
        elif not overcommits(name):
            wrong.append(required(f"{path}.limits", "Limit must be set for non overcommitable resources"))
        wrong += _huge(name, text, at)
    every = {*limits, *requests}
    if any(name.startswith(HUGE_PAGES) for name in every) and not every & {"cpu", "memory"}:
        wrong.append(forbidden(path, "HugePages require cpu or memory"))
    return wrong + _claim_names(f"{path}.claims", found.get("claims") or [], claims)


def _huge(name: str, text: str, path: str) -> Errors:
    if not name.startswith(HUGE_PAGES):
        return []
    try:
        size = parse(name.removeprefix(HUGE_PAGES))
    except NotAQuantity:
        size = Decimal(0)
    if size > 0 and value(number(text)) % value(size) == 0:
        return []
    return [invalid(path, canonical(text), f"{canonical(text)} is not positive integer multiple of {name}")]


def _claim_names(path: str, found: list[Json], known: Collection[str]) -> Errors:
    wrong: Errors = []
    seen: set[str] = set()
    for index, each in enumerate(found):
        name, at = each.get("name", ""), f"{path}[{index}]"
        if not name:
            wrong.append(required(at))
            continue
        key = f"{name}/{each['request']}" if each.get("request") else name
        if key in seen or name in seen:
            wrong.append(duplicate(at, key))
        seen.add(key)
        if name not in known:
            among = f": {', '.join(sorted(known))}" if known else " which is empty"
            wrong.append(not_found(at, name, f"must be one of the names in pod.spec.resourceClaims{among}"))
    return wrong
