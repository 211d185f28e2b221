"""The profile `work`: one shell script that can be made to fail in every way that a container can."""

from __future__ import annotations

import json
import shutil
import signal
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tests.node.conftest import OpenSpace
from tests.node.support import Done, Space

#: A directory with the profile and its templates, as a team's repository has them.
PROJECT = Path(__file__).with_name("project")

#: A script that runs until it is told to stop.
RUNS = "trap exit TERM; while :; do sleep 3600 & wait; done"


def open_project(open_space: OpenSpace, word: str) -> Space:
    """A namespace, and a directory of a team that has the profile."""
    space = open_space(word)
    shutil.copytree(PROJECT, space.home, dirs_exist_ok=True)
    return space


def up(space: Space, name: str, *arguments: str, code: int, patience: str = "4s", timeout: str = "150s") -> Done:
    """`up` of a release of the profile, with little patience."""
    return space.berth(*_up(name, arguments, patience, timeout), code=code)


def start_up(space: Space, name: str, *arguments: str, timeout: str = "150s") -> subprocess.Popen[str]:
    """The same in the background, with what it prints, standard error among it, in a pipe."""
    command = [sys.executable, "-m", "berth", *_up(name, arguments, "90s", timeout), "--namespace", space.name]
    return subprocess.Popen(
        command,
        cwd=space.home,
        env=space.environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        # Tests that were themselves started in the background ignore Ctrl-C, and what they start would, too.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )


def _up(name: str, arguments: Sequence[str], patience: str, timeout: str) -> list[str]:
    release = ["up", "--profile", "work", "--name", name, "--env", "dev"]
    return [*release, "--timeout", timeout, "--patience", patience, *arguments]


def heals(space: Space, name: str, *arguments: str) -> None:
    """The corrected command ends well."""
    assert f"{name}-work is current: 1 ready" in up(space, name, *arguments, code=0, patience="120s").out


def cause(said: str) -> list[str]:
    """The cause that a run names for the only ordinal, and under it its last log lines; without what is to be tried."""
    lines = said.splitlines()
    last = next(number for number in range(len(lines) - 1, 0, -1) if lines[number].startswith("    try: "))
    first = next(number for number in range(last - 1, 0, -1) if not lines[number].startswith("    "))
    return [line.strip() for line in lines[first:last]]


def file(space: Space, name: str, data: Any) -> str:
    """A file of values."""
    path = space.home / f"{name}.yaml"
    path.write_text(json.dumps(data), encoding="utf-8")
    return str(path)
