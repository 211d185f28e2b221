"""What is measured: work on the cluster, rendering, and the list of tasks."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from bench.cluster import Cluster
from bench.contenders import CONTENDERS, HERE, ROOT, Command, Tools, Work, find_invoke
from bench.measuring import BenchError, Row, Sample, measure, rotated

Report = Callable[[str], None]

ONE, MANY = "one nginx release", "100 StatefulSets"
RENDER, LIST = "render of 200 documents", "list of tasks"
FRESH, UNCHANGED = "fresh", "unchanged"
BARE = "invoke, empty tasks.py"

_USER_TASKS = "from berth.cli import namespace\n\n__all__ = ['namespace']\n"


@dataclass(slots=True)
class Bench:
    """One run of the benchmark."""

    tools: Tools
    cluster: Cluster
    directory: Path
    repeat: int
    report: Report
    _samples: dict[tuple[str, str], list[Sample]] = field(default_factory=dict)

    def run(self, chosen: Sequence[str]) -> Iterator[Row]:
        """Measure the chosen cases, all of the contenders in each repetition."""
        self._warm()
        if ONE in chosen:
            self._on_cluster(ONE, "nginx", ("--env", "dev"), 1)
        if MANY in chosen:
            self._on_cluster(MANY, "sets", (), 100)
        if RENDER in chosen:
            self._local(RENDER, self._renderers(), {}, HERE)
        if LIST in chosen:
            for name, (command, where, codes) in self._lists().items():
                (self.directory / name).mkdir(exist_ok=True)
            self._lists_in_turn()
        for (case, contender), samples in self._samples.items():
            yield Row(case, contender, tuple(samples))
