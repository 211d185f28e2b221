"""The patches that change an object from what it is. Every refusal is one that a server of 1.36 gave."""

from __future__ import annotations

from copy import deepcopy
from typing import Any

import pytest

from berth.core.objects import Json
from berth.rehearsal import schema
from berth.rehearsal.kinds import STATEFUL_SETS
from berth.rehearsal.patches import json_patch, merge_patch, strategic_merge, unknown_in_operations
from berth.rehearsal.refusal import ApiError

pytestmark = pytest.mark.unit

CONFIG: Json = {"kind": "ConfigMap", "metadata": {"name": "c", "labels": {"a": "b", "x.io/q": "1"}}, "data": {"x": "1"}}
PATH = "/spec/template/spec/containers"
REJECTED = (422, "Invalid", "the server rejected our request due to an error in our request")


def stateful_set() -> Json:
    container = {
        "name": "c",
        "image": "i:1",
        "command": ["a", "b"],
        "ports": [{"containerPort": 80, "name": "w", "protocol": "TCP"}],
        "env": [{"name": "A", "value": "1"}, {"name": "B", "value": "2"}],
    }
    template = {
        "containers": [container, {"name": "d", "image": "j:1"}],
        "tolerations": [{"key": "a"}],
        "imagePullSecrets": [{"name": "q"}],
    }
    return {
        "apiVersion": "apps/v1",
        "kind": "StatefulSet",
        "metadata": {"name": "s", "finalizers": ["example.com/a"], "labels": {"l": "1"}},
        "spec": {
            "replicas": 0,
            "template": {"spec": template},
            "updateStrategy": {"type": "RollingUpdate", "rollingUpdate": {"partition": 0}},
        },
    }


def refusal(call: Any, *arguments: Any) -> tuple[int, str, str]:
    with pytest.raises(ApiError) as caught:
        call(*arguments)
    return caught.value.code, caught.value.reason, caught.value.message


@pytest.mark.parametrize(
    ("operation", "data"),
    [
        ({"op": "add", "path": "/data/q", "value": "3"}, {"x": "1", "q": "3"}),
        ({"op": "add", "path": "/data/q"}, {"x": "1", "q": None}),
        ({"op": "replace", "path": "/data/nope", "value": "3"}, {"x": "1", "nope": "3"}),
        ({"op": "replace", "path": "ignored/data/x", "value": "3"}, {"x": "3"}),
        ({"op": "remove", "path": "/data/x"}, {}),
        ({"op": "move", "from": "/data/x", "path": "/data/k"}, {"k": "1"}),
        ({"op": "copy", "from": "/data/x", "path": "/data/k"}, {"x": "1", "k": "1"}),
        ({"op": "copy", "from": "/data/n", "path": "/data/k"}, {"x": "1", "k": None}),
        ({"op": "test", "path": "/data/x", "value": "1"}, {"x": "1"}),
        ({"op": "test", "path": "/data/n", "value": None}, {"x": "1"}),
        ({"op": "test", "path": "/data/n"}, {"x": "1"}),
    ],
)
def test_a_json_patch_changes_what_it_names(operation: Json, data: Json) -> None:
    before = deepcopy(CONFIG)
    assert json_patch(CONFIG, [operation])["data"] == data
    assert CONFIG == before


def test_a_json_patch_reads_escaped_paths() -> None:
    patched = json_patch(CONFIG, [{"op": "remove", "path": "/metadata/labels/x.io~1q"}])
    assert patched["metadata"]["labels"] == {"a": "b"}


@pytest.mark.parametrize(
    ("step", "names"),
    [("/-", ["c", "d", "n"]), ("/0", ["n", "c", "d"]), ("/2", ["c", "d", "n"]), ("/-2", ["c", "n", "d"])],
)
def test_a_json_patch_adds_to_lists(step: str, names: list[str]) -> None:
    patched = json_patch(stateful_set(), [{"op": "add", "path": PATH + step, "value": {"name": "n"}}])
    assert [one["name"] for one in patched["spec"]["template"]["spec"]["containers"]] == names


@pytest.mark.parametrize(
    "operation",
    [
        {},
        {"op": "add"},
        {"op": "nope", "path": "/a"},
        {"op": "add", "path": "", "value": "3"},
        {"op": "add", "path": "data", "value": "3"},
        {"op": "add", "path": "/data/x/y", "value": "3"},
        {"op": "replace", "path": "/nope/nope", "value": "3"},
        {"op": "replace", "path": "", "value": "3"},
        {"op": "remove", "path": "/data/nope"},
        {"op": "remove", "path": ""},
        {"op": "test", "path": "/data/x", "value": "2"},
        {"op": "test", "path": "/data/x"},
        {"op": "test", "path": "/nope/nope", "value": None},
        {"op": "move", "from": "/data/x"},
        {"op": "move", "from": "/data/n", "path": "/data/k"},
        {"op": "copy", "path": "/data/k"},
        {"op": "copy", "from": "/data/x", "path": "/no/k"},
    ],
)
def test_a_json_patch_that_does_not_apply_is_rejected_without_a_reason(operation: Json) -> None:
    assert refusal(json_patch, CONFIG, [operation]) == REJECTED


@pytest.mark.parametrize(
    "operation",
    [
        {"op": "add", "path": f"{PATH}/5", "value": {}},
        {"op": "add", "path": f"{PATH}/-5", "value": {}},
        {"op": "add", "path": f"{PATH}/x", "value": {}},
        {"op": "remove", "path": f"{PATH}/5"},
        {"op": "remove", "path": f"{PATH}/-"},
        {"op": "replace", "path": f"{PATH}/5", "value": {}},
        {"op": "replace", "path": "/spec/replicas/a", "value": 1},
        {"op": "test", "path": f"{PATH}/x", "value": {}},
        {"op": "test", "path": "/spec/replicas", "value": 0.0},
        {"op": "test", "path": "/spec/replicas", "value": False},
    ],
)
def test_places_that_a_list_does_not_have(operation: Json) -> None:
    assert refusal(json_patch, stateful_set(), [operation]) == REJECTED


@pytest.mark.parametrize(
    ("patch", "message"),
    [
        ({}, "json: cannot unmarshal object into Go value of type []handlers.jsonPatchOp"),
        ("x", "json: cannot unmarshal string into Go value of type []handlers.jsonPatchOp"),
        ([1], "json: cannot unmarshal number into Go value of type handlers.jsonPatchOp"),
        ([{"op": 1}], "json: cannot unmarshal number into Go struct field jsonPatchOp.op of type string"),
        (
            [{"op": "add", "path": 1}],
            "json: cannot unmarshal number into Go struct field jsonPatchOp.path of type string",
        ),
    ],
)
def test_what_is_no_json_patch(patch: Any, message: str) -> None:
    assert refusal(json_patch, CONFIG, patch) == (400, "BadRequest", f"error decoding patch: {message}")


def test_a_json_patch_has_ten_thousand_operations_at_most() -> None:
    patch = [{"op": "test", "path": "/data/x", "value": "1"}] * 10_001
    words = "The allowed maximum operations in a JSON patch is 10000, got 10001"
    assert refusal(json_patch, CONFIG, patch) == (
        413,
        "RequestEntityTooLarge",
        f"Request entity too large: {words}",
    )
    assert json_patch(CONFIG, patch[1:]) == CONFIG


def test_null_is_an_empty_json_patch() -> None:
    assert json_patch(CONFIG, None) == CONFIG


def test_keys_that_operations_do_not_have() -> None:
    assert unknown_in_operations([{"op": "add", "path": "/a", "foo": 1}]) == ['json patch unknown field "[0].foo"']


@pytest.mark.parametrize(
    ("patch", "data"),
    [
        ({}, {"x": "1"}),
        ({"data": {"x": None, "q": "5"}}, {"q": "5"}),
        ({"data": {"q": None}}, {"x": "1"}),
        ({"data": {"q": {"a": None, "b": "1"}}}, {"x": "1", "q": {"b": "1"}}),
        ({"data": [1]}, [1]),
        ({"data": None}, None),
    ],
)
def test_a_merge_patch(patch: Json, data: Any) -> None:
    before = deepcopy(CONFIG)
    assert merge_patch(CONFIG, patch).get("data") == data
    assert CONFIG == before


@pytest.mark.parametrize(
    ("patch", "message"),
    [
        (None, "Invalid JSON Patch"),
        ([], "error decoding patch: json: cannot unmarshal array into Go value of type map[string]interface {}"),
        (1, "error decoding patch: json: cannot unmarshal number into Go value of type map[string]interface {}"),
    ],
)
def test_what_is_no_merge_patch(patch: Any, message: str) -> None:
    assert refusal(merge_patch, CONFIG, patch) == (400, "BadRequest", message)


def merged(patch: Any) -> Json:
    before = stateful_set()
    live, said = deepcopy(before), deepcopy(patch)
    result = strategic_merge(schema.of(STATEFUL_SETS), live, patch)
    assert (live, patch) == (before, said)
    return result


def template(**fields: Any) -> Json:
    return {"spec": {"template": {"spec": fields}}}


def container(**fields: Any) -> Json:
    return template(containers=[{"name": "c", **fields}])


def first(patched: Json, key: str) -> Any:
    found = next(one for one in patched["spec"]["template"]["spec"]["containers"] if one["name"] == "c")
    return found.get(key)


def test_containers_are_merged_by_name_and_keep_the_rest() -> None:
    patched = merged(container(image="x:2", command=["z"]))
    assert first(patched, "image") == "x:2"
    assert first(patched, "command") == ["z"]
    assert first(patched, "env") == stateful_set()["spec"]["template"]["spec"]["containers"][0]["env"]


@pytest.mark.parametrize(
    ("patch", "names"),
    [
        (template(containers=[{"name": "e", "image": "x"}]), ["e", "c", "d"]),
        (template(containers=[{"name": "c", "$patch": "delete"}]), ["d"]),
        (template(containers=[{"$patch": "replace"}, {"name": "z", "image": "z"}]), ["z"]),
        (template(**{"$setElementOrder/containers": [{"name": "d"}, {"name": "c"}]}), ["d", "c"]),
        (
            template(
                **{
                    "$setElementOrder/containers": [{"name": "d"}, {"name": "n"}, {"name": "c"}],
                    "containers": [{"name": "n", "image": "n:1"}],
                }
            ),
            ["d", "n", "c"],
        ),
        # An order that leaves out the new ones: how Go sorts, and what it leaves in a slice's array, decides.
        (template(**{"$setElementOrder/containers": [], "containers": [{"name": "n", "image": "n"}]}), ["c", "d", "n"]),
        (
            template(
                **{
                    "$setElementOrder/containers": [{"name": "n"}],
                    "containers": [{"name": "n", "image": "n"}, {"name": "c", "$patch": "delete"}],
                }
            ),
            ["d", "n"],
        ),
    ],
)
def test_elements_come_and_go_in_the_order_of_the_patch(patch: Json, names: list[str]) -> None:
    assert [one["name"] for one in merged(patch)["spec"]["template"]["spec"]["containers"]] == names


def test_lists_of_maps_inside_lists() -> None:
    patched = merged(
        container(
            ports=[{"containerPort": 80, "name": "x"}, {"containerPort": 81}],
            env=[
                {"name": "B", "value": None, "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}},
                {"name": "C"},
            ],
        )
    )
    assert first(patched, "ports") == [{"containerPort": 80, "name": "x", "protocol": "TCP"}, {"containerPort": 81}]
    assert first(patched, "env") == [
        {"name": "A", "value": "1"},
        {"name": "B", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}},
        {"name": "C"},
    ]


def test_a_decimal_key_is_another_one() -> None:
    patched = merged(container(ports=[{"containerPort": 80.0, "name": "y"}]))
    assert first(patched, "ports") == [
        {"containerPort": 80, "name": "y"},
        {"containerPort": 80, "name": "w", "protocol": "TCP"},
    ]


@pytest.mark.parametrize(
    ("patch", "finalizers"),
    [
        ({"finalizers": ["example.com/b"]}, ["example.com/b", "example.com/a"]),
        ({"finalizers": []}, ["example.com/a"]),
        ({"$deleteFromPrimitiveList/finalizers": ["example.com/a"]}, []),
        ({"$deleteFromPrimitiveList/finalizers": "example.com/a"}, ["example.com/a"]),
        (
            {"$deleteFromPrimitiveList/finalizers": ["example.com/a"], "finalizers": ["example.com/c"]},
            ["example.com/c"],
        ),
        (
            {"$setElementOrder/finalizers": ["example.com/a", "example.com/b"], "finalizers": ["example.com/b"]},
            ["example.com/a", "example.com/b"],
        ),
    ],
)
def test_lists_of_scalars(patch: Json, finalizers: list[str]) -> None:
    assert merged({"metadata": patch})["metadata"]["finalizers"] == finalizers


def test_lists_without_a_merge_strategy_are_replaced() -> None:
    assert merged(template(tolerations=[{"key": "b"}]))["spec"]["template"]["spec"]["tolerations"] == [{"key": "b"}]


def test_nulls_delete_and_do_not_stay() -> None:
    patched = merged(template(tolerations=None, nodeSelector={"a": "b", "c": None}))["spec"]["template"]["spec"]
    assert "tolerations" not in patched
    assert patched["nodeSelector"] == {"a": "b"}


@pytest.mark.parametrize(
    ("patch", "strategy"),
    [
        ({"$retainKeys": ["type"], "type": "OnDelete"}, {"type": "OnDelete"}),
        ({"$patch": "replace", "type": "OnDelete"}, {"type": "OnDelete"}),
        ({"$patch": "delete"}, {}),
        ({"type": "OnDelete"}, {"type": "OnDelete", "rollingUpdate": {"partition": 0}}),
    ],
)
def test_directives_for_maps(patch: Json, strategy: Json) -> None:
    assert merged({"spec": {"updateStrategy": patch}})["spec"]["updateStrategy"] == strategy


def test_null_and_nothing_change_nothing() -> None:
    assert merged(None) == merged({}) == stateful_set()


@pytest.mark.parametrize(
    ("patch", "message"),
    [
        ([], "json: cannot unmarshal array into Go value of type map[string]interface {}"),
        ("x", "json: cannot unmarshal string into Go value of type map[string]interface {}"),
        ({"metadata": {"$deleteFromPrimitiveList": ["a"]}}, "invalid patch format of primitive list"),
        (template(**{"$setElementOrder": ["x"]}), "invalid patch format of setElementOrder list"),
        (
            {"spec": {"updateStrategy": {"$retainKeys": ["rollingUpdate"], "type": "OnDelete"}}},
            "invalid patch format of retainKeys",
        ),
        (
            {"spec": {"updateStrategy": {"$retainKeys": "type", "type": "OnDelete"}}},
            "invalid patch format of retainKeys",
        ),
    ],
)
def test_malformed_strategic_patches(patch: Any, message: str) -> None:
    assert refusal(merged, patch) == (400, "BadRequest", message)


@pytest.mark.parametrize(
    ("patch", "message"),
    [
        (template(containers=[{"image": "x"}]), "map: map[image:x] does not contain declared merge key: name"),
        (
            template(containers=[{"$patch": "delete"}]),
            "map: map[$patch:delete] does not contain declared merge key: name",
        ),
        (container(env=[{"value": "1"}]), "map: map[value:1] does not contain declared merge key: name"),
        (container(ports=[{"name": "w"}]), "map: map[name:w] does not contain declared merge key: containerPort"),
        (
            template(containers=[{"$patch": "merge", "name": "c"}]),
            "merging lists cannot yet be specified in the patch",
        ),
        (
            template(containers=[{"$patch": "foo", "name": "c"}]),
            "unknown patch type: foo in map: map[$patch:foo name:c]",
        ),
        (template(**{"$patch": "foo"}), "unknown patch type: foo in map: map[$patch:foo]"),
        ({"metadata": {"finalizers": [1]}}, "list element types are not identical: [[example.com/a] [1]]"),
        (
            {"metadata": {"$setElementOrder/finalizers": ["example.com/a"], "finalizers": ["example.com/b"]}},
            "The order in patch list:\n[example.com/b]\n doesn't match $setElementOrder list:\n[example.com/a]\n",
        ),
        (
            template(**{"$setElementOrder/containers": [{"name": "d"}], "containers": [{"name": "n", "image": "n:1"}]}),
            "The order in patch list:\n[map[image:n:1 name:n]]\n doesn't match $setElementOrder list:\n[map[name:d]]\n",
        ),
        (
            template(**{"$setElementOrder/containers": "x"}),
            "expected a []interface {}, but received a string",
        ),
        (
            template(**{"$setElementOrder/imagePullSecrets": [], "imagePullSecrets": None}),
            "expected a []interface {}, but received a %!s(<nil>)",
        ),
        (template(**{"$setElementOrder/containers": ["x"]}), "value for key 0 is not a map"),
        (
            template(**{"$setElementOrder/nope": ["x"]}),
            'unable to find api field in struct PodSpec for the json field "nope"',
        ),
        (
            template(**{"$setElementOrder/containers": [{"nam": "d"}]}),
            "map: map[nam:d] does not contain declared merge key: name",
        ),
    ],
)
def test_contradictions_are_internal_errors_without_a_reason(patch: Json, message: str) -> None:
    assert refusal(merged, patch) == (500, "", message)


@pytest.mark.parametrize(
    ("patch", "shown", "why"),
    [
        ({"spec": {"replicas": "x"}}, "map[spec:map[replicas:x]]", "unrecognized type: int32"),
        ({"spec": {"replicas": 1.5}}, "map[spec:map[replicas:1.5]]", "cannot convert float64 to int32"),
        ({"spec": {"serviceName": 5}}, "map[spec:map[serviceName:5]]", "cannot convert int64 to string"),
        ({"spec": {"serviceName": True}}, "map[spec:map[serviceName:true]]", "unrecognized type: string"),
        ({"spec": [1]}, "map[spec:[1]]", "cannot restore struct from: slice"),
        ({"metadata": {"labels": ["a"]}}, "map[metadata:map[labels:[a]]]", "cannot restore map from slice"),
        (
            {"metadata": {"finalizers": {"a": 1}}},
            "map[metadata:map[finalizers:map[a:1]]]",
            "cannot restore slice from map",
        ),
        (
            template(hostNetwork=1),
            "map[spec:map[template:map[spec:map[hostNetwork:1]]]]",
            "unrecognized type: bool",
        ),
    ],
)
def test_results_of_wrong_types(patch: Json, shown: str, why: str) -> None:
    message = f' "" is invalid: patch: Invalid value: "{shown}": {why}'
    assert refusal(merged, patch) == (422, "Invalid", message)


def test_decimals_that_are_whole_numbers_are_taken() -> None:
    assert repr(merged({"spec": {"replicas": 2.0}})["spec"]["replicas"]) == "2"


def test_kind_and_version_of_a_strategic_patch_are_not_looked_at() -> None:
    assert merged({"kind": "Foo", "apiVersion": "v2"}) == stateful_set()
