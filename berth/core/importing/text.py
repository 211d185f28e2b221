"""The files of an imported set: its templates, with expressions where a user sets something, and its profile."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from berth.core.importing.convert import Chosen, literal
from berth.core.lint.model import Finding
from berth.core.objects import Json, dig
from berth.core.yamltext import dump, dump_all

#: Why lint is to be silent on what a set did before.
_REASON = "as it ran before the import"
#: The same for what follows from the import itself, by the beginning of a rule's name; nothing is to be mended there.
KEPT = {
    "labels/": "labels of pods and claims stay as they were: new ones would restart the pods",
    "names/second-release": "what was imported keeps its name, so that there is one of it",
    "references/": "it was there before the import, and stays as it is",
}

_REPOSITORY = "^[a-z0-9]([a-z0-9._:/-]*[a-z0-9])?$"
_TAG = "^[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}$"
_DIGEST = "^sha256:[0-9a-f]{64}$"
_IMAGE = re.compile(r"(?P<repository>[^@]+?)(?::(?P<tag>[^:/@]+))?(?:@(?P<digest>.+))?")
_CLASS = "^[a-z0-9]([a-z0-9.-]{0,251}[a-z0-9])?$"
#: What begins something in a template.
_JINJA = re.compile(r"\{[{%#]")

_HEADER = "Written by berth import from what ran in {namespace}; it is yours to change."
_WHOLE = (
    "Lists and mappings that have one owner as a whole say all that the API server says, its defaults included:\n"
    "less would be a conflict with whoever applied the object before."
)


@dataclass(slots=True)
class _Parts:
    """What a user sets: the values as they are, their schema, and the expressions that stand for them in a template."""

    mark: str
    values: Json = field(default_factory=dict)
    schema: Json = field(default_factory=dict)
    expressions: list[str] = field(default_factory=list)

    def put(self, expression: str) -> str:
        """A word that stands for an expression while the template is written as YAML."""
        self.expressions.append(expression)
        return f"{self.mark}{len(self.expressions) - 1}x"

    def declare(self, path: Sequence[str], value: Any, schema: Json) -> None:
        """Add a value at a path."""
        values, schemas = self.values, self.schema
        for key in path[:-1]:
            values = values.setdefault(key, {})
            about = {"type": "object", "description": _ABOUT.get(key, f"What is set of {key}"), "properties": {}}
            schemas = schemas.setdefault(key, about)["properties"]
        values[path[-1]], schemas[path[-1]] = value, schema


_ABOUT = {
    "image": "The image of the first container",
    "storage": "The claims of each pod",
    "containers": "The other containers, init containers included, by name",
}


def files(chosen: Chosen, profile: str, waived: Iterable[Finding] = ()) -> dict[str, str]:
    """The text of each file by its path below a project; the same arguments give the same text."""
    bodies = [literal(body) for body in chosen.bodies]
    header = _HEADER.format(namespace=chosen.statefulset["metadata"]["namespace"])
    parts = _Parts(_unused("slot", header + json.dumps(bodies, ensure_ascii=False)))
    bodies[0] = _with_expressions(bodies[0], parts)
    made = {
        f"profiles/{profile}.yaml": _profile(chosen, profile, parts, waived, header),
        f"templates/{profile}/statefulset.yaml": _template([(f"{header}\n{_WHOLE}", bodies[0])], parts),
    }
    if bodies[1:]:
        others = [(header if not number else "", body) for number, body in enumerate(bodies[1:])]
        made[f"templates/{profile}/objects.yaml"] = _template(others, parts)
    return made


def values_of(chosen: Chosen) -> Json:
    """What the profile lets a user set, as it is now."""
    parts = _Parts("x")
    _with_expressions(literal(chosen.statefulset), parts)
    return parts.values


def _unused(word: str, text: str) -> str:
    while word in text:
        word += "x"
    return word


def _template(bodies: Iterable[tuple[str, Json]], parts: _Parts) -> str:
    text = _JINJA.sub(lambda found: f'{{{{ "{found[0]}" }}}}', dump_all(bodies))
    marked = re.compile(re.escape(parts.mark) + "([0-9]+)x")
    return marked.sub(lambda found: parts.expressions[int(found[1])], text)


def _profile(chosen: Chosen, profile: str, parts: _Parts, waived: Iterable[Finding], header: str) -> str:
    meta = chosen.statefulset["metadata"]
    waivers = sorted({(one.rule, one.object) for one in waived})
    body: Json = {
        "name": profile,
        "description": f"StatefulSet {meta['name']}, as it ran in {meta['namespace']}",
        "version": "1.0.0",
        "schema": {"type": "object", "properties": parts.schema},
        "values": parts.values,
    }
    if waivers:
        body["lint"] = {
            "waive": [
                {"rule": rule, **({"object": name} if name else {}), "reason": _reason(rule)} for rule, name in waivers
            ]
        }
    return f"# {header}\n" + dump(body)


def _reason(rule: str) -> str:
    return next((reason for start, reason in KEPT.items() if rule.startswith(start)), _REASON)


def _with_expressions(body: Json, parts: _Parts) -> Json:
    """The set with expressions in the place of what a user sets: replicas, images, resources, sizes and classes."""
    spec = dict(body["spec"])
    parts.declare(
        ["replicas"],
        spec.get("replicas", 1),
        {"type": "integer", "minimum": 0, "description": "How many pods; 0 keeps the claims and stops the workload"},
    )
    spec["replicas"] = parts.put("{{ values.replicas }}")
    pod = dict(spec["template"]["spec"])
    first = pod["containers"][0]["name"]
    for key in ("containers", "initContainers"):
        if key in pod:
            pod[key] = [_container(one, one["name"] == first, parts) for one in pod[key]]
    spec["template"] = {**spec["template"], "spec": pod}
    templates = spec.get("volumeClaimTemplates") or []
    if templates:
        spec["volumeClaimTemplates"] = [_claim(one, len(templates) == 1, parts) for one in templates]
    return {**body, "spec": spec}


def _container(body: Json, main: bool, parts: _Parts) -> Json:
    body = dict(body)
    path = [] if main else ["containers", str(body["name"])]
    found = _IMAGE.fullmatch(str(body.get("image", "")))
    if found and _fits(found):
        at = _expression([*path, "image"])
        for key, pattern, about in (
            ("repository", _REPOSITORY, "Name of the image, with its registry"),
            ("tag", _TAG, "Version of the image; null leaves it away"),
            ("digest", _DIGEST, "Exact content of the image, which wins over the tag; null leaves it away"),
        ):
            kind: Any = "string" if key == "repository" else ["string", "null"]
            parts.declare([*path, "image", key], found[key], {"type": kind, "pattern": pattern, "description": about})
        body["image"] = parts.put(
            f"{{{{ {at}.repository }}}}"
            f"{{% if {at}.tag %}}:{{{{ {at}.tag }}}}{{% endif %}}"
            f"{{% if {at}.digest %}}@{{{{ {at}.digest }}}}{{% endif +%}}"
        )
    resources = body.get("resources", {})
    if set(resources) <= {"requests", "limits"}:
        whose = "the first container" if main else str(body["name"])
        parts.declare([*path, "resources"], resources, _resources(whose))
        body["resources"] = parts.put(f"{{{{ {_expression([*path, 'resources'])} }}}}")
    return body


def _fits(found: re.Match[str]) -> bool:
    forms = {"repository": _REPOSITORY, "tag": _TAG, "digest": _DIGEST}
    return all(found[key] is None or re.fullmatch(form, found[key]) for key, form in forms.items())


def _resources(whose: str) -> Json:
    amount = {"type": ["string", "number", "null"], "format": "quantity", "description": "An amount"}
    return {
        "type": "object",
        "description": f"CPU and memory of {whose}",
        "properties": {
            "requests": {
                "type": "object",
                "description": "What the scheduler sets aside",
                "additionalProperties": amount,
            },
            "limits": {
                "type": "object",
                "description": "What the container cannot exceed",
                "additionalProperties": amount,
            },
        },
    }


def _claim(body: Json, only: bool, parts: _Parts) -> Json:
    spec = dict(body["spec"])
    path = ["storage"] if only else ["storage", str(body["metadata"]["name"])]
    size = dig(spec, "resources", "requests", "storage")
    if size is not None:
        about = "Size of each claim, such as 20Gi; it can only grow, and only where the class allows it"
        parts.declare([*path, "size"], size, {"type": "string", "format": "quantity", "description": about})
        requests = {**spec["resources"]["requests"], "storage": parts.put(f"{{{{ {_expression([*path, 'size'])} }}}}")}
        spec["resources"] = {**spec["resources"], "requests": requests}
    about = "StorageClass; null takes the default class of the cluster"
    kind = {"type": ["string", "null"], "pattern": _CLASS, "description": about}
    parts.declare([*path, "className"], spec.get("storageClassName"), kind)
    spec["storageClassName"] = parts.put(f"{{{{ {_expression([*path, 'className'])} }}}}")
    return {**body, "spec": spec}


def _expression(path: Sequence[str]) -> str:
    """How a template names a value; names of containers and claims could be those of methods."""
    known = ("image", "resources", "storage", "size", "className", "containers")
    return "values" + "".join(f".{key}" if key in known else f'["{key}"]' for key in path)
