"""The rehearsal's own figures: how soon it answers, how fast time goes in it, and how much it takes."""

from __future__ import annotations

import http.client
import json
import os
import re
import ssl
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from urllib.parse import urlsplit

from bench.measuring import BenchError, Sample, measure
from berth.cluster.kubeconfig import load
from berth.cluster.target import resolve
from berth.core.objects import Json
from berth.rehearsal.clock import INSTANT
from berth.rehearsal.kinds import PODS, STATEFUL_SETS
from berth.rehearsal.registry import Options
from berth.rehearsal.world import World

HEADING = "## Rehearsal"
SETS, REPLICAS = 100, 10
#: Nodes for a thousand pods; a node takes 110.
NODES = 10
PATIENCE = 120.0
#: A lifecycle takes so little that more repetitions cost nothing.
LIFECYCLES = 40


@dataclass(frozen=True, slots=True)
class Figure:
    """One target, and what was measured: the median counts, of memory the highest.

    ``cpu`` is the processor time of the same runs, in the same unit: what it would be on a machine with nothing else to
    do, more or less.
    """

    what: str
    limit: float
    unit: str
    values: tuple[float, ...]
    cpu: tuple[float, ...] = ()

    @property
    def figure(self) -> float:
        return max(self.values) if self.unit == "MB" else median(self.values)

    @property
    def reached(self) -> bool:
        return self.figure < self.limit

    def line(self) -> str:
        low, high = min(self.values), max(self.values)
        verdict = "reached" if self.reached else "**not reached**"
        return (
            f"| {self.what} | {self.limit:g} {self.unit} | {_short(self.figure)} {self.unit} "
            f"| {_short(low)} - {_short(high)} | {_short(median(self.cpu)) + ' ' + self.unit if self.cpu else '-'} "
            f"| {verdict} |"
        )

    def to_json(self) -> dict[str, object]:
        return {
            "what": self.what,
            "limit": self.limit,
            "unit": self.unit,
            "figure": round(self.figure, 4),
            "reached": self.reached,
            "values": [round(value, 4) for value in self.values],
            "cpu": [round(value, 4) for value in self.cpu],
        }


def run(directory: Path, berth: Sequence[str], repeat: int, report: Callable[[str], None]) -> list[Figure]:
    """Measure everything; ``directory`` is empty and ours, ``berth`` the command."""
    bench = _Bench(directory, tuple(berth))
    starts, ups, ready, memory = [], [], [], []
    for turn in range(-1, repeat):
        start, up = bench.start(turn), bench.up()
        report(f"rehearsal {turn + 1}: answers after {start.wall:.3f} s, up of postgres {up.wall:.3f} s")
        if turn >= 0:  # Once without counting: byte code is written then.
            starts.append(start)
            ups.append(up)
    for _ in range(max(1, repeat // 2)):
        all_of_it = bench.crowd()
        report(f"rehearsal: {SETS * REPLICAS:,} pods ready after {all_of_it.wall:.2f} s, {all_of_it.memory:.0f} MB")
        ready.append(all_of_it)
        memory.append(all_of_it.memory)
    lives = [_lifecycle() for _ in range(LIFECYCLES)]
    report(f"rehearsal: a lifecycle in process {median(life.wall for life in lives):.1f} ms")
    crowd = f"{SETS * REPLICAS:,} pods in {SETS} sets"
    return [
        _figure("`cluster.start` as a command, from its start to the first answer", 0.7, "s", starts),
        _figure("`rehearse --profile postgres -- up`, the whole command", 1.5, "s", ups),
        _figure(f"{crowd}, until all are ready", 20, "s", ready),
        Figure(f"{crowd}: memory of the server", 100, "MB", tuple(memory)),
        _figure("a lifecycle in process: up, scale, roll out, down", 50, "ms", lives),
    ]


def _figure(what: str, limit: float, unit: str, samples: Sequence[Sample]) -> Figure:
    walls, cpu = tuple(sample.wall for sample in samples), tuple(sample.cpu for sample in samples)
    return Figure(what, limit, unit, walls, cpu)


def section(figures: Sequence[Figure], date: str, machine: Mapping[str, str]) -> str:
    """The report's part on the rehearsal."""
    return "\n".join(
        [
            HEADING,
            "",
            f"Measured on {date} with `invoke bench --only rehearsal`, on {machine['processor']}; load before the run:",
            f"{machine['load before the run']}.",
            "",
            "| what | under | measured | min - max | processor time | |",
            "|---|---:|---:|---:|---:|---|",
            *(figure.line() for figure in figures),
            "",
            "Commands are whole, start of the program included. The crowd is at the instant pace, on ten nodes; each",
            "set has a headless Service, and is `OrderedReady`. Memory is the server's resident set at its highest.",
            "Processor time is that of the same runs (of the server alone, where there is one): about what they",
            "would take if nothing else ran on the machine.",
            "",
        ]
    )


def with_section(report: str, made: str) -> str:
    """A report with this part in place of the one it has, or before the machine and versions; the rest as it is."""
    without = re.sub(rf"^{HEADING}\n.*?(?=^## |\Z)", "", report, flags=re.MULTILINE | re.DOTALL)
    head, mark, tail = without.partition("## Machine and versions")
    return f"{head.rstrip()}\n\n{made}\n{mark}{tail}" if head.strip() else f"{made}\n{mark}{tail}".rstrip() + "\n"


def _short(value: float) -> str:
    return f"{value:.2f}" if value < 10 else f"{value:.1f}" if value < 100 else f"{value:.0f}"


class _Bench:
    """Commands with a home of their own, so that nothing of the user's is used or touched."""

    def __init__(self, directory: Path, berth: tuple[str, ...]) -> None:
        self._berth = berth
        self._directory = directory
        self._home = directory / "home"
        self._home.mkdir()
        kept = {name: os.environ[name] for name in ("PATH", "LANG", "LC_ALL", "PYTHONPATH") if name in os.environ}
        self._environment = {**kept, "HOME": str(self._home)}

    def start(self, turn: int) -> Sample:
        """Seconds from the start of the command until the server answers /version."""
        name = f"start-{turn + 1}"
        path = self._state(name) / "kubeconfig"
        began = time.monotonic()
        with self._started(name):
            while time.monotonic() - began < PATIENCE:
                if path.is_file() and _answers(path):
                    wall = time.monotonic() - began
                    return Sample(wall, *_taken(self._state(name)))
                time.sleep(0.002)
        raise BenchError(f"no answer after {PATIENCE:.0f} s")

    def up(self) -> Sample:
        """Seconds that a rehearsed installation takes, as a command."""
        command = [*self._berth, "rehearse", "--profile", "postgres", "--", "up"]
        log = self._directory / "output.log"
        return measure([command], env=self._environment, cwd=self._home, log=log)

    def crowd(self) -> Sample:
        """Seconds until all pods are ready, and the processor time and the most memory that the server took."""
        scenario = self._directory / "crowd.yaml"
        nodes = "\n".join(f"  - {{name: node-{number}, cpu: 64, memory: 256Gi}}" for number in range(1, NODES + 1))
        scenario.write_text(f"name: crowd\nnodes:\n{nodes}\n", encoding="utf-8")
        with self._started("crowd", "--pace", "instant", "--scenario", str(scenario)) as process:
            if process.wait(PATIENCE):
                raise BenchError("the rehearsal did not start")
            state = self._state("crowd")
            with closing(resolve(None, str(state / "kubeconfig"), {}).connect()) as kube:
                began = time.monotonic()
                for number in range(SETS):
                    for body in (_service(f"set-{number}"), _stateful_set(f"set-{number}", REPLICAS)):
                        kube.create(body)
                while (ready := _ready(kube.list("apps", "StatefulSet", "default").items)) < SETS * REPLICAS:
                    if time.monotonic() - began > PATIENCE:
                        raise BenchError(f"{ready} pods are ready after {PATIENCE:.0f} s")
                    time.sleep(0.1)
                seconds = time.monotonic() - began
            return Sample(seconds, *_taken(state))

    def _state(self, name: str) -> Path:
        return self._home / ".local" / "state" / "berth" / "rehearsal" / name

    @contextmanager
    def _started(self, name: str, *options: str) -> Iterator[subprocess.Popen[bytes]]:
        common = {"cwd": self._home, "env": self._environment, "stdin": subprocess.DEVNULL}
        command = [*self._berth, "cluster.start", "--name", name, *options]
        process = subprocess.Popen(command, **common, stdout=subprocess.DEVNULL)  # type: ignore[call-overload]
        try:
            yield process
        finally:
            process.wait(PATIENCE)
            delete = [*self._berth, "cluster.delete", "--name", name, "--yes"]
            subprocess.run(delete, **common, stdout=subprocess.DEVNULL, check=True)  # type: ignore[call-overload]


def _answers(kubeconfig: Path) -> bool:
    try:
        config = load([kubeconfig])
        context = config.contexts[config.current].body
        server = urlsplit(str(config.cluster_of(config.current).body["server"]))
        token = json.loads(kubeconfig.read_text(encoding="utf-8"))["users"][0]["user"]["token"]
    except Exception:  # It is just being written.
        return False
    unverified = ssl._create_unverified_context()  # It is the time that is asked for, on loopback.
    with closing(http.client.HTTPSConnection(server.hostname or "", server.port, context=unverified)) as connection:
        try:
            connection.request("GET", "/version", headers={"Authorization": f"Bearer {token}"})
            return connection.getresponse().status == 200 and bool(context)
        except OSError:
            return False


def _ready(sets: Sequence[Json]) -> int:
    return sum(body.get("status", {}).get("readyReplicas", 0) for body in sets)


def _taken(state: Path) -> tuple[float, float]:
    """The processor time of a server so far, in seconds, and its highest resident set, in MB."""
    process = Path("/proc") / str(json.loads((state / "server.json").read_text(encoding="utf-8"))["pid"])
    fields = (process / "stat").read_text(encoding="utf-8").rpartition(")")[2].split()
    peak = re.search(r"^VmHWM:\s+(\d+) kB", (process / "status").read_text(encoding="utf-8"), re.MULTILINE)
    seconds = (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
    return seconds, int(peak[1]) * 1024 / 1e6 if peak else 0.0


def _service(name: str) -> Json:
    spec = {"clusterIP": "None", "selector": {"app": name}, "ports": [{"name": "web", "port": 80}]}
    return {"apiVersion": "v1", "kind": "Service", "metadata": {"name": name, "namespace": "default"}, "spec": spec}


def _stateful_set(name: str, replicas: int, image: str = "nginx:1.28") -> Json:
    labels = {"app": name}
    template = {"metadata": {"labels": labels}, "spec": {"containers": [{"name": "web", "image": image}]}}
    spec = {"serviceName": name, "replicas": replicas, "selector": {"matchLabels": labels}, "template": template}
    meta = {"name": name, "namespace": "default"}
    return {"apiVersion": "apps/v1", "kind": "StatefulSet", "metadata": meta, "spec": spec}


def _lifecycle() -> Sample:
    """A whole life, in milliseconds: three pods up, scaled to two, rolled out, and gone."""
    began, used = time.perf_counter(), time.process_time()
    world, options = World(pace=INSTANT, seed=1), Options(manager="bench")
    with world.request():
        world.registry.create(STATEFUL_SETS, "default", _stateful_set("web", 3), options)
    world.settle()
    for replicas, image in ((2, "nginx:1.28"), (2, "nginx:1.29")):
        with world.request():
            live = world.store.get(STATEFUL_SETS, "default", "web")
            assert live is not None
            changed = {**live, "spec": {**live["spec"], **_stateful_set("web", replicas, image)["spec"]}}
            world.registry.update(STATEFUL_SETS, "default", "web", changed, options)
        world.settle()
    with world.request():
        world.registry.delete(STATEFUL_SETS, "default", "web", {"propagationPolicy": "Foreground"}, options)
    world.settle()
    if world.store.list(PODS):
        raise BenchError("the lifecycle did not come to its end")
    world.close()
    return Sample((time.perf_counter() - began) * 1000, (time.process_time() - used) * 1000, 0.0)


def main() -> None:
    """Only the lifecycle, for a profiler: ``python -m bench.rehearsal``."""
    print(f"{median(_lifecycle().cpu for _ in range(LIFECYCLES)):.1f} ms", file=sys.stdout)


if __name__ == "__main__":
    main()
