"""Nonsense is answered with an error that has a line, never with an exception of another kind."""

from __future__ import annotations

import random

import pytest
from jinja2 import DictLoader

from berth.core.errors import InputError
from berth.core.render import render
from berth.core.strictyaml import read_all
from berth.core.values import merge
from tests.unit.engine.support import CONFIG_MAP, profile_of

pytestmark = pytest.mark.unit

YAML = [":", " ", "\n", "- ", "{", "}", "[", "]", "'", '"', "#", "|", ">", "&x", "*x", "!", "%", "@", "?", "---\n"]
YAML += ["...\n", "\t", "a", "1", "yes", "\x00", "é", "\ud800", "<<", ",", "\\", "\r", "\u2028", "~", "null"]

WORDS = [" values.s ", " values.m ", " values.n ", "| upper", "| indent(2)", "| combine(values.m)", "| join(',')"]
WORDS += [
    "| map('upper')",
    "| to_json",
    " m",
    "(1)",
    "q.z()",
    " ~ ",
    " + ",
    "'text'",
    "1",
    "[",
    "]",
    "(",
    ")",
    ",",
    ".",
]
WORDS += ["items()", "omit", "generate(9)", "fail('x')", "include_text('_i')", " or ", " and ", " not ", "is defined"]
WORDS += [" in ", "range(3)", "loop.index", "namespace(a=1)", "x", "x.y", "self.b()", "super()", "caller()", " if "]
WORDS += [" else ", "**", "*", "%", "//", "==", "|", "._x", "['__class__']", "[1:]"]
TAGS = [
    "{{ %s }}",
    "{%% if %s %%}",
    "{%% set x = %s %%}",
    "{%% for x in %s %%}",
    "{%% include %s %%}",
    "{%% call %s %%}",
]
LOOSE = ["{% endif %}", "{% endfor %}", "{% endcall %}", "{% set y %}", "{% endset %}", "{% macro m(a) %}{{ a }}"]
LOOSE += ["{% endmacro %}", "{% filter trim %}", "{% endfilter %}", "\n  ", "k: ", "- ", "{", "}", "{% raw %}", "{#"]


def test_nonsense_yaml_is_refused_with_a_place() -> None:
    chance = random.Random(1)
    for _ in range(3000):
        text = "".join(chance.choice(YAML) for _ in range(chance.randint(1, 15)))
        try:
            read_all(text, "x.yaml")
        except InputError as error:
            assert all(problem.where.startswith("x.yaml:") for problem in error.problems), text


def test_nonsense_templates_are_refused_with_a_place() -> None:
    chance = random.Random(2)
    profile = profile_of({"s": "a: b\n", "m": {"k": "v"}, "n": None, "l": ["x", {"z": 1}]})
    values = merge(profile)
    for _ in range(600):
        body = "  k: "
        for _ in range(chance.randint(1, 3)):
            expression = "".join(chance.choice(WORDS) for _ in range(chance.randint(1, 5)))
            body += chance.choice(TAGS) % expression + chance.choice(["", "\n  ", *LOOSE])
        loader = DictLoader({"web/a.yaml": f"{CONFIG_MAP}{body}\n", "_i": "{% macro z() %}z{% endmacro %}\ni: j\n"})
        try:
            render(profile, values, "web", "shop", None, loader)
        except InputError as error:
            for problem in error.problems:
                assert problem.where, body
                assert "jinja2" not in str(problem) and "berth." not in str(problem), body
