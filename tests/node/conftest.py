"""Tests on a cluster that runs containers: the one whose kubeconfig ``BERTH_NODE_KUBECONFIG`` names.

Any cluster will do that pulls the official images and has a default StorageClass. Nothing outside of the tests' own
namespaces is touched, except for StorageClasses and volumes that the tests made.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from berth.cluster.kube import Kube
from tests.namespaces import restricted
from tests.node.support import Space

#: Opens a namespace whose name begins with a word.
OpenSpace = Callable[[str], Space]


@pytest.fixture(scope="module")
def open_space(node_kubeconfig: Path, node_kube: Kube, tmp_path_factory: pytest.TempPathFactory) -> Iterator[OpenSpace]:
    """Namespaces that enforce Pod Security "restricted"; with the module they go, with everything in them."""
    with ExitStack() as opened:

        def open_one(word: str) -> Space:
            name = opened.enter_context(restricted(node_kube, word))
            space = Space(name, node_kubeconfig, node_kube, tmp_path_factory.mktemp(name))
            opened.callback(space.close)
            return space

        yield open_one
