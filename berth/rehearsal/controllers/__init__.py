"""The controllers of the simulated cluster: kube-controller-manager, kube-scheduler and the kubelets of a real one."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from berth.rehearsal.world import Controller, World

#: Module and class of each, in the order in which they see a change: those that only report come first, so that what
#: they report is each step of what the others do.
CONTROLLERS = (
    ("director", "Director"),
    ("endpoints", "EndpointsController"),
    ("budgets", "BudgetController"),
    ("quotas", "QuotaController"),
    ("namespaces", "NamespaceController"),
    ("statefulset", "StatefulSetController"),
    ("garbage", "GarbageCollector"),
    ("claims", "ClaimController"),
    ("expansion", "ExpansionController"),
    ("protection", "ProtectionController"),
    ("scheduler", "Scheduler"),
    ("nodes", "NodeController"),
    ("kubelet", "Kubelet"),
)


def make_all(world: World) -> tuple[Controller, ...]:
    """Every controller, ready to work on this world."""
    return tuple(getattr(import_module(f"{__name__}.{module}"), name)(world) for module, name in CONTROLLERS)
