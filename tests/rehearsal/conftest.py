"""Rehearsals of the tests' own, never the user's: another state directory, and no process is left."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from berth import rehearsal
from berth.cluster.kube import Kube
from berth.cluster.target import resolve


@pytest.fixture
def state_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Where the test's rehearsals keep their state; each of them is ended afterwards."""
    monkeypatch.setenv("BERTH_STATE_DIR", str(tmp_path))
    home = tmp_path / "rehearsal"
    yield home
    for directory in home.glob("[a-z0-9]*/") if home.is_dir() else ():
        rehearsal.stop(directory.name)
    shutil.rmtree(home, ignore_errors=True)


def client(name: str = "default") -> Kube:
    """The API of a rehearsal that runs."""
    return resolve(None, str(rehearsal.kubeconfig_path(name)), {}).connect()
