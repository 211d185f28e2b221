"""Label and field selectors; every message is what a real API server (1.36) says."""

from __future__ import annotations

import pytest

from berth.rehearsal.kinds import CONFIG_MAPS, EVENTS, NAMESPACES, NODES, PODS, SECRETS, SERVICES, STATEFUL_SETS
from berth.rehearsal.refusal import ApiError
from berth.rehearsal.server import fields, selectors

pytestmark = pytest.mark.rehearsal

LABELS = {"app": "web", "tier": "", "n": "5", "example.com/x": "y"}


@pytest.mark.parametrize(
    ("text", "selected"),
    [
        ("", True),
        ("app", True),
        ("!app", False),
        ("!gone", True),
        ("app=web", True),
        ("app==web", True),
        ("app = web , n=5", True),
        ("app!=web", False),
        ("gone!=web", True),
        ("app in (web, db)", True),
        ("app in (db)", False),
        ("app notin (web)", False),
        ("gone notin (web)", True),
        ("app in ()", False),
        ("tier=", True),
        ("tier in (,)", True),
        ("n>4", True),
        ("n>5", False),
        ("n<6", True),
        ("app>4", False),
        ("example.com/x=y", True),
        ("in in (in)", False),
        ("app=web,!app", False),
    ],
)
def test_labels_are_selected(text: str, selected: bool) -> None:
    assert selectors.parse(text).matches(LABELS) is selected


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a===b", "unable to parse requirement: found '=', expected: identifier"),
        ("a in b", "unable to parse requirement: found 'b' expected: '('"),
        ("a=b,", "found '', expected: identifier after ','"),
        ("!", "unable to parse requirement: found '', expected: identifier"),
        ("a in (b", "unable to parse requirement: found '', expected: ',' or ')'"),
        ("a=b c", "found 'c', expected: ',' or 'end of string'"),
        ("a gt b", "unable to parse requirement: found 'gt', expected: in, notin, =, ==, !=, gt, lt"),
        (",", "found ',', expected: !, identifier, or 'end of string'"),
        (
            "a>b",
            'unable to parse requirement: values[0]: Invalid value: "b": '
            "for 'Gt', 'Lt' operators, the value must be an integer",
        ),
        (
            "a=" + "x" * 64,
            f'unable to parse requirement: values[0][a]: Invalid value: "{"x" * 64}": must be no more than 63 bytes',
        ),
        (
            "-a=b",
            'unable to parse requirement: <nil>: Invalid value: "-a": name part must consist of alphanumeric '
            "characters, '-', '_' or '.', and must start and end with an alphanumeric character "
            "(e.g. 'MyName',  or 'my.name',  or '123-abc', regex used for validation is "
            "'([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]')",
        ),
    ],
)
def test_bad_label_selectors_are_refused(text: str, message: str) -> None:
    with pytest.raises(ApiError) as caught:
        selectors.parse(text)
    assert (caught.value.code, caught.value.message) == (400, message)


POD = {
    "metadata": {"name": "web-0", "namespace": "shop"},
    "spec": {"nodeName": "berth-node-1", "hostNetwork": True},
    "status": {"phase": "Running", "podIPs": [{"ip": "10.1.2.3"}]},
}


@pytest.mark.parametrize(
    ("text", "selected"),
    [
        ("", True),
        ("metadata.name=web-0", True),
        ("metadata.name!=web-0", False),
        ("status.phase==Running,spec.nodeName=berth-node-1", True),
        ("status.podIP=10.1.2.3", True),
        ("status.nominatedNodeName=", True),
        ("spec.hostNetwork=true", True),
        (",metadata.namespace=shop,", True),
        (r"metadata.name=web\=0", False),
    ],
)
def test_fields_are_selected(text: str, selected: bool) -> None:
    assert fields.parse(PODS, text).matches(POD) is selected


def test_a_node_that_says_nothing_is_schedulable() -> None:
    assert fields.parse(NODES, "spec.unschedulable=false").matches({"metadata": {"name": "n"}, "spec": {}})


@pytest.mark.parametrize("kind", [PODS, NODES, NAMESPACES, SECRETS, SERVICES, EVENTS], ids=lambda kind: kind.plural)
def test_fields_that_a_kind_does_not_have(kind: object) -> None:
    with pytest.raises(ApiError, match=r"field label not supported: spec\.foo"):
        fields.parse(kind, "spec.foo=x")  # type: ignore[arg-type]


@pytest.mark.parametrize("kind", [CONFIG_MAPS, STATEFUL_SETS], ids=lambda kind: kind.plural)
def test_kinds_without_fields_of_their_own(kind: object) -> None:
    message = '"status.replicas" is not a known field selector: only "metadata.name", "metadata.namespace"'
    with pytest.raises(ApiError) as caught:
        fields.parse(kind, "status.replicas=1")  # type: ignore[arg-type]
    assert caught.value.message == message


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("foo", "invalid selector: 'foo'; can't understand 'foo'"),
        ("metadata.name=a\\q", "invalid field selector: invalid escape sequence: \\q"),
        ("metadata.name=a=b", "invalid field selector: unescaped character in value: 61"),
    ],
)
def test_bad_field_selectors_are_refused(text: str, message: str) -> None:
    with pytest.raises(ApiError) as caught:
        fields.parse(PODS, text)
    assert caught.value.message == message
