"""What is measured: work on the cluster, rendering, and the list of tasks."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from itertools import count
from pathlib import Path

from bench import site
from bench.cluster import Cluster
from bench.contenders import CONTENDERS, HERE, ROLLERS, ROOT, Command, Tools, Work
from bench.measuring import BenchError, Row, Sample, measure, rotated

ONE, MANY, ROLL, STATUS, SITE, RENDER, LIST = "one", "many", "roll", "status", "site", "render", "list"
FRESH, UNCHANGED = "fresh", "unchanged"
AT_ONCE, SETTLING = "at once", "settling"
BARE = "invoke, empty tasks.py"

#: StatefulSets in the case MANY; with a headless Service each they are also the 200 documents of RENDER.
COUNT = 100
#: Pods in the case ROLL, of which one is the canary; releases in the case STATUS.
ROLLED, RELEASES = 5, 100
#: How long a pod of ROLL must be ready before it counts, in seconds: not at all, and as little as a real one takes.
READY = {AT_ONCE: 0, SETTLING: 2}
#: The cases without a cluster take so little time that more repetitions cost nothing.
LOCAL_FACTOR = 3

_USER_TASKS = "from berth.cli import namespace\n\n__all__ = ['namespace']\n"


@dataclass(frozen=True, slots=True)
class Local:
    """A command that needs no cluster, and where it runs; Invoke ends with 1 when there is nothing to list."""

    command: Command
    directory: Path
    codes: tuple[int, ...] = (0,)


@dataclass(slots=True)
class Bench:
    """One run of the benchmark; files are written below ``directory``."""

    tools: Tools
    cluster: Cluster
    directory: Path
    repeat: int
    report: Callable[[str], None]
    _samples: dict[tuple[str, str], list[Sample]] = field(default_factory=dict)
    _numbers: Iterator[int] = field(default_factory=lambda: count(1))

    def run(self, cases: Sequence[str]) -> list[Row]:
        """Measure the chosen cases; in each repetition all contenders have their turn."""
        (self.directory / "home").mkdir(exist_ok=True)
        if ONE in cases:
            # Once without counting: byte code, discovery caches and the server's own caches are warm for everybody.
            for name in CONTENDERS:
                self._pair(name, "nginx", ("--env", "dev"))
            self._on_cluster(ONE, "nginx", ("--env", "dev"))
        if MANY in cases:
            self._on_cluster(MANY, "sets", ("--set", f"count={COUNT}"))
        if ROLL in cases:
            self._rolls()
        if STATUS in cases:
            self._statuses()
        if SITE in cases:
            self._sites()
        if RENDER in cases:
            self._local(RENDER, self._renderers())
        if LIST in cases:
            self._local(LIST, self._lists())
        return [Row(case, contender, tuple(samples)) for (case, contender), samples in self._samples.items()]

    def _on_cluster(self, case: str, profile: str, flags: tuple[str, ...]) -> None:
        for turn in range(self.repeat):
            for name in rotated(list(CONTENDERS), turn):
                fresh, unchanged = self._pair(name, profile, flags)
                self._note(f"{case}, {FRESH}", name, turn, fresh)
                self._note(f"{case}, {UNCHANGED}", name, turn, unchanged)

    def _pair(self, name: str, profile: str, flags: tuple[str, ...]) -> tuple[Sample, Sample]:
        """A fresh run in a namespace of its own, and the same command again; making and clearing it is not timed."""
        namespace = f"bench-{os.getpid()}-{next(self._numbers)}"
        work = Work(profile, flags, namespace, self.directory / namespace)
        work.write(self._rendered(work))
        commands = CONTENDERS[name](self.tools, work)
        self.cluster.open_namespace(namespace)
        try:
            fresh = self._measure(commands, HERE)
            ready = self.cluster.ready_sets(namespace)
            unchanged = self._measure(commands, HERE)
            return replace(fresh, ready=ready), unchanged
        finally:
            self.cluster.drop_namespace(namespace)

    def _rolls(self) -> None:
        """A canary, and then the others: each time on a release that was just brought up."""
        for turn in range(self.repeat):
            for name in rotated(list(ROLLERS), turn):
                for kind, seconds in READY.items():
                    self._note(f"{ROLL}, {kind}", name, turn, self._rolled(name, seconds))

    def _rolled(self, name: str, seconds: int) -> Sample:
        namespace = f"bench-{os.getpid()}-{next(self._numbers)}"
        flags = ("--env", "dev", "--set", f"replicas={ROLLED}", "--set", f"minReadySeconds={seconds}")
        work = Work("nginx", flags, namespace, self.directory / namespace)
        self.cluster.open_namespace(namespace)
        try:
            self._measure(CONTENDERS["berth"](self.tools, work), HERE)
            sample = self._measure(ROLLERS[name](self.tools, work, ROLLED), HERE)
            return replace(sample, ready=self.cluster.ready_sets(namespace))
        finally:
            self.cluster.drop_namespace(namespace)

    def _statuses(self) -> None:
        """Many releases in one namespace, and how they stand."""
        namespace = f"bench-{os.getpid()}-{next(self._numbers)}"
        self.cluster.open_namespace(namespace)
        try:
            self.cluster.install(HERE, "sets", namespace, RELEASES)
            command = [*self.tools.berth, "status", "--namespace", namespace]
            for turn in range(-1, self.repeat):
                sample = self._measure([command], HERE)
                if turn >= 0:
                    self._note(STATUS, "berth", turn, sample)
        finally:
            self.cluster.drop_namespace(namespace)

    def _sites(self) -> None:
        """A site, from its rendering to a run that finds nothing to do; half as often, for helm takes minutes."""
        for turn in range(max(1, self.repeat // 2)):
            for name in rotated(list(site.CONTENDERS), turn):
                for step, sample in self._site(name):
                    self._note(f"{SITE}, {step}", name, turn, sample)

    def _site(self, name: str) -> Iterator[tuple[str, Sample]]:
        fleet = site.Fleet(prefix := f"bench-{os.getpid()}-{next(self._numbers)}", self.directory / prefix)
        fleet.write()
        try:
            for namespace in fleet.namespaces:
                self.cluster.open_namespace(namespace)
            for step in site.STEPS:
                sample = self._measure(site.CONTENDERS[name](self.tools, fleet, step), HERE)
                ready = sum(map(self.cluster.ready_sets, fleet.namespaces)) if step == site.FRESH else None
                yield step, replace(sample, ready=ready)
        finally:
            for namespace in fleet.namespaces:
                self.cluster.drop_namespace(namespace)

    def _rendered(self, work: Work) -> str:
        command = [*self.tools.berth, "render", "--profile", work.profile, *work.flags, "--namespace", work.namespace]
        done = subprocess.run(command, cwd=HERE, env=self._environment(), capture_output=True, text=True, check=False)
        if done.returncode:
            raise BenchError(done.stderr)
        return done.stdout

    def _renderers(self) -> dict[str, Local]:
        values = f"count={COUNT}"
        berth = [*self.tools.berth, "render", "--profile", "sets", "--set", values]
        helm = [self.tools.helm, "template", "sets", str(HERE / "chart"), "--set", values]
        return {"berth": Local(berth, HERE), "helm": Local(helm, HERE)}

    def _lists(self) -> dict[str, Local]:
        invoke = [*self.tools.invoke, "--list"]
        for name, tasks in (("empty", ""), ("project", _USER_TASKS)):
            (self.directory / name).mkdir(exist_ok=True)
            (self.directory / name / "tasks.py").write_text(tasks, encoding="utf-8")
        return {
            BARE: Local(invoke, self.directory / "empty", (0, 1)),
            "invoke, a user's project": Local(invoke, self.directory / "project"),
            "invoke, this repository": Local(invoke, ROOT),
            "berth": Local([*self.tools.berth, "--list"], self.directory / "empty"),
        }

    def _local(self, case: str, contenders: dict[str, Local]) -> None:
        for turn in range(-1, self.repeat * LOCAL_FACTOR):
            for name in rotated(list(contenders), turn):
                local = contenders[name]
                sample = self._measure([local.command], local.directory, local.codes)
                if turn >= 0:
                    self._note(case, name, turn, sample)

    def _measure(self, commands: Sequence[Command], cwd: Path, codes: Sequence[int] = (0,)) -> Sample:
        return measure(commands, env=self._environment(), cwd=cwd, log=self.directory / "output.log", codes=codes)

    def _environment(self) -> dict[str, str]:
        """Little of the user's: their kubeconfig, caches and settings have no part in this."""
        kept = {name: os.environ[name] for name in ("PATH", "LANG", "LC_ALL", "PYTHONPATH") if name in os.environ}
        return {**kept, "HOME": str(self.directory / "home"), "KUBECONFIG": str(self.cluster.kubeconfig)}

    def _note(self, case: str, contender: str, turn: int, sample: Sample) -> None:
        self._samples.setdefault((case, contender), []).append(sample)
        ready = "" if sample.ready is None else f", {sample.ready} sets ready"
        self.report(f"{case:<16} {contender:<24} {turn + 1}: {sample.wall:7.3f} s, {sample.cpu:6.3f} s CPU{ready}")
