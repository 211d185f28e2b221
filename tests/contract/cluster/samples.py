"""Objects that several tests need."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from berth.cluster.record import Entry, ReleaseRecord, Revision
from berth.core.objects import Json, ObjectRef


def config(space: str, name: str, **data: str) -> Json:
    """A ConfigMap that the tests' selector picks."""
    meta = {"name": name, "namespace": space, "labels": {"mine": "yes"}}
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": meta, "data": data}


def record(space: str, **changes: Any) -> ReleaseRecord:
    """A record that was not saved yet."""
    now = datetime(2026, 1, 2, tzinfo=UTC)
    made = ReleaseRecord(
        name="web",
        namespace=space,
        profile="nginx",
        profile_version="1",
        environment=None,
        values={"replicas": 1},
        status="pending",
        revision=1,
        inventory=(Entry(ObjectRef("", "ConfigMap", space, "a"), "u", "h", "d"),),
        history=(Revision(1, now, "ann", "deployed", "1", {}),),
        manifests=(config(space, "a"),),
        updated=now,
    )
    return replace(made, **changes)
