"""The case SITE: fifty releases of mixed profiles, as one site file for berth and as a loop over charts for helm."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from bench.contenders import ROOT, Command, Tools
from bench.measuring import BenchError
from berth.core.lint.model import DEFAULT_KUBERNETES, format_version
from berth.core.objects import Json

#: How many releases of each profile, and the values of them all: what a chart cannot set is the same for both. A class
#: of its own is shared by the whole cluster, and of several Helm releases only one can have it.
RELEASES = 10
PROFILES: dict[str, Json] = {
    "nginx": {"minReadySeconds": 0, "replicas": 1},
    "httpd": {"minReadySeconds": 0, "replicas": 1, "storage": {"className": "local-path", "createClass": False}},
    "postgres": {"minReadySeconds": 0, "replicas": 1},
    "zookeeper": {"minReadySeconds": 0},
    "cassandra": {"minReadySeconds": 0, "replicas": 1, "resources": {"requests": {"cpu": "100m", "memory": "1Gi"}}},
}
COUNT = RELEASES * len(PROFILES)

#: What is measured, in this order, on namespaces that were just made.
RENDER, PLAN, FRESH, AGAIN, UNCHANGED = "render", "plan", "up, fresh", "plan, unchanged", "up, unchanged"
STEPS = (RENDER, PLAN, FRESH, AGAIN, UNCHANGED)


@dataclass(frozen=True, slots=True)
class Fleet:
    """The releases of one contender in one repetition; a profile has a namespace, files are below ``directory``."""

    prefix: str
    directory: Path
    charts: Path = field(default=ROOT / "charts")

    @property
    def namespaces(self) -> list[str]:
        return [f"{self.prefix}-{profile}" for profile in PROFILES]

    @property
    def file(self) -> Path:
        return self.directory / "site.yaml"

    def values(self, profile: str) -> Path:
        return self.directory / f"{profile}.yaml"

    def releases(self) -> Iterator[tuple[str, str, str]]:
        """Profile, name and namespace of each."""
        for number in range(RELEASES):
            for profile, namespace in zip(PROFILES, self.namespaces, strict=True):
                yield profile, f"{profile}-{number}", namespace

    def write(self) -> None:
        """The site file, and for the charts a file of values a profile.

        Raises:
            BenchError: a chart is not there.
        """
        missing = [profile for profile in PROFILES if not (self.charts / profile / "Chart.yaml").is_file()]
        if missing:
            raise BenchError(f"no chart of {', '.join(missing)} in {self.charts}; `invoke chart --all` writes them")
        self.directory.mkdir(parents=True)
        for profile, values in PROFILES.items():
            self.values(profile).write_text(json.dumps(values), encoding="utf-8")
        entries = [
            {"profile": profile, "name": name, "namespace": namespace, "values": PROFILES[profile]}
            for profile, name, namespace in self.releases()
        ]
        # JSON in our subset of YAML is YAML.
        self.file.write_text(json.dumps({"name": self.prefix, "releases": entries}, indent=1), encoding="utf-8")


def _berth(tools: Tools, fleet: Fleet, step: str) -> list[Command]:
    task = {RENDER: "render", PLAN: "plan", AGAIN: "plan"}.get(step, "up")
    return [[*tools.berth, task, "--site", str(fleet.file)]]


def _helm(tools: Tools, fleet: Fleet, step: str) -> list[Command]:
    def command(profile: str, name: str, namespace: str) -> Command:
        which = [name, str(fleet.charts / profile), "--namespace", namespace, "--values", str(fleet.values(profile))]
        if step == RENDER:
            # A helm that was built from its module takes an old Kubernetes for granted.
            return [tools.helm, "template", *which, "--kube-version", f"{format_version(DEFAULT_KUBERNETES)}.0"]
        install = [tools.helm, "upgrade", "--install", *which]
        dry = step in (PLAN, AGAIN)
        return [*install, *(["--dry-run=server"] if dry else ["--wait", "--timeout", "10m"])]

    return [command(*release) for release in fleet.releases()]


#: The same site, by each of them. A dry run of helm prints manifests and no difference; it is the nearest it has.
CONTENDERS: dict[str, Callable[[Tools, Fleet, str], list[Command]]] = {"berth": _berth, "helm": _helm}
