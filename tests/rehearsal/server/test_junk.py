"""Junk that once was a fault of ours, with the answers that a real API server (1.36) gives to it."""

from __future__ import annotations

import os
import shutil
import time
from pathlib import Path
from typing import Any

import pytest

from berth.core.errors import LocalError
from berth.core.objects import Json
from berth.rehearsal.controllers.statefulset_update import MOST_PODS
from berth.rehearsal.kinds import CLAIMS, PODS, STATEFUL_SETS, VOLUMES
from berth.rehearsal.registry import APPLY_PATCH, JSON_PATCH
from berth.rehearsal.server import certificate
from berth.rehearsal.world import World
from tests.rehearsal.server.calls import JSON, MAPS, SETS, SPACE, Caller, config_map, stateful_set

pytestmark = pytest.mark.rehearsal

PODS_PATH = f"{SPACE}/pods"
POD: Json = {"metadata": {"name": "p"}, "spec": {"containers": [{"name": "c", "image": "i:1"}]}}
_KEYLESS = "failed to create typed patch object (/p; /v1, Kind=Pod): "
_SCALE = 'Scale in version "v1" cannot be handled as a Scale: json: cannot unmarshal '
_EVICTION = 'Eviction in version "v1" cannot be handled as a Eviction: json: cannot unmarshal '
_BINDING = 'Binding in version "v1" cannot be handled as a Binding: json: cannot unmarshal '


def pod(**spec: Any) -> Json:
    return {**POD, "spec": {**POD["spec"], **spec}}


@pytest.mark.parametrize(
    ("path", "body", "message"),
    [
        (
            PODS_PATH,
            pod(containers=[None]),
            'Pod "p" is invalid: [spec.containers[0].name: Required value, spec.containers[0].image: Required value]',
        ),
        (PODS_PATH, {"metadata": {"name": "p"}}, 'Pod "p" is invalid: spec.containers: Required value'),
        (PODS_PATH, pod(volumes=[None]), 'Pod "p" is invalid: spec.volumes[0].name: Required value'),
        (
            f"{SPACE}/endpoints",
            {"metadata": {"name": "p"}, "subsets": [None]},
            'Endpoints "p" is invalid: subsets[0]: Required value: must specify `addresses` or `notReadyAddresses`',
        ),
        (
            "/apis/discovery.k8s.io/v1/namespaces/default/endpointslices",
            {"metadata": {"name": "p"}, "addressType": "IPv4", "endpoints": [{"addresses": [None]}], "ports": [None]},
            'EndpointSlice.discovery.k8s.io "p" is invalid: endpoints[0].addresses[0]: Invalid value: "": must be a '
            "valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)",
        ),
        (
            "/apis/networking.k8s.io/v1/namespaces/default/networkpolicies",
            {"metadata": {"name": "p"}, "spec": {"podSelector": {}, "ingress": [None], "egress": [{"to": [None]}]}},
            'NetworkPolicy.networking.k8s.io "p" is invalid: spec.egress[0].to[0]: Required value: must specify a peer',
        ),
    ],
)
def test_a_null_in_a_list_is_an_item_of_which_nothing_is_said(
    call: Caller, path: str, body: Json, message: str
) -> None:
    reply = call("POST", path, body)
    assert (reply.code, reply.message) == (422, message)


@pytest.mark.parametrize("field", ["kind", "apiVersion"])
@pytest.mark.parametrize("value", [None, ""])
def test_what_the_path_says_need_not_be_said(call: Caller, field: str, value: str | None) -> None:
    made = call("POST", MAPS, {**config_map("x"), field: value}).json
    assert (made["apiVersion"], made["kind"]) == ("v1", "ConfigMap")


@pytest.mark.parametrize(("validation", "code"), [("Strict", 400), ("Warn", 201), ("Ignore", 201)])
def test_unknown_and_repeated_fields_are_told_in_the_order_of_the_text(
    call: Caller, validation: str, code: int
) -> None:
    text = b'{"metadata":{"name":"q","zz":1,"name":"q2"},"spec":1,"data":{"a":"1","a":"2"},"data":{}}'
    reply = call("POST", f"{MAPS}?fieldValidation={validation}", text, Content_Type=JSON)
    said = [
        *('unknown field "metadata.zz"', 'duplicate field "metadata.name"', 'unknown field "spec"'),
        *('duplicate field "data.a"', 'duplicate field "data"'),
    ]
    assert reply.code == code
    if validation == "Strict":
        assert reply.message.endswith(f"strict decoding error: {', '.join(said)}")
    quoted = [one.replace('"', '\\"') for one in said]
    assert reply.warnings == ([f'299 - "{one}"' for one in quoted] if validation == "Warn" else [])


def test_repeated_keys_of_yaml(call: Caller) -> None:
    text = b'metadata:\n  name: q\n  zz: 1\n  name: q2\nspec: 1\ndata:\n  a: "1"\n  a: "2"\n'
    reply = call("POST", f"{MAPS}?fieldValidation=Strict", text, Content_Type="application/yaml")
    assert reply.message == (
        'ConfigMap in version "v1" cannot be handled as a ConfigMap: strict decoding error: yaml: unmarshal errors:\n'
        '  line 4: key "name" already set in map\n  line 8: key "a" already set in map, unknown field "metadata.zz", '
        'unknown field "spec"'
    )


@pytest.mark.parametrize(
    ("containers", "message"),
    [
        (
            [{"name": [1], "image": "i"}],
            ".spec.containers[name=[1]].name: expected string, got &value.valueUnstructured{Value:[]interface {}{1}}",
        ),
        (
            [{"name": {"a": 1}, "image": "i"}],
            ".spec.containers[name=a=1].name: expected string, got &value.valueUnstructured{"
            'Value:map[string]interface {}{"a":1}}',
        ),
        (
            [{"name": "c", "ports": [{"containerPort": {}}]}],
            '.spec.containers[name="c"].ports[containerPort=,protocol="TCP"].containerPort: expected numeric (int or '
            "float), got map[string]interface {}",
        ),
    ],
)
def test_keys_of_items_that_are_no_scalars(call: Caller, containers: list[Json], message: str) -> None:
    body = {"apiVersion": "v1", "kind": "Pod", **pod(containers=containers)}
    reply = call("PATCH", f"{PODS_PATH}/p?fieldManager=a", body, Content_Type=APPLY_PATCH)
    assert (reply.code, reply.message) == (500, _KEYLESS + message)


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ({"replicas": {}}, "object into Go struct field ScaleSpec.spec.replicas of type int32"),
        ({"replicas": "1"}, "string into Go struct field ScaleSpec.spec.replicas of type int32"),
        ({"replicas": 1.5}, "number 1.5 into Go struct field ScaleSpec.spec.replicas of type int32"),
        ({"replicas": 1 << 40}, "number 1099511627776 into Go struct field ScaleSpec.spec.replicas of type int32"),
        ([], "array into Go struct field Scale.spec of type v1.ScaleSpec"),
    ],
)
def test_a_scale_of_the_wrong_types(call: Caller, spec: Any, message: str) -> None:
    call("POST", SETS, stateful_set(replicas=0))
    reply = call("PUT", f"{SETS}/web/scale", {"metadata": {"name": "web"}, "spec": spec})
    assert (reply.code, reply.message) == (400, _SCALE + message)


@pytest.mark.parametrize(
    ("part", "body", "code", "message"),
    [
        (
            "eviction",
            {"metadata": {"name": "p"}, "deleteOptions": 1},
            400,
            f"{_EVICTION}number into Go struct field Eviction.deleteOptions of type v1.DeleteOptions",
        ),
        (
            "eviction",
            {"metadata": {"name": "p"}, "deleteOptions": {"gracePeriodSeconds": "x"}},
            400,
            f"{_EVICTION}string into Go struct field DeleteOptions.deleteOptions.gracePeriodSeconds of type int64",
        ),
        (
            "eviction",
            {"metadata": {"name": "p"}, "deleteOptions": {"propagationPolicy": "x"}},
            422,
            'DeleteOptions.meta.k8s.io "" is invalid: propagationPolicy: Unsupported value: "x": supported values: '
            '"Foreground", "Background", "Orphan", "nil"',
        ),
        (
            "binding",
            {"metadata": {"name": "p"}, "target": 1},
            400,
            f"{_BINDING}number into Go struct field Binding.target of type v1.ObjectReference",
        ),
        ("binding", {"target": {"name": "n"}}, 400, "name in URL does not match name in Binding object"),
    ],
)
def test_subresources_of_the_wrong_types(call: Caller, part: str, body: Json, code: int, message: str) -> None:
    call("POST", PODS_PATH, pod(schedulerName="nobody"))
    reply = call("POST", f"{PODS_PATH}/p/{part}", body)
    assert (reply.code, reply.message) == (code, message)


def test_operations_on_what_is_no_object_any_more(call: Caller) -> None:
    call("POST", MAPS, config_map("q"))
    for value in (None, 5, "x"):
        patch = [{"op": "replace", "path": "", "value": value}, {"op": "add", "path": "/a", "value": 1}]
        assert call("PATCH", f"{MAPS}/q", patch, Content_Type=JSON_PATCH).code == 422


@pytest.mark.parametrize("fields", [[], {"f:data": 1}, {"x": {}}, {"k:[]": {}}, {"v:": {}}, "x"])
def test_managed_fields_that_are_none_leave_those_of_the_object(call: Caller, fields: Any) -> None:
    made = call("POST", f"{MAPS}?fieldManager=me", config_map("q")).json
    entry = {**made["metadata"]["managedFields"][0], "manager": "other", "fieldsV1": fields}
    body = {**made, "metadata": {**made["metadata"], "labels": {"a": "b"}, "managedFields": [entry]}}
    found = call("PUT", f"{MAPS}/q?fieldManager=me", body)
    assert found.code == 200
    assert [one["manager"] for one in found.json["metadata"]["managedFields"]] == ["me"]


@pytest.mark.parametrize(
    ("data", "form"),
    [
        (b'{"data":' * 1000 + b"1" + b"}" * 1000, JSON),
        (b"[" * 100_000, JSON),
        (b"[" * 100_000, "application/yaml"),
        (b"- " * 100_000, "application/yaml"),
        (b"{a: " * 100_000, "application/yaml"),
        (b"? " * 100_000, "application/yaml"),
        (b"a: &a [*a]", "application/yaml"),
    ],
)
def test_bodies_without_a_bottom(call: Caller, data: bytes, form: str) -> None:
    assert call("POST", MAPS, data, Content_Type=form).code == 400
    assert call("GET", "/readyz").code == 200


def test_volumes_reserved_for_nobody_in_particular(call: Caller, world: World) -> None:
    for number, reference in enumerate(({}, {"name": "x"}, {"namespace": "default"}, {"uid": "u"})):
        spec = {"accessModes": ["ReadWriteOnce"], "capacity": {"storage": "1Gi"}, "hostPath": {"path": "/x"}}
        body = {"metadata": {"name": f"v{number}"}, "spec": {**spec, "claimRef": reference}}
        assert call("POST", "/api/v1/persistentvolumes", body).code == 201
    world.settle()
    phases = [body["status"]["phase"] for body in world.store.list(VOLUMES)]
    assert phases == ["Available", "Available", "Available", "Released"]
    assert not world.store.list(CLAIMS)


@pytest.mark.parametrize("policy", ["OrderedReady", "Parallel"])
def test_a_set_of_more_pods_than_there_can_be(
    call: Caller, world: World, policy: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert MOST_PODS >= 1000
    monkeypatch.setattr("berth.rehearsal.controllers.statefulset_update.MOST_PODS", 50)
    body = stateful_set(replicas=2**31 - 1)
    assert call("POST", SETS, {**body, "spec": {**body["spec"], "podManagementPolicy": policy}}).code == 201
    world.settle(120)
    assert len(world.store.list(PODS, "default")) == 50
    found = world.store.get(STATEFUL_SETS, "default", "web")
    assert found is not None and found["status"]["replicas"] == 50


def test_a_certificate_needs_openssl(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "which", lambda name: None)
    with pytest.raises(LocalError, match="the program `openssl` is missing") as caught:
        certificate.ensure(tmp_path)
    assert "install the package openssl" in str(caught.value)


@pytest.mark.parametrize(("age", "kept"), [(0, True), (-7200, False), (certificate.DAYS * 86400, False)])
def test_a_certificate_that_is_out_of_force_is_made_anew(tmp_path: Path, age: int, kept: bool) -> None:
    made = certificate.ensure(tmp_path).certificate
    before, moment = made.read_bytes(), time.time() - age
    os.utime(made, (moment, moment))
    assert (certificate.ensure(tmp_path).certificate.read_bytes() == before) == kept
