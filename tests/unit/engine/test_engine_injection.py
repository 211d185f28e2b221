"""Nothing in a value becomes anything but that value, whatever the template does with it."""

from __future__ import annotations

import json
import random
from base64 import b64encode

import pytest

from berth.core.errors import TemplateError, ValuesError
from berth.core.strictyaml import read_one
from berth.core.yamltext import dump
from tests.unit.engine.support import CONFIG_MAP, cook, data_of, problems_of

pytestmark = pytest.mark.unit

NASTY = {
    "colon": "a: b",
    "quote": '": #\n',
    "newline": "x\nkind: Secret\nmetadata: {name: owned}",
    "document": "x\n---\napiVersion: v1\nkind: Pod",
    "end": "...",
    "braces": "{{ values.secret }}{% raw %}{# x #}",
    "flow": "}, {name: y}, [",
    "tab": "\ta\t:\tb",
    "nul": "a\x00b",
    "bell": "\x07\x1b[31m",
    "emoji": "🐘 ключ 键",
    "comment": "x # y",
    "anchor": "&a *a !!str",
    "merge": "<<",
    "quote-1": "'",
    "quote-2": '"',
    "backslash": "\\n\\",
    "carriage": "a\r\nb\r",
    "separator": "a\u2028b\u2029c\x85d",
    "space": "  lead and trail  ",
    "empty": "",
    "number": "012",
    "yes": "yes",
    "null": "null",
    "html": "<b>&amp;'\"</b>",
    "percent": "%s %(x)s {0} {x!r}",
    "dash": "- a\n- b",
    "bar": "|\n  x",
    "long line": "x" * 5000,
    "surrogate-free private use": "\ue000\uf8ff",
}

#: How a template may write a string ``s``; each gives the string itself.
WHOLE = {
    "plain": "k: {{ values.s }}",
    "double quotes": 'k: "{{ values.s }}"',
    "single quotes": "k: '{{ values.s }}'",
    "flow": "{k: {{ values.s }}, other: x}",
    "json": '{"k": "{{ values.s }}"}',
    "set": "{% set v = values.s %}\n  k: {{ v }}",
    "set block": "{% set v %}{{ values.s }}{% endset %}\n  k: {{ v }}",
    "loop": "{% for v in [values.s] %}\n  k: {{ v }}\n{% endfor %}",
    "macro": "{% macro m(v) %}{{ v }}{% endmacro %}\n  k: {{ m(values.s) }}",
    "macro twice": "{% macro m(v) %}{{ v }}{% endmacro %}\n  k: {{ m(m(values.s)) }}",
    "call": "{% macro m() %}{{ caller() }}{% endmacro %}\n  k: {% call m() %}{{ values.s }}{% endcall %}",
    "filter block": "k: {% filter indent(2) %}{{ values.s }}{% endfilter %}",
    "set with filter": "{% set v | trim %} {{ values.s }} {% endset %}\n  k: {{ v }}",
    "indented macro": "{% macro m(v) %}{{ v }}{% endmacro %}\n  k: {{ m(values.s) | indent(8) }}",
    "concatenated": "k: {{ '' ~ values.s }}",
    "added": "k: {{ values.s + '' }}",
    "joined": "k: {{ [values.s] | join }}",
    "joined with rendered": "{% set e %}{% endset %}\n  k: {{ [e, values.s] | join(e) }}",
    "rendered plus": "{% set e %}{% endset %}\n  k: {{ e + values.s }}",
    "rendered tilde": "{% set e %}{% endset %}\n  k: {{ e ~ values.s }}",
    "rendered replace": "{% set e %}x{% endset %}\n  k: {{ e | replace('x', values.s) }}",
    "rendered method": "{% set e %}x{% endset %}\n  k: {{ e.replace('x', values.s) }}",
    "rendered join": "{% set e %}{% endset %}\n  k: {{ e.join([values.s]) }}",
    "rendered in a list": "{% set e %}{{ values.s }}{% endset %}\n  k: {{ [e] | first }}",
    "default": "k: {{ missing | default(values.s) }}",
    "or": "k: {{ none or values.s }}",
    "namespace": "{% set n = namespace(v=values.s) %}\n  k: {{ n.v }}",
    "map": "k: {{ [values.s] | map('string') | first }}",
    "sorted": "k: {{ [values.s] | sort | first }}",
    "slice": "k: {{ (values.s ~ 'xy')[:-2] }}",
    "as text": "k: {{ include_text('t.yaml') }}",
    "data": "k: {{ (values | dictsort)[0][1] }}",
}


@pytest.mark.parametrize("written", [pytest.param(text, id=name) for name, text in WHOLE.items()])
def test_a_string_stays_itself_however_it_is_written(written: str) -> None:
    for name, text in NASTY.items():
        data = data_of(f"  {written}\n", {"s": text}, t="{{ values.s }}")
        assert data.pop("k") == text, name
        assert data in ({}, {"other": "x"}), name


INSIDE = {
    "plain": ("k: a{{ values.s }}b", "a%sb"),
    "double quotes": ('k: "a {{ values.s }}"', "a %s"),
    "single quotes": ("k: 'it''s {{ values.s }}'", "it's %s"),
    "literal": ("k: |\n    a {{ values.s }}\n    b\n", "a %s\nb\n"),
    "folded": ("k: >-\n    a\n    {{ values.s }}\n", "a %s"),
    "twice": ("k: {{ values.s }}:{{ values.s }}", "%s:%s"),
    "concatenated": ("k: {{ 'a' ~ values.s ~ 'b' }}", "a%sb"),
    "around rendered": ("{% set e %}x{% endset %}\n  k: {{ e ~ values.s ~ e }}", "x%sx"),
}


@pytest.mark.parametrize("written,expected", [pytest.param(*case, id=name) for name, case in INSIDE.items()])
def test_a_string_stays_itself_inside_a_longer_text(written: str, expected: str) -> None:
    for name, text in NASTY.items():
        assert data_of(f"  {written}\n", {"s": text}) == {"k": expected.replace("%s", text)}, name


@pytest.mark.parametrize("text", NASTY.values(), ids=NASTY)
def test_a_string_stays_itself_as_a_key(text: str) -> None:
    lines = '  {{ values.s }}: plain\n  "q-{{ values.s }}": quoted\n'
    assert data_of(lines, {"s": text}) == {text: "plain", f"q-{text}": "quoted"}


@pytest.mark.parametrize("text", NASTY.values(), ids=NASTY)
def test_a_string_in_a_comment_is_nothing(text: str) -> None:
    assert data_of("  # {{ values.s }}\n  k: v  # {{ values.s }}\n", {"s": text}) == {"k": "v"}


@pytest.mark.parametrize("text", NASTY.values(), ids=NASTY)
def test_a_string_in_a_mapping_or_a_list_stays_itself(text: str) -> None:
    value = {"a": [text, {text: text}]}
    (manifest,) = cook(CONFIG_MAP + "  k: {{ values.v }}\n", {"v": value})
    assert manifest.body["data"]["k"] == value


@pytest.mark.parametrize("text", NASTY.values(), ids=NASTY)
def test_a_secret_string_is_encoded_as_it_is(text: str) -> None:
    template = "apiVersion: v1\nkind: Secret\nmetadata: {name: x}\nstringData:\n  k: {{ values.s }}\n"
    (manifest,) = cook(template, {"s": text})
    assert manifest.body["data"] == {"k": b64encode(text.encode()).decode()}


@pytest.mark.parametrize("text", NASTY.values(), ids=NASTY)
def test_filters_see_the_string_and_not_its_token(text: str) -> None:
    rendered = "{% set e %}{{ values.s }}{% endset %}\n"
    lines = (
        f"{rendered}  size: {{{{ (e | length) ~ '' }}}}\n  json: {{{{ e | to_json }}}}\n"
        "  same: {{ 'yes!' if e == values.s else 'no!' }}\n  base: {{ e | b64encode }}\n"
    )
    data = data_of(lines, {"s": text})
    assert data["size"] == str(len(text))
    assert json.loads(data["json"]) == text
    assert data["same"] == "yes!"
    assert data["base"] == b64encode(text.encode()).decode()


def test_a_string_of_a_megabyte_is_as_good_as_any() -> None:
    text = "0123456789abcde\n" * 65536
    assert data_of("  k: {{ values.s }}\n  l: x{{ values.s }}\n", {"s": text}) == {"k": text, "l": "x" + text}


@pytest.mark.parametrize("character", ["\uf5e0", "\uf5e1", "\uf5e2", "\uf5e3"])
def test_the_characters_of_tokens_are_refused_in_values(character: str) -> None:
    for values in ({"s": f"a{character}0"}, {"s": {f"{character}": "x"}}, {"s": [character]}):
        with pytest.raises(ValuesError, match="kept for berth"):
            data_of("  k: {{ values.s }}\n", values)


def test_a_token_cannot_be_forged_from_escapes() -> None:
    data = data_of('  k: {{ values.s }}\n  l: {{ "\\uf5e00\\uf5e1" }}\n', {"s": "safe"})
    assert data == {"k": "safe", "l": "safe"}


def test_a_forged_token_without_a_value_is_an_error() -> None:
    for written in ('"\\uf5e0999\\uf5e1"', '["\\uf5e0999\\uf5e1"]', '"\\uf5e0999\\uf5e1" | upper'):
        (problem,) = problems_of(CONFIG_MAP + f"  k: {{{{ {written} }}}}\n")
        assert "keeps for itself" in problem.what
        assert problem.where == "templates/web/a.yaml:5"


@pytest.mark.parametrize("character", ["\uf5e0", "\uf5e3", "\u2028", "\x85"])
def test_the_characters_of_tokens_are_refused_in_templates(character: str) -> None:
    (problem,) = problems_of(CONFIG_MAP + f"  a: b\n  k: x{character}y\n")
    assert "is not allowed" in problem.what
    assert problem.where == "templates/web/a.yaml:6"


FORBIDDEN = {
    "safe": "{{ values.s | safe }}",
    "escape": "{{ values.s | escape }}",
    "e": "{{ values.s | e }}",
    "forceescape": "{{ values.s | forceescape }}",
    "tojson": "{{ values.s | tojson }}",
    "xmlattr": "{{ {'a': values.s} | xmlattr }}",
    "urlize": "{{ values.s | urlize }}",
    "striptags": "{{ values.s | striptags }}",
    "format filter": "{{ '%s' | format(values.s) }}",
    "mod": "{{ '%s' % values.s }}",
    "format": "{{ '{}'.format(values.s) }}",
    "format_map": "{{ '{s}'.format_map(values) }}",
    "attr": "{{ values | attr('s') }}",
    "filter block": "{% filter upper %}{{ values.s }}{% endfilter %}",
    "filter block twice": "{% filter indent | upper %}{{ values.s }}{% endfilter %}",
    "set filter": "{% set x | upper %}{{ values.s }}{% endset %}",
    "autoescape": "{% autoescape false %}{{ values.s }}{% endautoescape %}",
    "call of data": "{% call values.s.upper() %}{% endcall %}",
    "call of a function": "{% call named(values.s) %}{% endcall %}",
    "lipsum": "{{ lipsum() }}",
    "gettext": "{% trans %}x{% endtrans %}",
    "module": "{% import '_m.yaml' as m %}{{ m }}",
    "function": "{{ named }}",
    "method": "{{ values.items }}",
    "mapping in text": "a{{ values }}",
    "list in text": "a{{ [1] }}",
    "null in text": "a{{ none }}",
    "omit in text": "a{{ omit }}",
    "generated in text": "a{{ generate(9) }}",
    "quoted mapping": '"{{ values }}"',
}


@pytest.mark.parametrize("written", [pytest.param(text, id=name) for name, text in FORBIDDEN.items()])
def test_constructs_that_could_smuggle_text_are_refused_with_a_line(written: str) -> None:
    templates = {"web/a.yaml": CONFIG_MAP + f"  a: b\n  k: {written}\n", "_m.yaml": "x"}
    (problem,) = problems_of(templates, {"s": "a\nb: c"})
    assert problem.where.startswith("templates/web/a.yaml:6"), problem
    assert problem.excerpt.startswith("6 | ")


ESCAPES = {
    "class": "{{ ''.__class__ }}",
    "class of a value": "{{ values.__class__ }}",
    "class of a string": "{{ values.s.__class__ }}",
    "item": "{{ values['__class__'] }}",
    "item of a string": "{{ values.s['__class__'] }}",
    "number": "{{ (1).__class__.__mro__ }}",
    "globals": "{{ named.__globals__ }}",
    "closure": "{{ named.__closure__ }}",
    "code": "{{ include_text.__func__.__code__ }}",
    "partial": "{{ ''.replace.func.__globals__ }}",
    "self": "{{ self.__init__.__globals__ }}",
    "self private": "{{ self._TemplateReference__context }}",
    "macro": "{% macro m() %}{% endmacro %}{{ m.__init__.__globals__ }}",
    "macro private": "{% macro m() %}{% endmacro %}{{ m._environment }}",
    "loop": "{% for x in [1] %}{{ loop.__class__ }}{% endfor %}",
    "namespace": "{{ namespace.__init__.__globals__ }}",
    "dict": "{{ dict.__base__.__subclasses__() }}",
    "range": "{{ range.__self__ }}",
    "joiner": "{{ joiner.__init__.__globals__ }}",
    "cycler": "{{ cycler.__init__.__globals__ }}",
    "map": "{{ [values.s] | map(attribute='__class__') | list }}",
    "sort": "{{ [values.s, 'b'] | sort(attribute='__class__') }}",
    "groupby": "{{ [values.s] | groupby('__class__') }}",
    "undefined": "{{ nothing.__class__ }}",
    "environment": "{{ environment }}",
    "context": "{{ context }}",
    "mutation": "{{ values.update({'s': 1}) }}",
    "list mutation": "{{ [].append(1) }}",
    "session": "{{ self._session }}",
    "unknown helper": "{{ open('/etc/passwd') }}",
    "internal filter": "{{ values.s | berth }}",
}


@pytest.mark.parametrize("written", [pytest.param(text, id=name) for name, text in ESCAPES.items()])
def test_the_sandbox_has_no_way_out(written: str) -> None:
    (problem,) = problems_of(CONFIG_MAP + f"  k: {written}\n", {"s": "text"})
    assert problem.where == "templates/web/a.yaml:5"
    assert "Traceback" not in str(problem)


PATHS = [
    "../secret.yaml",
    "/etc/passwd",
    "web/../../secret.yaml",
    "./web/a.yaml",
    "web//a.yaml",
    "..\\secret.yaml",
    "builtin:../secret.yaml",
    "",
]


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize(
    "statement", ["{%% include %s %%}", "{%% import %s as m %%}", "{%% extends %s %%}", "k: {{ include_text(%s) }}"]
)
def test_templates_cannot_be_named_outside_their_directory(statement: str, path: str) -> None:
    templates = {"web/a.yaml": CONFIG_MAP + "  " + statement % json.dumps(path), path or "x": "secret: yes"}
    (problem,) = problems_of(templates)
    assert "leaves the templates directory" in problem.what
    assert problem.where == "templates/web/a.yaml:5"


BOMBS = {
    "text": "{{ 'x' * 10 ** 9 }}",
    "text the other way": "{{ 10 ** 9 * 'x' }}",
    "list": "{{ [1] * 10 ** 9 }}",
    "power": "{{ 10 ** 10 ** 10 }}",
    "big base": "{{ (2 ** 64) ** 64 }}",
    "range": "{{ range(10 ** 9) | list }}",
    "nested ranges": "{% for a in range(90000) %}{% for b in range(90000) %}x{% endfor %}{% endfor %}",
    "doubling": (
        "{% set n = namespace(s='xxxxxxxx') %}{% for i in range(40) %}{% set n.s = n.s ~ n.s %}{% endfor %}{{ n.s }}"
    ),
    "doubling by plus": (
        "{% set n = namespace(s='xxxxxxxx') %}{% for i in range(40) %}{% set n.s = n.s + n.s %}{% endfor %}{{ n.s }}"
    ),
    "doubling a list": (
        "{% set n = namespace(s=[1]) %}{% for i in range(40) %}{% set n.s = n.s + n.s %}{% endfor %}{{ n.s }}"
    ),
    "doubling rendered text": (
        "{% macro m(n) %}{% if n %}{{ m(n - 1) }}{{ m(n - 1) }}{% else %}xxxxxxxxxx{% endif %}{% endmacro %}{{ m(40) }}"
    ),
    "endless macro": "{% macro m() %}{{ m() }}{% endmacro %}{{ m() }}",
    "endless include": "{% include 'web/a.yaml' %}",
    "endless text": "{{ include_text('web/a.yaml') }}",
    "replace": "{{ ('x' * 100000).replace('x', 'y' * 100000) }}",
    "replace filter": "{{ ('x' * 100000) | replace('x', 'y' * 100000) }}",
    "join": "{{ ('x' * 1000000).join('y' * 100000) }}",
    "join filter": "{{ ('y' * 100000) | join('x' * 1000000) }}",
    "indent": "{{ 'x' | indent(10 ** 9) }}",
    "center": "{{ 'x'.center(10 ** 9) }}",
    "ljust": "{{ 'x'.ljust(10 ** 9) }}",
    "zfill": "{{ '1'.zfill(10 ** 9) }}",
    "format width": "{{ '%1000000000d' % 1 }}",
    "center filter": "{{ 'x' | center(10 ** 9) }}",
    "lists of one list": "{{ [[1] * 90000] * 90000 }}",
    "mappings of one mapping": (
        "{% set n = namespace(s={}) %}{% for i in range(40) %}{% set n.s = {'a': n.s, 'b': n.s} %}{% endfor %}{{ n.s }}"
    ),
    "merging them": (
        "{% set n = namespace(s={}) %}{% for i in range(40) %}{% set n.s = {'a': n.s, 'b': n.s} %}{% endfor %}"
        "{{ n.s | combine(n.s) }}"
    ),
    "a deep list": "{% set n = namespace(s=[]) %}{% for i in range(5000) %}{% set n.s = [n.s] %}{% endfor %}{{ n.s }}",
    "an undefined item": "{{ [nothing] }}",
}


@pytest.mark.parametrize("written", [pytest.param(text, id=name) for name, text in BOMBS.items()])
def test_what_would_not_end_is_stopped_with_an_error(written: str) -> None:
    (problem,) = problems_of(CONFIG_MAP + f"  k: {written}\n")
    assert "templates/web/a.yaml:5" in problem.where


def test_random_strings_survive_every_way_of_writing_them() -> None:
    chance = random.Random(20240607)
    alphabet = ": \n\t#'\"{}[]&*!|>%@`,?-\\=~<>()ab01.é🐘\x00\u2028\ue000" + "yesnull"
    for _ in range(150):
        text = "".join(chance.choice(alphabet) for _ in range(chance.randint(0, 30)))
        written = chance.choice(list(WHOLE.values()))
        data = data_of(f"  {written}\n", {"s": text}, t="{{ values.s }}")
        assert data["k"] == text, written
        assert set(data) <= {"k", "other"}


def test_random_data_keeps_its_types_and_reads_back_from_yaml() -> None:
    chance = random.Random(7)
    for _ in range(200):
        value = _random_data(chance, 3)
        (manifest,) = cook(CONFIG_MAP + "  k:\n    in: {{ values.v }}\n", {"v": value})
        assert manifest.body["data"]["k"]["in"] == value
        assert _types(manifest.body["data"]["k"]["in"]) == _types(value)
        assert read_one(dump(manifest.body), "x").data == manifest.body


def _random_data(chance: random.Random, depth: int) -> object:
    kind = chance.randint(0, 6 if depth else 3)
    if kind == 0:
        return chance.choice([True, False, 0, -1, 10**15, 0.5, 1.25, -3.0])
    if kind <= 3:
        pieces = ["a", "yes", "012", "1.10", "null", "x: y", "\n", " ", "#", "- ", "é", "🐘", "\t", "1e3", "2024-01-01"]
        return "".join(chance.choice(pieces) for _ in range(chance.randint(0, 4)))
    if kind == 4:
        return [_random_data(chance, depth - 1) for _ in range(chance.randint(0, 4))]
    return {str(_random_data(chance, 0)): _random_data(chance, depth - 1) for _ in range(chance.randint(0, 4))}


def _types(value: object) -> object:
    if isinstance(value, dict):
        return {key: _types(item) for key, item in value.items()}
    return [_types(item) for item in value] if isinstance(value, list) else type(value)


def test_types_of_values_are_plain_python() -> None:
    values = {"s": "x", "i": 1, "f": 0.5, "b": True, "l": [1, "a", {"k": 2}], "m": {"a": {"b": [0.25]}}}
    (manifest,) = cook(CONFIG_MAP + "  k: {{ values }}\n", values)
    assert _types(manifest.body["data"]["k"]) == _types(values)
    with pytest.raises(TemplateError):
        cook(CONFIG_MAP + "  k: {{ {1: 2} }}\n")
