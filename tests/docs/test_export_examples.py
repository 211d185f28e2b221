"""The examples for CI systems are what those can read, and every berth command in them does what its job says.

The schemas of GitHub, GitLab and pre-commit are not at hand without a network; what is checked of the form is what one
gets wrong by hand.
"""

from __future__ import annotations

import shlex
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.docs.pages import ROOT
from tests.journey.conftest import environment

pytestmark = pytest.mark.rehearsal

EXAMPLES = ROOT / "docs" / "examples"
SITE = """\
name: shops
releases:
  - {profile: nginx, namespace: shop, environment: dev}
  - {profile: postgres, namespace: shop, environment: dev, needs: [nginx]}
"""


def load(name: str) -> dict[Any, Any]:
    found: dict[Any, Any] = yaml.safe_load((EXAMPLES / name).read_text(encoding="utf-8"))
    return found


def github() -> Iterator[str]:
    body = load("github-actions.yaml")
    # YAML 1.1, and with it PyYAML, takes the key `on` for a truth.
    assert set(body) == {"name", True, "permissions", "jobs"} and set(body[True]) == {"pull_request", "push"}
    assert body["permissions"] == {"contents": "read"}
    for job in body["jobs"].values():
        assert {"runs-on", "steps", "timeout-minutes"} <= set(job) <= {"runs-on", "steps", "timeout-minutes", "if"}
        for step in job["steps"]:
            assert ("uses" in step) != ("run" in step) and set(step) <= {"name", "uses", "with", "run", "env"}
            assert "@v" in step.get("uses", "@v")
            # Where the text of a secret is put into a command, its quotes end the command's.
            assert "${{" not in step.get("run", "")
            yield step.get("run", "")


def gitlab() -> Iterator[str]:
    body = load("gitlab-ci.yml")
    jobs = {name: job for name, job in body.items() if name not in ("stages", "default")}
    for job in jobs.values():
        assert set(job) <= {"stage", "script", "rules"} and job["stage"] in body["stages"]
        assert all(isinstance(line, str) for line in job["script"])
        yield from job["script"]
    assert {job["stage"] for job in jobs.values()} == set(body["stages"])


def pre_commit() -> Iterator[str]:
    (repository,) = load("pre-commit-config.yaml")["repos"]
    assert repository["repo"] == "local"
    for hook in repository["hooks"]:
        assert set(hook) == {"id", "name", "entry", "language", "pass_filenames", "files"}
        assert hook["language"] == "system" and hook["pass_filenames"] is False
        yield hook["entry"]


@pytest.mark.parametrize(
    ("commands", "tasks"),
    [
        (github, {"lint", "chart", "export", "plan"}),
        (gitlab, {"lint", "export", "plan"}),
        (pre_commit, {"lint", "export"}),
    ],
)
def test_every_berth_command_passes_and_tells_what_is_stale(
    commands: Any, tasks: set[str], tmp_path: Path, rehearsed: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    environ = environment(tmp_path_factory.mktemp("home"), rehearsed)

    def berth(*words: str) -> int:
        command = [sys.executable, "-m", "berth", *words]
        done = subprocess.run(command, cwd=tmp_path, env=environ, capture_output=True, text=True, check=False)
        assert "Traceback" not in done.stderr
        return done.returncode

    (tmp_path / "site.yaml").write_text(SITE)
    found = [shlex.split(line)[1:] for line in dict.fromkeys(commands()) if line.startswith("berth ")]
    assert {words[0] for words in found} == tasks
    for words in found:
        if "--check" in words:
            assert berth(*words) == 5, f"{words}: nothing is written yet"
            assert berth(*(word for word in words if word != "--check")) == 0
    assert {shlex.join(words): berth(*words) for words in found} == {shlex.join(words): 0 for words in found}
    (tmp_path / "site.yaml").write_text(SITE.replace("environment: dev}", "environment: staging}"))
    (export,) = (words for words in found if words[0] == "export")
    assert berth(*export) == 5
