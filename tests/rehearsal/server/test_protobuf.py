"""Bodies as Go's typed clients send them. The messages were recorded from kubectl 1.36."""

from __future__ import annotations

import random
import struct
from typing import Any

import pytest

from berth.rehearsal.server import protobuf
from tests.rehearsal.server.calls import MAPS, Caller

pytestmark = pytest.mark.rehearsal

#: kubectl create namespace xx
NAMESPACE = bytes.fromhex(
    "6b3873000a0f0a02763112094e616d657370616365121a0a120a02787812001a0022002a003200380042001200" + "1a020a001a002200"
)


def field(number: int, value: int | bytes) -> bytes:
    if isinstance(value, int):
        return varint(number << 3) + varint(value & (1 << 64) - 1)
    return varint(number << 3 | 2) + varint(len(value)) + value


def varint(value: int) -> bytes:
    found = bytearray()
    while value > 0x7F:
        found.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*found, value])


def message(version: str, kind: str, *fields: bytes) -> bytes:
    about = field(1, version.encode()) + field(2, kind.encode())
    return protobuf.MAGIC + field(1, about) + field(2, b"".join(fields))


def meta(name: str, *more: bytes) -> bytes:
    return field(1, field(1, name.encode()) + b"".join(more))


def test_what_kubectl_sends() -> None:
    assert protobuf.read(NAMESPACE, "v1 Namespace") == {
        "apiVersion": "v1",
        "kind": "Namespace",
        "metadata": {"name": "xx"},
    }


def test_an_object_comes_from_such_a_body(call: Caller) -> None:
    reply = call(
        "POST", "/api/v1/namespaces", NAMESPACE, Content_Type="application/vnd.kubernetes.protobuf", Accept="*/*"
    )
    assert (reply.code, reply.json["metadata"]["name"]) == (201, "xx")


@pytest.mark.parametrize(
    ("data", "wanted"),
    [
        # A map's empty values stay, an empty struct does not.
        (
            message("v1", "ConfigMap", meta("c"), field(2, field(1, b"a") + field(2, b"b")), field(2, field(1, b"e"))),
            {"data": {"a": "b", "e": ""}},
        ),
        (message("v1", "Secret", meta("c"), field(2, field(1, b"p") + field(2, b"\x00\xff"))), {"data": {"p": "AP8="}}),
        # Zero is kept where a pointer holds it: replicas 0, and not minReadySeconds 0.
        (message("apps/v1", "StatefulSet", meta("c"), field(2, field(1, 0) + field(9, 0))), {"spec": {"replicas": 0}}),
        (message("apps/v1", "StatefulSet", meta("c"), field(2, field(1, -1))), {"spec": {"replicas": -1}}),
        # Quantities, and numbers or text.
        (
            message("v1", "ResourceQuota", meta("c"), field(2, field(1, field(1, b"pods") + field(2, field(1, b"9"))))),
            {"spec": {"hard": {"pods": "9"}}},
        ),
        (
            message("policy/v1", "PodDisruptionBudget", meta("c"), field(2, field(1, field(1, 0) + field(2, 1)))),
            {"spec": {"minAvailable": 1}},
        ),
        (
            message("policy/v1", "PodDisruptionBudget", meta("c"), field(2, field(1, field(1, 1) + field(3, b"10%")))),
            {"spec": {"minAvailable": "10%"}},
        ),
        # Times.
        (
            message("v1", "Namespace", field(1, field(1, b"c") + field(8, field(1, 1795269600)))),
            {"metadata": {"name": "c", "creationTimestamp": "2026-11-21T14:00:00Z"}},
        ),
        (
            message("coordination.k8s.io/v1", "Lease", meta("c"), field(2, field(3, field(1, 1) + field(2, 5000)))),
            {"spec": {"acquireTime": "1970-01-01T00:00:01.000005Z"}},
        ),
        # A struct whose fields are its owner's: a volume's source.
        (
            message(
                "v1", "Pod", meta("c"), field(2, field(1, field(1, b"v") + field(2, field(2, field(1, b"Memory")))))
            ),
            {"spec": {"volumes": [{"name": "v", "emptyDir": {"medium": "Memory"}}]}},
        ),
        (
            message("v1", "Eviction", field(1, field(1, b"web-0"))).replace(b"\x02v1", b"\x09policy/v1", 1),
            None,
        ),
    ],
)
def test_what_reads_differently_in_json(data: bytes, wanted: dict[str, Any] | None) -> None:
    if wanted is None:
        with pytest.raises(protobuf.Malformed):
            protobuf.read(data, "v1 ConfigMap")
        return
    found = protobuf.read(data, "v1 ConfigMap")
    for key, value in wanted.items():
        assert found[key] == value


def test_fields_of_later_versions_are_passed_over() -> None:
    data = message("v1", "ConfigMap", meta("c"), field(999, b"x"), varint(998 << 3 | 1) + struct.pack("<d", 1.5))
    assert protobuf.read(data, "v1 ConfigMap")["metadata"] == {"name": "c"}


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"k8s\0\xff",
        b"k8s\0" + b"\xff" * 20,
        message("v1", "Thing"),
        message("v1", "ConfigMap", field(1, 5)),
        message("v1", "ConfigMap", b"\x0a\x7fshort"),
        message("v1", "ConfigMap", meta("\udcff".encode("utf-8", "surrogatepass").decode("latin-1"))[:-1]),
        message("v1", "ConfigMap", field(1, field(1, b"\xff\xfe"))),
    ],
)
def test_what_is_no_message_is_refused(call: Caller, data: bytes) -> None:
    reply = call("POST", MAPS, data, Content_Type="application/vnd.kubernetes.protobuf")
    assert reply.code == 400
    assert reply.message.startswith("the object provided is unrecognized (must be of type ConfigMap): ")


def test_noise_never_ends_in_anything_else() -> None:
    source = random.Random(4)
    good = message("v1", "Pod", meta("c"), field(2, field(2, field(1, b"main") + field(2, b"nginx"))))
    for _ in range(3000):
        data = bytearray(good)
        for _ in range(source.randint(1, 4)):
            data[source.randrange(4, len(data))] = source.randrange(256)
        try:
            protobuf.read(bytes(data), "v1 Pod")
        except protobuf.Malformed:
            pass
