"""The API server's internal types in print: the values of some errors, and the difference that a refused update shows.

They have no JSON names, so that they are printed with Go's, every field of them. Source: kubernetes pkg/apis/*/types.go
(`gotypes.internal`), k8s.io/apimachinery/pkg/util/diff.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from difflib import unified_diff
from functools import cache
from typing import Any

from berth.core.objects import Json
from berth.rehearsal import gotypes

#: Fields of a pod's spec that the internal type keeps in the security context.
_HOST_FIELDS = ("hostNetwork", "hostPID", "hostIPC", "shareProcessNamespace", "hostUsers")
_ZEROS: Mapping[str, Any] = {"string": "", "bool": False, "intstr.IntOrString": 0, "resource.Quantity": "0"}
#: Types with JSON names of their own, whose fields Go prints in this order.
_SELECTOR = ("matchLabels", "matchExpressions")


def compact(name: str, value: Any) -> str:
    """A value in the words of an error."""
    return _escaped(json.dumps(_value(name, value), separators=(",", ":"), ensure_ascii=False))


def difference(name: str, old: Any, new: Any) -> str:
    """What changed between two values, as a unified difference of their print."""
    before, after = (_escaped(json.dumps(_value(name, each), indent=1, ensure_ascii=False)) for each in (old, new))
    lines = list(unified_diff(_lines(before), _lines(after), n=3))
    return "".join(lines[2:])


def _lines(text: str) -> list[str]:
    return [f"{line}\n" for line in text.split("\n")]


def _escaped(text: str) -> str:
    return text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")


@cache
def _layout(name: str) -> tuple[tuple[str, str, str], ...]:
    fields = (row.split(" ", 2) for row in gotypes.internal(name))
    return tuple((go_name, label, kind) for go_name, label, kind in fields)


def _known(name: str) -> bool:
    try:
        return bool(_layout(name)) or True
    except KeyError:
        return False


def _value(kind: str, value: Any) -> Any:
    if kind.startswith("*"):
        return None if value is None else _value(kind[1:], value)
    if kind == "[]byte":
        return value
    if kind.startswith("[]"):
        return None if value is None else [_value(kind[2:], each) for each in value]
    if kind.startswith("map["):
        if value is None:
            return None
        inner = kind.partition("]")[2]
        return {key: _value(inner, value[key]) for key in sorted(value)}
    if kind == "meta.LabelSelector":
        return _ordered(value, _SELECTOR)
    if kind in ("meta.ObjectMeta", "meta.Time", "meta.MicroTime") or kind.startswith("meta."):
        return {} if value is None and kind == "meta.ObjectMeta" else value
    if kind.startswith(("core.", "apps.", "policy.")) and _known(kind):
        return _struct(kind, value or {})
    if value is None:
        return _ZEROS.get(kind, 0 if kind.startswith(("int", "float", "uint")) else "")
    return value


def _struct(name: str, value: Json) -> Json:
    if name == "core.PodSpec":
        host = {key: value[key] for key in _HOST_FIELDS if key in value}
        value = {**value, "securityContext": {**(value.get("securityContext") or {}), **host}}
    return {go_name: _value(kind, value.get(label)) for go_name, label, kind in _layout(name)}


def _ordered(value: Any, order: tuple[str, ...]) -> Any:
    if not isinstance(value, dict):
        return value
    found = {key: value[key] for key in order if key in value}
    if "matchLabels" in found:
        found["matchLabels"] = {key: found["matchLabels"][key] for key in sorted(found["matchLabels"])}
    if "matchExpressions" in found:
        rows = ("key", "operator", "values")
        found["matchExpressions"] = [{key: row[key] for key in rows if key in row} for row in found["matchExpressions"]]
    return found
