"""The control plane that the benchmark runs on, and a fresh namespace for each repetition."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from bench.measuring import BenchError
from berth import controlplane
from berth.actions.applying import Options
from berth.actions.clock import Clock
from berth.actions.prepare import Request, prepare
from berth.actions.up import up
from berth.cluster.kube import Kube
from berth.cluster.target import resolve
from berth.core.objects import ObjectRef
from berth.core.render import Release
from berth.library import open_library

NAME = "bench"
_PATIENCE = 300.0
#: Releases that are brought up at the same time.
_AT_ONCE = 8


class Cluster:
    """The plane, started if need be; ``close`` stops it again if so, and what was in it stays for the next run."""

    def __init__(self, report: Callable[[str], None]) -> None:
        self._was_running = controlplane.status(NAME).running
        status = controlplane.start(NAME, report=report)
        self.kubeconfig: Path = status.kubeconfig
        self.version = status.version
        self._kube: Kube = resolve(None, str(self.kubeconfig), {}).connect()

    def close(self) -> None:
        self._kube.close()
        if not self._was_running:
            controlplane.stop(NAME)

    def open_namespace(self, name: str) -> None:
        """Make a namespace, and wait for what the controllers put into each."""
        self._kube.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}})
        awaited = [
            ObjectRef("", "ServiceAccount", name, "default"),
            ObjectRef("", "ConfigMap", name, "kube-root-ca.crt"),
        ]
        _until(lambda: all(self._kube.get(ref) for ref in awaited), f"namespace {name} is not ready for pods")

    def drop_namespace(self, name: str) -> None:
        """Delete a namespace with everything in it, and wait until all of it is gone, volumes included."""
        space = ObjectRef("", "Namespace", "", name)
        self._kube.delete(space)
        _until(lambda: self._kube.get(space) is None and not self._volumes(name), f"namespace {name} does not go away")

    def ready_sets(self, namespace: str) -> int:
        """How many StatefulSets have all of their replicas ready."""
        found = self._kube.list("apps", "StatefulSet", namespace).items
        return sum(body.get("status", {}).get("readyReplicas", 0) == body["spec"]["replicas"] for body in found)

    def install(self, root: Path, profile: str, namespace: str, count: int) -> None:
        """Bring up so many releases of a profile of a project, named r0, r1 and so on."""
        wanted = [Request(profile, f"r{number}", namespace, None, (), ("count=1",)) for number in range(count)]
        releases = prepare(open_library(root), wanted)
        with ThreadPoolExecutor(_AT_ONCE) as pool:
            runs = [pool.submit(self._up, releases[number::_AT_ONCE]) for number in range(_AT_ONCE)]
            for run in runs:
                run.result()

    def _up(self, releases: Sequence[Release]) -> None:
        for _ in up(self._kube, releases, Options(), Clock()):
            pass

    def _volumes(self, namespace: str) -> bool:
        volumes = self._kube.list("", "PersistentVolume").items
        return any(((body["spec"].get("claimRef") or {}).get("namespace")) == namespace for body in volumes)


def _until(done: Callable[[], bool], otherwise: str) -> None:
    began = time.monotonic()
    while not done():
        if time.monotonic() - began > _PATIENCE:
            raise BenchError(f"{otherwise} after {_PATIENCE:.0f} s")
        time.sleep(0.2)
