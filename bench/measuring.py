"""One measurement, and what several of them come to."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import median

LIMIT = 900.0


class BenchError(Exception):
    """A command did not do what it was measured for."""


@dataclass(frozen=True, slots=True)
class Sample:
    """One run: seconds on the wall, seconds of processor time (children included), peak memory in MiB."""

    wall: float
    cpu: float
    memory: float
    #: Sets that were ready when the command returned; None where nothing was to become ready.
    ready: int | None = None

    def to_json(self) -> dict[str, object]:
        return {key: round(value, 4) for key, value in asdict(self).items() if value is not None}


@dataclass(frozen=True, slots=True)
class Row:
    """All runs of one contender in one case."""

    case: str
    contender: str
    samples: tuple[Sample, ...]

    @property
    def wall(self) -> float:
        return median(sample.wall for sample in self.samples)

    @property
    def cpu(self) -> float:
        return median(sample.cpu for sample in self.samples)

    @property
    def memory(self) -> float:
        return max(sample.memory for sample in self.samples)

    @property
    def spread(self) -> tuple[float, float]:
        walls = [sample.wall for sample in self.samples]
        return min(walls), max(walls)


def measure(
    commands: Sequence[Sequence[str]],
    *,
    env: Mapping[str, str],
    cwd: Path,
    log: Path,
    codes: Sequence[int] = (0,),
) -> Sample:
    """Run commands one after the other and say what they took together.

    Raises:
        BenchError: one of them ended with another exit code than ``codes`` has.
    """
    # -I -S: the launcher must stay small, and must not wait for the site directories of a large environment.
    launcher = [sys.executable, "-I", "-S", str(Path(__file__).with_name("launch.py"))]
    process = subprocess.Popen(
        [*launcher, json.dumps([list(command) for command in commands]), str(log)],
        env=dict(env),
        cwd=cwd,
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    try:
        text, _ = process.communicate(timeout=LIMIT)
    except BaseException:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        raise
    told = json.loads(text)
    if any(code not in codes for code in told["codes"]):
        shown = " && ".join(" ".join(command) for command in commands)
        tail = log.read_text(encoding="utf-8", errors="replace")[-2000:]
        raise BenchError(f"exit codes {told['codes']} of {shown}\n{tail}")
    return Sample(told["wall"], told["cpu"], told["memory"])


def rotated(names: Sequence[str], turn: int) -> list[str]:
    """The names in the order of a turn: who is first changes, so that nobody always meets the warmest server."""
    start = turn % len(names)
    return [*names[start:], *names[:start]]
