"""Tests on a cluster that runs containers: the one whose kubeconfig ``BERTH_NODE_KUBECONFIG`` names.

Any cluster will do that pulls the official images and has a default StorageClass. Nothing outside of the tests' own
namespaces is touched, except for the StorageClass `fast` of the profile httpd and volumes that the tests made.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from uuid import uuid4

import pytest

from berth.cluster.kube import Kube
from berth.cluster.target import resolve
from berth.core.objects import ObjectRef
from tests.node.support import Space

VARIABLE = "BERTH_NODE_KUBECONFIG"


@pytest.fixture(scope="session")
def node_kubeconfig() -> Path:
    """The kubeconfig of the cluster; without one these tests fail, since a skipped one would prove nothing unseen."""
    path = os.environ.get(VARIABLE)
    assert path, (
        f"set {VARIABLE} to the kubeconfig of a cluster that runs containers (see docs/how-to/test-on-a-node.md)"
    )
    return Path(path)


@pytest.fixture(scope="session")
def node_kube(node_kubeconfig: Path) -> Iterator[Kube]:
    """The cluster's API, as an administrator."""
    client = resolve(None, str(node_kubeconfig), {}).connect()
    yield client
    client.close()


#: Opens a namespace whose name begins with a word.
OpenSpace = Callable[[str], Space]


@pytest.fixture(scope="session")
def open_space(node_kubeconfig: Path, node_kube: Kube, tmp_path_factory: pytest.TempPathFactory) -> Iterator[OpenSpace]:
    """Namespaces that enforce Pod Security "restricted"; all are deleted at the end, with everything in them."""
    opened: list[Space] = []

    def open_one(word: str) -> Space:
        name = f"{word}-{uuid4().hex[:6]}"
        labels = {"pod-security.kubernetes.io/enforce": "restricted"}
        node_kube.create({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name, "labels": labels}})
        opened.append(Space(name, node_kubeconfig, node_kube, tmp_path_factory.mktemp(name)))
        return opened[-1]

    yield open_one
    for space in opened:
        space.close()
        node_kube.delete(ObjectRef("", "Namespace", "", space.name), propagation="Background")
