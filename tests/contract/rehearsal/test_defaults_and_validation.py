"""Every case of the rules, asked of both clusters: each of them says what the record says."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.contract.rehearsal.asking import STRICT, WARN, Asking
from tests.unit.rehearsal.rules import answers
from tests.unit.rehearsal.rules.bodies import STRICT as STRICTLY
from tests.unit.rehearsal.rules.bodies import WRONG_TYPES
from tests.unit.rehearsal.rules.creations import CREATIONS
from tests.unit.rehearsal.rules.objects import NAMESPACE
from tests.unit.rehearsal.rules.refusals import CASES
from tests.unit.rehearsal.rules.updates import LIVE, UPDATES

_ALL = [
    *(("created", name) for name in CREATIONS),
    *(("refused", name) for name in CASES),
    *(("wrong", name) for name in WRONG_TYPES),
    *(("strict", name) for name in STRICTLY),
    *(("updated", name) for name in UPDATES),
]


@pytest.fixture(scope="module")
def asking(plane: Path) -> Iterator[Asking]:
    """The cluster, with the objects that are changed."""
    found = Asking(plane)
    try:
        found.make_all()
        yield found
    finally:
        found.close()


@pytest.mark.parametrize(("part", "name"), _ALL)
def test_the_cluster_answers_as_recorded(asking: Asking, part: str, name: str) -> None:
    record = answers.recorded()[part][name]
    if part == "created":
        kind, body = CREATIONS[name]
        answer, found, _ = asking.create(kind, body)
        assert answer == {"code": 201}
        assert answers.unadmitted(kind, answers.plain(found, NAMESPACE), body) == record
    elif part == "refused":
        kind, body = CASES[name]
        wanted = answers.unpacked(kind, body["metadata"].get("name", ""), record)
        assert asking.create(kind, body)[0] == wanted
    elif part == "wrong":
        kind, text = WRONG_TYPES[name]
        assert asking.create(kind, text)[0] == answers.unpacked(kind, "x", record)
    elif part == "strict":
        kind, text = STRICTLY[name]
        assert asking.create(kind, text, STRICT)[0] == answers.unpacked(kind, "x", record[0])
        assert asking.create(kind, text, WARN)[2] == record[1]
    else:
        assert asking.change(name) == answers.unpacked(LIVE[UPDATES[name][0]][0], UPDATES[name][0], record)
