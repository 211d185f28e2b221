"""Both clusters, with a namespace of the same name in each."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from uuid import uuid4

import pytest

from berth.controlplane import binaries
from tests.contract.kubectl.stage import Cluster, Stage


@pytest.fixture(scope="session")
def pair(rehearsed: Path, control_plane: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Cluster, Cluster]:
    """The real control plane and the rehearsal, each with the same kubectl."""
    kubectl, home = binaries.program("kubectl", report=print), tmp_path_factory.mktemp("kubectl")
    return Cluster("kubernetes", kubectl, control_plane, home), Cluster("rehearsal", kubectl, rehearsed, home)


def _opened(pair: tuple[Cluster, Cluster]) -> Iterator[Stage]:
    name = f"k-{uuid4().hex[:8]}"
    stage = Stage(*pair, name)
    stage.play(
        f"""
        create namespace {name}
        get serviceaccount/default configmap/kube-root-ca.crt -o name
        """
    )
    yield stage
    stage.play(f"delete namespace {name} --wait=false")


@pytest.fixture
def stage(pair: tuple[Cluster, Cluster]) -> Iterator[Stage]:
    """A namespace of the test's own."""
    yield from _opened(pair)


@pytest.fixture(scope="session")
def town(pair: tuple[Cluster, Cluster]) -> Iterator[Stage]:
    """A namespace in which one object of every kind is, and a set is ready; for commands that change nothing."""
    for stage in _opened(pair):
        stage.play(
            """
            ~ apply -f web.yaml
            ~ apply -f town.yaml
            ~ rollout status sts/web
            ~ wait pdb/web --for=jsonpath={.status.currentHealthy}=2
            """
        )
        yield stage
