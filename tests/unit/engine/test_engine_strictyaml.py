"""YAML is read without surprises, and written so that it reads back the same."""

from __future__ import annotations

from typing import Any

import pytest
import yaml

from berth.core import strictyaml
from berth.core.errors import InputError, Position, ProfileError, ValuesError
from berth.core.strictyaml import Hooks, read_all, read_one
from berth.core.yamltext import dump, dump_all

pytestmark = pytest.mark.unit

GOOD: list[tuple[str, Any]] = [
    ("a: 1", {"a": 1}),
    ("a: -7", {"a": -7}),
    ("a: 1.5", {"a": 1.5}),
    ("a: true\nb: false", {"a": True, "b": False}),
    ("a: null\nb: ~\nc:", {"a": None, "b": None, "c": None}),
    ("a: text with blanks", {"a": "text with blanks"}),
    ("a: 1Gi\nb: 500m\nc: 10.0.0.1\nd: 1.2.3", {"a": "1Gi", "b": "500m", "c": "10.0.0.1", "d": "1.2.3"}),
    ("a: nginx:1.29\nb: http://x/y#z", {"a": "nginx:1.29", "b": "http://x/y#z"}),
    ("a: \"yes\"\nb: '012'", {"a": "yes", "b": "012"}),
    ("a: |\n  x\n  y\n", {"a": "x\ny\n"}),
    ("a: >-\n  x\n  y\n", {"a": "x y"}),
    ("a: [1, {b: c}]", {"a": [1, {"b": "c"}]}),
    ("- a\n-\n  - b", ["a", ["b"]]),
    ('{"a": [true, null, 1.25, "x"]}', {"a": [True, None, 1.25, "x"]}),
    ("a: x-y", {"a": "x-y"}),
    ("'on': x", {"on": "x"}),
    ("just text", "just text"),
    ("a: None\nb: NaN\nc: nulls", {"a": "None", "b": "NaN", "c": "nulls"}),
]


@pytest.mark.parametrize("text,expected", GOOD)
def test_what_everybody_reads_alike_is_read(text: str, expected: Any) -> None:
    assert read_one(text, "x.yaml").data == expected


AMBIGUOUS = (
    "yes no on off Yes NO On OFF y n Y N True TRUE False FALSE Null NULL "
    "012 0o14 0x1F 0b11 1_000 +5 .5 5. 1.10 1e3 1E3 1.0e3 -0 00 9999999999999999999 "
    "1:30 12:30:45 .inf -.INF .nan 2024-01-01 2024-1-2 = <<"
).split()


@pytest.mark.parametrize("written", AMBIGUOUS)
def test_what_parsers_disagree_on_is_refused_unless_quoted(written: str) -> None:
    with pytest.raises(ProfileError) as caught:
        read_one(f"ok: 1\na: {written}\n", "x.yaml")
    assert caught.value.problems[0].where == "x.yaml:2:4"
    assert read_one(f'a: "{written}"', "x.yaml").data == {"a": written}


REFUSED = [
    ("a: 1\nb: 2\na: 3", "x.yaml:3:1", "the key 'a' is there twice, first in line 1"),
    ("a: {b: 1, b: 2}", "x.yaml:1:11", "the key 'b' is there twice, first in line 1"),
    ("a: &x 1", "x.yaml:1:4", "anchors (&) are not allowed"),
    ("a: 1\nb: *x", "x.yaml:2:4", "aliases (*) are not allowed"),
    ("a: !!str 1", "x.yaml:1:4", "tags (!) are not allowed"),
    ("a: !custom {b: 1}", "x.yaml:1:4", "tags (!) are not allowed"),
    ("<<: {a: 1}", "x.yaml:1:1", "merge keys (<<) are not allowed"),
    ("1: a", "x.yaml:1:1", "a key must be a string, and 1 is none"),
    ("true: a", "x.yaml:1:1", "a key must be a string, and true is none"),
    ("on: a", "x.yaml:1:1", "on means different things"),
    ("? [a]\n: b", "x.yaml:1:3", "a key must be a string"),
    ("a:\n\tb: 1", "x.yaml:2:1", "a tab where YAML wants spaces"),
    ("a: b: c", "x.yaml:1:5", "a colon where YAML does not expect one"),
    ('a: "x', "x.yaml:1:6", "this is not valid YAML"),
    ("a: [1, 2", "x.yaml:2:1", "this is not valid YAML"),
    ("%YAML 1.1\n---\na: 1", "x.yaml:1:1", "directives (%) are not allowed"),
    ("a: x\x00", "x.yaml:1:5", "U+0000 is not allowed"),
    ("a: x\nb: \x07", "x.yaml:2:4", "U+0007 is not allowed"),
    ("[" * 300, "x.yaml:1:102", "more than 100 levels"),
    ("a: \ud800", "x.yaml:1:4", "U+D800 is not allowed"),
]


@pytest.mark.parametrize("text,where,what", REFUSED)
def test_what_is_refused_names_its_place(text: str, where: str, what: str) -> None:
    with pytest.raises(ProfileError) as caught:
        read_all(text, "x.yaml")
    problem = caught.value.problems[0]
    assert what in problem.what
    assert problem.where == where
    assert "^" in problem.excerpt


def test_every_problem_is_reported_at_once() -> None:
    with pytest.raises(ProfileError) as caught:
        read_all("a: yes\nb: 012\na: 1\n---\nc: !x 1\nc: 2", "x.yaml")
    assert [problem.where for problem in caught.value.problems] == [
        "x.yaml:1:4",
        "x.yaml:2:4",
        "x.yaml:3:1",
        "x.yaml:5:4",
        "x.yaml:6:1",
    ]


def test_an_alias_bomb_is_refused_before_it_grows() -> None:
    lines = ["a0: &a0 [x, x]"] + [f"a{n}: &a{n} [*a{n - 1}, *a{n - 1}]" for n in range(1, 40)]
    with pytest.raises(ProfileError, match=r"anchors \(&\) are not allowed"):
        read_one("\n".join(lines), "x.yaml")


def test_positions_are_those_of_keys_and_items() -> None:
    document = read_one("a: 1\nb:\n  - x\n  - c: d\n", "x.yaml")
    assert document.positions == {
        (): Position("x.yaml", 1, 1),
        ("a",): Position("x.yaml", 1, 1),
        ("b",): Position("x.yaml", 2, 1),
        ("b", 0): Position("x.yaml", 3, 5),
        ("b", 1): Position("x.yaml", 4, 5),
        ("b", 1, "c"): Position("x.yaml", 4, 5),
    }


def test_documents_are_separate() -> None:
    assert [document.data for document in read_all("a: 1\n---\nb: 2\n---\n", "x")] == [{"a": 1}, {"b": 2}, None]
    assert read_all("# nothing\n", "x") == []
    assert read_one("", "x").data is None
    with pytest.raises(ValuesError, match="more than one document"):
        read_one("a: 1\n---\nb: 2\n", "x.yaml", error=ValuesError)


def test_nothing_is_quoted_from_files_that_may_hold_secrets() -> None:
    for text in ("password: hunter2: x\n", "password: 0123456\n", 'password: "hunter2\n', "hunter2: a\nhunter2: b\n"):
        with pytest.raises(ProfileError) as caught:
            read_one(text, "x.yaml", hooks=Hooks(reveal=False))
        said = str(caught.value)
        assert ("hunter2" not in said or "twice" in said) and "0123456" not in said


@pytest.mark.parametrize("text,expected", GOOD)
def test_the_pure_parser_reads_the_same(text: str, expected: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(strictyaml, "_LOADER", yaml.SafeLoader)
    assert read_one(text, "x.yaml").data == expected


@pytest.mark.parametrize("text,where,what", [case for case in REFUSED if "valid YAML" not in case[2]])
def test_the_pure_parser_refuses_the_same(text: str, where: str, what: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(strictyaml, "_LOADER", yaml.SafeLoader)
    with pytest.raises(InputError) as caught:
        read_all(text, "x.yaml")
    assert what in caught.value.problems[0].what


STRINGS = [
    *AMBIGUOUS,
    "",
    " ",
    "null",
    "true",
    "1",
    "1.5",
    "plain",
    "a b",
    "a: b",
    "a #b",
    "#a",
    "- a",
    "? a",
    "{a}",
    "[a]",
    "*a",
    "&a",
    "!a",
    "|",
    ">",
    "%a",
    "@a",
    "`a",
    "'a",
    '"a',
    "a\\b",
    "a\tb",
    " lead",
    "trail ",
    "a\nb",
    "a\nb\n",
    "a\n\nb\n\n",
    "\na",
    "  a\nb",
    "a\n  b\n",
    "a \nb",
    "a\r\nb",
    "a\tb\nc",
    "#!/bin/sh\nexec x\n",
    "- a\n- b\n",
    "a: b\nc: d\n",
    "---\na",
    "...",
    "\x00",
    "\x7f\x85\xa0",
    "\u2028",
    "é\n🐘\n",
    "🐘",
    "\ufeffbom",
    "x" * 300 + " " + "y" * 300,
]


@pytest.mark.parametrize("text", STRINGS)
def test_a_string_reads_back_the_same_by_us_and_by_others(text: str) -> None:
    body = {"a": text, "l": [text, {"k": text}], f"k{text}": 1}
    written = dump(body)
    assert read_one(written, "x").data == body
    assert yaml.safe_load(written) == body


def test_lines_are_written_as_lines() -> None:
    assert dump({"a": "x\ny\n"}) == "a: |\n  x\n  y\n"
    assert dump({"a": "#!/bin/sh\ny"}) == "a: |-\n  #!/bin/sh\n  y\n"
    assert dump({"a": "1", "b": "yes", "c": "1Gi"}) == 'a: "1"\nb: "yes"\nc: 1Gi\n'


def test_the_same_part_twice_is_written_twice() -> None:
    part = {"x": 1}
    assert dump({"a": part, "b": part}) == "a:\n  x: 1\nb:\n  x: 1\n"


def test_documents_carry_their_comment() -> None:
    assert dump_all([("", {"a": 1}), ("one\ntwo", {"b": 2})]) == "---\na: 1\n---\n# one\n# two\nb: 2\n"
