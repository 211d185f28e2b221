"""Events as client-go's two recorders write them."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from berth.core.objects import Json
from berth.rehearsal.clock import INSTANT
from berth.rehearsal.kinds import CONFIG_MAPS, EVENTS
from berth.rehearsal.recorder import COMBINED, EVENT_TTL, MOST_SIMILAR, SERIES_FOR, SIMILAR_FOR
from berth.rehearsal.store import Store
from berth.rehearsal.world import World

pytestmark = pytest.mark.rehearsal


@pytest.fixture
def world() -> Iterator[World]:
    found = World(seed=1, start=1_800_000_000.0, pace=INSTANT, strict=True)
    found.settle()
    yield found
    found.close()


def about(world: World, name: str = "x") -> Json:
    body = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name, "namespace": "default"}}
    return world.client("tests").create(CONFIG_MAPS, body)


def said(world: World, name: str = "x") -> list[tuple[str, int | None]]:
    events = [one for one in world.store.list(EVENTS) if one["involvedObject"]["name"] == name]
    return [(one["message"], one.get("count")) for one in events]


def test_the_same_words_count_up(world: World) -> None:
    client, body = world.client("kubelet"), about(world)
    for _ in range(3):
        client.event(body, "Warning", "BackOff", "again")
    client.event(body, "Normal", "BackOff", "again")
    assert said(world) == [("again", 3), ("again", 1)]
    world.advance(EVENT_TTL + 1)
    assert said(world) == []


def test_too_many_similar_ones_are_combined_with_the_latest_words(world: World) -> None:
    client, body, other = world.client("kubelet"), about(world), about(world, "y")
    for number in range(MOST_SIMILAR + 2):
        client.event(body, "Warning", "Failed", f"no {number}")
    client.event(body, "Warning", "Another", "reason")
    client.event(other, "Warning", "Failed", "no 99")
    apart = [(f"no {number}", 1) for number in range(MOST_SIMILAR - 1)]
    assert said(world) == [*apart, (f"{COMBINED}no {MOST_SIMILAR + 1}", 3), ("reason", 1)]
    assert said(world, "y") == [("no 99", 1)]
    world.advance(SIMILAR_FOR + 1)
    client.event(body, "Warning", "Failed", "later")
    assert said(world)[-1] == ("later", 1)


def test_what_was_counted_goes_on_after_a_restart(world: World) -> None:
    client, body = world.client("kubelet"), about(world)
    for number in range(MOST_SIMILAR):
        client.event(body, "Warning", "Failed", f"no {number}")
    store = Store()
    for event in (body, *world.store.list(EVENTS)):
        store.create(CONFIG_MAPS if event is body else EVENTS, event)
    again = World(store, seed=1, start=1_800_000_000.0, pace=INSTANT, strict=True)
    again.client("kubelet").event(body, "Warning", "Failed", "no 1")
    assert ("no 1", 2) in said(again)
    again.close()


def test_the_newer_form_has_a_series_from_the_second_on(world: World) -> None:
    client, body = world.client("default-scheduler"), about(world)
    for number in range(3):
        client.event(body, "Warning", "FailedScheduling", f"no {number}", action="Scheduling")
    (event,) = [one for one in world.store.list(EVENTS) if one["involvedObject"]["name"] == "x"]
    assert event["source"] == {} and "count" not in event and event["firstTimestamp"] is None
    assert (event["action"], event["reportingComponent"]) == ("Scheduling", "default-scheduler")
    assert event["eventTime"] == "2027-01-15T08:00:00.000000Z" and event["message"] == "no 0"
    assert event["series"]["count"] == 2
    world.advance(SERIES_FOR + 1)
    client.event(body, "Warning", "FailedScheduling", "no 4", action="Scheduling")
    assert said(world) == [("no 0", None), ("no 4", None)]
