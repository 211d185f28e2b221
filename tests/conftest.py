"""Fixtures that all tiers share."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from xdist.remote import Producer
from xdist.scheduler import LoadFileScheduling

from berth import controlplane, rehearsal
from berth.cluster.kube import Kube
from berth.cluster.target import resolve
from tests.namespaces import restricted

#: The plane that tests use; a user's own, named default, is never touched.
PLANE = "tests"
#: Where the kubeconfig of a cluster that runs containers is named.
NODE_VARIABLE = "BERTH_NODE_KUBECONFIG"


class FilesAndPages(LoadFileScheduling):  # type: ignore[misc]
    """A file to a process, for its tests share a release; pages of the documentation one by one, for they do not."""

    def _split_scope(self, nodeid: str) -> str:
        file, _, test = nodeid.partition("::")
        return nodeid if test.startswith("test_on_a_node[") else file


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Files with slow tests first: what takes long must not begin last, while all other processes are idle."""
    slow = {item.path for item in items if item.get_closest_marker("slow")}
    items.sort(key=lambda item: item.path not in slow)


def pytest_xdist_make_scheduler(config: pytest.Config, log: Producer) -> FilesAndPages | None:
    """What `--dist loadfile` means here."""
    return FilesAndPages(config, log) if config.getvalue("dist") == "loadfile" else None


@pytest.fixture(scope="session")
def rehearsed(worker_id: str) -> Iterator[Path]:
    """The kubeconfig of a simulated cluster at the instant pace, of this worker's own."""
    name = f"tests-{worker_id}-{os.getpid()}"
    yield rehearsal.start(name, rehearsal.Wishes(pace="instant", seed=1, idle=900), report=print).kubeconfig
    rehearsal.delete(name)


@pytest.fixture(scope="session")
def control_plane() -> Path:
    """The kubeconfig of a running local control plane; started, and built, where need be. All workers share it."""
    return controlplane.start(PLANE, report=print).kubeconfig


@pytest.fixture(
    scope="session",
    params=[
        pytest.param("rehearsed", marks=pytest.mark.rehearsal, id="rehearsal"),
        pytest.param("control_plane", marks=pytest.mark.controlplane, id="kubernetes"),
    ],
)
def plane(request: pytest.FixtureRequest) -> Path:
    """A kubeconfig, of the simulated cluster and of the control plane in turn: what holds on one holds on both."""
    found: Path = request.getfixturevalue(request.param)
    return found


@pytest.fixture(scope="session")
def kube(plane: Path) -> Iterator[Kube]:
    """The cluster's API, as an administrator."""
    client = resolve(None, str(plane), {}).connect()
    yield client
    client.close()


@pytest.fixture
def space(kube: Kube) -> Iterator[str]:
    """A namespace of the test's own that enforces Pod Security "restricted", deleted afterwards."""
    with restricted(kube, "t") as name:
        yield name


@pytest.fixture(scope="session")
def node_kubeconfig() -> Path:
    """The kubeconfig of a cluster that runs containers; without one these tests fail: skipped, they prove nothing."""
    path = os.environ.get(NODE_VARIABLE)
    assert path, (
        f"set {NODE_VARIABLE} to the kubeconfig of a cluster that runs containers: docs/how-to/test-on-a-node.md"
    )
    return Path(path)


@pytest.fixture(scope="session")
def node_kube(node_kubeconfig: Path) -> Iterator[Kube]:
    """That cluster's API, as an administrator."""
    client = resolve(None, str(node_kubeconfig), {}).connect()
    yield client
    client.close()
