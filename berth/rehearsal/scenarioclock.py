"""When a scenario begins: with the first workload, or whoever rehearses something says so.

A cluster may stand idle for long, and at the instant pace time would jump past everything that a scenario has in store;
so its times count from the first StatefulSet or pod that is made.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from berth.rehearsal.bootstrap import BEGAN, began
from berth.rehearsal.kinds import PODS, STATEFUL_SETS
from berth.rehearsal.store import Change

if TYPE_CHECKING:
    from berth.rehearsal.world import World

_BEGUN = "scenario"


def has_begun(world: World) -> bool:
    """Whether the scenario's times count already."""
    return world.store.fact(_BEGUN) is not None


def elapsed(world: World) -> float:
    """Virtual seconds since the scenario's beginning; 0 before it."""
    return max(0.0, world.clock.now() - began(world)) if has_begun(world) else 0.0


def begin(world: World) -> None:
    """Let the times count from now. Its controller arms what is to come when it sees the next change."""
    world.store.remember(_BEGUN, "begun")
    world.store.remember(BEGAN, repr(world.clock.now()))


def is_first_workload(world: World, change: Change) -> bool:
    """Whether a change is what a scenario waits for."""
    if change.kind is not STATEFUL_SETS and change.kind is not PODS:
        return False
    return change.type == "ADDED" and not change.key[0].startswith("kube-") and not has_begun(world)
