"""A state that cannot be saved: reads go on, writes are refused, and nothing that was acknowledged is lost."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from pathlib import Path

import pytest

from berth.core.errors import LocalError
from berth.rehearsal.clock import INSTANT
from berth.rehearsal.kinds import CONFIG_MAPS
from berth.rehearsal.server import serve
from berth.rehearsal.store import Change, Store
from berth.rehearsal.world import Key, World
from tests.rehearsal.server.calls import BEGINNING, MAPS, TOKEN, Caller, config_map

pytestmark = pytest.mark.rehearsal


def _full(store: Store, pages: int) -> None:
    """Let the file have so many pages at most: SQLite then says what it says of a full disk."""
    store._db.execute(f"PRAGMA max_page_count = {pages}")


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    found = World(Store(tmp_path / "state"), seed=1, start=BEGINNING, pace=INSTANT)
    found.settle()
    yield found
    _full(found.store, 1 << 20)
    found.close()


def test_a_full_disk(world: World, caplog: pytest.LogCaptureFixture, tmp_path: Path) -> None:
    server = serve(world, token=TOKEN)
    world.start()
    call = Caller(server.port)
    _full(world.store, 1)
    acknowledged: list[str] = []
    refused: list[str] = []
    for number in range(40):
        body = {**config_map(f"c{number}"), "data": {"k": "x" * 20_000}}
        reply = call("POST", MAPS, body)
        (acknowledged if reply.code == 201 else refused).append(f"c{number}")
        if reply.code != 201:
            assert (reply.code, reply.json["reason"]) == (500, "InternalError")
            assert "the rehearsal's state cannot be written" in reply.message and str(tmp_path) in reply.message
    assert refused
    # The first of those that failed may count or not; the others were refused before they did anything.
    held = {one["metadata"]["name"] for one in call("GET", MAPS).json["items"]}
    assert set(acknowledged) <= held and not held & set(refused[1:])
    assert call("DELETE", f"{MAPS}/{acknowledged[0] if acknowledged else refused[0]}").code == 500
    assert call("GET", "/readyz").code == 200
    assert len([one for one in caplog.records if one.levelno >= logging.WARNING]) == 1
    _full(world.store, 1 << 20)
    assert call("POST", MAPS, config_map("after")).code == 201
    assert caplog.records[-1].message == "the state can be written again, and all of it is"
    call.close()
    server.close()
    again = Store(tmp_path / "state")
    there = {one["metadata"]["name"] for one in again.list(CONFIG_MAPS, "default")}
    again.close()
    assert {*acknowledged, "after"} <= there


def test_what_cannot_be_saved_does_not_pile_up(world: World) -> None:
    _full(world.store, 1)
    with pytest.raises(LocalError), world.request():
        world.client("tests").create(
            CONFIG_MAPS, {**config_map("first", namespace="default"), "data": {"k": "x" * 99_999}}
        )
    version = world.store.version
    for number in range(3):
        with pytest.raises(LocalError), world.request():
            world.client("tests").create(CONFIG_MAPS, config_map(f"more{number}", namespace="default"))
    with world.request():
        assert world.store.version == version


class _Poisoned:
    """A controller that fails on every ConfigMap called poison, in one way and later in another."""

    name = "poisoned"

    def __init__(self) -> None:
        self.times = 0

    def interested(self, change: Change) -> list[Key]:
        return [change.key] if change.kind is CONFIG_MAPS and change.key[1] == "poison" else []

    def sync(self, key: Key) -> None:
        self.times += 1
        raise KeyError("early" if self.times < 20 else "late")


def test_a_poison_object_is_logged_once_and_tried_ever_more_rarely(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    poisoned = _Poisoned()
    world.controllers = (*world.controllers, poisoned)
    with world.request():
        world.client("tests").create(CONFIG_MAPS, config_map("poison", namespace="default"))
    world.settle()
    world.advance(86_400)
    # Every 30 s at most.
    assert 1000 < poisoned.times < 3000
    said = [one for one in caplog.records if one.name == "berth.rehearsal.world"]
    assert ["early" in str(one.exc_info) for one in said] == [True, False]
