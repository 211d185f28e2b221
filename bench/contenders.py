"""Who is compared, and the commands that each of them takes for the same work."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent

Command = list[str]


@dataclass(frozen=True, slots=True)
class Tools:
    """Where the programs are."""

    kubectl: str
    helm: str
    berth: Command
    invoke: Command
    python: str = sys.executable


def program(name: str) -> Command:
    """The script that an installation put beside this interpreter, else the module of that name."""
    script = Path(sys.executable).with_name(name)
    return [str(script)] if script.is_file() else [sys.executable, "-m", name]


@dataclass(frozen=True, slots=True)
class Work:
    """What is to be brought up: a profile for berth, and its manifests as a file and as a chart for the others."""

    profile: str
    flags: tuple[str, ...]
    namespace: str
    directory: Path

    @property
    def manifests(self) -> Path:
        return self.directory / "manifests.yaml"

    @property
    def chart(self) -> Path:
        return self.directory / "chart"

    def write(self, text: str) -> None:
        """Write the rendered manifests, once for kubectl and Python and once as a chart."""
        templates = self.chart / "templates"
        templates.mkdir(parents=True, exist_ok=True)
        self.manifests.write_text(text, encoding="utf-8")
        (templates / "manifests.yaml").write_text(text, encoding="utf-8")
        described = f"apiVersion: v2\nname: {self.profile}\ndescription: rendered\nversion: 1.0.0\n"
        (self.chart / "Chart.yaml").write_text(described, encoding="utf-8")


def _berth(tools: Tools, work: Work) -> list[Command]:
    return [[*tools.berth, "up", "--profile", work.profile, *work.flags, "--namespace", work.namespace]]


def _kubectl(tools: Tools, work: Work) -> list[Command]:
    chosen = f"app.kubernetes.io/instance={work.profile}"
    return [
        [tools.kubectl, "apply", "-f", str(work.manifests)],
        [tools.kubectl, "rollout", "status", "statefulset", "-n", work.namespace, "-l", chosen, "--timeout=10m"],
    ]


def _helm(tools: Tools, work: Work) -> list[Command]:
    where = ["--namespace", work.namespace]
    return [[tools.helm, "upgrade", "--install", work.profile, str(work.chart), *where, "--wait", "--timeout", "10m"]]


def _plain(tools: Tools, work: Work) -> list[Command]:
    cache = work.directory.parent / "discovery.json"
    script = str(HERE / "plain_client.py")
    return [[tools.python, script, str(work.manifests), work.namespace, str(cache)]]


#: The same command brings up and, run again, finds nothing to do.
CONTENDERS: dict[str, Callable[[Tools, Work], list[Command]]] = {
    "berth": _berth,
    "kubectl": _kubectl,
    "helm": _helm,
    "python client": _plain,
}


#: The image that a rollout goes to; nodes are simulated, so that nobody fetches it.
_NEXT = "nginx:1.30"


def _berth_rolls(tools: Tools, work: Work, replicas: int) -> list[Command]:
    where = ["--profile", work.profile, "--namespace", work.namespace]
    first = [*tools.berth, "rollout", *where, "--image", _NEXT, "--canary", "1", "--pause"]
    return [first, [*tools.berth, "rollout.promote", *where]]


def _kubectl_rolls(tools: Tools, work: Work, replicas: int) -> list[Command]:
    where = ["statefulset", "web", "--namespace", work.namespace]

    def patch(partition: int, **spec: object) -> Command:
        strategy = {"type": "RollingUpdate", "rollingUpdate": {"partition": partition}}
        return [tools.kubectl, "patch", *where, "--patch", json.dumps({"spec": {"updateStrategy": strategy, **spec}})]

    containers = {"template": {"spec": {"containers": [{"name": "nginx", "image": _NEXT}]}}}
    wait = [tools.kubectl, "rollout", "status", *where, "--timeout=10m"]
    return [patch(replicas - 1, **containers), wait, patch(0), wait]


#: A canary of one pod, and then the others.
ROLLERS: dict[str, Callable[[Tools, Work, int], list[Command]]] = {"berth": _berth_rolls, "kubectl": _kubectl_rolls}
