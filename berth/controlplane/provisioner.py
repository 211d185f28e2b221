"""The volumes of a local control plane: `python -m berth.controlplane.provisioner SERVER PKI-DIRECTORY`.

A stage of kwok can change an object but make no volume for a claim, so this process plays external-provisioner and
external-resizer. It lists, watches, and acts on what it sees; what fails is tried again with growing delays. It keeps
nothing of its own: it may be killed at any moment. It ends when the directory with its certificate is gone.
"""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

from berth.controlplane import volumes
from berth.controlplane.api import ApiError, Client, Object, Unreachable

CLAIMS = "/api/v1/persistentvolumeclaims"
VOLUMES = "/api/v1/persistentvolumes"
CLASSES = "/apis/storage.k8s.io/v1/storageclasses"

FIRST_DELAY = 0.05
LAST_DELAY = 5.0

Key = tuple[str, str]


def log(text: str) -> None:
    """One line in the component's log."""
    print(f"{datetime.now(UTC).isoformat(timespec='milliseconds')} {text}", flush=True)


class Queue:
    """Keys to look at, each at most once at a time, each not before it is due."""

    def __init__(self) -> None:
        """Start empty."""
        self._due: dict[Key, float] = {}
        self._failures: dict[Key, int] = {}
        self._changed = threading.Condition()

    def add(self, key: Key) -> None:
        """Look at the key now, whatever delay it had."""
        with self._changed:
            self._due[key] = 0.0
            self._changed.notify()

    def again(self, key: Key) -> None:
        """Look at the key later, the later the more often it failed."""
        with self._changed:
            count = self._failures.get(key, 0)
            self._failures[key] = count + 1
            self._due.setdefault(key, time.monotonic() + min(LAST_DELAY, FIRST_DELAY * 2 ** min(count, 10)))
            self._changed.notify()

    def done(self, key: Key) -> None:
        """Forget the key's failures."""
        with self._changed:
            self._failures.pop(key, None)

    def take(self) -> Key:
        """The next key that is due; waits for one."""
        with self._changed:
            while True:
                now = time.monotonic()
                key = min(self._due, key=lambda each: self._due[each], default=None)
                if key is not None and self._due[key] <= now:
                    del self._due[key]
                    return key
                self._changed.wait(None if key is None else self._due[key] - now)


class Mirror:
    """A copy of one collection, kept current by list and watch; calls ``changed`` with the key of each object."""

    def __init__(self, client: Client, path: str, changed: Callable[[str], None]) -> None:
        """Nothing is read until `run`."""
        self.objects: dict[str, Object] = {}
        self.listed = threading.Event()
        self._client = client
        self._path = path
        self._changed = changed

    def run(self) -> None:
        """List and watch for ever; a failed or stale watch is followed by a new list, with a growing pause between."""
        delay = FIRST_DELAY
        while True:
            try:
                version = self._list()
                self.listed.set()
                delay = FIRST_DELAY
                while True:
                    version = self._watch(version)
            except (ApiError, Unreachable) as error:
                if not (isinstance(error, ApiError) and error.code == 410):
                    log(f"{self._path}: {error}")
            time.sleep(delay)
            delay = min(LAST_DELAY, delay * 2)

    def _list(self) -> str:
        answer = self._client.get(self._path)
        fresh = {key_of(item): item for item in answer["items"]}
        before, self.objects = self.objects, fresh
        for key in before.keys() | fresh.keys():
            self._changed(key)
        return str(answer["metadata"]["resourceVersion"])

    def _watch(self, version: str) -> str:
        for event in self._client.watch(self._path, version):
            item = event["object"]
            version = str(item["metadata"]["resourceVersion"])
            if event["type"] == "BOOKMARK":
                continue
            key = key_of(item)
            if event["type"] == "DELETED":
                self.objects.pop(key, None)
            else:
                self.objects[key] = item
            self._changed(key)
        return version


def key_of(item: Object) -> str:
    """Namespace and name, or the name alone."""
    metadata = item["metadata"]
    return f"{metadata['namespace']}/{metadata['name']}" if metadata.get("namespace") else str(metadata["name"])


class Provisioner:
    """Makes, grows and deletes volumes."""

    def __init__(self, client: Callable[[], Client]) -> None:
        """``client`` makes a connection; each thread gets one of its own."""
        self._client = client()
        self._queue = Queue()
        self._claims = Mirror(client(), CLAIMS, lambda key: self._queue.add(("claim", key)))
        self._volumes = Mirror(client(), VOLUMES, self._volume_changed)
        self._classes = Mirror(client(), CLASSES, lambda key: self._look_at_all())
        self._told: set[str] = set()

    def run(self, alive: Callable[[], bool]) -> None:
        """Work until ``alive`` says no."""
        mirrors = (self._classes, self._volumes, self._claims)
        for mirror in mirrors:
            threading.Thread(target=mirror.run, daemon=True).start()
        threading.Thread(target=self._work, args=(mirrors,), daemon=True).start()
        while alive():
            time.sleep(2.0)

    def _work(self, mirrors: tuple[Mirror, ...]) -> None:
        for mirror in mirrors:
            mirror.listed.wait()
        log("ready")
        while True:
            key = self._queue.take()
            kind, name = key
            try:
                if kind == "claim":
                    self._claim(name)
                else:
                    self._volume(name)
                self._queue.done(key)
            except (ApiError, Unreachable) as error:
                log(f"{kind} {name}: {error}")
                self._queue.again(key)
            except Exception as error:
                # An object that we do not understand must not end the service for all the others.
                log(f"{kind} {name}: {type(error).__name__}: {error}")
                self._queue.again(key)

    def _volume_changed(self, name: str) -> None:
        self._queue.add(("volume", name))
        volume = self._volumes.objects.get(name)
        reference = volume["spec"].get("claimRef") if volume else None
        if reference:
            self._queue.add(("claim", f"{reference['namespace']}/{reference['name']}"))

    def _look_at_all(self) -> None:
        for key in list(self._claims.objects):
            self._queue.add(("claim", key))

    def _claim(self, key: str) -> None:
        claim = self._claims.objects.get(key)
        if claim is None:
            return
        storage_class = self._classes.objects.get(volumes.class_name(claim))
        if storage_class is not None and volumes.due(claim, storage_class):
            self._provision(claim, storage_class)
        volume = self._volumes.objects.get(str(claim["spec"].get("volumeName", "")))
        size = volumes.growth(claim, volume, storage_class)
        if volume is not None and size:
            self._grow(claim, volume, size)

    def _provision(self, claim: Object, storage_class: Object) -> None:
        name = volumes.volume_name(claim)
        if name in self._volumes.objects:
            return
        reason = volumes.refusal(claim)
        if reason:
            text = f'failed to provision volume with StorageClass "{volumes.class_name(claim)}": {reason}'
            self._tell(claim, "Warning", "ProvisioningFailed", text)
            return
        try:
            made = self._client.create(VOLUMES, volumes.volume_for(claim, storage_class))
        except ApiError as error:
            if error.reason != "AlreadyExists":
                raise
            return
        # Not only when the watch brings it: the next event of the claim may come first.
        self._volumes.objects.setdefault(name, made)
        self._tell(claim, "Normal", "ProvisioningSucceeded", f"Successfully provisioned volume {name}")
        log(f"made {name} for {key_of(claim)}")

    def _grow(self, claim: Object, volume: Object, size: str) -> None:
        metadata = claim["metadata"]
        path = f"/api/v1/namespaces/{metadata['namespace']}/persistentvolumeclaims/{metadata['name']}/status"
        now = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        resizing = {"type": "Resizing", "status": "True", "lastTransitionTime": now}
        self._client.merge(path, {"status": {"conditions": [resizing]}})
        self._client.merge(f"{VOLUMES}/{volume['metadata']['name']}", {"spec": {"capacity": {"storage": size}}})
        self._client.merge(path, {"status": {"capacity": {"storage": size}, "conditions": None}})
        self._tell(claim, "Normal", "VolumeResizeSuccessful", "Resize volume succeeded")
        log(f"grew {key_of(claim)} to {size}")

    def _volume(self, name: str) -> None:
        volume = self._volumes.objects.get(name)
        if volume is None or not volumes.removable(volume):
            return
        try:
            # The very volume that was looked at, never one that took its name since.
            preconditions = {"uid": volume["metadata"]["uid"]}
            self._client.delete(f"{VOLUMES}/{name}", {"preconditions": preconditions})
        except ApiError as error:
            if error.code not in (404, 409):
                raise
        log(f"deleted {name}")

    def _tell(self, claim: Object, kind: str, reason: str, message: str) -> None:
        """Send an event about the claim, once for each thing that is to be said; one that is lost is not repeated."""
        metadata = claim["metadata"]
        once = f"{metadata['uid']} {reason} {message}"
        if kind == "Warning" and once in self._told:
            return
        self._told.add(once)
        now = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        body = {
            "apiVersion": "v1",
            "kind": "Event",
            "metadata": {"generateName": f"{metadata['name']}.", "namespace": metadata["namespace"]},
            "involvedObject": {
                "apiVersion": "v1",
                "kind": "PersistentVolumeClaim",
                "namespace": metadata["namespace"],
                "name": metadata["name"],
                "uid": metadata["uid"],
            },
            "type": kind,
            "reason": reason,
            "message": message,
            "source": {"component": "berth-provisioner"},
            "firstTimestamp": now,
            "lastTimestamp": now,
            "count": 1,
        }
        try:
            self._client.create(f"/api/v1/namespaces/{metadata['namespace']}/events", body)
        except (ApiError, Unreachable) as error:
            log(f"event {reason} for {key_of(claim)}: {error}")


def main(argv: list[str]) -> int:
    """Run until killed, or until the directory with the keys is gone."""
    if len(argv) != 2:
        print("usage: python -m berth.controlplane.provisioner SERVER PKI-DIRECTORY", file=sys.stderr)
        return 2
    server, pki = argv[0], Path(argv[1])
    Provisioner(lambda: Client.of(server, pki, "provisioner")).run(alive=pki.is_dir)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
