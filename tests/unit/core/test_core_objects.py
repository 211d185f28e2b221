"""Identities, derived names, paths, quantities, durations and errors."""

from __future__ import annotations

import re
from decimal import Decimal
from typing import Any

import pytest

from berth.core import errors, objects, quantities
from berth.core.errors import BerthError, InputError, Position, Problem, TimedOutError, did_you_mean
from berth.core.objects import Manifest, ObjectRef, Origin
from tests.unit.core.samples import simple, statefulset

pytestmark = pytest.mark.unit


@pytest.mark.parametrize(
    ("body", "ref", "said"),
    [
        (statefulset(), ObjectRef("apps", "StatefulSet", "shop", "web"), "StatefulSet/web in shop"),
        (simple("Service", "web"), ObjectRef("", "Service", "shop", "web"), "Service/web in shop"),
        (simple("Namespace", "shop", namespace=""), ObjectRef("", "Namespace", "", "shop"), "Namespace/shop"),
        (
            simple("StorageClass", "x", namespace="oops"),
            ObjectRef("storage.k8s.io", "StorageClass", "", "x"),
            "StorageClass/x",
        ),
    ],
    ids=["group", "core", "cluster-scoped", "cluster-scoped with a namespace"],
)
def test_identity_leaves_the_version_out(body: objects.Json, ref: ObjectRef, said: str) -> None:
    assert ObjectRef.of(body) == ref
    assert str(ref) == said


@pytest.mark.parametrize(
    ("name", "ordinal"),
    [
        ("web-0", 0),
        ("web-10", 10),
        ("web-01", None),
        ("web", None),
        ("web-", None),
        ("web-x", None),
        ("web-api-0", None),
    ],
)
def test_ordinals_in_names(name: str, ordinal: int | None) -> None:
    assert objects.ordinal_of(name, "web") == ordinal


def test_the_name_of_a_claim_is_ambiguous() -> None:
    name = objects.claim_name("data-a", "b", 3)
    assert name == objects.claim_name("data", "a-b", 3) == "data-a-b-3"
    assert objects.claim_ordinal(name, "data-a", "b") == objects.claim_ordinal(name, "data", "a-b") == 3
    assert objects.claim_ordinal(name, "data", "b") is None


@pytest.mark.parametrize(
    ("spec", "expected"),
    [
        ({}, range(0, 3)),
        ({"replicas": None}, range(0, 1)),
        ({"replicas": 0}, range(0, 0)),
        ({"ordinals": {"start": 5}}, range(5, 8)),
        ({"ordinals": {}}, range(0, 3)),
    ],
    ids=str,
)
def test_ordinals(spec: dict[str, Any], expected: range) -> None:
    assert objects.ordinals(statefulset({"spec": spec})) == expected


def test_a_null_number_of_replicas_is_one() -> None:
    assert objects.ordinals({"spec": {"replicas": None}}) == range(0, 1)


@pytest.mark.parametrize(
    ("path", "found"),
    [
        (("a", "b", 0), 1),
        (("a", "b", -1), 2),
        (("a", "b", 2), None),
        (("a", 0), None),
        (("x",), None),
        (("a", "b", "c"), None),
    ],
    ids=str,
)
def test_dig(path: tuple[str | int, ...], found: Any) -> None:
    assert objects.dig({"a": {"b": [1, 2]}}, *path) == found
    assert objects.dig(None, "a", default=7) == 7


@pytest.mark.parametrize(
    ("parts", "path"),
    [
        (("spec", "ports", 0, "name"), "spec.ports[0].name"),
        (("data", "nginx.conf"), "data['nginx.conf']"),
        (("a/b",), "['a/b']"),
        ((), ""),
    ],
)
def test_field_paths(parts: tuple[str | int, ...], path: str) -> None:
    assert objects.field_path(parts) == path


def test_a_field_comes_from_the_nearest_origin_around_it() -> None:
    whole, around = Origin(Position("t.yaml", 1)), Origin(Position("t.yaml", 7))
    made = Manifest(statefulset(), whole.template, {"spec.template": around})
    assert made.origin_of("spec.template.spec.containers[0].image") == around
    assert made.origin_of("spec.templates") == whole
    assert made.origin_of("metadata.labels['a.b/c']") == whole


def test_the_id_of_an_applyset_is_that_of_the_kep() -> None:
    """KEP-3659: applyset-<base64url(sha256(name.namespace.kind.group))>-v1."""
    assert objects.applyset_id("web", "shop") == "applyset-jjSxgQANODz-jy72Bzwm2B0LK82ZCcNocfU2ZTYUSUE-v1"
    assert len({objects.applyset_id(*names) for names in (("a", "b"), ("b", "a"), ("a", "c"))}) == 3


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("1", "1"),
        ("500m", "0.5"),
        ("1Gi", str(2**30)),
        ("1G", "1000000000"),
        ("1.5Gi", str(3 * 2**29)),
        (".5", "0.5"),
        ("5.", "5"),
        ("1e3", "1000"),
        ("1E3", "1000"),
        ("1E", str(10**18)),
        ("100n", "1E-7"),
        ("+2Ki", "2048"),
        (2, "2"),
        (0.5, "0.5"),
    ],
)
def test_quantities(text: str | int | float, number: str) -> None:
    assert quantities.parse_quantity(text) == Decimal(number)


@pytest.mark.parametrize("text", ["", "Gi", "1gi", "1 Gi", "1GB", "1K", "ten", "1e", "--1", "1Gi1", "0x10", "NaN"])
def test_what_is_no_quantity(text: str) -> None:
    with pytest.raises(InputError, match="is not a quantity"):
        quantities.parse_quantity(text)


@pytest.mark.parametrize(
    ("number", "text"), [(0, "0"), (1, "1"), (1024, "1Ki"), (20 * 2**30, "20Gi"), (1536, "1536"), (3 * 2**29, "1536Mi")]
)
def test_sizes_in_their_shortest_form(number: int, text: str) -> None:
    assert quantities.format_bytes(number) == text


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("90", 90), ("90s", 90), ("2m", 120), ("1h30m", 5400), ("0.5s", 0.5), (5, 5), ("1m30.5s", 90.5)],
)
def test_durations(text: str | int, seconds: float) -> None:
    assert quantities.parse_duration(text) == seconds


@pytest.mark.parametrize("text", ["", "0", "0s", "-1s", "1d", "s", "1s1m", "1 m", "soon"])
def test_what_is_no_duration(text: str) -> None:
    with pytest.raises(InputError, match="is not a duration"):
        quantities.parse_duration(text)


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0.34, "0.3s"),
        (42.4, "42s"),
        (59.7, "1m00s"),
        (125, "2m05s"),
        (3600, "1h00m"),
        (11400, "3h10m"),
        (12 * 86400, "12d"),
    ],
)
def test_durations_for_people(seconds: float, text: str) -> None:
    assert quantities.format_duration(seconds) == text


def test_a_problem_says_what_where_why_and_what_to_try() -> None:
    problem = Problem("broken", "a.yaml:3", "it is so", "mend it", "x: y\n   ^")
    assert str(problem) == "broken\n  at a.yaml:3\n    x: y\n       ^\n  because it is so\n  try: mend it"
    assert str(Problem("broken")) == "broken"


def test_an_error_carries_every_problem() -> None:
    error = TimedOutError(Problem(name) for name in "ab")
    assert (str(error), len(error.problems), error.exit_code) == ("a\nb", 2, 4)
    assert BerthError("a", hint="b").problems == (Problem("a", hint="b"),)


def test_the_exit_codes_are_those_of_the_documentation() -> None:
    """Drawn in the docstring, so that both say the same."""
    drawn = {name: int(code) for name, code in re.findall(r"─ (\w+Error) +(\d+) ", errors.__doc__ or "")}
    assert len(drawn) == 7
    for name, code in drawn.items():
        assert getattr(errors, name).exit_code == code


@pytest.mark.parametrize(
    ("wrong", "known", "hint"),
    [
        ("postgre", ["postgres", "nginx"], "did you mean 'postgres'?"),
        ("zzz", ["b", "a"], "one of: a, b"),
        ("zzz", [], ""),
        (
            "zzz",
            [f"n{number:02}" for number in range(14)],
            "one of: " + ", ".join(f"n{n:02}" for n in range(12)) + " and 2 more",
        ),
    ],
    ids=["close", "far", "nothing known", "many"],
)
def test_did_you_mean(wrong: str, known: list[str], hint: str) -> None:
    assert did_you_mean(wrong, known) == hint


@pytest.mark.parametrize(("position", "text"), [(("f",), "f"), (("f", 3), "f:3"), (("f", 3, 7), "f:3:7")])
def test_positions(position: tuple[Any, ...], text: str) -> None:
    assert str(Position(*position)) == text
