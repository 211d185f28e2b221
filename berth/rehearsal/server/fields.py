"""Field selectors: which fields of which kind they may name, and how.

Source of the grammar: kubernetes staging/src/k8s.io/apimachinery/pkg/fields/selector.go; of the fields: the
AddFieldLabelConversions of each API group, asked of a real API server (Kubernetes 1.36).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from berth.core.objects import Json
from berth.rehearsal.jsontree import dig
from berth.rehearsal.kinds import EVENTS, NAMESPACES, NODES, PODS, SECRETS, SERVICES, Kind
from berth.rehearsal.refusal import bad_request

_Read = Callable[[Json], str]


def _at(*path: str) -> _Read:
    def read(body: Json) -> str:
        value = dig(body, *path)
        if isinstance(value, bool):
            return "true" if value else "false"
        return "" if value is None else str(value)

    return read


def _flag(*path: str) -> _Read:
    return lambda body: "true" if dig(body, *path) else "false"


def _pod_ip(body: Json) -> str:
    return str(dig(body, "status", "podIPs", 0, "ip") or dig(body, "status", "podIP") or "")


def _source(body: Json) -> str:
    return str(dig(body, "source", "component") or body.get("reportingComponent") or "")


_NAME = {"metadata.name": _at("metadata", "name")}
_PLACE = {**_NAME, "metadata.namespace": _at("metadata", "namespace")}
_INVOLVED = ("kind", "namespace", "name", "uid", "apiVersion", "resourceVersion", "fieldPath")

#: Kinds with fields of their own to select by; every other has its name and namespace.
_KNOWN: dict[str, dict[str, _Read]] = {
    PODS.key: {
        **_PLACE,
        "spec.nodeName": _at("spec", "nodeName"),
        "spec.host": _at("spec", "nodeName"),
        "spec.restartPolicy": _at("spec", "restartPolicy"),
        "spec.schedulerName": _at("spec", "schedulerName"),
        "spec.serviceAccountName": _at("spec", "serviceAccountName"),
        "spec.hostNetwork": _flag("spec", "hostNetwork"),
        "status.phase": _at("status", "phase"),
        "status.podIP": _pod_ip,
        "status.podIPs": _pod_ip,
        "status.nominatedNodeName": _at("status", "nominatedNodeName"),
    },
    NODES.key: {**_NAME, "spec.unschedulable": _flag("spec", "unschedulable")},
    NAMESPACES.key: {**_NAME, "status.phase": _at("status", "phase")},
    SECRETS.key: {**_PLACE, "type": _at("type")},
    SERVICES.key: {**_PLACE, "spec.clusterIP": _at("spec", "clusterIP"), "spec.type": _at("spec", "type")},
    EVENTS.key: {
        **_PLACE,
        **{f"involvedObject.{name}": _at("involvedObject", name) for name in _INVOLVED},
        "reason": _at("reason"),
        "reportingComponent": _at("reportingComponent"),
        "source": _source,
        "type": _at("type"),
    },
}


@dataclass(frozen=True, slots=True)
class FieldSelector:
    """Fields that must have, or must not have, a value."""

    terms: tuple[tuple[str, bool, str, _Read], ...] = ()

    def __bool__(self) -> bool:
        return bool(self.terms)

    def matches(self, body: Json) -> bool:
        """Whether an object is meant."""
        return all((read(body) == value) == equal for _, equal, value, read in self.terms)

    def exact(self, field: str) -> str | None:
        """The value that a field must have; None where that is left open."""
        return next((value for name, equal, value, _ in self.terms if name == field and equal), None)


def parse(kind: Kind, text: str) -> FieldSelector:
    """Read a selector of a kind: "status.phase=Running,metadata.name!=web-0".

    Raises:
        ApiError: 400, with the API server's words.
    """
    known = _KNOWN.get(kind.key)
    terms = []
    for term in _split(text):
        if not term:
            continue
        field, equal, value = _term(term, text)
        if known is None and field not in _PLACE:
            words = 'only "metadata.name", "metadata.namespace"'
            raise bad_request(f'"{field}" is not a known field selector: {words}')
        if known is not None and field not in known:
            raise bad_request(f"field label not supported: {field}")
        terms.append((field, equal, value, (known or _PLACE)[field]))
    return FieldSelector(tuple(terms))


def _split(text: str) -> Iterator[str]:
    start = at = 0
    while at < len(text):
        if text[at] == "\\":
            at += 1
        elif text[at] == ",":
            yield text[start:at]
            start = at + 1
        at += 1
    yield text[start:]


def _term(term: str, whole: str) -> tuple[str, bool, str]:
    at = 0
    while at < len(term):
        if term[at] == "\\":
            at += 2
            continue
        for operator in ("!=", "==", "="):
            if term.startswith(operator, at):
                return term[:at], operator != "!=", _unescaped(term[at + len(operator) :])
        at += 1
    raise bad_request(f"invalid selector: '{whole}'; can't understand '{term}'")


def _unescaped(value: str) -> str:
    found, at = [], 0
    while at < len(value):
        char = value[at]
        if char == "\\":
            at += 1
            char = value[at : at + 1]
            if char not in ("\\", ",", "=") or not char:
                raise bad_request(f"invalid field selector: invalid escape sequence: \\{char}")
        elif char in ",=":
            raise bad_request(f"invalid field selector: unescaped character in value: {ord(char)}")
        found.append(char)
        at += 1
    return "".join(found)
