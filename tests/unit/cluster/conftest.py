from __future__ import annotations

import ssl
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from berth.cluster.endpoint import Endpoint
from berth.cluster.kube import Kube
from berth.cluster.retry import Pace, Retry
from berth.cluster.transport import Transport
from tests.unit.cluster.fakeserver import FakeServer

PKI = Path(__file__).parent / "pki"


@pytest.fixture
def server() -> Iterator[FakeServer]:
    fake = FakeServer()
    yield fake
    fake.close()


@pytest.fixture
def tls_server() -> Iterator[FakeServer]:
    """Asks for a client certificate, and needs none."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(PKI / "server.pem", PKI / "server.key")
    context.load_verify_locations(PKI / "ca.pem")
    context.verify_mode = ssl.CERT_OPTIONAL
    fake = FakeServer(tls=context)
    yield fake
    fake.close()


class Time:
    """A clock that only sleeping moves."""

    def __init__(self) -> None:
        self.now = 0.0
        self.slept: list[float] = []

    def clock(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.now += seconds


@pytest.fixture
def time() -> Time:
    return Time()


@pytest.fixture
def retry(time: Time) -> Retry:
    return Retry(Pace(tries=4), time.clock, time.sleep, lambda: 1.0)


@pytest.fixture
def kube(server: FakeServer, retry: Retry) -> Iterator[Kube]:
    client = Kube(
        Transport(Endpoint(server.url)),
        "context test (http://127.0.0.1)",
        retry=retry,
        read_timeout=10,
        write_timeout=10,
    )
    yield client
    client.close()


@pytest.fixture
def transports() -> Iterator[Callable[[Endpoint], Transport]]:
    made: list[Transport] = []

    def make(endpoint: Endpoint) -> Transport:
        made.append(Transport(endpoint))
        return made[-1]

    yield make
    for transport in made:
        transport.close()
