"""How much of what one object uses, in the names that quotas have for it."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from berth.core.objects import Json
from berth.rehearsal.admission.storage import class_of
from berth.rehearsal.amounts import NotAQuantity, canonical, parse, text_of
from berth.rehearsal.jsontree import dig
from berth.rehearsal.kinds import Kind

_CLASS_SUFFIX = ".storageclass.storage.k8s.io/"
#: Kinds that quotas count by their plural alone, too.
_PLAIN = frozenset({"pods", "services", "secrets", "configmaps", "persistentvolumeclaims", "resourcequotas"})
_COMPUTE = ("cpu", "memory", "ephemeral-storage")


@dataclass(frozen=True, slots=True)
class Amount:
    """A number and whether it is written in powers of two; printed in the API server's canonical form."""

    number: Decimal = Decimal(0)
    binary: bool = False

    @classmethod
    def parse(cls, value: Any) -> Amount:
        """Read a quantity; what is none counts as nothing (validation has refused it)."""
        try:
            text = text_of(value)
            return cls(parse(text), text.endswith("i"))
        except NotAQuantity:
            return cls()

    def __add__(self, other: Amount) -> Amount:
        return Amount(self.number + other.number, self.binary if self.number else other.binary)

    def __sub__(self, other: Amount) -> Amount:
        return Amount(self.number - other.number, self.binary if self.number else other.binary)

    def __str__(self) -> str:
        if self.binary and self.number and self.number % 1024 == 0:
            return canonical(f"{int(self.number) // 1024}Ki")
        if self.number == self.number.to_integral_value():
            whole = int(self.number)
            return str(whole) if self.binary else canonical(str(whole))
        return canonical(f"{int(self.number * 1000)}m")


_ONE = Amount(Decimal(1))


def counts(kind: Kind, name: str) -> bool:
    """Whether objects of the kind may use something of this name."""
    if name == f"count/{kind.qualified}" or (name == kind.plural and name in _PLAIN):
        return True
    match kind.key:
        case "pods":
            return not name.startswith("count/") and name not in _PLAIN and not name.endswith("requests.storage")
        case "services":
            return name.startswith("services.")
        case "persistentvolumeclaims":
            return name == "requests.storage" or _CLASS_SUFFIX in name
    return False


def use_of(kind: Kind, obj: Json) -> dict[str, Amount]:
    """What the object uses."""
    use = {f"count/{kind.qualified}": _ONE}
    if kind.key == "pods":
        if dig(obj, "status", "phase") not in ("Succeeded", "Failed"):
            use |= {"pods": _ONE, **compute_resources(obj.get("spec") or {})}
        return use
    if kind.key in _PLAIN:
        use[kind.plural] = _ONE
    if kind.key == "services":
        use |= _service(obj.get("spec") or {})
    elif kind.key == "persistentvolumeclaims":
        size = Amount.parse(dig(obj, "spec", "resources", "requests", "storage") or "0")
        use["requests.storage"] = size
        name = class_of(obj)
        if name:
            use |= {f"{name}{_CLASS_SUFFIX}requests.storage": size}
            use |= {f"{name}{_CLASS_SUFFIX}persistentvolumeclaims": _ONE}
    return use


def _service(spec: Json) -> dict[str, Amount]:
    ports = spec.get("ports") or []
    match spec.get("type"):
        case "NodePort":
            return {"services.nodeports": Amount(Decimal(len(ports)))}
        case "LoadBalancer":
            if spec.get("allocateLoadBalancerNodePorts") is False:
                ports = [port for port in ports if port.get("nodePort")]
            return {"services.nodeports": Amount(Decimal(len(ports))), "services.loadbalancers": _ONE}
    return {}


def compute_resources(spec: Json) -> dict[str, Amount]:
    """Requests and limits of a pod: the sum of its containers, or the largest init container where that is more."""
    totals: dict[str, Amount] = {}
    for group in ("requests", "limits"):
        sums: dict[str, Amount] = {}
        for container in spec.get("containers") or []:
            for name, value in (dig(container, "resources", group) or {}).items():
                sums[name] = sums.get(name, Amount()) + Amount.parse(value)
        # A sidecar stays, so that it adds to what runs beside it; a plain init container runs alone, beside the
        # sidecars before it.
        sidecars: dict[str, Amount] = {}
        peaks: dict[str, Amount] = {}
        for container in spec.get("initContainers") or []:
            for name, value in (dig(container, "resources", group) or {}).items():
                amount = Amount.parse(value) + sidecars.get(name, Amount())
                if container.get("restartPolicy") == "Always":
                    sidecars[name] = amount
                elif amount.number > peaks.get(name, Amount()).number:
                    peaks[name] = amount
        for name in {*sums, *sidecars, *peaks}:
            total = sums.get(name, Amount()) + sidecars.get(name, Amount())
            peak = peaks.get(name, Amount())
            amount = peak if peak.number > total.number else total
            totals[f"{group}.{name}"] = amount
            if group == "requests" and name in _COMPUTE:
                totals[name] = amount
    return totals
