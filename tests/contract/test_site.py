"""A site on two clusters at once, a simulated and a real one: the profiles in two environments, from up to teardown."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, closing
from pathlib import Path
from uuid import uuid4

import pytest
import yaml

from berth.cluster.kube import Kube
from berth.cluster.release import list_releases
from berth.cluster.target import resolve
from berth.core.objects import ObjectRef
from tests.contract.support import PROFILES, claims, leftovers

pytestmark = pytest.mark.controlplane

ENVIRONMENTS = ("dev", "staging")


@pytest.fixture
def planes(rehearsed: Path, control_plane: Path) -> Iterator[dict[str, Kube]]:
    """The API of both clusters, by the target's name."""
    with ExitStack() as stack:
        yield {
            name: stack.enter_context(closing(resolve(None, str(path), {}).connect()))
            for name, path in (("rehearsed", rehearsed), ("real", control_plane))
        }


@pytest.fixture
def space(planes: dict[str, Kube]) -> Iterator[str]:
    """The beginning of the names of the test's namespaces, which berth makes; they are deleted afterwards."""
    name = f"t-{uuid4().hex[:8]}"
    yield name
    for kube in planes.values():
        for environment in ENVIRONMENTS:
            ref = ObjectRef("", "Namespace", "", f"{name}-{environment}")
            if kube.get(ref):
                kube.delete(ref, propagation="Background")


class Project:
    """A directory with a site file, and `invoke` in it."""

    def __init__(self, directory: Path, paths: dict[str, Path], space: str) -> None:
        self.directory, self.paths, self.space = directory, paths, space
        (directory / "tasks.py").write_text("from berth.cli import namespace\n\n__all__ = ['namespace']\n")

    def write(self, profiles: tuple[str, ...] = PROFILES, **values: int) -> None:
        """A release of each profile in each environment on both clusters; ``values`` are those of nginx in dev."""
        releases = [
            {
                "profile": profile,
                "namespace": f"{self.space}-{environment}",
                "environment": environment,
                "target": "both",
                "needs": ["zookeeper"] if profile == "cassandra" else [],
                "values": values if (profile, environment) == ("nginx", "dev") else {},
            }
            for profile in profiles
            for environment in ENVIRONMENTS
        ]
        targets = {
            name: {"context": yaml.safe_load(path.read_text())["current-context"], "kubeconfig": str(path)}
            for name, path in self.paths.items()
        }
        groups = {"both": {"targets": list(targets), "values": {"minReadySeconds": 0}}}
        site = {"name": self.space, "targets": targets, "groups": groups, "releases": releases}
        (self.directory / "site.yaml").write_text(json.dumps(site, indent=1))

    def run(self, *arguments: str, code: int = 0) -> str:
        kept = {key: value for key, value in os.environ.items() if not key.startswith(("KUBE", "BERTH", "INVOKE"))}
        command = [sys.executable, "-m", "invoke", *arguments]
        done = subprocess.run(
            command, cwd=self.directory, env=kept, input="", capture_output=True, text=True, timeout=300
        )
        assert done.returncode == code, done.stdout[-4000:] + done.stderr[-4000:]
        return done.stdout


def test_all_profiles_in_two_environments_on_two_clusters(
    tmp_path: Path, rehearsed: Path, control_plane: Path, planes: dict[str, Kube], space: str
) -> None:
    project = Project(tmp_path, {"rehearsed": rehearsed, "real": control_plane}, space)
    project.write()
    plan = project.run("plan", "--exit-code", code=5)
    assert plan.splitlines()[-1] == f"site {space}: 20 to change, 0 unchanged, 0 without a plan"
    project.run("up", "--parallel", "20")
    assert project.run("plan", "--exit-code").splitlines()[-1].startswith(f"site {space}: 0 to change, 20 unchanged")

    project.write(workerConnections=99)
    plan = project.run("plan", "--exit-code", "--target", "real", code=5)
    assert plan.splitlines()[-1] == f"site {space}: 1 to change, 9 unchanged, 0 without a plan"
    assert plan.count("\n  ~ ") == 2 and "  ~ ConfigMap/nginx-config" in plan and "  ~ StatefulSet/web" in plan
    rows = json.loads(project.run("up", "--output", "json").splitlines()[-1])["rows"]
    changed = [(row["target"], row["namespace"], row["release"]) for row in rows if row["result"] != "ok"]
    assert sorted(changed) == [(name, f"{space}-dev", "nginx") for name in ("real", "rehearsed")]

    project.write(PROFILES[1:])
    project.run("up", "--prune", "--yes", "--data", "delete")
    for kube in planes.values():
        for environment in ENVIRONMENTS:
            records = {record.name: record.status for record in list_releases(kube, f"{space}-{environment}")}
            assert records == dict.fromkeys(PROFILES[1:], "deployed")
            assert not [name for name in claims(kube, f"{space}-{environment}") if name.startswith("www-web-")]

    project.run("teardown", "--yes", "--data", "delete", "--volumes", "delete", "--parallel", "20")
    for kube in planes.values():
        for environment in ENVIRONMENTS:
            assert leftovers(kube, f"{space}-{environment}") == []
