"""Namespaces on both clusters, for tests that state once what each of them must do."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from uuid import uuid4

import pytest

from berth.core.objects import Json
from tests.contract.behaviour.space import Space, expect
from tests.contract.behaviour.wire import Wire
from tests.waiting import eventually


@pytest.fixture(scope="session")
def wire(plane: Path) -> Iterator[Wire]:
    """The cluster's API on the wire, as an administrator."""
    made = Wire(plane)
    yield made
    made.close()


def opened(wire: Wire, labels: dict[str, str] | None = None, name: str = "") -> Space:
    """A new namespace in which pods can be made: its default service account is there."""
    name = name or f"b-{uuid4().hex[:8]}"
    body: Json = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name, "labels": labels or {}}}
    expect(201, wire.call("POST", "/api/v1/namespaces", body))
    made = Space(wire, name)
    eventually(lambda: made.get("serviceaccounts", "default"), every=0.02)
    return made


@pytest.fixture
def here(wire: Wire) -> Iterator[Space]:
    """A namespace of the test's own, deleted afterwards; any pod may run there."""
    made = opened(wire)
    yield made
    made.delete("namespaces", made.name, "Background")


@pytest.fixture
def guarded(wire: Wire) -> Iterator[Space]:
    """The same where only pods of the Pod Security standard "restricted" may run."""
    made = opened(wire, {"pod-security.kubernetes.io/enforce": "restricted"})
    yield made
    made.delete("namespaces", made.name, "Background")
