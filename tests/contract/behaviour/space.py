"""A namespace, and what tests say to it; the same on every cluster."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, TypeVar

from berth.core.objects import Json
from tests.contract.behaviour.wire import APPLY, MERGE, Answer, Wire
from tests.waiting import eventually

Found = TypeVar("Found")

#: Where each kind that the tests use is served.
ROOTS = {
    "statefulsets": "/apis/apps/v1",
    "controllerrevisions": "/apis/apps/v1",
    "poddisruptionbudgets": "/apis/policy/v1",
    "endpointslices": "/apis/discovery.k8s.io/v1",
    "networkpolicies": "/apis/networking.k8s.io/v1",
    "horizontalpodautoscalers": "/apis/autoscaling/v2",
    "leases": "/apis/coordination.k8s.io/v1",
    "storageclasses": "/apis/storage.k8s.io/v1",
    "priorityclasses": "/apis/scheduling.k8s.io/v1",
}
WIDE = frozenset({"storageclasses", "priorityclasses", "persistentvolumes", "namespaces", "nodes"})
MAPS, SETS, PODS, CLAIMS = "configmaps", "statefulsets", "pods", "persistentvolumeclaims"
REVISIONS, SLICES, BUDGETS = "controllerrevisions", "endpointslices", "poddisruptionbudgets"


class Space:
    """The verbs of the API on the objects of one namespace, and on those that have none."""

    def __init__(self, wire: Wire, name: str) -> None:
        self.wire = wire
        self.name = name

    def path(self, resource: str, name: str = "", sub: str = "") -> str:
        """Where a resource, an object or its subresource is."""
        place = "" if resource in WIDE else f"/namespaces/{self.name}"
        tail = "".join(f"/{part}" for part in (resource, name, sub) if part)
        return ROOTS.get(resource, "/api/v1") + place + tail

    def ask(
        self, method: str, resource: str, name: str = "", body: Any = None, *, sub: str = "", **more: Any
    ) -> Answer:
        """One request, whatever the answer."""
        return self.wire.call(method, self.path(resource, name, sub), body, **more)

    def make(self, resource: str, body: Json, **query: str) -> Json:
        """Create an object."""
        return expect(201, self.ask("POST", resource, body=body, query=query))

    def get(self, resource: str, name: str, sub: str = "") -> Json | None:
        """An object, if it is there."""
        answer = self.ask("GET", resource, name, sub=sub)
        return None if answer.status == 404 else expect(200, answer)

    def read(self, resource: str, name: str, sub: str = "") -> Json:
        """An object that is there."""
        return expect(200, self.ask("GET", resource, name, sub=sub))

    def all(self, resource: str, **query: str) -> list[Json]:
        """The objects of a kind."""
        found: list[Json] = expect(200, self.ask("GET", resource, query=query))["items"]
        return found

    def named(self, resource: str, **query: str) -> dict[str, Json]:
        """The objects of a kind by name."""
        return {body["metadata"]["name"]: body for body in self.all(resource, **query)}

    def names(self, resource: str, **query: str) -> list[str]:
        """The names of the objects of a kind, in the order in which they are listed."""
        return list(self.named(resource, **query))

    def patch(self, resource: str, name: str, body: Any, type: str = MERGE, *, sub: str = "", **query: str) -> Json:
        """Patch an object."""
        return expect(200, self.ask("PATCH", resource, name, body, type=type, sub=sub, query=query))

    def put(self, resource: str, body: Json, *, sub: str = "", **query: str) -> Json:
        """Replace an object."""
        return expect(200, self.ask("PUT", resource, body["metadata"]["name"], body, sub=sub, query=query))

    def apply(self, resource: str, body: Json, manager: str = "tests", **query: str) -> Answer:
        """Server-side apply."""
        found = {"fieldManager": manager, **query}
        return self.ask("PATCH", resource, body["metadata"]["name"], body, type=APPLY, query=found)

    def delete(self, resource: str, name: str, propagation: str = "", grace: int | None = None) -> Json:
        """Ask for a deletion."""
        options: Json = {"apiVersion": "v1", "kind": "DeleteOptions"}
        options |= {"propagationPolicy": propagation} if propagation else {}
        options |= {} if grace is None else {"gracePeriodSeconds": grace}
        answer = self.ask("DELETE", resource, name, options)
        assert answer.status in (200, 202), answer
        found: Json = answer.body
        return found

    def gone(self, resource: str, name: str, timeout: float = 60.0) -> None:
        """Wait until an object is there no more."""
        eventually(lambda: self.get(resource, name) is None or None, timeout)

    def until(self, resource: str, name: str, wanted: Callable[[Json], object], timeout: float = 60.0) -> Json:
        """The object, once it is as wanted."""
        last: list[Json | None] = [None]

        def look() -> Json | None:
            last[0] = self.get(resource, name)
            return last[0] if last[0] is not None and wanted(last[0]) else None

        try:
            return eventually(look, timeout, 0.05)
        except AssertionError:
            raise AssertionError(f"{resource}/{name} did not become what it should be: {last[0]}") from None

    # StatefulSets ----------------------------------------------------------------------------------------------------

    def scale(self, replicas: int, name: str = "web") -> Json:
        """Scale a set by its subresource."""
        return self.patch(SETS, name, {"spec": {"replicas": replicas}}, sub="scale")

    def image(self, image: str, name: str = "web") -> Json:
        """Give the template of a set another image."""
        container = [{"op": "replace", "path": "/spec/template/spec/containers/0/image", "value": image}]
        return self.patch(SETS, name, container, "application/json-patch+json")

    def settled(self, name: str = "web", **counts: int) -> Json:
        """The set, once its controller has seen it and has what it wants, or the given counts (``ready=1``)."""

        def calm(body: Json) -> bool:
            status, spec = body["status"], body["spec"]
            wanted = {"replicas": spec["replicas"], "ready": spec["replicas"], "available": spec["replicas"], **counts}
            if status.get("observedGeneration") != body["metadata"]["generation"]:
                return False
            keys = {key: key if key == "replicas" else f"{key}Replicas" for key in wanted}
            if any(int(status.get(keys[key], 0)) != count for key, count in wanted.items()):
                return False
            rolling = spec["updateStrategy"]["type"] == "RollingUpdate"
            partition = spec["updateStrategy"].get("rollingUpdate", {}).get("partition", 0)
            if counts or not rolling:
                return True
            if int(status.get("updatedReplicas", 0)) < spec["replicas"] - partition:
                return False
            return partition > 0 or bool(status["currentRevision"] == status["updateRevision"])

        return self.until(SETS, name, calm)

    def hashes(self) -> dict[str, str]:
        """The revision that each pod says it is of."""
        found = self.named(PODS)
        return {name: body["metadata"]["labels"].get("controller-revision-hash", "") for name, body in found.items()}

    def images(self) -> dict[str, str]:
        """The image of each pod."""
        return {name: body["spec"]["containers"][0]["image"] for name, body in self.named(PODS).items()}

    def uids(self, resource: str = PODS) -> dict[str, str]:
        """The uid of each object of a kind."""
        return {name: body["metadata"]["uid"] for name, body in self.named(resource).items()}

    def fault(self, pod: str, fault: str | None) -> None:
        """Break a running pod, or heal it."""
        self.patch(PODS, pod, {"metadata": {"annotations": {"berth.dev/fault": fault}}})

    @contextmanager
    def log(self, resource: str = PODS, selector: str = "") -> Iterator[Log]:
        """What happens to the objects of a kind while the block runs."""
        query = {"labelSelector": selector} if selector else {}
        listed = expect(200, self.ask("GET", resource, query=query))
        log = Log({body["metadata"]["name"]: state(body) for body in listed["items"]})
        query |= {"resourceVersion": listed["metadata"]["resourceVersion"], "timeoutSeconds": "120"}
        with self.wire.watch(self.path(resource), query) as events:
            thread = threading.Thread(target=log.follow, args=(events,), daemon=True)
            thread.start()
            try:
                yield log
            finally:
                log.closed = True


def expect(status: int, answer: Answer) -> Json:
    """The body of an answer that must have this status."""
    assert answer.status == status, (answer.status, answer.body)
    found: Json = answer.body
    return found


def state(body: Json) -> tuple[bool, bool]:
    """Whether an object is to go, and whether it is ready."""
    conditions = body.get("status", {}).get("conditions") or ()
    ready = any(entry["type"] == "Ready" and entry["status"] == "True" for entry in conditions)
    return "deletionTimestamp" in body["metadata"], ready


class Log:
    """What happened, in order: "+web-0" made, "!web-0" ready, "?web-0" no longer, "~web-0" to go, "-web-0" gone."""

    def __init__(self, known: Mapping[str, tuple[bool, bool]]) -> None:
        self.entries: list[str] = []
        self.objects: list[tuple[str, Json]] = []
        self.closed = False
        self._known = dict(known)

    def follow(self, events: Iterator[Json]) -> None:
        """Take down every event until the watch ends."""
        try:
            for event in events:
                self._note(event["type"], event["object"])
        except Exception:
            if not self.closed:
                raise

    def _note(self, type: str, body: Json) -> None:
        name = body["metadata"]["name"]
        self.objects.append((type, body))
        if type == "DELETED":
            self._known.pop(name, None)
            self.entries.append(f"-{name}")
            return
        doomed, ready = state(body)
        if name not in self._known:
            self.entries.append(f"+{name}")
        before = self._known.get(name, (False, False))
        self._known[name] = (doomed, ready)
        if doomed and not before[0]:
            self.entries.append(f"~{name}")
        if ready != before[1] and not doomed:
            self.entries.append(f"{'!' if ready else '?'}{name}")

    def seen(self, wanted: Callable[[Json], object], timeout: float = 60.0) -> None:
        """Wait until an object was as wanted."""
        eventually(lambda: any(wanted(body) for _, body in list(self.objects)) or None, timeout, 0.02)

    def until(self, *last: str, timeout: float = 60.0) -> list[str]:
        """All entries so far, once these are among them."""
        eventually(lambda: set(last) <= set(self.entries) or None, timeout, 0.02)
        return list(self.entries)


def turns(entries: Sequence[str]) -> list[str]:
    """The pods that were taken away, of the entries of a log, in the order in which each of them first was.

    A real controller whose view of its own last write is late makes a pod of a rolling update at the old revision, and
    then again at the new one: how often a pod is made again is not certain, the order is.
    """
    return list(dict.fromkeys(entry[1:] for entry in entries if entry.startswith("~")))


def config(name: str = "a", **data: str) -> Json:
    """A ConfigMap."""
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}, "data": data}


def pod_spec(image: str = "web:1", *mounts: str, **more: Any) -> Json:
    """The spec of a pod with one container."""
    container: Json = {"name": "web", "image": image}
    if mounts:
        container["volumeMounts"] = [{"name": mount, "mountPath": f"/{mount}"} for mount in mounts]
    return {"containers": [container], **more}


def stateful_set(
    replicas: int = 3,
    image: str = "web:1",
    *,
    name: str = "web",
    claims: tuple[str, ...] = (),
    annotations: Mapping[str, str] | None = None,
    pod: Mapping[str, Any] | None = None,
    **spec: Any,
) -> Json:
    """A StatefulSet; ``claims`` are the names of its claim templates, ``pod`` more fields of the pods' spec."""
    labels = {"app": name}
    meta: Json = {"labels": labels, **({"annotations": dict(annotations)} if annotations else {})}
    templates = [
        {
            "metadata": {"name": claim},
            "spec": {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}},
        }
        for claim in claims
    ]
    return {
        "apiVersion": "apps/v1",
        "kind": "StatefulSet",
        "metadata": {"name": name, "labels": labels},
        "spec": {
            "serviceName": name,
            "replicas": replicas,
            "selector": {"matchLabels": labels},
            "template": {"metadata": meta, "spec": pod_spec(image, *claims, **(pod or {}))},
            **({"volumeClaimTemplates": templates} if claims else {}),
            **spec,
        },
    }
