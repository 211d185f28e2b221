"""A chart's values as those of a profile: defaults, schema, other names, and what Helm is told in the end."""

from __future__ import annotations

from typing import Any

import pytest

from berth.core.errors import ProfileError, ValuesError
from berth.core.helmchart.looseyaml import read
from berth.core.helmchart.source import ChartSource
from berth.core.helmchart.values import Chart, comments_of, for_helm, with_chart
from berth.core.objects import Json
from berth.core.profile import Profile
from berth.core.values import Values, merge
from tests.unit.engine.support import profile_from

pytestmark = pytest.mark.unit

DEFAULTS = """\
# -- How many there are
replicaCount: 2
image:
  # Which one
  tag: ""
  # pullPolicy: Always
  other: 1
web: {image: {tag: "1"}, port: 80}
nodeSelector: {kubernetes.io/os: linux}
annotations: {}
tolerations: []
factor: 0.5
anything:
on: yes
"""


def chart_of(text: str = DEFAULTS, **fields: Any) -> Chart:
    (document,) = read(text, "charts/web/values.yaml")
    comments = comments_of(text, document.positions)
    return Chart("/charts/web", "charts/web", "web", "1.0.0", document.data, document.positions, comments, **fields)


def profile_of(extra: str = "", chart: Chart | None = None, **values: str) -> tuple[Profile, ChartSource]:
    names = "".join(
        f", values: {{{', '.join(f'{own}: {theirs}' for own, theirs in values.items())}}}" if values else ""
    )
    text = f'name: web\ndescription: x\nversion: "1.0.0"\nchart: {{path: charts/web{names}}}\n{extra}'
    profile = profile_from({"web": text}, "web")
    assert profile.chart is not None
    return with_chart(profile, profile.chart, chart or chart_of()), profile.chart


def merged(*sets: str, **fields: Any) -> Values:
    return merge(profile_of(**fields)[0], sets=sets)


def refused(*sets: str, **fields: Any) -> list[str]:
    with pytest.raises(ValuesError) as caught:
        merged(*sets, **fields)
    return [" ".join(str(problem).split()) for problem in caught.value.problems]


def test_the_charts_defaults_are_the_lowest_layer() -> None:
    values = merged(extra="values: {replicaCount: 3}\n")
    assert values.data["replicaCount"] == 3 and values.data["true"] is True
    assert str(values.source_of("replicaCount")) == "profile web (profiles/web.yaml:5)"
    assert str(values.source_of("web.port")) == "chart web 1.0.0 (charts/web/values.yaml:8)"


@pytest.mark.parametrize(
    ("given", "value"),
    [
        ("image.tag=1.10", "1.10"),
        ("replicaCount=4", 4),
        ("factor=2", 2),
        ("replicaCount=null", None),
        ("annotations.a=b", {"a": "b"}),
        ("tolerations=[{key: a}]", [{"key": "a"}]),
        ("nodeSelector.disk=ssd", "ssd"),
        ("anything.at.all=1", {"at": {"all": 1}}),
    ],
)
def test_a_value_has_the_type_of_its_default(given: str, value: Any) -> None:
    name = given.partition("=")[0].split(".")
    found: Any = merged(given).data
    for key in name[: 1 if name[0] in ("annotations", "anything") else None]:
        found = found[key]
    assert found == value and type(found) is type(value)


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ("replicaCont=1", "did you mean 'replicaCount'?"),
        ("image.tga=1", "did you mean 'image.tag'?"),
        ("replicaCount=lots", "expected an integer or null"),
        ("image=nginx", "image: expected a mapping"),
        ("web.port=http", "expected an integer"),
    ],
)
def test_what_the_chart_does_not_know_is_refused(given: str, said: str) -> None:
    assert said in refused(given)[0]


def test_the_profile_may_know_more_than_the_chart_says() -> None:
    extra = "schema: {properties: {image: {properties: {pullPolicy: {type: string}, other: {x-secret: true}}}}}\n"
    values = merged("image.pullPolicy=Always", extra=extra)
    assert values.data["image"]["pullPolicy"] == "Always" and values.secret_paths == {"image.other"}
    assert "did you mean" in refused("image.pullPolcy=x", extra=extra)[0]
    assert merged("more=1", extra="schema: {additionalProperties: true}\n").data["more"] == 1


SCHEMA: Json = {
    "$schema": "http://json-schema.org/draft-07/schema#",
    "$id": "https://example.org/web",
    "type": "object",
    "required": ["replicaCount"],
    "definitions": {"port": {"type": "integer", "maximum": 65535}},
    "properties": {
        "replicaCount": {"type": "integer", "minimum": 0, "maximum": 5},
        "web": {"properties": {"port": {"$ref": "#/definitions/port"}, "host": {"type": "string"}}},
        "annotations": {"type": "object", "additionalProperties": {"type": "string"}},
        "image": {"oneOf": [{"type": "object"}, {"type": "string"}]},
    },
}


def test_the_charts_own_schema_and_its_defaults_add_up() -> None:
    chart = chart_of(schema=SCHEMA)
    assert merged("web.host=a", "image=nginx", "factor=3", chart=chart).data["image"] == "nginx"
    said = refused("replicaCount=6", "web.port=70000", "web.prt=1", "fctor=1", chart=chart)
    assert [line.split(":")[0] for line in said] == ["web.prt", "fctor", "replicaCount", "web.port"]
    assert "expected an integer from 0 to 5, got 6" in said[2] and "did you mean 'web.port'" in said[0]


def test_a_schema_in_pieces() -> None:
    chart = chart_of(
        schema={"$ref": "#/$defs/values", "$defs": {"values": SCHEMA}, "definitions": SCHEMA["definitions"]}
    )
    said = refused("replicaCount=6", "web.prt=1", "fctor=1", chart=chart)
    assert ["there is no such value" in line for line in said] == [True, True, False]
    either = {"anyOf": [{"properties": {"replicaCount": {"maximum": 5}}}, {"required": ["more"]}]}
    assert merged("whatever=1", chart=chart_of(schema=either)).data["whatever"] == 1
    assert refused("replicaCount=6", chart=chart_of(schema=either))
    tree = {"$defs": {"node": {"type": "object", "properties": {"left": {"$ref": "#/$defs/node"}}}}}
    recursive = chart_of("left: {left: {}}\n", schema={"$ref": "#/$defs/node", **tree})
    assert merged("left.left.left.left={}", chart=recursive).data == {"left": {"left": {"left": {"left": {}}}}}
    assert refused("left.left.left.right={}", chart=recursive)


def test_a_chart_without_values_takes_none() -> None:
    assert refused("a=1", chart=Chart("", "charts/web", "web", "1"))
    with_db = Chart("", "charts/web", "web", "1", subcharts=("db",))
    assert merged("db.a=1", chart=with_db).data == {"db": {"a": 1}}


@pytest.mark.parametrize(
    "schema",
    [
        {"properties": {"a": {"$ref": "https://example.org/a.json"}}},
        {"properties": {"a": {"items": [{"type": "string"}]}}},
        {"type": "sequence"},
    ],
    ids=["remote", "draft 7 only", "broken"],
)
def test_a_schema_that_cannot_be_read_here_is_left_to_helm(schema: Json) -> None:
    assert merged("replicaCount=9", chart=chart_of(schema=schema)).data["replicaCount"] == 9
    assert "did you mean 'replicaCount'" in refused("replicaCont=9", chart=chart_of(schema=schema))[0]


def test_charts_in_the_chart_have_values_of_their_own() -> None:
    chart = chart_of("a: 1\ndb: {x: 1}\n", subcharts=("db", "cache"))
    values = merged("db.anything=1", "cache.size=2", "global.registry=r", "tags.front=true", chart=chart)
    assert values.data["db"] == {"x": 1, "anything": 1} and values.data["tags"] == {"front": True}
    assert refused("cahce.size=2", chart=chart)


def test_values_may_have_other_names_in_the_profile() -> None:
    profile, source = profile_of(
        replicas="replicaCount",
        image="web.image",
        main="web.port",
        chart=chart_of("replicaCount: 2\nweb: {image: {tag: a, repository: b}, port: 80, other: x}\n"),
    )
    values = merge(profile, sets=["replicas=3", "image.tag=c"])
    assert values.data == {"replicas": 3, "image": {"tag": "c", "repository": "b"}, "main": 80, "web": {"other": "x"}}
    assert str(values.source_of("main")).endswith("(charts/web/values.yaml:2)")
    chart = chart_of("replicaCount: 2\nweb: {image: {tag: a, repository: b}, port: 80, other: x}\n")
    assert for_helm(values.data, source, chart) == {"replicaCount": 3, "web": {"image": {"tag": "c"}}}
    with pytest.raises(ValuesError, match="did you mean 'replicas'"):
        merge(profile, sets=["replicaCount=3"])


def test_a_name_for_what_the_chart_does_not_have() -> None:
    with pytest.raises(ProfileError, match=r"the chart has no value replicas\n.*web.yaml:4.*\n.*'replicaCount'"):
        profile_of(count="replicas")
    with pytest.raises(ProfileError, match="the chart has a value factor itself"):
        profile_of(factor="replicaCount")


def test_helm_is_told_what_differs_and_nothing_else() -> None:
    values = merged("image.tag=2", "nodeSelector.disk=ssd", "anything=null", "factor=null", "tolerations=[a]")
    told = for_helm(values.data, profile_of()[1], chart_of())
    assert told == {"image": {"tag": "2"}, "nodeSelector": {"disk": "ssd"}, "factor": None, "tolerations": ["a"]}
    assert for_helm(merged().data, profile_of()[1], chart_of()) == {}


def test_comments_above_a_value_describe_it() -> None:
    properties = profile_of()[0].schema["properties"]
    assert properties["replicaCount"]["description"] == "How many there are"
    assert properties["image"]["properties"]["tag"]["description"] == "Which one"
    assert "description" not in properties["image"]["properties"]["other"]
