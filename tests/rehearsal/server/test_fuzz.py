"""Junk of all kinds: never a fault of ours in an answer, never a controller that fails, and always rest at the end.

More seeds by hand: ``REHEARSAL_FUZZ_SEEDS=100:200 pytest tests/rehearsal/server/test_fuzz.py``.
"""

from __future__ import annotations

import gc
import os
import socket
import weakref
from collections import Counter
from random import Random

import pytest

from berth.rehearsal.clock import INSTANT
from berth.rehearsal.faults import ApiFaults
from berth.rehearsal.kinds import EVENTS, NAMESPACES
from berth.rehearsal.refusal import ApiError
from berth.rehearsal.registry import Options
from berth.rehearsal.server import routes
from berth.rehearsal.server.connection import refusal
from berth.rehearsal.server.http import Server
from berth.rehearsal.server.messages import Request, Site
from berth.rehearsal.world import World
from tests.rehearsal.server import mutants
from tests.rehearsal.server.calls import BEGINNING, MAPS, TOKEN, Caller
from tests.unit.rehearsal.rules.objects import BASES

pytestmark = pytest.mark.rehearsal

#: Requests for each seed, and after how many of them the controllers do all that there is to do.
REQUESTS, PAUSE = 300, 10
#: Steps that the controllers may need for what ten requests have made, many times over.
MOST_STEPS = 20_000
#: How the messages begin with which a real API server answers 500, too.
_SERVERS_OWN = (
    "resourceVersion should not be set on objects to be created",
    "strconv.ParseUint: parsing ",
    "failed to create typed patch object",
    "failed to convert new object",
    "target.name: Required value",
)
FIRST, LAST = map(int, os.environ.get("REHEARSAL_FUZZ_SEEDS", "1:4").split(":"))


class _Gone:
    """A client that hangs up as soon as it has its answer's head."""

    def send(self, data: bytes) -> None:
        raise ConnectionError

    def gone(self) -> bool:
        return True


@pytest.mark.parametrize("seed", range(FIRST, LAST))
def test_junk_is_refused_and_the_cluster_comes_to_rest(seed: int) -> None:
    world = World(seed=seed, start=BEGINNING, pace=INSTANT, strict=True)
    world.settle()
    for kind, body in BASES.items():
        if kind is not EVENTS:
            with world.request():
                world.registry.create(kind, mutants.SPACE if kind.namespaced else "", body, Options())
    site = Site(world, ApiFaults(world), "")
    rng, codes = Random(seed), Counter[int]()
    for number in range(REQUESTS):
        request = mutants.request(rng, world.store)
        codes[_answered(site, request)] += 1
        if number % PAUSE == PAUSE - 1:
            _rest(world, seed)
    # Not all of it is refused: what is taken is what may poison.
    assert codes[200] + codes[201] > REQUESTS // 5, codes
    assert world.store.get(NAMESPACES, "", mutants.SPACE) is not None
    world.settle()
    world.close()


def _answered(site: Site, request: Request) -> int:
    """The code of the answer; a fault of ours is raised with the request that brings it about."""
    try:
        answer = routes.answer(site, request)
        if answer.stream is not None:
            try:
                answer.stream(_Gone())
            except ConnectionError:
                pass
        return answer.code
    except ApiError as error:
        assert refusal(request, error).code == error.code
        assert error.code != 500 or error.message.startswith(_SERVERS_OWN), (error.message, mutants.shown(request))
        return error.code
    except Exception as error:
        raise AssertionError(mutants.shown(request)) from error


def _rest(world: World, seed: int) -> None:
    """Let everything happen within an hour; an object over which the controllers never rest is a failure."""
    with world.request():
        limit = world.clock.now() + 3600
        for _ in range(MOST_STEPS):
            if not (world._step() or world.clock.jump(limit=limit)):
                return
    busy = Counter((controller.name, key) for controller, key in world._queue)
    raise AssertionError(f"seed {seed}: the controllers do not come to rest: {busy.most_common(3)}")


def test_a_world_that_is_closed_leaves_nothing() -> None:
    world = World(seed=1, start=BEGINNING, pace=INSTANT)
    world.settle()
    world.close()
    left = weakref.ref(world)
    del world
    gc.collect()
    assert left() is None


_PIECES = (
    *(b"GET ", b"POST ", b"PUT ", b"PATCH ", b"BREW ", b"/", b"/api/v1/", b"configmaps", b"%00", b"%ff", b"?a=%zz&b"),
    *(b" HTTP/1.1\r\n", b" HTTP/1.0\r\n", b" HTTP/9\r\n", b"\r\n", b"\r\n\r\n", b"\n", b": ", b"Content-Length: 5"),
    *(
        b"Content-Length: -1\r\n",
        b"Content-Length: 1e3\r\n",
        b"Transfer-Encoding: chunked\r\n\r\n",
        b"zz\r\n",
        b"5\r\n",
    ),
    *(b"Authorization: Bearer a-token\r\n", b"Connection: keep-alive\r\n", b"Upgrade: websocket\r\n", b"Host:\r\n"),
    *(b"Content-Type: \xff\r\n", b"Accept: ;;q=\r\n", b"Expect: 100-continue\r\n", b"\x16\x03\x01", b"{}", b"\x00" * 9),
)


def test_junk_on_the_wire_never_stops_the_server(server: Server, caplog: pytest.LogCaptureFixture) -> None:
    rng = Random(5)
    for _ in range(150):
        data = b"".join(rng.choice(_PIECES) for _ in range(rng.randrange(1, 14)))
        with socket.create_connection(("127.0.0.1", server.port), timeout=5) as raw:
            raw.sendall(data)
            raw.shutdown(socket.SHUT_WR)
            answer = b""
            try:
                while part := raw.recv(65536):
                    answer += part
            except ConnectionError:
                pass
        assert b" 500 " not in answer.partition(b"\r\n")[0], (data, answer)
    call = Caller(server.port, TOKEN)
    assert call("GET", MAPS).code == 200
    call.close()
    assert not [record for record in caplog.records if record.levelname == "ERROR"]
