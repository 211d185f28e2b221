"""Lists in pieces, in versions, and as Tables."""

from __future__ import annotations

import base64
import json

import pytest

from berth.rehearsal.world import World
from tests.rehearsal.server.calls import MAPS, TABLE, Caller, config_map

pytestmark = pytest.mark.rehearsal

LABELLED = f"{MAPS}?labelSelector=mine"


@pytest.fixture
def five(call: Caller) -> None:
    for name in "abcde":
        assert call("POST", MAPS, config_map(name, labels={"mine": name})).code == 201


def names(reply: object) -> list[str]:
    return [item["metadata"]["name"] for item in reply.json["items"]]  # type: ignore[attr-defined]


@pytest.mark.usefixtures("five")
def test_objects_in_lists_do_not_say_their_kind(call: Caller) -> None:
    found = call("GET", LABELLED).json
    assert (found["kind"], found["apiVersion"]) == ("ConfigMapList", "v1")
    assert set(found["items"][0]) == {"metadata", "data"}
    assert call("GET", f"{MAPS}/a").json["kind"] == "ConfigMap"


@pytest.mark.usefixtures("five")
def test_pieces_are_of_one_version(call: Caller) -> None:
    first = call("GET", f"{LABELLED}&limit=2")
    assert names(first) == ["a", "b"]
    token = first.json["metadata"]["continue"]
    call("DELETE", f"{MAPS}/c")
    call("POST", MAPS, config_map("bb", labels={"mine": "bb"}))
    call("PUT", f"{MAPS}/d", {**config_map("d", labels={"mine": "d"}), "data": {"k": "changed"}})
    second = call("GET", f"{LABELLED}&limit=2&continue={token}")
    assert names(second) == ["c", "d"]
    assert second.json["items"][1]["data"] == {"k": "v"}
    third = call("GET", f"{LABELLED}&limit=2&continue={second.json['metadata']['continue']}")
    assert names(third) == ["e"]
    assert "continue" not in third.json["metadata"]
    versions = {reply.json["metadata"]["resourceVersion"] for reply in (first, second, third)}
    assert len(versions) == 1
    assert names(call("GET", LABELLED)) == ["a", "b", "bb", "d", "e"]


@pytest.mark.usefixtures("five")
def test_what_is_left_is_told_where_nothing_selects(call: Caller) -> None:
    found = call("GET", f"{MAPS}?limit=2").json
    assert found["metadata"]["remainingItemCount"] == len(call("GET", MAPS).json["items"]) - 2
    assert "remainingItemCount" not in call("GET", f"{LABELLED}&limit=2").json["metadata"]


@pytest.mark.usefixtures("five")
def test_a_token_whose_version_is_forgotten(call: Caller, world: World) -> None:
    token = call("GET", f"{LABELLED}&limit=2").json["metadata"]["continue"]
    call("DELETE", f"{MAPS}/c")
    with world.lock:
        world.store.forget()
    reply = call("GET", f"{LABELLED}&limit=2&continue={token}")
    assert (reply.code, reply.json["reason"]) == (410, "Expired")
    assert reply.message.startswith("The provided continue parameter is too old to display a consistent list result.")
    again = call("GET", f"{LABELLED}&continue={reply.json['metadata']['continue']}")
    assert names(again) == ["d", "e"]


@pytest.mark.parametrize(
    ("token", "message"),
    [
        ("abc", "invalid character 'i' looking for beginning of value"),
        (
            base64.urlsafe_b64encode(json.dumps({"v": 1}).encode()).decode(),
            "json: cannot unmarshal number into Go struct field continueToken.v of type string",
        ),
        ("!!!", None),
        (base64.urlsafe_b64encode(b"[]").decode(), None),
        (base64.urlsafe_b64encode(json.dumps({"v": "meta.k8s.io/v1", "rv": 5}).encode()).decode(), None),
    ],
)
def test_tokens_of_somebody_else(call: Caller, token: str, message: str | None) -> None:
    reply = call("GET", f"{MAPS}?limit=1&continue={token}")
    assert reply.code == 400
    assert reply.message.startswith("invalid continue token: continue key is not valid: ")
    if message:
        assert reply.message.endswith(message)


@pytest.mark.usefixtures("five")
def test_versions(call: Caller, world: World) -> None:
    before = call("GET", MAPS).json["metadata"]["resourceVersion"]
    call("DELETE", f"{MAPS}/a")
    exact = call("GET", f"{LABELLED}&resourceVersion={before}&resourceVersionMatch=Exact")
    assert (names(exact)[0], exact.json["metadata"]["resourceVersion"]) == ("a", before)
    newer = call("GET", f"{LABELLED}&resourceVersion={before}&resourceVersionMatch=NotOlderThan")
    assert names(newer)[0] == "b"
    assert names(call("GET", f"{LABELLED}&resourceVersion=0"))[0] == "b"
    reply = call("GET", f"{MAPS}?resourceVersion=999999")
    assert (reply.code, reply.headers["retry-after"]) == (504, "1")
    assert reply.message == f"Timeout: Too large resource version: 999999, current: {world.store.version}"
    with world.lock:
        world.store.forget()
    reply = call("GET", f"{MAPS}?resourceVersion={before}&resourceVersionMatch=Exact")
    assert (reply.code, reply.message) == (410, "The resourceVersion for the provided list is too old.")


@pytest.mark.parametrize(
    ("query", "words"),
    [
        ("resourceVersionMatch=Exact", "resourceVersionMatch is forbidden unless resourceVersion is provided"),
        (
            "resourceVersion=0&resourceVersionMatch=Exact",
            'resourceVersionMatch "exact" is forbidden for resourceVersion "0"',
        ),
        ("sendInitialEvents=true", "sendInitialEvents is forbidden for list"),
        (
            "watch=true&resourceVersionMatch=NotOlderThan",
            "resourceVersionMatch is forbidden for watch unless sendInitialEvents is provided",
        ),
        (
            "watch=true&sendInitialEvents=true",
            "sendInitialEvents requires setting resourceVersionMatch to NotOlderThan",
        ),
    ],
)
def test_options_that_do_not_go_together(call: Caller, query: str, words: str) -> None:
    reply = call("GET", f"{MAPS}?{query}")
    assert reply.code == 422
    assert reply.message.startswith('ListOptions.meta.k8s.io "" is invalid: ')
    assert reply.message.endswith(f": Forbidden: {words}")


@pytest.mark.parametrize(
    ("query", "code", "message"),
    [
        ("limit=x", 400, 'strconv.ParseInt: parsing "x": invalid syntax'),
        ("timeoutSeconds=x&watch=1", 400, 'strconv.ParseInt: parsing "x": invalid syntax'),
        (f"limit={'9' * 30}", 400, f'strconv.ParseInt: parsing "{"9" * 30}": value out of range'),
        (
            "resourceVersion=x",
            400,
            'invalid resource version: resourceVersion: Invalid value: "x": strconv.ParseUint: parsing "x": '
            "invalid syntax",
        ),
        (
            "resourceVersion=x&watch=1",
            500,
            'resourceVersion: Invalid value: "x": strconv.ParseUint: parsing "x": invalid syntax',
        ),
        ("fieldSelector=data.k%3Dv", 400, None),
        ("labelSelector=a%3D%3D%3Db", 400, None),
    ],
)
def test_options_that_cannot_be_read(call: Caller, query: str, code: int, message: str | None) -> None:
    reply = call("GET", f"{MAPS}?{query}")
    assert reply.code == code
    if message:
        assert reply.message == message


@pytest.mark.usefixtures("five")
def test_tables_of_lists(call: Caller) -> None:
    found = call("GET", LABELLED, Accept=TABLE).json
    assert (found["kind"], found["apiVersion"]) == ("Table", "meta.k8s.io/v1")
    assert [row["cells"][0] for row in found["rows"]] == list("abcde")
    assert found["rows"][0]["object"]["kind"] == "PartialObjectMetadata"
    assert found["metadata"]["resourceVersion"]
    whole = call("GET", f"{LABELLED}&includeObject=Object&limit=1", Accept=TABLE).json
    assert whole["rows"][0]["object"]["data"] == {"k": "v"}
    assert whole["metadata"]["continue"]
    assert call("GET", f"{LABELLED}&includeObject=None", Accept=TABLE).json["rows"][0]["object"] is None
    assert call("GET", f"{LABELLED}&includeObject=Foo", Accept=TABLE).code == 400
    assert call("GET", f"{MAPS}?labelSelector=nobody", Accept=TABLE).json["rows"] == []


@pytest.mark.usefixtures("five")
def test_a_collection_is_deleted_by_selector(call: Caller) -> None:
    some = "?labelSelector=mine+in+(a,b)"
    assert names(call("DELETE", f"{MAPS}{some}&dryRun=All")) == ["a", "b"]
    assert names(call("DELETE", f"{MAPS}{some}")) == ["a", "b"]
    assert names(call("GET", LABELLED)) == ["c", "d", "e"]
