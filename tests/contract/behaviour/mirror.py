"""All that a cluster has in some namespaces, kept up by watches, so that looking costs the cluster nothing."""

from __future__ import annotations

import threading
import time
from collections import defaultdict
from contextlib import suppress

from berth.core.objects import Json
from tests.contract.behaviour.essence import essence, key
from tests.contract.behaviour.space import BUDGETS, CLAIMS, PODS, REVISIONS, ROOTS, SETS, SLICES, expect
from tests.contract.behaviour.wire import Wire

VOLUMES = "persistentvolumes"
KINDS = (SETS, PODS, CLAIMS, VOLUMES, REVISIONS, SLICES, BUDGETS)


class Mirror:
    """The objects of the namespaces whose names begin with ``prefix``, as they are and in their essence."""

    def __init__(self, wire: Wire, prefix: str) -> None:
        """Begin to watch; complete when every kind was listed once."""
        self._wire, self._prefix = wire, prefix
        self._lock = threading.Lock()
        self._bodies: dict[str, dict[tuple[str, str], Json]] = defaultdict(dict)
        self._essences: dict[str, dict[tuple[str, str], Json]] = defaultdict(dict)
        self._changed: dict[str, float] = defaultdict(float)
        self._closed = False
        for resource in KINDS:
            version = expect(200, wire.call("GET", self._path(resource), query={"limit": "1"}))["metadata"][
                "resourceVersion"
            ]
            threading.Thread(target=self._follow, args=(resource, version), daemon=True).start()

    def close(self) -> None:
        """Take no more note of anything."""
        self._closed = True

    def bodies(self, space: str, resource: str) -> list[Json]:
        """The objects of a kind in a namespace."""
        with self._lock:
            return [body for (kind, _), body in self._bodies[space].items() if kind == resource]

    def essences(self, space: str) -> dict[str, Json]:
        """What must be equal of all objects of a namespace, by kind and name."""
        with self._lock:
            return {
                f"{kind}/{self._key(kind, space, uid)}": body for (kind, uid), body in self._essences[space].items()
            }

    def quiet(self, space: str) -> float:
        """For how many seconds nothing has changed in a namespace that must be equal."""
        with self._lock:
            return time.monotonic() - self._changed[space]

    def forget(self, space: str) -> None:
        """A namespace is looked at no more."""
        with self._lock:
            self._bodies.pop(space, None)
            self._essences.pop(space, None)

    def _key(self, kind: str, space: str, uid: str) -> str:
        return key(kind, self._bodies[space][(kind, uid)])

    def _path(self, resource: str) -> str:
        return f"{ROOTS.get(resource, '/api/v1')}/{resource}"

    def _follow(self, resource: str, version: str) -> None:
        query = {"allowWatchBookmarks": "true", "timeoutSeconds": "45"}
        while not self._closed:
            # A watch that breaks is taken up where it was; on a busy machine it may fall silent.
            with (
                suppress(OSError),
                self._wire.watch(self._path(resource), {**query, "resourceVersion": version}) as events,
            ):
                for event in events:
                    body = event["object"]
                    assert event["type"] != "ERROR", body
                    version = body["metadata"]["resourceVersion"]
                    if event["type"] != "BOOKMARK":
                        self._take(resource, event["type"], body)

    def _take(self, resource: str, type: str, body: Json) -> None:
        meta = body["metadata"]
        space = body["spec"]["claimRef"]["namespace"] if resource == VOLUMES else meta["namespace"]
        if not space.startswith(self._prefix):
            return
        at = (resource, meta["uid"])
        made = None if type == "DELETED" else essence(resource, body)
        with self._lock:
            if made is None:
                self._bodies[space].pop(at, None)
                self._essences[space].pop(at, None)
                self._changed[space] = time.monotonic()
                return
            self._bodies[space][at] = body
            if self._essences[space].get(at) != made:
                self._essences[space][at] = made
                self._changed[space] = time.monotonic()
