"""Profile files: what they may hold, extending, and what is wrong with them."""

from __future__ import annotations

from typing import Any

import pytest

from berth.core.errors import ProfileError, did_you_mean
from berth.core.profile import Source, load
from tests.unit.engine.support import merged, profile_from

pytestmark = pytest.mark.unit

HEAD = 'description: a test\nversion: "1.0.0"\n'
BASE = f"""name: base
{HEAD}abstract: true
schema:
  required: [replicas]
  properties:
    replicas: {{type: integer, minimum: 0, maximum: 9}}
    image: {{type: object, properties: {{repo: {{type: string}}, tag: {{type: string}}}}}}
    ports: {{type: array, items: {{type: integer}}}}
values:
  replicas: 1
  image: {{repo: base, tag: "1"}}
  ports: [1, 2]
environments:
  dev: {{replicas: 0}}
operations:
  ready: {{command: [a], timeout: 10s}}
lint:
  waive: [{{rule: a/b, reason: because}}]
"""
TOP = f"""name: top
{HEAD}extends: base
requires: [other]
schema:
  required: [size]
  properties:
    replicas: {{maximum: 5}}
    size: {{type: string}}
values:
  image: {{tag: "2"}}
  ports: [3]
  size: 1Gi
environments:
  dev: {{size: 2Gi}}
  prod: {{replicas: 5}}
operations:
  ready: {{command: [b]}}
  backup: {{command: [c]}}
lint:
  waive: [{{rule: c/d, object: Service/x, reason: because}}]
"""


def problems_of(files: dict[str, str], name: str = "top") -> Any:
    with pytest.raises(ProfileError) as caught:
        profile_from(files, name)
    return caught.value.problems


def test_a_profile_stands_on_what_it_extends() -> None:
    profile = profile_from({"top": TOP, "base": BASE}, "top")
    assert profile.extends == ("base",)
    assert not profile.abstract
    assert profile.templates == ("top/*.yaml",)
    assert profile.requires == ("other",)
    assert list(profile.environments) == ["dev", "prod"]
    assert profile.operations["ready"] == {"command": ["b"], "timeout": "10s"}
    assert set(profile.operations) == {"ready", "backup"}
    assert [(waiver.rule, waiver.object) for waiver in profile.waivers] == [("a/b", None), ("c/d", "Service/x")]
    assert profile.schema["required"] == ["replicas", "size"]
    assert profile.schema["properties"]["replicas"] == {"type": "integer", "minimum": 0, "maximum": 5}


def test_mappings_merge_and_lists_replace() -> None:
    values = merged(profile_from({"top": TOP, "base": BASE}, "top"))
    assert values.data == {"replicas": 1, "image": {"repo": "base", "tag": "2"}, "ports": [3], "size": "1Gi"}


def test_environments_of_the_base_come_first() -> None:
    values = merged(profile_from({"top": TOP, "base": BASE}, "top"), environment="dev")
    assert (values.data["replicas"], values.data["size"]) == (0, "2Gi")


def test_schemas_are_closed_where_they_declare_properties() -> None:
    schema = profile_from({"top": TOP, "base": BASE}, "top").schema
    assert schema["additionalProperties"] is False
    assert schema["properties"]["image"]["additionalProperties"] is False


WRONG = [
    ("name: top\n", "description: a value is required", 1),
    (f"name: other\n{HEAD}", "holds a profile named 'other'", 1),
    (f"name: top\n{HEAD}extend: base\n", "extend: there is no such value", 4),
    (f"name: top\n{HEAD}requires: other\n", "requires: expected a list, got 'other'", 4),
    (f"name: top\n{HEAD}values: [1]\n", "values: expected a mapping, got a list", 4),
    (f"name: top\n{HEAD}abstract: 'yes'\n", "abstract: expected true or false, got 'yes'", 4),
    (f"name: top\n{HEAD}environments:\n  dev: 3\n", "environments.dev: expected a mapping or null, got 3", 5),
    (
        f"name: top\n{HEAD}environments:\n  Dev!: {{}}\n",
        "environments['Dev!']: this key is not possible; expected text that matches",
        5,
    ),
    (f"name: top\n{HEAD}templates:\n  - ../x.yaml\n", "leaves the templates directory", 5),
    (f"name: top\n{HEAD}templates: [/etc/*]\n", "leaves the templates directory", 4),
    (f"name: top\n{HEAD}schema: {{type: strin}}\n", "this is not a valid JSON Schema", 4),
    (f"name: top\n{HEAD}schema:\n  properties: {{a: {{$ref: '#/nowhere'}}}}\n", "this is not a valid JSON Schema", 4),
    (f"name: top\n{HEAD}lint: {{waive: [{{rule: x}}]}}\n", "reason: a value is required", 4),
    ('name: top\ndescription: x\nversion: "1"\n', "version: expected text that matches", 3),
    ("name: top\ndescription: x\nversion: 1.0\n", "version: expected text, got 1.0", 3),
    ("- a\n", "a profile is a mapping", 0),
    ("", "a profile is a mapping", 0),
    ("name: top\nname: top\n", "is there twice", 2),
]


@pytest.mark.parametrize("text,what,line", WRONG)
def test_a_wrong_profile_is_refused_with_its_line(text: str, what: str, line: int) -> None:
    problem = problems_of({"top": text})[0]
    assert what in problem.what
    assert problem.where.startswith(f"profiles/top.yaml:{line}" if line else "profiles/top.yaml")


def test_a_misspelt_key_gets_a_suggestion() -> None:
    (problem,) = problems_of({"top": f"name: top\n{HEAD}extend: base\n"})
    assert problem.hint == "did you mean 'extends'?"


def test_all_problems_of_a_file_come_at_once() -> None:
    problems = problems_of({"top": "name: top\nversion: 1\nextend: x\nrequires: z\n"})
    assert len(problems) == 4


def test_a_circle_of_extends_names_its_edges() -> None:
    files = {name: f"name: {name}\n{HEAD}extends: {base}\n" for name, base in (("a", "b"), ("b", "c"), ("c", "b"))}
    (problem,) = problems_of(files, "a")
    assert problem.what == (
        "these profiles extend one another in a circle: "
        "b extends c (profiles/b.yaml:4:1), c extends b (profiles/c.yaml:4:1)"
    )


def test_a_profile_that_extends_itself_is_a_circle() -> None:
    (problem,) = problems_of({"top": f"name: top\n{HEAD}extends: top\n"})
    assert "top extends top (profiles/top.yaml:4:1)" in problem.what


def test_an_unknown_base_is_reported_where_it_is_named() -> None:
    def fetch(name: str) -> Source:
        if name == "top":
            return Source("top", f"name: top\n{HEAD}extends: bse\n", "profiles/top.yaml")
        raise ProfileError(f"there is no profile {name!r}", hint=did_you_mean(name, ["base"]))

    with pytest.raises(ProfileError) as caught:
        load("top", fetch)
    (problem,) = caught.value.problems
    assert problem.what == "top extends 'bse': there is no profile 'bse'"
    assert (problem.where, problem.hint) == ("profiles/top.yaml:4:1", "did you mean 'base'?")


SCHEMA_FILES = [
    ('{"type": "object", "properties": {"a": {"type": "integer"}}}', None),
    ('{\n\t"properties": {"a": {"type": "integer"}}\n}', None),
    ('{"a": 1,}', "templates/top/values.schema.json:1"),
    ('{"type": 5}', "templates/top/values.schema.json"),
    ('{"a": 1, "a": 2}', "templates/top/values.schema.json"),
    ("[]", "templates/top/values.schema.json"),
]


@pytest.mark.parametrize("text,where", SCHEMA_FILES)
def test_a_schema_may_be_a_file_of_its_own(text: str, where: str | None) -> None:
    written = f"name: top\n{HEAD}values: {{a: 1}}\n"
    source = Source("top", written, "profiles/top.yaml", "project", text, "templates/top/values.schema.json")
    if where is None:
        assert load("top", lambda name: source).schema["properties"] == {"a": {"type": "integer"}}
    else:
        with pytest.raises(ProfileError) as caught:
            load("top", lambda name: source)
        assert caught.value.problems[0].where.startswith(where)


def test_two_schemas_are_one_too_many() -> None:
    source = Source("top", f"name: top\n{HEAD}schema: {{type: object}}\n", "p.yaml", "project", "{}", "s.json")
    with pytest.raises(ProfileError, match="the schema of top is there twice"):
        load("top", lambda name: source)
