"""YAML of charts: what Helm reads there is what we read. `tests/contract` asks the real Helm the same."""

from __future__ import annotations

from typing import Any

import pytest

from berth.core.errors import TemplateError
from berth.core.helmchart.looseyaml import read, resolve

pytestmark = pytest.mark.unit

#: What plain scalars stand for, as `fromYaml` of Helm 3 says.
SCALARS: dict[str, Any] = {
    **dict.fromkeys(("yes", "Yes", "y", "on", "true", "True", "TRUE"), True),
    **dict.fromkeys(("n", "N", "no", "off", "false", "FALSE"), False),
    **dict.fromkeys(("~", "null", "Null"), None),
    **{word: word for word in ("yES", "tRue", "nULL", "1:30", "2024-01-01", "_1", "0x", "0xg", "0b2", ".e3", "1.5.2")},
    **{word: word for word in (".", "_", "=", "1e400", "a b")},
    **{"0644": 420, "0o644": 420, "0x1F": 31, "0b11": 3, "1_000": 1000, "09": 9, "+1": 1, "-0": 0, "-0x10": -16},
    **{"1e3": 1000, "1.10": 1.1, ".5": 0.5, "5.": 5, "1.0": 1, "12e10": 120000000000, "-1.5E+2": -150, "1e-3": 0.001},
    **{"00": 0, "0_7": 7, "-1": -1, "3.14_15": 3.1415, "1e22": 1e22},
}


@pytest.mark.parametrize(("text", "value"), SCALARS.items(), ids=str)
def test_plain_scalars_are_what_helm_takes_them_for(text: str, value: Any) -> None:
    made = resolve(text)
    assert made == value and type(made) is type(value)


def test_what_strict_yaml_refuses_is_read() -> None:
    text = "a: &x {b: 1, 80: c, on: d}\ne: {<<: *x, b: 2}\na2: !!str 12\nq: 'yes'\nk: 1\nk: 2\nbin: !!binary aGk=\n"
    (document,) = read(text, "f.yaml")
    one = {"b": 1, "80": "c", "true": "d"}
    assert document.data == {"a": one, "e": {**one, "b": 2}, "a2": "12", "q": "yes", "k": 2, "bin": "hi"}
    assert str(document.positions["e", "b"]) == "f.yaml:2:13"


def test_documents_come_with_their_places_and_empty_ones_are_nothing() -> None:
    first, nothing, last = read("# none\n---\na: 1\n---\n---\nb: 2\n", "f")
    assert (first.data, nothing.data, last.data) == ({"a": 1}, None, {"b": 2})
    assert str(last.positions["b",]) == "f:6:1"
    assert read("", "f") == []


BOMB = "a: &a [x, x, x, x, x, x, x, x, x]\n" + "".join(
    f"{name}: &{name} [{', '.join([f'*{before}'] * 9)}]\n" for before, name in zip("abcdefg", "bcdefgh", strict=True)
)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("a: [", "not valid YAML"),
        ("a: b: c", "not valid YAML"),
        ("a: &x [*x]", "more than can be read"),
        (BOMB, "more than can be read"),
        ("a: " + "[" * 200 + "]" * 200, "more than can be read"),
        ("{[a]: b}", "a key that is no text"),
        ("a: \x01", "no YAML text"),
    ],
    ids=["open", "colon", "loop", "bomb", "deep", "key", "control"],
)
def test_what_nobody_can_read_is_told_with_its_file(text: str, said: str) -> None:
    with pytest.raises(TemplateError, match=said) as caught:
        read(text, "charts/x.yaml")
    assert caught.value.problems[0].where.startswith("charts/x.yaml")
