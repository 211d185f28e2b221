from __future__ import annotations

import gzip
import json
import os
import subprocess
import sys
from base64 import b64decode, b64encode
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from berth.cluster.kube import Kube
from berth.cluster.record import MAX_BYTES, RECORD_TYPE, Entry, ReleaseRecord, Revision, live_digest
from berth.cluster.release import list_releases, load, remove, save
from berth.core.errors import ClusterError, ConflictError
from berth.core.objects import Json, ObjectRef, applyset_id
from tests.unit.cluster.fakeserver import FakeServer, Wire, answer, status

pytestmark = pytest.mark.unit

NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)


def record(**changes: Any) -> ReleaseRecord:
    made = ReleaseRecord(
        name="web",
        namespace="shop",
        profile="nginx",
        profile_version="1.0.0",
        environment="prod",
        values={"replicas": 3, "password": "***"},
        status="deployed",
        revision=2,
        inventory=(
            Entry(ObjectRef("apps", "StatefulSet", "shop", "web"), "uid-1", "hash", "digest"),
            Entry(ObjectRef("", "Service", "shop", "web"), created=False),
            Entry(ObjectRef("storage.k8s.io", "StorageClass", "", "fast")),
        ),
        history=(Revision(1, NOW, "ann", "deployed", "0.9.0", {"replicas": 1}),),
        manifests=({"apiVersion": "v1", "kind": "Service", "metadata": {"name": "web"}},),
        updated=NOW,
    )
    return replace(made, **changes)


def echo(wire: Wire) -> None:
    """Give back what was sent, as the API server does when it stores it."""
    body = wire.server.requests[-1].json
    meta = {**body["metadata"], "resourceVersion": "8", "uid": "uid-9"}
    answer({**body, "metadata": meta}, 201)(wire)


@pytest.fixture
def stored(server: FakeServer, kube: Kube) -> Callable[[ReleaseRecord], tuple[ReleaseRecord, Json]]:
    """Save a record; give what save gave, and the Secret that was sent."""

    def run(record: ReleaseRecord) -> tuple[ReleaseRecord, Json]:
        server.play(echo)
        saved = save(kube, record)
        return saved, server.requests[-1].json

    return run


Stored = Callable[[ReleaseRecord], tuple[ReleaseRecord, Json]]


def test_what_is_saved_is_what_is_loaded(server: FakeServer, kube: Kube, stored: Stored) -> None:
    saved, secret = stored(record())
    assert saved == record(resource_version="8", uid="uid-9")
    server.play(answer({**secret, "metadata": {**secret["metadata"], "resourceVersion": "8", "uid": "uid-9"}}))
    assert load(kube, "shop", "web") == saved
    assert server.requests[-1].path == "/api/v1/namespaces/shop/secrets/berth.release.web"


def test_the_secret_is_an_applyset_parent(stored: Stored) -> None:
    _, secret = stored(record())
    assert secret["type"] == RECORD_TYPE
    assert secret["metadata"]["labels"]["applyset.kubernetes.io/id"] == applyset_id("web", "shop")
    notes = secret["metadata"]["annotations"]
    assert notes["applyset.kubernetes.io/tooling"].startswith("berth/v")
    assert notes["applyset.kubernetes.io/contains-group-kinds"] == "Service,StatefulSet.apps"
    assert "applyset.kubernetes.io/additional-namespaces" not in notes


def test_other_namespaces_are_listed(stored: Stored) -> None:
    _, secret = stored(record(inventory=(Entry(ObjectRef("", "Service", "other", "x")),)))
    assert secret["metadata"]["annotations"]["applyset.kubernetes.io/additional-namespaces"] == "other"


def test_a_new_record_is_created_and_an_old_one_swapped(server: FakeServer, stored: Stored) -> None:
    stored(record())
    assert server.requests[-1].method == "POST"
    _, secret = stored(record(resource_version="7"))
    assert server.requests[-1].method == "PUT"
    assert secret["metadata"]["resourceVersion"] == "7"


def test_another_run_was_faster(server: FakeServer, kube: Kube) -> None:
    server.play(status(409, "AlreadyExists"), status(409, "Conflict", "modified"), status(409, "Conflict", "modified"))
    for attempt in (
        lambda: save(kube, record()),
        lambda: save(kube, record(resource_version="7")),
        lambda: remove(kube, record(resource_version="7", uid="u")),
    ):
        with pytest.raises(ConflictError, match="changed by another run"):
            attempt()
    assert server.requests[-1].json["preconditions"] == {"uid": "u", "resourceVersion": "7"}


def test_no_value_of_a_secret_is_kept(stored: Stored) -> None:
    manifest = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "s"}, "data": {"k": "aHVudGVyMg=="}}
    saved, secret = stored(record(manifests=(manifest,)))
    assert saved.manifests[0]["data"] == {"k": ""}
    assert b"aHVudGVyMg" not in gzip.decompress(b64decode(secret["data"]["release"]))
    assert manifest["data"] == {"k": "aHVudGVyMg=="}


def noise(size: int) -> str:
    """Text that does not compress."""
    return b64encode(os.urandom(size)).decode()


def test_a_record_that_grows_forgets_the_past_first(stored: Stored) -> None:
    history = tuple(Revision(n, NOW, "ann", "deployed", "1", {"blob": noise(200_000)}) for n in range(10))
    saved, secret = stored(record(history=history))
    assert len(b64decode(secret["data"]["release"])) <= MAX_BYTES
    assert [revision.revision for revision in saved.history] == list(range(10))
    kept = [bool(revision.values) for revision in saved.history]
    assert kept == sorted(kept) and kept[0] is False and kept[-1] is True
    assert saved.manifests == record().manifests


def test_what_one_could_go_back_to_is_forgotten_before_the_values(stored: Stored) -> None:
    def revision(number: int) -> Revision:
        manifest = {"kind": "ConfigMap", "data": {"x": noise(300_000)}}
        return Revision(number, NOW, "ann", "deployed", "1", {"n": number}, manifests=(manifest,))

    saved, _ = stored(record(history=tuple(map(revision, range(6)))))
    assert [revision.values for revision in saved.history] == [{"n": number} for number in range(6)]
    kept = [bool(revision.manifests) for revision in saved.history]
    assert kept == sorted(kept) and kept[0] is False and kept[-1] is True


def test_manifests_that_revisions_share_are_kept_once(stored: Stored, server: FakeServer, kube: Kube) -> None:
    shared = {"kind": "ConfigMap", "data": {"x": noise(500_000)}}
    history = tuple(Revision(n, NOW, "ann", "deployed", "1", {}, manifests=(shared,)) for n in range(10))
    saved, secret = stored(record(history=history, manifests=(shared,)))
    assert all(revision.manifests == (shared,) for revision in saved.history)
    server.play(answer(secret))
    read = load(kube, "shop", "web")
    assert read is not None and read.history == saved.history and read.manifests == (shared,)


def test_history_is_bounded(stored: Stored) -> None:
    history = tuple(Revision(n, NOW, "ann", "deployed", "1", {}) for n in range(30))
    saved, _ = stored(record(history=history))
    assert [revision.revision for revision in saved.history] == list(range(20, 30))


def test_a_record_that_cannot_fit_is_an_error(kube: Kube) -> None:
    huge = {"kind": "ConfigMap", "data": {"x": noise(1_000_000)}}
    with pytest.raises(ClusterError, match="does not fit"):
        save(kube, record(manifests=(huge,)))


def packed(body: object) -> Json:
    meta = {"name": "berth.release.web", "namespace": "shop", "resourceVersion": "1", "uid": "u"}
    data = b64encode(gzip.compress(json.dumps(body).encode())).decode()
    return {"apiVersion": "v1", "kind": "Secret", "metadata": meta, "data": {"release": data}}


@pytest.mark.parametrize(
    "secret",
    [
        {**packed({}), "data": {}},
        {**packed({}), "data": {"release": "!!!"}},
        {**packed({}), "data": {"release": b64encode(b"not gzip").decode()}},
        packed([]),
        packed({"schema": "x"}),
        packed({"schema": 1}),
        packed({"schema": 1, "name": "web", "inventory": "odd"}),
    ],
)
def test_a_damaged_record_names_its_secret(server: FakeServer, kube: Kube, secret: Json) -> None:
    server.play(answer(secret))
    with pytest.raises(ClusterError, match=r"Secret/berth\.release\.web in shop"):
        load(kube, "shop", "web")


def test_a_record_of_a_newer_berth_is_not_guessed_at(server: FakeServer, kube: Kube) -> None:
    server.play(answer(packed({"schema": 3})))
    with pytest.raises(ClusterError, match="newer berth") as caught:
        load(kube, "shop", "web")
    assert "upgrade berth" in str(caught.value)


def test_no_record(server: FakeServer, kube: Kube) -> None:
    server.play(status(404, "NotFound"))
    assert load(kube, "shop", "web") is None


def test_releases_are_listed_by_label(server: FakeServer, kube: Kube, stored: Stored) -> None:
    secrets = [stored(record(name=name))[1] for name in ("b", "a")]
    server.play(answer({"metadata": {}, "items": secrets}))
    assert [found.name for found in list_releases(kube)] == ["a", "b"]
    assert "labelSelector=app.kubernetes.io%2Fmanaged-by%3Dberth%2Cberth.dev%2Frelease" in server.requests[-1].path


LIVE = {
    "apiVersion": "apps/v1",
    "kind": "StatefulSet",
    "metadata": {
        "name": "web",
        "namespace": "shop",
        "labels": {"a": "b"},
        "uid": "1",
        "resourceVersion": "7",
        "generation": 3,
        "creationTimestamp": "x",
        "managedFields": [{}],
    },
    "spec": {"replicas": 3},
    "status": {"readyReplicas": 1},
}


def test_a_digest_sees_what_users_change_and_not_what_the_server_does() -> None:
    same = live_digest(LIVE)
    meta = {"resourceVersion": "8", "generation": 4, "uid": "2", "creationTimestamp": "y", "managedFields": []}
    other = {**LIVE, "metadata": {**LIVE["metadata"], **meta}, "status": {}}  # type: ignore[dict-item]
    assert live_digest(other) == same
    assert live_digest({key: LIVE[key] for key in reversed(LIVE)}) == same
    assert live_digest({**LIVE, "spec": {"replicas": 4}}) != same
    assert live_digest({**LIVE, "metadata": {**LIVE["metadata"], "labels": {}}}) != same  # type: ignore[dict-item]
    finalized = {**LIVE["metadata"], "deletionTimestamp": "now"}  # type: ignore[dict-item]
    assert live_digest({**LIVE, "metadata": finalized}) != same


def test_a_digest_is_the_same_in_every_process() -> None:
    code = f"from berth.cluster.record import live_digest; print(live_digest({LIVE!r}))"
    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        check=True,
        env={**os.environ, "PYTHONHASHSEED": "7"},
    )
    assert done.stdout.strip() == live_digest(LIVE)
