"""Watches, records and locks on a real API."""

from __future__ import annotations

import json
import queue
import shutil
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from berth.cluster.kube import Kube
from berth.cluster.lock import Lock
from berth.cluster.record import live_digest
from berth.cluster.refusals import ExpiredError
from berth.cluster.release import list_releases, load, remove, save
from berth.cluster.watch import Changed, Gone, Synced, Watcher, WatchEvent
from berth.core.errors import BerthError, ConflictError, LockedError
from berth.core.objects import ObjectRef, applyset_id
from tests.contract.cluster.samples import config, record

Watch = Callable[..., "queue.SimpleQueue[WatchEvent]"]


@pytest.fixture
def watch(kube: Kube, space: str) -> Iterator[Watch]:
    watchers: list[Watcher] = []

    def begin(**options: Any) -> queue.SimpleQueue[WatchEvent]:
        events: queue.SimpleQueue[WatchEvent] = queue.SimpleQueue()
        watchers.append(Watcher(kube, "", "ConfigMap", space, events.put, label_selector="mine=yes", **options))
        watchers[-1].start()
        return events

    yield begin
    for watcher in watchers:
        watcher.stop()
        watcher.join(5)


def test_a_watch_tells_what_happens_in_order(kube: Kube, space: str, watch: Watch) -> None:
    before = kube.create(config(space, "before"))
    events = watch()
    first = events.get(timeout=10)
    assert isinstance(first, Synced) and [item["metadata"]["uid"] for item in first.items] == [
        before["metadata"]["uid"]
    ]
    made = kube.create(config(space, "a", x="1"))
    changed = kube.apply(config(space, "a", x="1", y="2"))
    kube.delete(ObjectRef("", "ConfigMap", space, "a"))
    assert events.get(timeout=10) == Changed(made)
    assert events.get(timeout=10) == Changed(changed)
    gone = events.get(timeout=10)
    assert isinstance(gone, Gone) and gone.object["metadata"]["name"] == "a"


def test_an_object_that_leaves_the_selection_is_gone(kube: Kube, space: str, watch: Watch) -> None:
    kube.create(config(space, "a"))
    events = watch()
    assert isinstance(events.get(timeout=10), Synced)
    kube.patch(ObjectRef("", "ConfigMap", space, "a"), {"metadata": {"labels": {"mine": None}}})
    assert isinstance(events.get(timeout=10), Gone)


def test_a_silent_watch_resumes_without_losing_anything(kube: Kube, space: str, watch: Watch) -> None:
    events = watch(silence=0.2)
    assert isinstance(events.get(timeout=10), Synced)
    for number in range(5):
        with pytest.raises(queue.Empty):
            events.get(timeout=0.25)
        made = kube.create(config(space, f"c{number}"))
        assert events.get(timeout=10) == Changed(made)


def test_the_oldest_version_is_served_or_said_to_be_expired(kube: Kube, space: str) -> None:
    """A server keeps old versions for five minutes: a young one still has the first, every other says 410."""
    try:
        with kube.watch("", "ConfigMap", space, resource_version="1", timeout=2) as stream:
            first = next(stream.lines())
    except ExpiredError:
        return
    assert b'"code":410' in first or b'"type":"ADDED"' in first


def test_a_record_is_saved_listed_swapped_and_removed(kube: Kube, space: str) -> None:
    first = save(kube, record(space))
    assert load(kube, space, "web") == first
    assert list_releases(kube, space) == (first,)
    assert first in list_releases(kube)
    second = save(kube, replace(first, status="deployed"))
    for stale in (lambda: save(kube, first), lambda: save(kube, record(space)), lambda: remove(kube, first)):
        with pytest.raises(ConflictError, match="changed by another run"):
            stale()
    remove(kube, second)
    remove(kube, second)
    assert load(kube, space, "web") is None


def test_other_secrets_of_ours_are_no_releases(kube: Kube, space: str) -> None:
    labels = {"app.kubernetes.io/managed-by": "berth"}
    meta = {"name": "password", "namespace": space, "labels": labels}
    kube.create({"apiVersion": "v1", "kind": "Secret", "metadata": meta})
    assert list_releases(kube, space) == ()


def test_a_digest_stays_as_the_apply_left_it(kube: Kube, space: str) -> None:
    for body in (
        config(space, "a", x="1"),
        {
            "apiVersion": "v1",
            "kind": "Service",
            "metadata": {"name": "a", "namespace": space},
            "spec": {"ports": [{"port": 80}], "selector": {"a": "b"}},
        },
    ):
        applied = kube.apply(body)
        ref = ObjectRef.of(body)
        read = kube.get(ref)
        assert read is not None
        [listed] = kube.list(ref.group, ref.kind, space, field_selector=f"metadata.name={ref.name}").items
        assert live_digest(applied) == live_digest(read) == live_digest(listed)
        changed = kube.patch(ref, {"metadata": {"labels": {"who": "someone"}}}, field_manager="someone")
        assert live_digest(changed) != live_digest(applied)


def test_kubectl_takes_the_record_for_an_applyset(kube: Kube, plane: Path, space: str, tmp_path: Path) -> None:
    """Kubectl refuses to change it, by the name of our tool: it has read the parent's labels and annotations."""
    kubectl = shutil.which("kubectl")
    if kubectl is None:
        pytest.skip("there is no kubectl here")
    save(kube, record(space))
    command = [kubectl, "--kubeconfig", str(plane), "-n", space, "apply", "-f", "-", "--prune"]
    command += ["--applyset", "secrets/berth.release.web"]
    # Without a home, kubectl would keep its cache in the working directory.
    environ = {"KUBECTL_APPLYSET": "true", "HOME": str(tmp_path)}
    manifest = json.dumps(config(space, "b"))
    done = subprocess.run(command, input=manifest, env=environ, capture_output=True, text=True, check=False)
    assert 'managed by tooling "berth"' in done.stderr
    live = kube.get(record(space).ref)
    assert live is not None
    assert live["metadata"]["labels"]["applyset.kubernetes.io/id"] == applyset_id("web", space)


def test_two_runs_cannot_hold_one_lock(kube: Kube, space: str) -> None:
    with Lock(kube, space, "web") as first:
        first.check()
        with pytest.raises(LockedError, match="release web is locked by"):
            Lock(kube, space, "web").acquire()
        with Lock(kube, space, "other"):
            pass
    with Lock(kube, space, "web") as again:
        again.check()
    assert kube.get(first.ref) is None


def test_of_many_that_want_a_lock_one_gets_it(kube: Kube, space: str) -> None:
    locks = [Lock(kube, space, "web", f"u@h/1/x/{number}") for number in range(8)]
    won: list[Lock] = []
    errors: list[BerthError] = []

    def acquire(lock: Lock) -> None:
        try:
            lock.acquire()
            won.append(lock)
        except LockedError as error:
            errors.append(error)

    threads = [threading.Thread(target=acquire, args=(lock,)) for lock in locks]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (len(won), len(errors)) == (1, 7)
    won[0].release()


def test_an_expired_lock_is_taken_over_by_one(kube: Kube, space: str) -> None:
    old = Lock(kube, space, "web", "ann@laptop/1/x/1", duration=1, renew=3600)
    old.acquire()
    lease = kube.get(old.ref)
    assert lease is not None
    lease["spec"]["renewTime"] = "2020-01-01T00:00:00.000000Z"
    kube.replace(lease)
    new = Lock(kube, space, "web", "bob@desk/1/x/2", renew=3600)
    new.acquire()
    assert not old._renew_once()
    with pytest.raises(LockedError, match="bob@desk took it"):
        old.check()
    old.release()
    new.check()
    live = kube.get(new.ref)
    assert live is not None and live["spec"]["leaseTransitions"] == 1
    new.release()
    assert kube.get(new.ref) is None


def test_the_lock_is_renewed_in_the_background(kube: Kube, space: str) -> None:
    with Lock(kube, space, "web", renew=0.05) as lock:
        first = kube.get(lock.ref)
        assert first is not None
        events: queue.SimpleQueue[WatchEvent] = queue.SimpleQueue()
        watcher = Watcher(kube, "coordination.k8s.io", "Lease", space, events.put)
        watcher.start()
        while not isinstance(happened := events.get(timeout=10), Changed):
            pass
        watcher.stop()
        watcher.join(5)
        assert happened.object["spec"]["renewTime"] > first["spec"]["renewTime"]
        assert happened.object["spec"]["acquireTime"] == first["spec"]["acquireTime"]


def test_the_lock_of_a_killed_run_on_this_machine_is_free_at_once(kube: Kube, plane: Path, space: str) -> None:
    code = (
        "import os, signal; from berth.cluster.target import resolve; from berth.cluster.lock import Lock; "
        f"Lock(resolve(None, {str(plane)!r}, {{}}).connect(), {space!r}, 'web').acquire(); "
        "os.kill(os.getpid(), signal.SIGKILL)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == -9
    with Lock(kube, space, "web") as lock:
        lock.check()
