"""Subresources that do something, failures that a scenario has in store, and TLS."""

from __future__ import annotations

import base64
import http.client
import json
import os
import socket
import ssl
import stat
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from berth.core.errors import LocalError
from berth.rehearsal.clock import INSTANT
from berth.rehearsal.scenariofile import load
from berth.rehearsal.server import certificate, serve
from berth.rehearsal.server.http import Server
from berth.rehearsal.world import World
from tests.rehearsal.server.calls import BEGINNING, MAPS, SETS, SPACE, TOKEN, Caller, config_map, stateful_set

pytestmark = pytest.mark.rehearsal

SCENARIO = """
name: test
pods:
  - exec:
      - {command: "echo *", stdout: "hello\\n"}
      - {command: "false", stderr: "no\\n", exit: 3}
      - {command: "long", stdout: "%s"}
    logs: ["one", "two", "three"]
""" % ("x" * 100_000)


@pytest.fixture
def lively() -> Iterator[Caller]:
    """A cluster with a pod, of which the scenario knows some words."""
    world = World(seed=1, start=BEGINNING, pace=INSTANT, strict=True, scenario=load(SCENARIO, "test.yaml"))
    server = serve(world, token=TOKEN)
    call = Caller(server.port)
    call("POST", SETS, stateful_set())
    world.settle()
    yield call
    call.close()
    server.close()
    world.close()


def test_logs(lively: Caller) -> None:
    log = f"{SPACE}/pods/web-0/log"
    reply = lively("GET", log)
    assert (reply.headers["content-type"], reply.body) == ("text/plain", b"one\ntwo\nthree\n")
    assert lively("GET", f"{log}?tailLines=1").body == b"three\n"
    assert lively("GET", f"{log}?limitBytes=5").body == b"one\nt"
    assert lively("GET", f"{log}?timestamps=true").body.startswith(b"2026-11-21T14:00:")
    assert lively("GET", f"{SPACE}/pods/web-9/log").message == 'pods "web-9" not found'
    assert lively("GET", f"{log}?container=zz").message == "container zz is not valid for pod web-0"


@pytest.mark.parametrize(
    ("query", "message"),
    [
        ("tailLines=x", 'strconv.ParseInt: parsing "x": invalid syntax'),
        (
            "tailLines=-1",
            'PodLogOptions "web-0" is invalid: tailLines: Invalid value: -1: must be greater than or equal to 0',
        ),
        ("sinceSeconds=0", 'PodLogOptions "web-0" is invalid: sinceSeconds: Invalid value: 0: must be greater than 0'),
        (
            "sinceSeconds=1&sinceTime=2026-01-01T00:00:00Z",
            'PodLogOptions "web-0" is invalid: []: Forbidden: at most one of `sinceTime` or `sinceSeconds` may be '
            "specified",
        ),
    ],
)
def test_logs_that_cannot_be(lively: Caller, query: str, message: str) -> None:
    assert lively("GET", f"{SPACE}/pods/web-0/log?{query}").message == message


class Shell:
    """A client of exec over a WebSocket."""

    def __init__(self, port: int, path: str, protocol: str = "v5.channel.k8s.io") -> None:
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=10)
        key = base64.b64encode(os.urandom(16)).decode()
        head = [
            f"GET {path} HTTP/1.1",
            "Host: localhost",
            f"Authorization: Bearer {TOKEN}",
            "Connection: Upgrade",
            "Upgrade: websocket",
            "Sec-WebSocket-Version: 13",
            f"Sec-WebSocket-Key: {key}",
            f"Sec-WebSocket-Protocol: {protocol}",
        ]
        self.socket.sendall(("\r\n".join(head) + "\r\n\r\n").encode())
        self.file = self.socket.makefile("rb")
        self.status = int(self.file.readline().split()[1])
        self.headers = {}
        while line := self.file.readline().strip():
            name, _, value = line.decode().partition(": ")
            self.headers[name] = value

    def streams(self) -> dict[int, bytes]:
        """What came over each channel, until the server closes."""
        found: dict[int, bytes] = {}
        while True:
            head = self.file.read(2)
            assert head[0] & 0x80
            length = head[1]
            if length == 126:
                (length,) = struct.unpack("!H", self.file.read(2))
            data = self.file.read(length)
            if head[0] & 0x0F == 8:
                return found
            found[data[0]] = found.get(data[0], b"") + data[1:]

    def close(self) -> None:
        mask = b"\x01\x02\x03\x04"
        self.socket.sendall(b"\x89\x80" + mask + b"\x88\x80" + mask)
        rest = self.file.read()
        assert rest == b"\x8a\x00"
        self.drop()

    def drop(self) -> None:
        self.file.close()
        self.socket.close()


def run(call: Caller, command: str, more: str = "") -> tuple[bytes, bytes, Any]:
    shell = Shell(call.port, f"{SPACE}/pods/web-0/exec?stdout=1&stderr=1{more}" + command)
    assert (shell.status, shell.headers["Sec-WebSocket-Protocol"]) == (101, "v5.channel.k8s.io")
    found = shell.streams()
    shell.close()
    return found.get(1, b""), found.get(2, b""), json.loads(found[3])


def test_exec(lively: Caller) -> None:
    assert run(lively, "&command=echo&command=x") == (b"hello\n", b"", {"metadata": {}, "status": "Success"})
    out, err, status = run(lively, "&command=false")
    assert (out, err, status["reason"]) == (b"", b"no\n", "NonZeroExitCode")
    assert status["details"] == {"causes": [{"reason": "ExitCode", "message": "3"}]}
    assert run(lively, "&command=false", "&tty=true")[:2] == (b"no\n", b"")
    assert len(run(lively, "&command=long")[0]) == 100_000
    _, _, status = run(lively, "&command=psql")
    assert (status["code"], status["reason"]) == (500, "InternalError")
    assert "nothing runs in a rehearsal" in status["message"]


def test_exec_that_cannot_be(lively: Caller) -> None:
    path = f"{SPACE}/pods/web-0/exec?command=echo&command=x"
    assert lively("GET", path).message == "Upgrade request required"
    assert lively("POST", path).message == "Upgrade request required"
    for bad, code in ((f"{path}&container=zz", 400), (f"{SPACE}/pods/web-9/exec?command=echo", 404)):
        shell = Shell(lively.port, bad)
        assert shell.status == code
        shell.drop()
    shell = Shell(lively.port, path, "v1.channel.k8s.io")
    assert shell.status == 400
    shell.drop()
    reply = lively("POST", path, Connection="Upgrade", Upgrade="SPDY/3.1")
    assert (reply.code, reply.message) == (400, "exec is spoken over WebSocket here, not over spdy/3.1")
    reply = lively("POST", f"{SPACE}/pods/web-0/portforward", Connection="Upgrade", Upgrade="SPDY/3.1")
    assert (reply.code, "nothing runs in a rehearsal" in reply.message) == (500, True)


def test_evictions(lively: Caller) -> None:
    path = f"{SPACE}/pods/web-0/eviction"
    body = {"apiVersion": "policy/v1", "kind": "Eviction", "metadata": {"name": "web-0"}}
    assert lively("POST", path, {**body, "metadata": {"name": "web-1"}}).code == 400
    assert lively("POST", path, {**body, "kind": "Thing"}).code == 400
    reply = lively("POST", path, {**body, "deleteOptions": {"dryRun": ["All"]}})
    assert (reply.code, reply.json) == (
        201,
        {"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success", "code": 201},
    )
    assert "deletionTimestamp" not in lively("GET", f"{SPACE}/pods/web-0").json["metadata"]
    assert lively("POST", path, body).code == 201
    assert "deletionTimestamp" in lively("GET", f"{SPACE}/pods/web-0").json["metadata"]


def test_bindings(world: World, call: Caller) -> None:
    pod = {"metadata": {"name": "p"}, "spec": {"schedulerName": "mine", "containers": [{"name": "c", "image": "x"}]}}
    assert call("POST", f"{SPACE}/pods", pod).code == 201
    body = {"metadata": {"name": "p"}, "target": {"kind": "Node", "name": "berth-node-2"}}
    assert call("POST", f"{SPACE}/pods/p/binding", {**body, "target": {}}).code == 500
    assert call("POST", f"{SPACE}/pods/p/binding", body).code == 201
    found = call("GET", f"{SPACE}/pods/p").json
    assert found["spec"]["nodeName"] == "berth-node-2"
    reply = call("POST", f"{SPACE}/pods/p/binding", body)
    assert (reply.code, reply.message) == (
        409,
        'Operation cannot be fulfilled on pods/binding "p": pod p is already assigned to node "berth-node-2"',
    )


def failing(rule: str) -> tuple[World, Server, Caller]:
    scenario = load(f"name: test\napi:\n  - {rule}\n", "test.yaml")
    world = World(seed=1, start=BEGINNING, pace=INSTANT, strict=True, scenario=scenario)
    server = serve(world, token=TOKEN)
    return world, server, Caller(server.port)


def test_failures_of_the_scenario() -> None:
    world, server, call = failing("{match: {verb: create, kind: ConfigMap}, answer: 503, retry_after: 2s, times: 1}")
    reply = call("POST", MAPS, config_map("c"))
    assert (reply.code, reply.json["reason"], reply.headers["retry-after"]) == (503, "ServiceUnavailable", "2")
    assert call("POST", MAPS, config_map("c")).code == 201
    call.close()
    server.close()
    world.close()


@pytest.mark.parametrize(("answer", "made"), [("reset", False), ("reset-after", True), ("truncate", True)])
def test_connections_that_break(answer: str, made: bool) -> None:
    world, server, call = failing(f"{{match: {{verb: create, kind: ConfigMap}}, answer: {answer}, times: 1}}")
    with pytest.raises((OSError, http.client.HTTPException)):
        call("POST", MAPS, config_map("c"))
    call.close()
    call = Caller(server.port)
    assert call("GET", f"{MAPS}/c").code == (200 if made else 404)
    call.close()
    server.close()
    world.close()


def test_a_certificate_is_made_once_and_trusted_alone(world: World, tmp_path: Path) -> None:
    made = certificate.ensure(tmp_path)
    assert stat.S_IMODE(made.key.stat().st_mode) == 0o600
    text = made.certificate.read_bytes()
    assert certificate.ensure(tmp_path).certificate.read_bytes() == text
    assert sorted(path.name for path in tmp_path.iterdir()) == ["server.crt", "server.key"]
    server = serve(world, token=TOKEN, certificate=made)
    assert server.url == f"https://127.0.0.1:{server.port}"
    context = ssl.create_default_context(cafile=str(made.certificate))
    context.verify_flags |= ssl.VERIFY_X509_STRICT
    connection = http.client.HTTPSConnection("127.0.0.1", server.port, context=context, timeout=10)
    for path in ("/version", f"{MAPS}?watch=1&timeoutSeconds=1"):
        connection.request("GET", path, headers={"Authorization": f"Bearer {TOKEN}"})
        answer = connection.getresponse()
        assert answer.status == 200
        answer.read()
    connection.close()
    # Who speaks no TLS, or stops in the middle, harms nobody.
    for data in (b"GET / HTTP/1.1\r\n\r\n", b"\x16\x03\x01", b""):
        with socket.create_connection(("127.0.0.1", server.port), timeout=10) as raw:
            raw.sendall(data)
    connection.request("GET", "/version", headers={"Authorization": f"Bearer {TOKEN}"})
    assert connection.getresponse().status == 200
    connection.close()
    server.close()


def test_only_this_machine_is_listened_to(world: World, server: Server) -> None:
    with pytest.raises(LocalError, match="listens on this machine alone"):
        serve(world, host="0.0.0.0", token=TOKEN)
    with pytest.raises(LocalError, match=f"port {server.port} is taken"):
        serve(world, port=server.port, token=TOKEN)


def test_a_certificate_that_cannot_be_read(world: World, tmp_path: Path) -> None:
    made = certificate.ensure(tmp_path)
    made.certificate.write_text("nonsense")
    with pytest.raises(LocalError, match="certificate cannot be read"):
        serve(world, token=TOKEN, certificate=made)
