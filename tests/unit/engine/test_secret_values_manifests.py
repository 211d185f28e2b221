"""From secret values to manifests: tokens end up in Secrets only, and nothing that is shown holds a secret."""

from __future__ import annotations

import json
from base64 import b64encode
from typing import Any

import pytest
from jinja2 import DictLoader

from berth.core.complete import with_copies
from berth.core.errors import TemplateError
from berth.core.masking import copies, hidden_texts, masked
from berth.core.objects import CHECKSUM_ANNOTATION, GENERATED_ANNOTATION, Json, Manifest, dig
from berth.core.plan import Known, make_plan
from berth.core.render import render
from berth.core.secretvalues import Unread
from berth.core.values import Values, merge
from tests.unit.engine.support import profile_of

pytestmark = pytest.mark.unit

SCHEMA: Json = {
    "type": "object",
    "additionalProperties": True,
    "properties": {
        "pw": {"type": "string", "x-secret": True},
        "settings": {"type": "object", "additionalProperties": True, "properties": {"key": {"x-secret": True}}},
    },
}
SECRET = "apiVersion: v1\nkind: Secret\nmetadata: {name: s}\nstringData:\n"
CONFIG = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: c}\ndata:\n"
POD = """apiVersion: v1
kind: Pod
metadata: {name: p}
spec: {template: {spec: {containers: [{name: a, envFrom: [{secretRef: {name: s}}]}]}}}
"""
GENERATE: Json = {"generate": 12}
COPY: Json = {"existingSecret": {"name": "db", "key": "pw"}}


def cooked(template: str, pw: Any = "the-secret", **values: Any) -> tuple[Values, tuple[Manifest, ...]]:
    profile = profile_of({"pw": pw, **values}, SCHEMA)
    merged = merge(profile, reading=Unread())
    return merged, render(profile, merged, "web", "shop", None, DictLoader({"web/a.yaml": template}))


@pytest.mark.parametrize("written", ["{{ values.pw }}", '"{{ values.pw }}"', "'{{ values.pw }}'"])
def test_quotes_make_no_difference(written: str) -> None:
    _, (made,) = cooked(f"{SECRET}  a: {written}\n  b: text\n", GENERATE)
    assert made.generated == {"a": 12} and set(made.body["data"]) == {"b"}
    assert dig(made.body, "metadata", "annotations", GENERATED_ANNOTATION) == "a"
    _, (made,) = cooked(f"{SECRET}  a: {written}\n", COPY)
    assert made.copied == {"a": ("db", "pw")} and "data" not in made.body
    assert copies(made) == "a from Secret/db, key pw"


WRONG = [
    (SECRET + "  a: pre-{{ values.pw }}\n", "cannot stand inside a text"),
    (SECRET + "  a: {{ values.pw | b64encode }}\n", ""),
    (SECRET + "  a: {{ values.pw ~ 1 }}\n", "cannot stand inside a text"),
    (CONFIG + "  a: {{ values.pw }}\n", "data.a cannot be "),
    (CONFIG + "  a: {{ values.pw | to_json }}\n", ""),
]


@pytest.mark.parametrize("source", [GENERATE, COPY])
@pytest.mark.parametrize("template,said", WRONG)
def test_only_as_a_whole_value_of_a_secret(template: str, said: str, source: Json) -> None:
    with pytest.raises(TemplateError) as caught:
        cooked(template, source)
    assert said in str(caught.value) and "templates/web/a.yaml:5" in str(caught.value)


def test_a_copy_is_put_in_and_rolls_the_pods() -> None:
    _, made = cooked(f"{SECRET}  a: {{{{ values.pw }}}}\n  b: x\n---\n{POD}", COPY)
    filled = [with_copies(made, {("db", "pw"): b64encode(text).decode()}) for text in (b"one", b"two", b"two")]
    secret = next(one for one in filled[0] if one.ref.kind == "Secret")
    assert secret.body["data"] == {"a": b64encode(b"one").decode(), "b": b64encode(b"x").decode()}
    marks = [dig(one.body, "spec", "template", "metadata", "annotations") for all in filled for one in all[1:]]
    assert marks[0][CHECKSUM_ANNOTATION] != marks[1][CHECKSUM_ANNOTATION] == marks[2][CHECKSUM_ANNOTATION]
    assert "a" not in made[0].body.get("data", {}), "what was rendered stays as it is"
    assert masked(secret)["data"] == {"a": "(hidden)", "b": "(hidden)"}


LEAKS = [
    "{{ values.pw }}",
    "pre-{{ values.pw }}-post",
    "{{ values.pw | b64encode }}",
    "{{ values.pw | upper }}",
    "{{ values.pw[:4] }}",
    "{{ values.settings | to_json }}",
    "{{ values.settings.key }}",
    "{{ [values.pw, 'x'] | join('-') }}",
    "{% set x = values.pw %}{{ x }}",
    "{% for k, v in values.settings.items() %}{{ k }}={{ v }} {% endfor %}",
]


@pytest.mark.parametrize("written", LEAKS)
def test_whatever_a_template_makes_of_it_is_hidden(written: str) -> None:
    key = {"key": "the-key!"}
    values, made = cooked(f'{CONFIG}  a: "{written}"\n  clear: {{{{ values.open }}}}\n', open="clear", settings=key)
    shown = json.dumps([masked(one, values.secret_paths) for one in made])
    assert "(hidden)" in shown and '"clear": "clear"' in shown
    for secret in ("the-", "THE-", b64encode(b"the-secret").decode()[:8]):
        assert secret not in shown


def test_a_plan_hides_what_was_made_of_a_secret_before_and_after() -> None:
    values, (made,) = cooked(CONFIG + "  a: {{ values.pw | b64encode }}\n  b: {{ values.open }}\n", open="clear")
    old = b64encode(b"old-secret").decode()
    live = {**made.body, "data": {"a": old, "b": "other"}}
    recorded = masked(made, values.secret_paths)
    texts = (*hidden_texts(recorded, made.body), *hidden_texts(recorded, live))
    known = Known({made.ref: live}, {made.ref: made.body}, secrets=texts)
    (step,) = make_plan("web", "shop", [[made]], known).steps
    assert [(change.path, change.old, change.new) for change in step.changes] == [
        ("data.a", "(hidden)", "(hidden)"),
        ("data.b", "other", "clear"),
    ]
    gone = {**made.body, "data": {"b": "clear"}}
    (step,) = make_plan("web", "shop", [[made]], Known({made.ref: live}, {made.ref: gone}, secrets=texts)).steps
    assert old not in str(step.changes)


def test_a_given_key_that_is_generated_now_is_no_change() -> None:
    _, (made,) = cooked(SECRET + "  a: {{ values.pw }}\n", GENERATE)
    live = {**made.body, "data": {"a": "aGVsbG8="}}
    (step,) = make_plan("web", "shop", [[made]], Known({made.ref: live}, {made.ref: made.body})).steps
    assert step.changes == ()


def test_a_key_made_of_a_secret_is_refused() -> None:
    with pytest.raises(TemplateError, match="this key is made of a secret value") as caught:
        cooked(CONFIG + "  x-{{ values.pw }}: y\n")
    assert "the-secret" not in str(caught.value)


def test_a_name_made_of_a_secret_is_refused() -> None:
    with pytest.raises(TemplateError, match="the name of a ConfigMap is made of a secret value: pw") as caught:
        cooked("apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: {{ values.pw }}\n")
    assert "the-secret" not in str(caught.value) and "templates/web/a.yaml:4" in str(caught.value)
