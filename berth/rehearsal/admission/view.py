"""What admission sees of the cluster."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Protocol

from berth.core.objects import Json
from berth.rehearsal.kinds import Kind
from berth.rehearsal.refusal import ApiError, forbidden

CREATE = "CREATE"
UPDATE = "UPDATE"
DELETE = "DELETE"

#: Characters of the random part of generated names. Source: k8s.io/apimachinery/pkg/util/rand.
RANDOM_CHARACTERS = "bcdfghjklmnpqrstvwxz2456789"

_GENERATED = re.compile(f"[{RANDOM_CHARACTERS}]{{5}}")


class View(Protocol):
    """The objects that there are; the store is one."""

    def get(self, kind: Kind, namespace: str, name: str) -> Json | None:
        """One object; None where there is none."""

    def list(self, kind: Kind, namespace: str | None = None) -> Iterable[Json]:
        """The objects of a kind, of one namespace or of all, by namespace and name."""


def asked_name(body: Json) -> str:
    """The name as plug-ins that mutate have it: a generated one is not there yet, its prefix stands for it."""
    meta = body["metadata"]
    name, prefix = str(meta.get("name", "")), str(meta.get("generateName", ""))
    if prefix and name.startswith(prefix[:58]) and _GENERATED.fullmatch(name[len(prefix[:58]) :]):
        return prefix
    return name


def refuse_early(kind: Kind, body: Json, why: str) -> ApiError:
    """A refusal by a plug-in that mutates."""
    return forbidden(kind, asked_name(body), why)


def refuse(kind: Kind, body: Json, why: str) -> ApiError:
    """A refusal by a plug-in that validates."""
    return forbidden(kind, str(body["metadata"].get("name", "")), why)
