"""Fixtures that all tiers share."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from uuid import uuid4

import pytest

from berth import controlplane, rehearsal
from berth.cluster.kube import Kube
from berth.cluster.target import resolve
from berth.core.objects import ObjectRef

#: The plane that tests use; a user's own, named default, is never touched.
PLANE = "tests"


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
    name = f"t-{uuid4().hex[:8]}"
    labels = {"pod-security.kubernetes.io/enforce": "restricted"}
    kube.create({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name, "labels": labels}})
    yield name
    kube.delete(ObjectRef("", "Namespace", "", name), propagation="Background")
