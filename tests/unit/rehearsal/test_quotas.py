"""The status of quotas follows what is there."""

from __future__ import annotations

from typing import Any, cast

import pytest

from berth.core.objects import Json
from berth.rehearsal import kinds
from berth.rehearsal.controllers.quotas import QuotaController
from berth.rehearsal.store import Change, Store
from berth.rehearsal.world import World

pytestmark = pytest.mark.unit


def pod(name: str, phase: str = "Running") -> Json:
    return {"metadata": {"namespace": "n", "name": name}, "spec": {"containers": []}, "status": {"phase": phase}}


class Bare:
    """A world with a store and nothing else, and the client that writes to it."""

    def __init__(self) -> None:
        self.store, self.written = Store(), 0
        quota = {"metadata": {"namespace": "n", "name": "q"}, "spec": {"hard": {"pods": "2"}}}
        self.store.create(kinds.QUOTAS, quota)
        self.controller = QuotaController(cast(World, self))

    def client(self, manager: str) -> Bare:
        assert manager == "kube-controller-manager"
        return self

    def get(self, kind: kinds.Kind, namespace: str, name: str) -> Json | None:
        return self.store.get(kind, namespace, name)

    def update_status(self, kind: kinds.Kind, body: Json) -> Json:
        self.written += 1
        return self.store.update(kind, body)


def test_a_status_is_written_when_use_changes() -> None:
    world = Bare()

    def used() -> Any:
        world.controller.sync(("n", "q"))
        found = world.store.get(kinds.QUOTAS, "n", "q")
        return found and found["status"]["used"]

    assert used() == {"pods": "0"}
    world.store.create(kinds.PODS, pod("a"))
    assert used() == used() == {"pods": "1"}
    assert world.written == 2
    world.store.update(kinds.PODS, pod("a", "Succeeded"))
    assert used() == {"pods": "0"}


def test_only_changes_of_use_matter() -> None:
    controller = Bare().controller

    def keys(kind: str, new: Json, old: Json | None) -> list[tuple[str, str]]:
        return list(controller.interested(Change(kind, kinds.PODS, new, old, 1)))

    assert keys("ADDED", pod("a"), None) == [("n", "q")]
    assert keys("DELETED", pod("a"), pod("a")) == [("n", "q")]
    assert keys("MODIFIED", pod("a"), pod("a", "Pending")) == []
    assert keys("MODIFIED", pod("a", "Failed"), pod("a")) == [("n", "q")]
    elsewhere = {"metadata": {"namespace": "m", "name": "a"}}
    assert keys("ADDED", elsewhere, None) == []


def test_a_quota_that_is_gone_is_nobodys_business() -> None:
    Bare().controller.sync(("n", "gone"))
