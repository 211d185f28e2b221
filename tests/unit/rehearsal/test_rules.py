"""Defaulting, validation and decoding against what a real API server answered."""

from __future__ import annotations

import json

import pytest

from berth.rehearsal import defaults, validation
from berth.rehearsal.jsontree import clone
from tests.unit.rehearsal.rules import answers
from tests.unit.rehearsal.rules.bodies import STRICT, WRONG_TYPES
from tests.unit.rehearsal.rules.creations import CREATIONS
from tests.unit.rehearsal.rules.objects import NAMESPACE, edited
from tests.unit.rehearsal.rules.refusals import CASES
from tests.unit.rehearsal.rules.updates import LIVE, UPDATES

pytestmark = pytest.mark.unit


@pytest.mark.parametrize("name", CREATIONS)
def test_defaults_are_the_servers(name: str) -> None:
    kind, body = CREATIONS[name]
    # What a client says of a status never gets this far, but for a node, which is made by its kubelet.
    kept = "status" not in kind.subresources or kind.kind == "Node"
    sent = body if kept else {key: value for key, value in body.items() if key != "status"}
    meta = {**sent["metadata"], "creationTimestamp": answers.THEN}
    sent = {**sent, "metadata": meta}
    before = clone(sent)
    got = defaults.apply_defaults(kind, sent)
    assert answers.unadmitted(kind, answers.plain(got, NAMESPACE), body) == answers.recorded()["created"][name]
    assert sent == before
    assert defaults.apply_defaults(kind, got) == got
    assert validation.decode_errors(kind, body) == []


@pytest.mark.parametrize("name", CASES)
def test_what_is_wrong_with_a_new_object_is_said_in_the_servers_words(name: str) -> None:
    kind, body = CASES[name]
    wanted = answers.unpacked(kind, body["metadata"].get("name", ""), answers.recorded()["refused"][name])
    assert answers.created(kind, body, NAMESPACE) == wanted


@pytest.mark.parametrize("case", UPDATES)
def test_what_may_not_change_is_said_in_the_servers_words(case: str) -> None:
    name, subresource, edits = UPDATES[case]
    kind, old = LIVE[name][0], answers.recorded()["live"][name]
    wanted = answers.unpacked(kind, name, answers.recorded()["updated"][case])
    assert answers.updated(kind, edited(old, edits), old, subresource) == wanted


@pytest.mark.parametrize("name", LIVE)
def test_an_object_of_the_server_is_its_own_default(name: str) -> None:
    kind, old = LIVE[name][0], answers.recorded()["live"][name]
    assert defaults.apply_defaults(kind, old) == old
    assert validation.check_update(kind, old, old) == []


@pytest.mark.parametrize("name", WRONG_TYPES)
def test_a_body_that_cannot_be_read_is_refused_in_the_servers_words(name: str) -> None:
    kind, text = WRONG_TYPES[name]
    broken = validation.decode_errors(kind, json.loads(text))
    wanted = answers.unpacked(kind, "x", answers.recorded()["wrong"][name])
    assert (broken[0] if broken else None) == wanted.get("message")


@pytest.mark.parametrize("name", STRICT)
def test_unknown_and_repeated_fields_are_named_as_the_server_names_them(name: str) -> None:
    kind, text = STRICT[name]
    found = validation.strict_errors(kind, text)
    answer, warnings = answers.recorded()["strict"][name]
    assert found == warnings
    refusal = f'{kind.kind} in version "{kind.version}" cannot be handled as a {kind.kind}: strict decoding error: '
    assert answers.unpacked(kind, "x", answer).get("message") == (refusal + ", ".join(found) if found else None)
    twice = any(error.startswith("duplicate") for error in found)
    assert validation.has_duplicates(text) is twice
    if not twice:
        assert validation.unknown_fields(kind, json.loads(text)) == found


def test_the_record_has_every_case_and_no_other() -> None:
    record = answers.recorded()
    tables = (CREATIONS, CASES, WRONG_TYPES, STRICT, LIVE, UPDATES)
    assert [set(part) for part in record.values()] == [set(table) for table in tables]
