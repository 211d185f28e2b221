"""How the scheduler says that a pod fits nowhere.

The words are those of kube-scheduler: pkg/scheduler/framework/types.go (FitError) and the plugins' own reasons.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass

#: An Event's note may be no longer (k8s.io/kubernetes/pkg/apis/core/validation NoteLengthLimit).
NOTE_LIMIT = 1024

NO_NODES = "no nodes available to schedule pods"


@dataclass(frozen=True, slots=True)
class Rejection:
    """Why one node will not do. ``final``: taking other pods away from it would not help."""

    reasons: tuple[str, ...]
    final: bool = False


class Unschedulable(Exception):
    """The pod cannot run anywhere, whatever the nodes: a claim that is missing, or not bound though it should be."""


def unfit(node_count: int, rejections: Mapping[str, Rejection], *, may_preempt: bool) -> str:
    """The whole message when every node was looked at.

    There is no preemption here; the text says what the real one says when it finds nobody to move. Its two parts come
    from two plugins: "no new claims to deallocate" is about devices (DynamicResources), and always there.
    """
    head = _counted(node_count, Counter(reason for one in rejections.values() for reason in one.reasons))
    if not may_preempt:
        return f"{head} no new claims to deallocate, preemption: not eligible due to preemptionPolicy=Never."
    # Nobody looks for victims while removing pods could help on no node.
    moving = "No preemption victims found for incoming pod"
    useless = "Preemption is not helpful for scheduling"
    tail = _counted(node_count, Counter(useless if one.final else moving for one in rejections.values()))
    return f"{head} no new claims to deallocate, preemption: {tail}"


def unfit_anywhere(node_count: int, reason: str) -> str:
    """The whole message when nodes were not even looked at.

    The odd end is real: device allocation (DynamicResources) runs after every failure, finds that it was never
    prepared, and says so.
    """
    return f"0/{node_count} nodes are available: {reason}. not found"


def note(message: str) -> str:
    """A message cut to what an Event holds."""
    return message if len(message) <= NOTE_LIMIT else message[: NOTE_LIMIT - 4] + " ..."


def _counted(node_count: int, reasons: Mapping[str, int]) -> str:
    listed = ", ".join(sorted(f"{number} {reason}" for reason, number in reasons.items()))
    return f"0/{node_count} nodes are available: {listed}."
