"""Kubernetes' own schemas, as JSON Schema 2020-12: what a manifest says that the API does not know.

The schemas are given as one document of definitions (see ``berth.actions.schemafiles`` for where they come from). They
are strict: an unknown field is a violation. A kind is compiled when it is first seen.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from berth.core.errors import did_you_mean
from berth.core.objects import Json, field_path

_BASE = "mem://kubernetes"
_TYPE_WORDS = {
    "string": "text",
    "integer": "a whole number",
    "number": "a number",
    "boolean": "true or false",
    "array": "a list",
    "object": "a mapping",
}


@dataclass(frozen=True, slots=True)
class Violation:
    """A field that does not fit. The message names types, never the value, which may be secret."""

    path: str
    message: str
    hint: str = ""


class Schemas:
    """The schemas of one version of Kubernetes.

    ``definitions`` is the document as Kubernetes publishes it: ``$defs`` by name, each kind's with
    ``x-kubernetes-group-version-kind``.
    """

    def __init__(self, definitions: Json) -> None:
        import jsonschema_rs

        self._definitions: Mapping[str, Json] = definitions["$defs"]
        self._registry = jsonschema_rs.Registry([(_BASE, definitions)])
        self._validators: dict[str, Any] = {}
        self._names: dict[tuple[str, str], str] = {}
        for name, definition in self._definitions.items():
            for identity in definition.get("x-kubernetes-group-version-kind", ()):
                group, version = identity["group"], identity["version"]
                self._names[f"{group}/{version}" if group else version, identity["kind"]] = name

    def knows(self, body: Mapping[str, Any]) -> bool:
        """Whether there is a schema for the object's API version and kind."""
        return (str(body.get("apiVersion")), str(body.get("kind"))) in self._names

    def other_versions(self, body: Mapping[str, Any]) -> list[str]:
        """API versions in which the object's kind exists, in any group."""
        return sorted(version for version, kind in self._names if kind == body.get("kind"))

    def owns_group(self, body: Mapping[str, Any]) -> bool:
        """Whether the object's API group is one of Kubernetes' own, so that an unknown kind in it is a mistake."""
        group = str(body.get("apiVersion")).rpartition("/")[0]
        return group in {version.rpartition("/")[0] for version, _ in self._names}

    def violations(self, body: Mapping[str, Any]) -> Iterator[Violation]:
        """Every field that does not fit, for an object that ``knows`` says yes to."""
        name = self._names[str(body["apiVersion"]), str(body["kind"])]
        for error in self._validator(name).iter_errors(body):
            path = tuple(error.instance_path)
            yield from self._explain(error, name, path)

    def _validator(self, name: str) -> Any:
        import jsonschema_rs

        if name not in self._validators:
            schema = {"$ref": f"{_BASE}#/$defs/{name}"}
            self._validators[name] = jsonschema_rs.Draft202012Validator(schema, registry=self._registry)
        return self._validators[name]

    def _explain(self, error: Any, name: str, path: tuple[str | int, ...]) -> Iterator[Violation]:
        kind = error.kind.name
        if kind == "additionalProperties":
            known = self._definition_at(name, path).get("properties", {})
            for field in error.kind.unexpected:
                yield Violation(
                    field_path((*path, field)), f"there is no field {field!r} here", did_you_mean(field, known)
                )
        elif kind == "required":
            field = error.kind.property
            yield Violation(field_path((*path, field)), f"the field {field!r} is required")
        elif kind in ("type", "oneOf", "anyOf"):
            wanted = self._types(self._definition_at(name, path))
            yield Violation(field_path(path), f"this is {_word(error.instance)}, and must be {wanted}")
        else:
            yield Violation(field_path(path), f"this does not fit the schema's {kind}")

    def _definition_at(self, name: str, path: tuple[str | int, ...]) -> Json:
        """The definition of what is at a path of an object."""
        found = self._resolve(self._definitions[name])
        for step in path:
            if isinstance(step, int):
                found = self._resolve(found.get("items"))
            else:
                found = self._resolve(found.get("properties", {}).get(step, found.get("additionalProperties")))
        return found

    def _resolve(self, definition: Any) -> Json:
        while isinstance(definition, dict) and "$ref" in definition:
            definition = self._definitions[str(definition["$ref"]).rpartition("/")[2]]
        return definition if isinstance(definition, dict) else {}

    def _types(self, definition: Json) -> str:
        parts = [definition, *definition.get("oneOf", ()), *definition.get("anyOf", ())]
        named = [kind for part in parts for kind in _listed(part.get("type"))]
        words = [_TYPE_WORDS[kind] for kind in dict.fromkeys(named) if kind in _TYPE_WORDS]
        return " or ".join(words) or "something else"


def _listed(types: Any) -> list[str]:
    return [types] if isinstance(types, str) else list(types or ())


def _word(value: Any) -> str:
    if value is None:
        return "nothing"
    kinds = {bool: "boolean", int: "integer", float: "number", str: "string", list: "array", dict: "object"}
    return _TYPE_WORDS[kinds.get(type(value), "object")]
