"""What pods ask of nodes, and what nodes have.

A pod's requests: the sum of its containers, or what its init containers need at their worst moment if that is more, and
its overhead (k8s.io/component-helpers/resource). CPU is in thousandths, everything else in units.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from math import ceil
from typing import Any

from berth.core.errors import InputError
from berth.core.quantities import parse_quantity

Amounts = dict[str, int]

#: What scoring assumes of a container that asks for nothing (pkg/scheduler/util: DefaultMilliCPURequest, -Memory-).
ASSUMED: Amounts = {"cpu": 100, "memory": 200 * 1024 * 1024}


@lru_cache(maxsize=4096)
def amount(resource: str, text: str) -> int:
    """A quantity as a whole number, rounded up; 0 when it cannot be read."""
    try:
        number = parse_quantity(text)
    except InputError:
        return 0
    return ceil(number * 1000) if resource == "cpu" else ceil(number)


def amounts(written: Mapping[str, Any] | None) -> Amounts:
    """A ResourceList as numbers."""
    return {name: amount(name, str(value)) for name, value in (written or {}).items()}


def requests(pod: Mapping[str, Any]) -> Amounts:
    """What the pod takes of its node."""
    return _total(pod["spec"], {})


def assumed_requests(pod: Mapping[str, Any]) -> Amounts:
    """The same for scoring: a container that asks for no cpu or memory is taken to use a little."""
    found = _total(pod["spec"], ASSUMED)
    return {name: found.get(name, 0) for name in ASSUMED}


def _total(spec: Mapping[str, Any], assumed: Amounts) -> Amounts:
    running: Amounts = {}
    for container in spec.get("containers") or []:
        _add(running, _of(container, assumed))
    sidecars: Amounts = {}
    worst: Amounts = {}
    for container in spec.get("initContainers") or []:
        asked = _of(container, assumed)
        if container.get("restartPolicy") == "Always":
            _add(running, asked)
            _add(sidecars, asked)
            asked = sidecars
        else:
            asked = _sum(asked, sidecars)
        for name, value in asked.items():
            worst[name] = max(worst.get(name, 0), value)
    for name, value in worst.items():
        running[name] = max(running.get(name, 0), value)
    whole = amounts((spec.get("resources") or {}).get("requests"))
    running |= {name: value for name, value in whole.items() if name in ("cpu", "memory") or "hugepages-" in name}
    _add(running, amounts(spec.get("overhead")))
    return running


def _of(container: Mapping[str, Any], assumed: Amounts) -> Amounts:
    return {**assumed, **amounts((container.get("resources") or {}).get("requests"))}


def _add(total: Amounts, more: Amounts) -> None:
    for name, value in more.items():
        total[name] = total.get(name, 0) + value


def _sum(one: Amounts, other: Amounts) -> Amounts:
    total = dict(one)
    _add(total, other)
    return total
