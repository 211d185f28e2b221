"""A server in this process, over plain HTTP on a free port."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from berth.rehearsal.clock import INSTANT
from berth.rehearsal.server import serve
from berth.rehearsal.server.http import Server
from berth.rehearsal.world import World
from tests.rehearsal.server.calls import BEGINNING, TOKEN, Caller


@pytest.fixture
def world() -> Iterator[World]:
    """A cluster in which time stands still and nothing happens but by requests, until it is told to settle."""
    found = World(seed=1, start=BEGINNING, pace=INSTANT, strict=True)
    found.settle()
    yield found
    found.close()


@pytest.fixture
def server(world: World) -> Iterator[Server]:
    found = serve(world, token=TOKEN)
    yield found
    found.close()


@pytest.fixture
def call(server: Server) -> Iterator[Caller]:
    found = Caller(server.port)
    yield found
    found.close()
