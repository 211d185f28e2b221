"""The quality-of-service class of a pod. Source: kubernetes pkg/apis/core/helper/qos."""

from __future__ import annotations

from decimal import Decimal

from berth.core.objects import Json
from berth.rehearsal.amounts import NotAQuantity, canonical, parse, text_of

_COMPUTE = ("cpu", "memory")


def class_of(spec: Json) -> str:
    """Guaranteed, Burstable or BestEffort, from the requests and limits of a pod's containers."""
    requests: dict[str, Decimal] = {}
    limits: dict[str, Decimal] = {}
    guaranteed = True
    if isinstance(spec.get("resources"), dict):
        containers = [spec["resources"]]
    else:
        every = (*(spec.get("containers") or ()), *(spec.get("initContainers") or ()))
        containers = [container.get("resources") or {} for container in every]
    for resources in containers:
        found = _positive(resources.get("limits"))
        _add(requests, _positive(resources.get("requests")))
        _add(limits, found)
        guaranteed = guaranteed and set(found) == set(_COMPUTE)
    if not requests and not limits:
        return "BestEffort"
    return "Guaranteed" if guaranteed and requests == limits else "Burstable"


def requests_of(spec: Json) -> dict[str, str]:
    """What the containers of a pod ask for together, as the scheduler counts it: while it starts, or while it runs.

    Source: k8s.io/component-helpers/resource.
    """
    running: dict[str, Decimal] = {}
    starting: dict[str, Decimal] = {}
    for container in spec.get("containers") or ():
        _add(running, _amounts(container))
    beside: dict[str, Decimal] = {}
    for container in spec.get("initContainers") or ():
        asked = _amounts(container)
        if container.get("restartPolicy") == "Always":
            _add(running, asked)
            _add(beside, asked)
            asked = dict(beside)
        else:
            _add(asked, beside)
        both = {*asked, *starting}
        starting = {name: max(asked.get(name, Decimal(0)), starting.get(name, Decimal(0))) for name in both}
    names = {*running, *starting}
    most = {name: max(running.get(name, Decimal(0)), starting.get(name, Decimal(0))) for name in names}
    return {name: canonical(format(number, "f"), milli=True) for name, number in most.items()}


def _amounts(container: Json) -> dict[str, Decimal]:
    requests = (container.get("resources") or {}).get("requests") or {}
    found: dict[str, Decimal] = {}
    for name, text in requests.items():
        try:
            found[name] = parse(text_of(text))
        except NotAQuantity:
            continue
    return found


def _positive(amounts: Json | None) -> dict[str, Decimal]:
    found: dict[str, Decimal] = {}
    for name in _COMPUTE:
        try:
            number = parse(text_of((amounts or {}).get(name, "0")))
        except NotAQuantity:
            continue
        if number > 0:
            found[name] = number
    return found


def _add(total: dict[str, Decimal], more: dict[str, Decimal]) -> None:
    for name, number in more.items():
        total[name] = total.get(name, Decimal(0)) + number
