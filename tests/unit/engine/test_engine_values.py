"""Values: precedence, sources, --set, and what is wrong with them."""

from __future__ import annotations

from typing import Any

import pytest

from berth.core.errors import ProfileError, ValuesError
from berth.core.profile import Profile
from berth.core.values import dotted, split_path
from tests.unit.engine.support import merged, profile_from

pytestmark = pytest.mark.unit

WEB = """name: web
description: a test
version: "1.0.0"
schema:
  $defs:
    probe: {type: object, properties: {port: {type: [integer, string]}}}
  properties:
    replicas: {type: integer, minimum: 0, maximum: 99, description: How many pods}
    ratio: {type: number, exclusiveMinimum: 0, maximum: 1}
    debug: {type: boolean}
    size: {type: string, format: quantity}
    wait: {type: string, format: duration}
    tag: {type: string, pattern: '^[a-z0-9.]+$', description: 'The version, such as 1.29'}
    className: {type: [string, "null"]}
    cpu: {type: [string, number]}
    mode: {enum: [fast, safe, 3]}
    labels: {type: object, additionalProperties: {type: string}}
    open: {type: object, additionalProperties: true}
    ports: {type: array, maxItems: 3, uniqueItems: true, items: {type: integer, minimum: 1}}
    hosts:
      type: array
      items: {type: object, required: [name], properties: {name: {type: string}, ip: {type: string}}}
    storage: {type: object, properties: {size: {type: string}, class: {type: string}}}
    password: {type: string, minLength: 8, x-secret: true}
    users:
      type: array
      items: {type: object, properties: {name: {type: string}, pin: {type: integer, x-secret: true}}}
    probe: {$ref: '#/$defs/probe'}
values:
  replicas: 2
  size: 1Gi
  labels: {a: b}
  ports: [80, 443]
  storage: {size: 1Gi, class: slow}
environments:
  dev: {replicas: 1}
  prod:
    replicas: 3
    storage: {class: fast}
"""


@pytest.fixture(scope="module")
def web() -> Profile:
    return profile_from({"web": WEB}, "web")


def problems_of(profile: Profile, *sets: str, **files: str) -> Any:
    with pytest.raises(ValuesError) as caught:
        merged(profile, *sets, **files)
    return caught.value.problems


def test_later_layers_win(web: Profile) -> None:
    values = merged(web, "replicas=7", environment="prod", one="replicas: 5\nsize: 5Gi\n", two="replicas: 6\n")
    assert values.data["replicas"] == 7
    assert values.data["size"] == "5Gi"
    assert values.data["storage"] == {"size": "1Gi", "class": "fast"}
    assert [str(values.source_of(path)) for path in ("replicas", "size", "storage.class", "storage.size")] == [
        "--set #1",
        "one.yaml:2",
        "environment prod of web (profiles/web.yaml:39)",
        "profile web (profiles/web.yaml:34)",
    ]


def test_a_list_is_replaced_with_its_sources(web: Profile) -> None:
    values = merged(web, one="ports:\n  - 1\n")
    assert values.data["ports"] == [1]
    assert str(values.source_of("ports.0")) == "one.yaml:2"
    assert "ports.1" not in values.sources


def test_the_profile_is_not_changed_by_merging(web: Profile) -> None:
    before = merged(web).data
    merged(web, "ports.0=1", "storage.size=9Gi", "labels.x=y", one="labels: {q: r}\nports: [5]\n")
    assert merged(web).data == before


SETS: list[tuple[str, str, Any]] = [
    ("replicas=3", "replicas", 3),
    ("replicas=0", "replicas", 0),
    ("ratio=0.5", "ratio", 0.5),
    ("ratio=1", "ratio", 1),
    ("debug=true", "debug", True),
    ("tag=1.10", "tag", "1.10"),
    ("tag=012", "tag", "012"),
    ("tag=yes", "tag", "yes"),
    ("tag=true", "tag", "true"),
    ("className=null", "className", None),
    ("className=fast", "className", "fast"),
    ("className=", "className", ""),
    ("cpu=500m", "cpu", "500m"),
    ("cpu=2", "cpu", 2),
    ("cpu=0.5", "cpu", 0.5),
    ("mode=fast", "mode", "fast"),
    ("mode=3", "mode", 3),
    ("labels.x=1", "labels.x", "1"),
    ("labels.a\\.b/c=d=e", "labels.a\\.b/c", "d=e"),
    ("open.x.y=3", "open.x.y", 3),
    ("open.x=012", "open.x", "012"),
    ("ports.0=8080", "ports.0", 8080),
    ("ports.2=8080", "ports.2", 8080),
    ("ports=[1, 2]", "ports", [1, 2]),
    ("ports=[]", "ports", []),
    ("hosts.0.name=x", "hosts", [{"name": "x"}]),
    ("hosts=[{name: a, ip: '::1'}]", "hosts.0.ip", "::1"),
    ("labels={x: z}", "labels", {"x": "z"}),
    ("storage.size=9Gi", "storage.size", "9Gi"),
    ("probe.port=80", "probe.port", 80),
    ("probe.port=http", "probe.port", "http"),
]


@pytest.mark.parametrize("assignment,path,expected", SETS)
def test_set_is_typed_by_the_schema(web: Profile, assignment: str, path: str, expected: Any) -> None:
    from berth.core.values import get

    found = get(merged(web, assignment).data, path)
    assert found == expected
    assert type(found) is type(expected)


def test_sets_apply_in_order(web: Profile) -> None:
    assert merged(web, "hosts.0.name=a", "hosts.1.name=b", "hosts.0.name=c").data["hosts"] == [
        {"name": "c"},
        {"name": "b"},
    ]


WRONG = [
    ("replicas=three", "replicas: expected an integer from 0 to 99, got 'three'", ""),
    ("replicas=-1", "replicas: expected an integer from 0 to 99, got -1", ""),
    ("replicas=1000000", "replicas: expected an integer from 0 to 99, got 1000000", ""),
    ("replicas=99999999999999999999", "replicas: expected an integer from 0 to 99", ""),
    ("replicas=1.5", "replicas: expected an integer from 0 to 99, got '1.5'", ""),
    ("replicas=null", "replicas: expected an integer from 0 to 99, got 'null'", ""),
    ("replicas=", "replicas: expected an integer from 0 to 99, got ''", ""),
    ("ratio=0", "ratio: expected a number above 0 up to 1, got 0", ""),
    ("debug=yes", "debug: expected true or false, got 'yes'", ""),
    ("size=1Gb", "size: expected a quantity such as 500m, 2Gi or 20Gi, got '1Gb'", ""),
    ("size=-1Gi", "size: expected a quantity such as 500m, 2Gi or 20Gi, got '-1Gi'", ""),
    ("wait=soon", "wait: expected a duration such as 90s, 2m or 1h30m, got 'soon'", ""),
    ("tag=A B", "tag: expected text that matches ^[a-z0-9.]+$, got 'A B'", "The version, such as 1.29"),
    ("mode=slow", "mode: expected one of 'fast', 'safe', 3, got 'slow'", ""),
    ("replcas=3", "replcas: there is no such value", "did you mean 'replicas'?"),
    ("storage.sise=3", "storage.sise: there is no such value", "did you mean 'storage.size'?"),
    ("replicas.x=3", "replicas.x: there is no such value", ""),
    ("ports.x=3", "ports.x: there is no such value", ""),
    ("ports.9=3", "ports.9: the list has only 2 items", "the next index is 2"),
    ("ports.0=0", "ports.0: expected an integer from 1 up, got 0", ""),
    ("ports=[1, 1]", "ports: expected a list without duplicates, got a list", ""),
    ("ports=[1, 2, 3, 4]", "ports: expected a list of up to 3 items, got a list", ""),
    ("ports=80", "ports: expected a list of up to 3 items, got '80'", ""),
    ("ports=[1, 2", "ports: this is not valid YAML", ""),
    ("hosts.0.ip=1", "hosts.0.name: a value is required", ""),
    ("labels=x", "labels: expected a mapping, got 'x'", ""),
    ("replicas", "this is not of the form path=value", "--set replicas=3"),
    ("=3", "this is not of the form path=value", "--set replicas=3"),
    ("a..b=3", "this is not of the form path=value", "--set replicas=3"),
    ("x" + ".x" * 200 + "=3", "this is not of the form path=value", "--set replicas=3"),
    ("password=short", "password: expected text of at least 8 characters, got a value that is secret", ""),
    ("users.0.pin=secret-pin", "users.0.pin: expected an integer, got a value that is secret", ""),
]


@pytest.mark.parametrize("assignment,what,hint", WRONG)
def test_a_wrong_set_is_refused_in_words(web: Profile, assignment: str, what: str, hint: str) -> None:
    (problem,) = problems_of(web, "debug=true", assignment)
    assert problem.what.startswith(what)
    assert problem.where == "--set #2"
    if hint:
        assert problem.hint == hint
    assert "short" not in str(problem) and "secret-pin" not in str(problem)


def test_every_violation_comes_at_once_with_file_and_line(web: Profile) -> None:
    problems = problems_of(
        web,
        "ratio=7",
        "nothing.here=1",
        one="replicas: three\nlabels:\n  x: 1\nsise: 1Gi\n",
        two="storage:\n  size: 5\n",
    )
    assert {(problem.what.split(":")[0], problem.where) for problem in problems} == {
        ("nothing", "--set #2"),
        ("labels.x", "one.yaml:3:3"),
        ("ratio", "--set #1"),
        ("replicas", "one.yaml:1:1"),
        ("storage.size", "two.yaml:2:3"),
        ("sise", "one.yaml:4:1"),
    }


def test_a_number_where_text_belongs_is_to_be_quoted(web: Profile) -> None:
    (problem,) = problems_of(web, one="tag: 1.5\n")
    assert (problem.what, problem.hint) == ("tag: expected text, got 1.5", "put it in quotes")


def test_a_wrong_default_names_the_layer(web: Profile) -> None:
    broken = profile_from({"web": WEB.replace("replicas: 2", "replicas: many")}, "web")
    (problem,) = problems_of(broken)
    assert problem.where == "profiles/web.yaml:30:3"
    assert problem.why == "it is set by profile web"


FILES = [
    ("- a\n", "a values file is a mapping"),
    ("a: b: c\n", "this is not valid YAML"),
    ("replicas: 1\nreplicas: 2\n", "is there twice"),
    ("a: 1\n---\nb: 1\n", "more than one document"),
    ("replicas: yes\n", "means different things"),
    ("size: &x 1Gi\n", "anchors"),
]


@pytest.mark.parametrize("text,what", FILES)
def test_a_broken_values_file_is_refused(web: Profile, text: str, what: str) -> None:
    problem = problems_of(web, one=text)[0]
    assert what in problem.what
    assert problem.where.startswith("one.yaml:")


def test_an_empty_values_file_changes_nothing(web: Profile) -> None:
    assert merged(web, one="# nothing\n").data == merged(web).data


def test_an_unknown_environment_is_refused(web: Profile) -> None:
    with pytest.raises(ProfileError) as caught:
        merged(web, environment="prd")
    assert caught.value.problems[0].hint == "did you mean 'prod'?"


def test_secrets_are_known_by_path_and_never_said(web: Profile) -> None:
    values = merged(web, "password=hunter2hunter2", one="users: [{name: a, pin: 1234}, {name: b, pin: 5678}]\n")
    assert values.secret_paths == {"password", "users.0.pin", "users.1.pin"}
    assert set(values.secret_texts()) == {"hunter2hunter2", "1234", "5678"}


@pytest.mark.parametrize("path", [("a",), ("a", "b"), ("a.b", "c"), ("a\\b",), ("a\\.b", "..")])
def test_dotted_paths_are_read_as_they_are_written(path: tuple[str, ...]) -> None:
    assert tuple(split_path(dotted(path))) == path


def test_a_schema_that_refers_to_itself_is_no_trap() -> None:
    text = (
        'name: web\ndescription: x\nversion: "1.0.0"\nschema:\n  properties:\n'
        "    tree: {$ref: '#/$defs/node'}\n  $defs:\n"
        "    node: {type: object, properties: {next: {$ref: '#/$defs/node'}}}\n"
        "    loop: {anyOf: [{$ref: '#/$defs/loop'}, {type: string}]}\n"
    )
    profile = profile_from({"web": text}, "web")
    assert merged(profile, "tree.next.next={}").data == {"tree": {"next": {"next": {}}}}
