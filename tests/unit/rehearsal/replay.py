"""The recorded answers of a real API server, step by step."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from berth.core.objects import Json
from berth.rehearsal import schema
from berth.rehearsal.schema import Node
from tests.unit.rehearsal.applies import SEQUENCES, Step

RECORD = Path(__file__).parent / "managed_fields.json"


@dataclass(frozen=True)
class Recorded:
    """One step: the object before it, what was asked, and what the real API server said."""

    name: str
    root: Node
    step: Step
    now: str
    before: Json | None
    code: int
    after: Json

    @property
    def before_entries(self) -> list[Json]:
        return entries_of(self.before or {})

    @property
    def after_entries(self) -> list[Json]:
        return entries_of(self.after)

    @property
    def wrote(self) -> bool:
        """Whether the step changed anything; where it did not, the times stay what they were."""
        return self.before != self.after


def entries_of(body: Json) -> list[Json]:
    found: list[Json] = body.get("metadata", {}).get("managedFields") or []
    return found


def without_entries(body: Json) -> Json:
    return {**body, "metadata": {key: value for key, value in body["metadata"].items() if key != "managedFields"}}


@cache
def _record() -> dict[str, list[Json]]:
    found: dict[str, list[Json]] = json.loads(RECORD.read_text(encoding="utf-8"))
    return found


def steps(*verbs: str) -> Iterator[Recorded]:
    """The steps of these verbs, of all sequences."""
    for name, one in SEQUENCES.items():
        last: Json | None = None
        for number, (step, said) in enumerate(zip(one.steps, _record()[name], strict=True)):
            before = said.get("before", last)
            now = f"2026-01-01T00:01:{number:02}Z"
            if step.verb in verbs:
                root = schema.of(one.kind)
                yield Recorded(f"{name}-{number}-{step.verb}", root, step, now, before, said["code"], said["after"])
            last = said["after"] if said["code"] < 400 else before
