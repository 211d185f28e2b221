"""A control plane of the tests' own, never the user's: another state directory, gone afterwards."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, TypeVar

import pytest

from berth import controlplane
from berth.controlplane.api import ApiError, Client

T = TypeVar("T")
Object = dict[str, Any]


def eventually(check: Callable[[], T | Literal[False]], seconds: float = 20.0) -> T:
    """The first true answer of the check; fails with the last answer when there is none in time."""
    deadline = time.monotonic() + seconds
    while True:
        answer = check()
        if answer:
            return answer
        if time.monotonic() > deadline:
            raise AssertionError(f"not in {seconds:.0f} s: last answer was {answer!r}")
        time.sleep(0.05)


@dataclass
class Plane:
    """A running control plane, and an administrator's client of it."""

    name: str
    lines: list[str] = field(default_factory=list)

    def start(self) -> controlplane.Status:
        return controlplane.start(self.name, report=self.lines.append)

    @property
    def status(self) -> controlplane.Status:
        return controlplane.status(self.name)

    @property
    def root(self) -> Path:
        return self.status.state_dir

    eventually = staticmethod(eventually)

    def client(self, identity: str = "admin") -> Client:
        return Client.of(self.status.server, self.root / "pki", identity)


@pytest.fixture(scope="session")
def state_home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A state directory for all planes of this session."""
    home = tmp_path_factory.mktemp("state")
    before = os.environ.get("BERTH_STATE_DIR")
    os.environ["BERTH_STATE_DIR"] = str(home)
    yield home
    if before is None:
        del os.environ["BERTH_STATE_DIR"]
    else:
        os.environ["BERTH_STATE_DIR"] = before


def running(name: str) -> Iterator[Plane]:
    made = Plane(name)
    try:
        made.start()
        yield made
    finally:
        controlplane.delete(name)


@pytest.fixture(scope="session")
def plane(state_home: Path) -> Iterator[Plane]:
    """The plane whose objects the tests use; nobody stops it."""
    yield from running("objects")


@pytest.fixture(scope="module")
def victim(state_home: Path) -> Iterator[Plane]:
    """The plane whose processes the tests kill."""
    yield from running("victim")


class Namespace:
    """A namespace of one test, and shortcuts for what tests do in it."""

    def __init__(self, client: Client, name: str) -> None:
        self.client = client
        self.name = name
        client.create("/api/v1/namespaces", {"metadata": {"name": name}})

    eventually = staticmethod(eventually)

    @staticmethod
    def ready(pod: Object) -> bool:
        """Whether the pod is ready."""
        conditions = pod.get("status", {}).get("conditions", [])
        return any(item["type"] == "Ready" and item["status"] == "True" for item in conditions)

    def path(self, kind: str, name: str = "") -> str:
        group = "apis/apps/v1" if kind in ("statefulsets", "deployments") else "api/v1"
        group = "apis/discovery.k8s.io/v1" if kind == "endpointslices" else group
        group = "apis/batch/v1" if kind == "jobs" else group
        return f"/{group}/namespaces/{self.name}/{kind}" + (f"/{name}" if name else "")

    def create(self, kind: str, body: Object) -> Object:
        return self.client.create(self.path(kind), body)

    def get(self, kind: str, name: str) -> Object:
        try:
            return self.client.get(self.path(kind, name))
        except ApiError as error:
            if error.code == 404:
                return {}
            raise

    def all(self, kind: str) -> list[Object]:
        items: list[Object] = self.client.get(self.path(kind))["items"]
        return items

    def delete(self, kind: str, name: str) -> None:
        self.client.delete(self.path(kind, name))

    def claim(self, name: str, storage_class: str | None, size: str = "1Gi") -> Object:
        spec: Object = {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": size}}}
        if storage_class is not None:
            spec["storageClassName"] = storage_class
        return self.create("persistentvolumeclaims", {"metadata": {"name": name}, "spec": spec})

    def pod(self, name: str, *, image: str = "nginx:1.29", claim: str = "", **metadata: Any) -> Object:
        container: Object = {"name": "main", "image": image}
        spec: Object = {"containers": [container]}
        if claim:
            spec["volumes"] = [{"name": "data", "persistentVolumeClaim": {"claimName": claim}}]
            container["volumeMounts"] = [{"name": "data", "mountPath": "/data"}]
        return self.create("pods", {"metadata": {"name": name, **metadata}, "spec": spec})

    def stateful_set(self, name: str, *, replicas: int = 1, pod: Object | None = None, **spec: Any) -> Object:
        """A set with one claim template; ``pod`` holds metadata of its pods."""
        labels = {"app": name}
        mount = {"name": "data", "mountPath": "/data"}
        template = {
            "metadata": {"labels": labels, **(pod or {})},
            "spec": {
                "initContainers": [{"name": "prepare", "image": "busybox:1.37"}],
                "containers": [{"name": "main", "image": "nginx:1.29", "volumeMounts": [mount]}],
            },
        }
        claim = {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}}
        body = {
            "metadata": {"name": name},
            "spec": {
                "serviceName": name,
                "replicas": replicas,
                "selector": {"matchLabels": labels},
                "template": template,
                "volumeClaimTemplates": [{"metadata": {"name": "data"}, "spec": claim}],
                **spec,
            },
        }
        return self.create("statefulsets", body)

    def bound(self, claim: str) -> Object:
        """The claim, once it is bound."""

        def check() -> Object:
            found = self.get("persistentvolumeclaims", claim)
            return found if found.get("status", {}).get("phase") == "Bound" else {}

        return eventually(check)

    def volume(self, claim: Object) -> Object:
        try:
            return self.client.get(f"/api/v1/persistentvolumes/{claim['spec']['volumeName']}")
        except ApiError as error:
            if error.code == 404:
                return {}
            raise


@pytest.fixture
def namespace(plane: Plane, request: pytest.FixtureRequest) -> Iterator[Namespace]:
    """A fresh namespace whose default service account is there."""
    client = plane.client()
    name = "t-" + "".join(letter if letter.isalnum() else "-" for letter in request.node.name.lower())[:50].strip("-")
    made = Namespace(client, name)
    eventually(lambda: made.get("serviceaccounts", "default"))
    yield made
    client.delete(f"/api/v1/namespaces/{name}")
    client.close()
