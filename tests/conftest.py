"""Fixtures that all tiers share."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from uuid import uuid4

import pytest

from berth import controlplane
from berth.cluster.kube import Kube
from berth.cluster.target import resolve
from berth.core.objects import ObjectRef

#: The plane that tests use; a user's own, named default, is never touched.
PLANE = "tests"


@pytest.fixture(scope="session")
def plane() -> Path:
    """The kubeconfig of a running local control plane; started, and built, where need be. All workers share it."""
    return controlplane.start(PLANE, report=print).kubeconfig


@pytest.fixture(scope="session")
def kube(plane: Path) -> Iterator[Kube]:
    """The control plane's API, as an administrator."""
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
