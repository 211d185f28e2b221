"""A client that reaches the control plane through the fault proxy, and never really sleeps between tries."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from berth.cluster import kubeconfig
from berth.cluster.endpoint import Endpoint
from berth.cluster.kube import Kube
from berth.cluster.retry import Retry
from berth.cluster.transport import Transport
from tests.faults.proxy import FaultProxy

pytest.register_assert_rewrite("tests.faults.runs")

#: Seconds that a stalled call costs.
PATIENCE = 0.7


@pytest.fixture
def proxy(plane: Path) -> Iterator[FaultProxy]:
    config = kubeconfig.load([plane])
    made = FaultProxy(Transport(kubeconfig.endpoint(config, config.current, {})))
    yield made
    made.close()


@pytest.fixture
def client(proxy: FaultProxy) -> Iterator[Kube]:
    made = Kube(
        Transport(Endpoint(proxy.url)),
        "the faulty cluster",
        retry=Retry(sleep=lambda seconds: None),
        read_timeout=PATIENCE,
        write_timeout=PATIENCE,
    )
    yield made
    made.close()
