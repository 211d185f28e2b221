"""Every value of every profile is described, typed and has a default."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from berth.core.errors import ValuesError
from berth.core.objects import Json
from berth.core.values import merge
from berth.library import Library

pytestmark = pytest.mark.unit

PROFILES = ("nginx", "httpd", "postgres", "zookeeper", "cassandra")
ENVIRONMENTS = (None, "dev", "staging", "prod")
Render = Callable[..., Any]


def entries(schema: Json, path: str = "") -> Iterator[tuple[str, Json]]:
    """Every entry of a schema under ``properties``, with its dotted path."""
    for name, entry in schema.get("properties", {}).items():
        here = f"{path}.{name}" if path else name
        yield here, entry
        yield from entries(entry, here)


def leaves(values: Any, schema: Json, path: str = "") -> Iterator[str]:
    """The dotted path of every value; maps that take any key, such as labels, count as one value."""
    if isinstance(values, dict) and "properties" in schema:
        for name, value in values.items():
            here = f"{path}.{name}" if path else name
            yield from leaves(value, schema["properties"].get(name, {}), here)
    else:
        yield path


@pytest.mark.parametrize("profile", PROFILES)
def test_every_value_is_described(library: Library, profile: str) -> None:
    """No value without type and description, and no entry of the schema without a default."""
    loaded = library.load(profile)
    described = dict(entries(loaded.schema))
    values = merge(loaded, None, (), ()).data
    given = set(leaves(values, loaded.schema))
    assert given <= set(described)
    undefined = {path for path, entry in described.items() if "properties" not in entry} - given
    assert not undefined, "no default"
    assert [path for path, entry in described.items() if not entry.get("type") or not entry.get("description")] == []


@pytest.mark.parametrize("profile", PROFILES)
def test_numbers_have_bounds_and_texts_a_form(library: Library, profile: str) -> None:
    """A number without bounds, or a text without pattern or choices, would let nonsense through to the cluster."""
    loose = []
    for path, entry in entries(library.load(profile).schema):
        kinds = {entry["type"]} if isinstance(entry["type"], str) else set(entry["type"])
        if "integer" in kinds and not {"minimum", "maximum"} <= entry.keys():
            loose.append(path)
        if "string" in kinds and not {"pattern", "enum"} & entry.keys():
            loose.append(path)
    assert loose == []


@pytest.mark.parametrize("profile", PROFILES)
@pytest.mark.parametrize("environment", ENVIRONMENTS)
def test_every_environment_is_valid(render: Render, profile: str, environment: str | None) -> None:
    """All environments exist in all profiles and pass their schema."""
    assert render(profile, environment).set["spec"]["replicas"] >= 1


@pytest.mark.parametrize(
    "wrong",
    [
        "replicas=-1",
        "replicas=100000",
        "replicas=many",
        "storage.size=lots",
        "storage.size=-1Gi",
        "image.tag=a b",
        "image.digest=sha256:abc",
        "resources.requests.cpu=some",
        "spread.hostname=sometimes",
        "minReadySeconds=-1",
        "updateStrategy.type=Recreate",
        "no.such.value=1",
    ],
)
@pytest.mark.parametrize("profile", PROFILES)
def test_wrong_values_are_refused(render: Render, profile: str, wrong: str) -> None:
    """Each names the value that is wrong."""
    with pytest.raises(ValuesError) as caught:
        render(profile, None, wrong)
    assert wrong.split("=")[0].split(".")[0] in str(caught.value)
