"""What templates become in a chart: expressions, conditions, loops and texts, and what is fixed instead."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

import pytest
from jinja2 import DictLoader

from berth.core.chart.convert import Chart, convert
from berth.core.errors import InputError, TemplateError
from berth.core.profile import Source, load

pytestmark = pytest.mark.unit

SCHEMA: dict[str, Any] = {
    "n": {"type": "integer", "minimum": 0},
    "z": {"type": "integer"},
    "s": {"type": "string"},
    "word": {"type": "string", "pattern": "^[a-z]+$"},
    "maybe": {"type": ["string", "null"]},
    "on": {"type": "boolean"},
    "any": {"type": ["string", "number"]},
    "list": {"type": "array", "items": {"type": "string"}},
    "map": {"type": "object", "additionalProperties": {"type": "string"}, "propertyNames": {"pattern": "^[a-z]+$"}},
    "open": {"type": "object", "additionalProperties": True},
    "size": {"type": "string", "pattern": "^[0-9]+Gi$"},
    "shut": {"type": "object", "properties": {"a": {"type": "integer"}, "b": {"type": ["string", "null"]}}},
    "dashed-name": {"type": "string"},
}
VALUES: dict[str, Any] = {
    "n": 1, "z": -1, "s": "text", "word": "abc", "maybe": None, "on": True, "any": 1, "list": ["a"], "map": {"a": "b"},
    "open": {}, "size": "1Gi", "shut": {"a": 1, "b": None}, "dashed-name": "x",
}  # fmt: skip
HEAD = 'apiVersion: v1\nkind: ConfigMap\nmetadata: {name: {{ named("it") }}}\n'


MOVED = "{% set t %}\n  {% if values.on %}\n  a\n  {% endif %}\n{% endset %}{{ t | trim }}"


def chart(template: str, files: Mapping[str, str] = {}, **more: Any) -> Chart:
    """The chart of a profile with one template, `files` beside it."""
    profile: dict[str, Any] = {"name": "it", "description": "A test", "version": "1.0.0"}
    profile |= {"values": VALUES, "schema": {"properties": SCHEMA}, **more}
    source = Source("it", json.dumps(profile), "profiles/it.yaml")
    loader = DictLoader({"it/it.yaml": template, **files})
    return convert(load("it", lambda name: source), loader)


def written(body: str, files: Mapping[str, str] = {}) -> str:
    """The ConfigMap's file below its metadata, where nothing is fixed."""
    made = chart(HEAD + body, files)
    assert made.fixed == ()
    return made.files["templates/configmap.yaml"].partition("namespace: {{ .Release.Namespace | quote }}\n")[2]


@pytest.mark.parametrize(
    ("expression", "go"),
    [
        ("values.s", "{{ .Values.s | quote }}"),
        ("values.n", "{{ int64 .Values.n }}"),
        ("values.on", "{{ .Values.on }}"),
        ("values.any", "{{ .Values.any | toJson }}"),
        ("values['dashed-name']", '{{ index .Values "dashed-name" | quote }}'),
        ("values.shut.a", "{{ int64 .Values.shut.a }}"),
        ("release.name", "{{ .Release.Name | quote }}"),
        ("release.profile", "it"),
        ("named('x')", '{{ include "it.named" (list . "x") | quote }}'),
        ("values.n + 1", "{{ add (int64 .Values.n) 1 }}"),
        ("2 * (values.n - 1)", "{{ mul 2 (sub (int64 .Values.n) 1) }}"),
        ("values.n // 2", "{{ div (int64 .Values.n) 2 }}"),
        ("[values.n, values.z, 3] | max", "{{ max (int64 .Values.n) (int64 .Values.z) 3 }}"),
        ("values.s ~ '%' ~ values.n", '{{ printf "%s%%%d" .Values.s (int64 .Values.n) | quote }}'),
        ("values.n | string", "{{ toString (int64 .Values.n) | quote }}"),
        ("values.any | string", '{{ include "it.text" .Values.any | quote }}'),
        ("values.s | int", '{{ int64 (include "it.int" .Values.s) }}'),
        ("values.s[:3]", '{{ regexFind "(?s)^.{0,3}" .Values.s | quote }}'),
        ("values.s[:-1]", '{{ regexReplaceAll "(?s).$" .Values.s "" | quote }}'),
        ("values.word[-1]", '{{ regexFind "(?s).$" .Values.word | quote }}'),
        ("'a' if values.on else 'b'", "{{ if .Values.on }}a{{ else }}b{{ end }}"),
        ("values.maybe or values.s", "{{ or .Values.maybe .Values.s | quote }}"),
        ("values.list | join(', ')", '{{ join ", " .Values.list | quote }}'),
        ("values.s | replace('{{', '\"')", '{{ replace "{{" "\\"" .Values.s | quote }}'),
        ("values.s is string", "true"),
        ("values.maybe is none", '{{ kindIs "invalid" .Values.maybe }}'),
        ("values.n > 3 and values.on", "{{ and (gt (int64 .Values.n) 3) .Values.on }}"),
        ("not values.list", "{{ not .Values.list }}"),
        ("values.word in ['a', 'b']", '{{ has .Values.word (list "a" "b") }}'),
        ("'a' in values.map", '{{ hasKey .Values.map "a" }}'),
        ("values.map.zz | default('d')", '{{ ternary (get .Values.map "zz") "d" (hasKey .Values.map "zz") | quote }}'),
        ("values.nothing | default('d')", "d"),
        ("(values.size | quantity) > 5", '{{ gt (float64 (include "it.quantity" .Values.size)) 5.0 }}'),
    ],
)
def test_expressions(expression: str, go: str) -> None:
    """Numbers are made whole, texts quoted, and what is known is computed now."""
    assert written(f"x: {{{{ {expression} }}}}\n").splitlines()[0] == f"x: {go}"


@pytest.mark.parametrize(
    ("body", "lines"),
    [
        ("x: {{ values.map }}", ["x:", "  {{- toYaml .Values.map | nindent 2 }}"]),
        ("x: {{ values.maybe }}",
         ['{{- if not (kindIs "invalid" .Values.maybe) }}', "x: {{ .Values.maybe | quote }}", "{{- end }}"]),
        ("x: {{ values.list or omit }}",
         ["{{- if .Values.list }}", "x:", "  {{- toYaml .Values.list | nindent 2 }}", "{{- end }}"]),
        (
            "x:\n{% if values.on %}\n  a: 1\n{% else %}\n  b: 2\n{% endif %}\n  c: 3\n",
            ["x:", "  {{- if .Values.on }}", "  a: 1", "  {{- else }}", "  b: 2", "  {{- end }}", "  c: 3"],
        ),
        (
            "x:\n{% for item in values.list %}\n  - {v: {{ item }}}\n{% endfor %}\n  - last",
            ["x:", "  {{- range $item := .Values.list }}", "  - v: {{ $item | quote }}", "  {{- end }}", "  - last"],
        ),
        (
            "x:\n{% if values.on %}\n  a: 1\n{% endif %}",
            ["{{- if .Values.on }}", "x:", "  {{- if .Values.on }}", "  a: 1", "  {{- end }}", "{{- end }}"],
        ),
        (
            "x: {a: {{ values.maybe }}}",
            ['x:{{ if not (not (kindIs "invalid" .Values.maybe)) }} {}{{ end }}',
             '  {{- if not (kindIs "invalid" .Values.maybe) }}',
             "  a: {{ .Values.maybe | quote }}", "  {{- end }}"],
        ),
        ("x: {{ values.shut | combine({'c': 1}) }}",
         ["x:", "  a: {{ int64 .Values.shut.a }}", '  {{- if not (kindIs "invalid" .Values.shut.b) }}',
          "  b: {{ .Values.shut.b | quote }}", "  {{- end }}", "  c: 1"]),
        ("x: {{ values.map | combine({'c': '1'}) }}",
         ["x:", '  {{- include "it.combine" (list .Values.map (dict "c" "1")) | nindent 2 }}']),
        ("x: {{ values.n }}{% if values.on %}0{% endif %}",
         ['x: {{ ternary (printf "%d0" (int64 .Values.n)) .Values.n .Values.on | toJson }}']),
        ("x: '{{ \"{{\" }}'", ["x: '{{ \"{{\" }}'"]),
    ],
)  # fmt: skip
def test_structure(body: str, lines: list[str]) -> None:
    """Conditions and loops stand around the lines that they add, and nothing is left standing without its content."""
    assert written(body + "\n").splitlines()[: len(lines)] == lines


def test_a_refusal_is_carried() -> None:
    """With its condition and its words, before the object."""
    text = chart("{% if values.n > 5 %}{{ fail('n is ' ~ values.n) }}{% endif %}\n" + HEAD).files[
        "templates/configmap.yaml"
    ]
    assert '{{- if gt (int64 .Values.n) 5 }}\n{{- fail (printf "n is %d" (int64 .Values.n)) }}\n{{- end }}\n' in text


def test_an_object_under_a_condition() -> None:
    """The whole file is."""
    text = chart(f"{{% if values.on %}}\n{HEAD}{{% endif %}}\n").files["templates/configmap.yaml"]
    assert re.search(r"^\{\{- if \.Values\.on \}\}\napiVersion(?s:.*)\n\{\{- end \}\}\n\Z", text, re.MULTILINE)


def test_a_text_keeps_every_blank() -> None:
    """Conditions get lines of their own only where that changes nothing."""
    script = (
        "first\n{% if values.on %}\nsecond\n{% endif %}\n\n{% for word in values.list %}- {{ word }}\n{% endfor %}end"
    )
    made = chart(HEAD + 'data: {x: {{ include_text("script") }}}\n', {"script": script})
    assert made.files["templates/_script.tpl"].partition("-}}\n")[2] == (
        "first\n{{- if .Values.on }}\nsecond\n{{- end }}\n\n"
        "{{ range $word := .Values.list }}- {{ $word }}\n{{ end }}end{{ end }}\n"
    )
    assert '{{- dict "x" (include "it.script" .) | toYaml | nindent 2 }}' in made.files["templates/configmap.yaml"]


def test_a_list_that_a_loop_makes() -> None:
    """What is appended in each round stands for each item's."""
    body = "{% set all = namespace(l=[]) %}{% for w in values.list %}{% set all.l = all.l + [w ~ '!'] %}{% endfor %}"
    made = chart(body + HEAD + "x: {{ all.l | join(',') }}\n")
    assert made.fixed == ()
    helpers = made.files["templates/_helpers.tpl"]
    assert "{{ range $index, $w := .Values.list }}{{ if $index }},{{ end }}{{ $w }}!{{ end }}{{ end }}" in helpers


@pytest.mark.parametrize(
    ("body", "path", "reason"),
    [
        ("x: {{ values.list | sort }}", "list", "the filter sort"),
        ("x: {{ values.z // 2 }}", "z", "//, which Go rounds otherwise"),
        ("x: {{ 6 / values.n }}", "n", "/ by a number that is not known"),
        ("x: {{ values.s[2:] }}", "s", "this slice"),
        ("x: {{ values.open | combine({'a': {'b': 1}}) }}", "open", "combine of mappings that may hold mappings"),
        ("x: {% for k, v in values.map.items() %}{{ k }}{% endfor %}", "map", "the order of a mapping's entries"),
        ("x: {% for w in values.list %}{{ loop.index }}{% endfor %}", "list", "loop"),
        ("x: {{ values.maybe ~ 'x' if values.on else '' }}", "maybe", "text of what may be null"),
        ("x: |\n  {% if values.on %}\n  a\n  {% endif %}\n", "on", "a condition inside of a block of text"),
        ("x: {% if values.on %}{a: 1}{% endif %}", "on", "a condition inside of this line"),
        ("x:\n  - a\n{% if values.on %}\n  - b\nzz: 1\n{% endif %}", "on", "lines under a condition that end what"),
        ("{% set n = namespace(c=0) %}{% for w in values.list %}{% set n.c = n.c + 1 %}{% endfor %}x: {{ n.c }}",
         "list",
         "a loop that changes a value from item to item"),
        ("x: [\n{% if values.on %}\n  1,\n{% endif %}\n  2]", "on", "a condition among the parts of one line"),
        ("x: {a{% if values.on %}b{% endif %}: 1}", "on", "lines under conditions that do not nest"),
        ("x: one\n{% if values.on %}\n  two\n{% endif %}\n", "on", "a condition inside of a block of text"),
        ("x: {{ include_text('moved') }}", "on", "text with conditions, trimmed or indented"),
        ("x: {{ include_text(values.word) }}", "word", "a template chosen by a value"),
        ("{% if not values.on %}\nx: {{ values.open.zz }}\n{% endif %}", "open",
         "a part that may be missing, without a default"),
        ("x: {{ values.open.zz[:2] if values.open.zz is defined else 1 }}", "open", "this slice"),
        ("{% if values.on %}{% set y = 1 %}{% endif %}x: {{ y }}", "on", "which only one side of a condition sets"),
        ("x: {{ [{'a': values.maybe}] + values.list }}", "maybe", "that may have to be left out"),
        ("{% for w in values.list %}\n---\n" + HEAD.replace('"it"', '"it" ~ w') + "{% endfor %}", "list",
         "a loop that makes objects"),
        ("{% if not values.on %}\nx: {{ values.list.nothing }}\n{% endif %}", "list", "part that may not be there"),
    ],
)  # fmt: skip
def test_what_is_fixed(body: str, path: str, reason: str) -> None:
    """What Helm cannot do makes the values concerned fixed, in the schema and with the reason."""
    default = {**VALUES, "maybe": "held"} if path == "maybe" else VALUES
    made = chart(HEAD + body + "\n", {"abc": "text", "moved": MOVED}, values=default)
    fixed = {part.path: part.reason for part in made.fixed}
    assert reason in fixed[path] and "templates/it/it.yaml" in fixed[path]
    schema = json.loads(made.files["values.schema.json"])
    assert schema["properties"][path]["const"] == default[path]
    assert path in made.files["README.md"] and "Fixed in this chart" in made.files["values.yaml"]


def test_a_side_that_would_be_an_error_is_not_computed() -> None:
    """Go computes all arguments of a function: a text that only one side has is a template of its own."""
    made = chart(HEAD + "x: {{ values.maybe[:2] if values.maybe else 'none' }}\n")
    assert 'x: {{ include "it.x" . | quote }}' in made.files["templates/configmap.yaml"]
    then = '{{ if .Values.maybe }}{{ regexFind "(?s)^.{0,2}" .Values.maybe }}{{ else }}none{{ end }}'
    assert then in made.files["templates/_helpers.tpl"]


def test_a_template_that_asks_for_the_environment() -> None:
    """Helm does not know it: such an environment needs a chart of its own."""
    made = chart(HEAD + "x: {{ release.environment or 'none' }}\n", environments={"prod": {}})
    assert "release.environment is fixed" in made.files["values-prod.yaml"]
    assert "--env prod" in made.files["README.md"]
    assert "release.environment" not in chart(HEAD, environments={"prod": {}}).files["values-prod.yaml"]


def test_the_schema_is_as_strict_as_berth() -> None:
    """No value can be left out, but those that may be null; nothing else can be set."""
    schema = json.loads(chart(HEAD).files["values.schema.json"])
    assert set(schema["required"]) == set(VALUES) - {"maybe"}
    assert schema["additionalProperties"] is False and schema["properties"]["shut"]["required"] == ["a"]


def test_generated_and_kept() -> None:
    """A Secret's generated keys are looked up before they are made, and one that opens data stays."""
    made = chart(
        "apiVersion: v1\nkind: Secret\nmetadata:\n  name: {{ named('it') }}\n"
        "  annotations: {berth.dev/keep-with: data}\n"
        "stringData: {made: {{ generate(12) }}, given: {{ values.s }}, plain: a}\n"
    )
    text = made.files["templates/secret.yaml"]
    assert '{{ get $held "made" | default (randAlphaNum 12 | b64enc) | quote }}' in text
    assert "given: {{ b64enc .Values.s | quote }}" in text and "plain: YQ==" in text
    assert "helm.sh/resource-policy: keep" in text and "berth.dev/generated-keys: made" in text


def test_a_secret_default_is_not_written() -> None:
    """A chart is read by everybody."""
    with pytest.raises(InputError, match=r"s is secret, and a chart would hold") as raised:
        chart(HEAD, schema={"properties": SCHEMA | {"s": {"type": "string", "x-secret": True}}})
    assert "text" not in str(raised.value)


@pytest.mark.parametrize(
    ("template", "said"),
    [
        ("{% extends 'x' %}", "x"),
        (HEAD + "x: {{ values.nope }}\n", "nope"),
        (HEAD + "x: {{ 1 +\n", "unexpected"),
        (HEAD + "x: {{ release.name | upper }}\n", "no chart can be made"),
        (HEAD + "x: {{ release.name | sort }}\n", "no chart can be made"),
    ],
)
def test_what_is_wrong_is_told(template: str, said: str) -> None:
    """A template with an error is an error, with its place; so is one that no value helps."""
    with pytest.raises(InputError) as raised:
        chart(template)
    assert said in str(raised.value) and "templates/it/it.yaml" in str(raised.value)


def test_blocks_are_not_carried() -> None:
    """Statements that no chart has a word for are told with their line."""
    with pytest.raises(TemplateError, match=r"cannot carry this statement \(Block\)") as raised:
        chart("{% block a %}" + HEAD + "{% endblock %}")
    assert "it.yaml:1" in str(raised.value)


def test_the_same_profile_gives_the_same_chart() -> None:
    """Byte for byte."""
    assert chart(HEAD + "x: {{ values.map }}\n").files == chart(HEAD + "x: {{ values.map }}\n").files
