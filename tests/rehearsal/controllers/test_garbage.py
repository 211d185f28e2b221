from __future__ import annotations

import pytest

from berth.core.objects import Json
from berth.rehearsal.kinds import CONFIG_MAPS, SECRETS
from tests.rehearsal.controllers.quay import SPACE, Quay

pytestmark = pytest.mark.rehearsal


def config(name: str, *owners: Json, **flags: bool) -> Json:
    references = [
        {
            "apiVersion": owner["apiVersion"],
            "kind": owner["kind"],
            "name": owner["metadata"]["name"],
            "uid": owner["metadata"]["uid"],
            **flags,
        }
        for owner in owners
    ]
    meta: Json = {"name": name, "namespace": SPACE}
    if references:
        meta["ownerReferences"] = references
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": meta}


def names(quay: Quay) -> list[str]:
    found = (body["metadata"]["name"] for body in quay.client.list(CONFIG_MAPS, SPACE))
    return [name for name in found if name != "kube-root-ca.crt"]


def test_background_goes_down_the_tree(quay: Quay) -> None:
    root = quay.make(config("root"))
    child = quay.make(config("child", root))
    quay.make(config("grandchild", child))
    quay.delete(CONFIG_MAPS, "root")
    assert names(quay) == ["child", "grandchild"]
    quay.settle()
    assert names(quay) == []


def test_foreground_goes_up_the_tree(quay: Quay) -> None:
    root = quay.make(config("root"))
    child = quay.make(config("child", root, blockOwnerDeletion=True))
    quay.make(config("grandchild", child, blockOwnerDeletion=True))
    gone: list[str] = []
    quay.world.store.listeners.append(lambda change: gone.append(change.key[1]) if change.type == "DELETED" else None)
    quay.delete(CONFIG_MAPS, "root", "Foreground")
    quay.settle()
    assert gone == ["grandchild", "child", "root"]


def test_foreground_does_not_wait_for_what_does_not_block(quay: Quay) -> None:
    root = quay.make(config("root"))
    child = config("child", root)
    child["metadata"]["finalizers"] = ["example.com/hold"]
    quay.make(child)
    quay.delete(CONFIG_MAPS, "root", "Foreground")
    quay.settle()
    assert names(quay) == ["child"]


def test_foreground_waits_for_a_finalizer_of_a_dependent(quay: Quay) -> None:
    root = quay.make(config("root"))
    child = config("child", root, blockOwnerDeletion=True)
    child["metadata"]["finalizers"] = ["example.com/hold"]
    quay.make(child)
    quay.delete(CONFIG_MAPS, "root", "Foreground")
    quay.settle()
    assert names(quay) == ["child", "root"]
    live = quay.get(CONFIG_MAPS, "child")
    quay.update(CONFIG_MAPS, {**live, "metadata": {**live["metadata"], "finalizers": []}})
    quay.settle()
    assert names(quay) == []


def test_foreground_ends_when_a_reference_is_taken_away(quay: Quay) -> None:
    root = quay.make(config("root"))
    child = config("child", root, blockOwnerDeletion=True)
    child["metadata"]["finalizers"] = ["example.com/hold"]
    quay.make(child)
    quay.delete(CONFIG_MAPS, "root", "Foreground")
    quay.settle()
    live = quay.get(CONFIG_MAPS, "child")
    quay.update(CONFIG_MAPS, {**live, "metadata": {**live["metadata"], "ownerReferences": []}})
    quay.settle()
    assert names(quay) == ["child"]


def test_orphan(quay: Quay) -> None:
    root = quay.make(config("root"))
    quay.make(config("child", root))
    quay.delete(CONFIG_MAPS, "root", "Orphan")
    quay.settle()
    assert names(quay) == ["child"]
    assert "ownerReferences" not in quay.get(CONFIG_MAPS, "child")["metadata"]


def test_one_of_two_owners_is_enough(quay: Quay) -> None:
    first, second = quay.make(config("first")), quay.make(config("second"))
    quay.make(config("child", first, second))
    quay.delete(CONFIG_MAPS, "first")
    quay.settle()
    assert [ref["name"] for ref in quay.get(CONFIG_MAPS, "child")["metadata"]["ownerReferences"]] == ["second"]
    quay.delete(CONFIG_MAPS, "second", "Foreground")
    quay.settle()
    assert names(quay) == []


def test_an_owner_that_never_was(quay: Quay) -> None:
    ghost = {**config("ghost"), "metadata": {"name": "ghost", "uid": "1234"}}
    quay.make(config("child", ghost))
    quay.settle()
    assert names(quay) == []


def test_another_object_of_the_owners_name_is_no_owner(quay: Quay) -> None:
    quay.make(config("root"))
    quay.make(config("child", {**config("root"), "metadata": {"name": "root", "uid": "1234"}}))
    quay.settle()
    assert names(quay) == ["root"]


def test_an_owner_of_a_kind_that_is_not_served_is_believed(quay: Quay) -> None:
    ghost = {"apiVersion": "example.com/v1", "kind": "Ship", "metadata": {"name": "ghost", "uid": "1234"}}
    quay.make(config("child", ghost))
    quay.settle()
    assert names(quay) == ["child"]


def test_kinds_may_differ(quay: Quay) -> None:
    root = quay.make({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "root", "namespace": SPACE}})
    quay.make(config("child", root))
    quay.delete(SECRETS, "root")
    quay.settle()
    assert names(quay) == []
