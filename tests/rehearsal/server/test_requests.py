"""Requests that are no good: what a real API server (1.36) answers, word for word."""

from __future__ import annotations

import http.client
import json
import logging
import socket
from typing import Any

import pytest

from berth.rehearsal.server.connection import LONGEST_BODY
from berth.rehearsal.server.http import Server
from berth.rehearsal.world import World
from tests.rehearsal.server.calls import JSON, MAPS, MERGE, SETS, SPACE, TABLE, TOKEN, Caller, config_map, stateful_set

pytestmark = pytest.mark.rehearsal

ACCEPTED = "application/json, application/yaml, application/vnd.kubernetes.protobuf"
UNREADABLE = "the object provided is unrecognized (must be of type ConfigMap): "


def test_without_the_token_nobody_is_answered(server: Server) -> None:
    for token in ("", "another", TOKEN[:-1]):
        call = Caller(server.port, token)
        reply = call("GET", "/version")
        call.close()
        assert (reply.code, reply.json) == (
            401,
            {
                "kind": "Status",
                "apiVersion": "v1",
                "metadata": {},
                "status": "Failure",
                "message": "Unauthorized",
                "reason": "Unauthorized",
                "code": 401,
            },
        )


@pytest.mark.parametrize(
    ("body", "why"),
    [
        (b"", "couldn't get version/kind; json parse error: unexpected end of JSON input (<empty>)"),
        (b'{"a":', 'couldn\'t get version/kind; json parse error: unexpected end of JSON input ({"a":)'),
        (
            b"{'a':1}",
            "couldn't get version/kind; json parse error: invalid character '\\'' looking for beginning of object key "
            "string ({'a':1})",
        ),
        (b"{} x", "couldn't get version/kind; json parse error: invalid character 'x' after top-level value ({} x)"),
        (b"[" * 100_000, None),
        (b'{"a":NaN}', None),
        (b'{"a":1e999}', None),
        (b'{"a":' + b"9" * 5000 + b"}", None),
        (b"\xff\xfe", None),
        (
            b"[1]",
            "couldn't get version/kind; json parse error: json: cannot unmarshal array into Go value of type struct "
            '{ APIVersion string "json:\\"apiVersion,omitempty\\""; Kind string "json:\\"kind,omitempty\\"" } (5b315d)',
        ),
    ],
)
def test_bodies_that_are_no_object(call: Caller, body: bytes, why: str | None) -> None:
    reply = call("POST", MAPS, body, Content_Type=JSON)
    assert (reply.code, reply.json["reason"]) == (400, "BadRequest")
    assert reply.message.startswith(UNREADABLE)
    if why is not None:
        assert reply.message == UNREADABLE + why


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ({"kind": "Secret", "apiVersion": "v1"}, "converting (v1.Secret) to (core.ConfigMap): unknown conversion"),
        (
            {"kind": "ConfigMap", "apiVersion": "v2"},
            'no kind "ConfigMap" is registered for version "v2" in scheme "pkg/runtime/scheme.go:111"',
        ),
        (
            {"kind": "Bar", "apiVersion": "foo/v2"},
            'no kind "Bar" is registered for version "foo/v2" in scheme "pkg/runtime/scheme.go:111"',
        ),
    ],
)
def test_objects_of_another_kind(call: Caller, body: Any, message: str) -> None:
    reply = call("POST", MAPS, {**body, "metadata": {"name": "c"}})
    version = body["apiVersion"].rpartition("/")[2]
    assert reply.code == 400
    assert reply.message == f'{body["kind"]} in version "{version}" cannot be handled as a ConfigMap: {message}'


@pytest.mark.parametrize("form", ["text/plain", "application/", "application/cbor"])
def test_bodies_in_formats_that_are_not_read(call: Caller, form: str) -> None:
    reply = call("POST", MAPS, b"hello", Content_Type=form)
    assert (reply.code, reply.json["reason"]) == (415, "UnsupportedMediaType")
    assert reply.message == (
        f"the body of the request was in an unknown format - accepted media types include: {ACCEPTED}"
    )


@pytest.mark.parametrize("form", ["application/json", "text/plain", "", "application/apply-patch+cbor"])
def test_patches_of_unknown_types(call: Caller, form: str) -> None:
    reply = call("PATCH", f"{MAPS}/c", b"{}", **({"Content_Type": form} if form else {}))
    assert (reply.code, reply.message) == (415, "415: Unsupported Media Type")


@pytest.mark.parametrize(
    ("form", "body", "message"),
    [
        (MERGE, b'{"a":', "error decoding patch: unexpected end of JSON input"),
        (MERGE, b"", "error decoding patch: unexpected end of JSON input"),
        (
            MERGE,
            b"[]",
            "error decoding patch: json: cannot unmarshal array into Go value of type map[string]interface {}",
        ),
        ("application/strategic-merge-patch+json", b'{"a":', "unexpected end of JSON input"),
        ("application/json-patch+json", b"[", "error decoding patch: unexpected end of JSON input"),
    ],
)
def test_patches_that_cannot_be_read(call: Caller, form: str, body: bytes, message: str) -> None:
    call("POST", MAPS, config_map("c"))
    reply = call("PATCH", f"{MAPS}/c", body, Content_Type=form)
    assert (reply.code, reply.message) == (400, message)


def test_an_apply_of_bad_yaml(call: Caller) -> None:
    reply = call("PATCH", f"{MAPS}/c?fieldManager=m", b"a: [", Content_Type="application/apply-patch+yaml")
    assert reply.code == 400
    assert reply.message.startswith("error decoding YAML: error converting YAML to JSON: yaml: ")


def test_an_alias_bomb_is_no_apply(call: Caller) -> None:
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]" for n in range(1, 9)]
    bomb = "\n".join(lines).encode()
    for method, path, form in (
        ("PATCH", f"{MAPS}/c?fieldManager=m", "application/apply-patch+yaml"),
        ("POST", MAPS, "application/yaml"),
    ):
        reply = call(method, path, bomb, Content_Type=form)
        assert reply.code == 400
        assert "excessive aliasing" in reply.message
    assert call("POST", MAPS, b"a: &a [*a]", Content_Type="application/yaml").code == 400


@pytest.mark.parametrize(
    ("query", "what", "message"),
    [
        ("dryRun=x", "CreateOptions", 'dryRun: Unsupported value: ["x"]: supported values: "All"'),
        (
            "fieldValidation=Foo",
            "CreateOptions",
            'fieldValidation: Unsupported value: "Foo": supported values: "", "Ignore", "Strict", "Warn"',
        ),
        (
            f"fieldManager={'x' * 129}",
            "CreateOptions",
            "fieldManager: Too long: may not be more than 128 bytes",
        ),
        (
            "fieldManager=a%00b",
            "CreateOptions",
            'fieldManager: Invalid value: "a\\x00b": invalid character U+0000 (at position 1)',
        ),
    ],
)
def test_options_that_do_not_exist(call: Caller, query: str, what: str, message: str) -> None:
    reply = call("POST", f"{MAPS}?{query}", config_map("c"))
    assert (reply.code, reply.json["reason"]) == (422, "Invalid")
    assert reply.message == f'{what}.meta.k8s.io "" is invalid: {message}'
    assert call("GET", f"{MAPS}/c").code == 404


def test_an_apply_names_its_manager(call: Caller) -> None:
    reply = call("PATCH", f"{MAPS}/c", b"{}", Content_Type="application/apply-patch+yaml")
    assert reply.message == (
        'PatchOptions.meta.k8s.io "" is invalid: fieldManager: Required value: is required for apply patch'
    )
    reply = call("PATCH", f"{MAPS}/c?force=true", b"{}", Content_Type=MERGE)
    assert reply.message == (
        'PatchOptions.meta.k8s.io "" is invalid: force: Forbidden: may not be specified for non-apply patch'
    )


@pytest.mark.parametrize(
    ("wish", "message"),
    [
        (
            {"propagationPolicy": "Foo"},
            'DeleteOptions.meta.k8s.io "" is invalid: propagationPolicy: Unsupported value: "Foo": supported values: '
            '"Foreground", "Background", "Orphan", "nil"',
        ),
        (
            {"propagationPolicy": "Orphan", "orphanDependents": True},
            'DeleteOptions.meta.k8s.io "" is invalid: propagationPolicy: Invalid value: "Orphan": '
            "orphanDependents and deletionPropagation cannot be both set",
        ),
        (
            {"gracePeriodSeconds": "x"},
            "json: cannot unmarshal string into Go struct field DeleteOptions.gracePeriodSeconds of type int64",
        ),
        (
            {"apiVersion": "v1", "kind": "Foo"},
            'no kind "Foo" is registered for version "v1" in scheme "pkg/runtime/scheme.go:111"',
        ),
    ],
)
def test_deletions_that_contradict_themselves(call: Caller, wish: Any, message: str) -> None:
    call("POST", MAPS, config_map("c"))
    reply = call("DELETE", f"{MAPS}/c", wish)
    assert reply.code in (400, 422)
    assert reply.message == message
    assert call("GET", f"{MAPS}/c").code == 200


def test_options_in_the_body_of_a_deletion_hide_those_in_its_query(call: Caller) -> None:
    call("POST", MAPS, config_map("c"))
    assert call("DELETE", f"{MAPS}/c?dryRun=All").code == 200
    assert call("DELETE", f"{MAPS}/c?dryRun=All", {}).code == 200
    assert call("GET", f"{MAPS}/c").code == 404


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("POST", f"{MAPS}/c"),
        ("POST", "/api/v1/configmaps"),
        ("PUT", MAPS),
        ("HEAD", f"{MAPS}/c"),
        ("OPTIONS", f"{MAPS}/c"),
        ("FOO", f"{MAPS}/c"),
        ("POST", "/version"),
        ("DELETE", "/api/v1"),
        ("DELETE", "/api/v1/namespaces"),
        ("POST", f"{SETS}/web/scale"),
        ("GET", f"{SPACE}/pods/web-0/eviction"),
    ],
)
def test_methods_that_a_path_does_not_take(call: Caller, method: str, path: str) -> None:
    reply = call(method, path)
    assert reply.code == 405
    if method != "HEAD":
        assert reply.message == "the server does not allow this method on the requested resource"


def test_paths_that_lead_nowhere(call: Caller) -> None:
    for path in ("/foo", "/apis/foo.io", "/apis/foo.io/v1/things", "/openapi/v3/apis/foo.io/v1"):
        reply = call("GET", path)
        assert (reply.code, reply.body) == (404, b"404 page not found\n")
    for path in (f"{SPACE}/widgets", f"{MAPS}/c/foo", "/apis/apps/v9", "/api/v1/configmaps/c"):
        reply = call("GET", path)
        assert (reply.code, reply.message) == (404, "the server could not find the requested resource")
        assert reply.json["details"] == {}


def test_names_in_the_path_and_in_the_object(call: Caller) -> None:
    call("POST", MAPS, config_map("c"))
    reply = call("PUT", f"{MAPS}/c", config_map("d"))
    assert (reply.code, reply.message) == (
        400,
        "the name of the object (d) does not match the name on the URL (c)",
    )
    reply = call("PUT", f"{MAPS}/c", {"metadata": {}})
    assert reply.message == "the name of the object (c based on URL) was undeterminable: name must be provided"
    reply = call("PUT", f"{MAPS}/c", config_map("c", resourceVersion="x"))
    assert (reply.code, reply.message) == (500, 'strconv.ParseUint: parsing "x": invalid syntax')


def test_the_same_key_twice(call: Caller) -> None:
    body = b'{"kind":"ConfigMap","apiVersion":"v1","metadata":{"name":"c","name":"d"}}'
    reply = call("POST", f"{MAPS}?dryRun=All", body, Content_Type=JSON)
    assert (reply.code, reply.json["metadata"]["name"]) == (201, "d")
    assert reply.warnings == ['299 - "duplicate field \\"metadata.name\\""']
    reply = call("POST", f"{MAPS}?fieldValidation=Strict", body, Content_Type=JSON)
    assert reply.code == 400
    assert reply.message.endswith('strict decoding error: duplicate field "metadata.name"')
    assert call("POST", f"{MAPS}?dryRun=All&fieldValidation=Ignore", body, Content_Type=JSON).warnings == []


@pytest.mark.parametrize(
    ("method", "form", "strict"),
    [
        (
            "POST",
            "application/yaml",
            'ConfigMap in version "v1" cannot be handled as a ConfigMap: strict decoding error: '
            "yaml: unmarshal errors:\n"
            '  line 7: key "a" already set in map',
        ),
        (
            "PATCH",
            "application/apply-patch+yaml",
            "error strict decoding YAML: error converting YAML to JSON: yaml: unmarshal errors:\n"
            '  line 7: key "a" already set in map',
        ),
    ],
)
def test_the_same_key_twice_in_yaml(call: Caller, method: str, form: str, strict: str) -> None:
    body = b'apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: c\ndata:\n  a: "1"\n  a: "2"\n'
    path = (MAPS if method == "POST" else f"{MAPS}/c") + "?dryRun=All&fieldManager=m"
    reply = call(method, path, body, Content_Type=form)
    assert (reply.code, reply.json["data"]) == (201, {"a": "2"})
    assert reply.warnings == ['299 - "line 7: key \\"a\\" already set in map"']
    assert call(method, f"{path}&fieldValidation=Strict", body, Content_Type=form).message == strict
    assert call(method, f"{path}&fieldValidation=Ignore", body, Content_Type=form).warnings == []


def test_the_same_key_twice_in_a_patch(call: Caller) -> None:
    call("POST", MAPS, config_map("c"))
    body = b'{"data":{"a":"1","a":"2"}}'
    reply = call("PATCH", f"{MAPS}/c", body, Content_Type=MERGE)
    assert (reply.json["data"]["a"], reply.warnings) == ("2", ['299 - "duplicate field \\"data.a\\""'])
    reply = call("PATCH", f"{MAPS}/c?fieldValidation=Strict", body, Content_Type=MERGE)
    assert reply.code == 422
    assert reply.message.endswith('strict decoding error: duplicate field "data.a"')


def test_a_body_that_is_too_long(call: Caller) -> None:
    body = json.dumps({**config_map("c"), "data": {"k": "x" * LONGEST_BODY}}).encode()
    reply = call("POST", MAPS, body, Content_Type=JSON)
    assert (reply.code, reply.json["reason"]) == (413, "RequestEntityTooLarge")
    assert reply.message == "Request entity too large: limit is 3145728"


def test_a_body_in_chunks(server: Server) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=10)
    pieces = iter([b'{"metadata":', b'{"name":"c"}}'])
    headers = {"Authorization": "Bearer a-token", "Content-Type": JSON}
    connection.request("POST", MAPS, pieces, headers, encode_chunked=True)
    answer = connection.getresponse()
    assert answer.status == 201
    answer.read()
    connection.request("POST", MAPS, iter([b"x" * (LONGEST_BODY + 1)]), headers, encode_chunked=True)
    assert connection.getresponse().status == 413
    connection.close()


@pytest.mark.parametrize(
    "data",
    [
        b"hello\r\n\r\n",
        b"GET /version\r\n\r\n",
        b"GET /version HTTP/9.9\r\n\r\n",
        b"GET " + b"/" * 70_000 + b" HTTP/1.1\r\n\r\n",
        b"POST /api/v1/namespaces HTTP/1.1\r\nContent-Length: -5\r\n\r\n",
        b"POST /api/v1/namespaces HTTP/1.1\r\nContent-Length: x\r\n\r\n",
        b"POST /api/v1/namespaces HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
        b"GET /version HTTP/1.1\r\n" + b"a: b\r\n" * 500 + b"\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n",
    ],
)
def test_what_is_no_request_is_refused_and_the_server_lives(server: Server, call: Caller, data: bytes) -> None:
    with socket.create_connection(("127.0.0.1", server.port), timeout=10) as connection:
        connection.sendall(data)
        connection.shutdown(socket.SHUT_WR)
        answer = b""
        while part := connection.recv(65536):
            answer += part
    assert b"Traceback" not in answer
    if answer:
        assert b'"kind":"Status"' in answer
    assert call("GET", "/version").code == 200


def test_clients_that_go_in_the_middle(server: Server, call: Caller) -> None:
    head = b"POST /api/v1/namespaces HTTP/1.1\r\nAuthorization: Bearer a-token\r\nContent-Length: 100\r\n\r\n{"
    for _ in range(5):
        with socket.create_connection(("127.0.0.1", server.port), timeout=10) as connection:
            connection.sendall(head)
    assert call("GET", "/version").code == 200


def test_a_fault_inside_is_a_status_and_a_line_in_the_log(
    call: Caller, world: World, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def broken(*_: object) -> None:
        raise KeyError("secret place")

    monkeypatch.setattr(world.registry, "get", broken)
    with caplog.at_level(logging.ERROR):
        reply = call("GET", f"{MAPS}/c")
    assert (reply.code, reply.json["reason"]) == (500, "InternalError")
    assert reply.message == "Internal error occurred: KeyError: 'secret place'"
    assert any("GET /api/v1/namespaces/default/configmaps/c failed" in line for line in caplog.messages)
    assert call("GET", "/version").code == 200


def test_forms_of_answers(call: Caller) -> None:
    call("POST", MAPS, config_map("c"))
    assert call("GET", f"{MAPS}/c", Accept="application/xml").code == 406
    assert call("GET", f"{MAPS}/c", Accept="application/vnd.kubernetes.protobuf").code == 406
    both = call("GET", f"{MAPS}/c", Accept="application/vnd.kubernetes.protobuf,application/json")
    assert both.json["kind"] == "ConfigMap"
    yaml = call("GET", f"{MAPS}/c", Accept="application/yaml")
    assert yaml.headers["content-type"] == "application/yaml"
    assert b"\nkind: ConfigMap\n" in yaml.body
    part = call("GET", f"{MAPS}/c", Accept="application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1").json
    assert (part["kind"], "data" in part) == ("PartialObjectMetadata", False)
    table = call("GET", f"{MAPS}/c", Accept=f"{TABLE},application/json").json
    assert [column["name"] for column in table["columnDefinitions"]] == ["Name", "Data", "Age"]
    assert table["rows"][0]["cells"] == ["c", 1, "0s"]
    assert call("GET", f"{MAPS}/c", Accept="application/json;as=Table;g=meta.k8s.io;v=v9").code == 406
    assert (
        call("GET", f"{MAPS}/c", Accept="application/json;as=Foo, application/json;q=0.5").json["kind"] == "ConfigMap"
    )
    assert b'\n  "kind": "ConfigMap"' in call("GET", f"{MAPS}/c", User_Agent="curl/8.0").body


def test_the_date_is_the_world_s(call: Caller) -> None:
    assert call("GET", "/version").headers["date"] == "Sat, 21 Nov 2026 14:00:00 GMT"


def test_scale_and_status_are_no_objects_of_their_own(call: Caller) -> None:
    assert call("POST", SETS, stateful_set(replicas=2)).code == 201
    scale = call("GET", f"{SETS}/web/scale").json
    assert (scale["kind"], scale["spec"], scale["status"]["selector"]) == ("Scale", {"replicas": 2}, "app=web")
    table = call("GET", f"{SETS}/web/scale", Accept=TABLE).json
    assert table["rows"][0]["cells"] == ["web", 2, 0, "0s"]
    assert call("PATCH", f"{SETS}/web/scale", b'{"spec":{"replicas":3}}', Content_Type=MERGE).json["kind"] == "Scale"
    assert call("GET", f"{SETS}/web").json["spec"]["replicas"] == 3
    reply = call("PUT", f"{SETS}/web/scale", {"metadata": {"name": "web"}, "spec": {"replicas": -1}})
    assert reply.message == (
        'Scale.autoscaling "web" is invalid: spec.replicas: Invalid value: -1: must be greater than or equal to 0'
    )
    reply = call("PUT", f"{SETS}/web/scale", stateful_set())
    assert reply.message.endswith("converting (v1.StatefulSet) to (autoscaling.Scale): unknown conversion")
