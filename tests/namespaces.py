"""Namespaces of the tests' own."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from uuid import uuid4

from berth.cluster.kube import Kube
from berth.core.objects import ObjectRef


@contextmanager
def restricted(kube: Kube, word: str) -> Iterator[str]:
    """A namespace that enforces Pod Security "restricted"; it is deleted afterwards, with everything in it."""
    name = f"{word}-{uuid4().hex[:8]}"
    labels = {"pod-security.kubernetes.io/enforce": "restricted"}
    kube.create({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name, "labels": labels}})
    try:
        yield name
    finally:
        kube.delete(ObjectRef("", "Namespace", "", name), propagation="Background")
