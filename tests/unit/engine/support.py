"""A small kitchen: templates and values in memory, manifests out."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from typing import Any

from jinja2 import DictLoader

from berth.core.errors import Problem, TemplateError
from berth.core.objects import Json, Manifest
from berth.core.profile import Layer, Profile, Source, load
from berth.core.render import render
from berth.core.values import Values, merge

#: The head of a ConfigMap; what a test writes goes under ``data:``.
CONFIG_MAP = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: x}\ndata:\n"
ANYTHING: Json = {"type": "object", "additionalProperties": True}


def profile_of(values: Json | None = None, schema: Json | None = None, **fields: Any) -> Profile:
    """A profile named web that takes any values."""
    return Profile(
        name="web",
        description="a test",
        version="1.2.3",
        templates=fields.pop("templates", ("web/*.yaml",)),
        schema=ANYTHING if schema is None else schema,
        layers=(Layer("profile web", values or {}),),
        **fields,
    )


def cook(
    template: str | Mapping[str, str],
    values: Json | None = None,
    *,
    schema: Json | None = None,
    release: str = "web",
    namespace: str = "shop",
    environment: str | None = None,
) -> tuple[Manifest, ...]:
    """The manifests of templates; a single one is web/a.yaml."""
    templates = {"web/a.yaml": template} if isinstance(template, str) else dict(template)
    profile = profile_of(values, schema)
    merged = merge(profile)
    return render(profile, merged, release, namespace, environment, _loader(tuple(sorted(templates.items()))))


@lru_cache(maxsize=128)
def _loader(templates: tuple[tuple[str, str], ...]) -> DictLoader:
    """One loader for the same templates, so that they are compiled once."""
    return DictLoader(dict(templates))


def data_of(lines: str, values: Json | None = None, **others: str) -> Json:
    """The data of a ConfigMap whose entries are ``lines``; ``others`` are more templates, ``_m`` for _m.yaml."""
    templates = {"web/a.yaml": CONFIG_MAP + lines, **{f"{name}.yaml": text for name, text in others.items()}}
    (manifest,) = cook(templates, values)
    found: Json = manifest.body.get("data", {})
    return found


def problems_of(template: str | Mapping[str, str], values: Json | None = None, **fields: Any) -> tuple[Problem, ...]:
    """What is wrong with templates."""
    try:
        cook(template, values, **fields)
    except TemplateError as error:
        return error.problems
    raise AssertionError("nothing was found wrong")


def profile_from(files: Mapping[str, str], name: str) -> Profile:
    """A profile of files by name, as a library would load it."""
    return load(name, lambda wanted: Source(wanted, files[wanted], f"profiles/{wanted}.yaml"))


def merged(profile: Profile, *sets: str, environment: str | None = None, **files: str) -> Values:
    """Values of a profile; ``files`` are texts of values files by name."""
    return merge(profile, environment, [(f"{name}.yaml", text) for name, text in files.items()], sets)
