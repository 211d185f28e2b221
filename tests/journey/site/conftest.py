"""A site as a team lives with it: whole commands over two or three clusters of the tests' own."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from berth.cluster.kube import Kube
from berth.cluster.release import list_releases
from berth.cluster.target import resolve
from tests.journey.conftest import Result, environment

TARGETS = """
targets:
  east: {context: berth-rehearsal-east, order: 1}
  west: {context: berth-rehearsal-west, order: 2}
groups:
  both: {targets: [east, west]}
"""


@dataclass(frozen=True)
class Shore:
    """A project with a site, a home of its own, and the rehearsal clusters in it."""

    project: Path
    home: Path
    #: The site's name: the clusters are those of other tests, too.
    site: str = "shop"

    def write(self, releases: str, name: str = "site.yaml", head: str = TARGETS, site: str = "") -> None:
        (self.project / name).write_text(f"name: {site or self.site}\n{head.strip()}\nreleases:\n{releases}\n")

    def start(self, *arguments: str) -> subprocess.Popen[str]:
        """Begin `invoke ARGUMENTS...` in a process group of its own."""
        return subprocess.Popen(
            [sys.executable, "-m", "invoke", *arguments],
            cwd=self.project,
            env={**environment(self.home), "PYTHONUNBUFFERED": "1"},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )

    def run(self, *arguments: str) -> Result:
        process = self.start(*arguments)
        out, err = process.communicate(timeout=120)
        assert "Traceback" not in err + out, err
        return Result(process.returncode, out, err)

    def kubeconfig(self, cluster: str) -> Path:
        return self.home / ".local/state/berth/rehearsal" / cluster / "kubeconfig"


@pytest.fixture(scope="session")
def home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A home with two clusters at the instant pace, and one in which time passes as it does."""
    made = tmp_path_factory.mktemp("home")
    shore = Shore(made, made)
    (made / "tasks.py").write_text("from berth.cli import namespace\n\n__all__ = ['namespace']\n")
    try:
        for name, pace in (("east", "instant"), ("west", "instant"), ("slow", "real")):
            assert shore.run("cluster.start", "--name", name, "--pace", pace, "--idle", "15m").code == 0
        yield made
    finally:
        for name in ("east", "west", "slow"):
            shore.run("cluster.delete", "--yes", "--name", name)


@pytest.fixture
def shore(home: Path, project: Path) -> Shore:
    return Shore(project, home, f"shop-{uuid4().hex[:8]}")


def connected(home: Path, cluster: str) -> Kube:
    path = home / ".local/state/berth/rehearsal" / cluster / "kubeconfig"
    return resolve(None, str(path), {}).connect()


@pytest.fixture
def east(home: Path) -> Iterator[Kube]:
    with closing(connected(home, "east")) as kube:
        yield kube


@pytest.fixture
def west(home: Path) -> Iterator[Kube]:
    with closing(connected(home, "west")) as kube:
        yield kube


@pytest.fixture
def space() -> str:
    """A namespace of the test's own, which berth makes."""
    return f"t-{uuid4().hex[:8]}"


def line(name: str, space: str, target: str = "both", profile: str = "nginx", **more: object) -> str:
    """A release of the file, small and quick."""
    values = {"replicas": 1, "minReadySeconds": 0, **more.pop("values", {})}  # type: ignore[dict-item]
    body = {"profile": profile, "name": name, "namespace": space, "environment": "dev", "values": values, **more}
    return f"  - {json.dumps({**body, 'target': target} if target else body)}"


def there(kube: Kube, space: str) -> list[str]:
    """The releases that are up in a namespace."""
    return [record.name for record in list_releases(kube, space) if record.status != "removed"]


def recap(result: Result) -> dict[str, str]:
    """The result of each release by the recap."""
    lines = result.out.splitlines()
    rows = lines[next(number for number, text in enumerate(lines) if text.startswith("  RELEASE ")) + 1 :]
    words = [text.split() for text in rows if text.startswith("  ")]
    return {f"{row[0]} {row[1].rpartition('/')[2]}": row[2] for row in words}


def events(result: Result) -> list[dict[str, Any]]:
    return [json.loads(text) for text in result.out.splitlines()]


#: Values with which a release does not come up.
NOPE = {"image": {"tag": "nope"}}
