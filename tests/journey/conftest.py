"""Whole commands in a directory of their own: what they print, and the exit code."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest


@dataclass(frozen=True, slots=True)
class Result:
    """What a command did."""

    code: int
    out: str
    err: str


#: Runs `invoke ARGUMENTS...` in the project directory.
Invoke = Callable[..., Result]


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A platform team's own repository, of three lines."""
    (tmp_path / "tasks.py").write_text("from berth.cli import namespace\n\n__all__ = ['namespace']\n")
    return tmp_path


def environment(home: Path, kubeconfig: Path | None = None) -> dict[str, str]:
    """The environment of a command: a home of its own, and no kubeconfig but the one given."""
    kept = {key: value for key, value in os.environ.items() if not key.startswith(("KUBE", "BERTH", "INVOKE", "XDG"))}
    kept |= {"HOME": str(home), "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}", "COLUMNS": "160"}
    if kubeconfig:
        kept["KUBECONFIG"] = str(kubeconfig)
    return kept


@pytest.fixture
def invoke(project: Path, tmp_path_factory: pytest.TempPathFactory) -> Invoke:
    """`invoke` where there is no cluster at all."""
    return _runner(project, environment(tmp_path_factory.mktemp("home")))


@pytest.fixture
def invoke_on(project: Path, plane: Path, tmp_path_factory: pytest.TempPathFactory) -> Invoke:
    """`invoke` against the local control plane."""
    return _runner(project, environment(tmp_path_factory.mktemp("home"), plane))


def _runner(cwd: Path, environ: dict[str, str]) -> Invoke:
    def run(*arguments: str, input: str | None = None, timeout: float = 120) -> Result:
        command = [sys.executable, "-m", "invoke", *arguments]
        done = subprocess.run(
            command, cwd=cwd, env=environ, input=input or "", capture_output=True, text=True, timeout=timeout
        )
        assert "Traceback" not in done.stderr + done.stdout, done.stderr
        return Result(done.returncode, done.stdout, done.stderr)

    return run
