"""What is meant in a pod: which of its containers, and which ports on either side of a forwarding."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from berth.core.errors import InputError, did_you_mean
from berth.core.objects import Json, dig

#: The container that kubectl takes, too, where none is named.
#: Source: https://kubernetes.io/docs/reference/labels-annotations-taints/
DEFAULT_CONTAINER = "kubectl.kubernetes.io/default-container"

_KEYS = ("containers", "initContainers", "ephemeralContainers")
_SPEC = r"(?:(?P<local>[0-9]{0,9}):)?(?P<remote>[0-9]{1,9}|[a-z0-9-]*[a-z][a-z0-9-]*)"
_FORMS = (
    "LOCAL:REMOTE, REMOTE or :REMOTE (a free port here); REMOTE is a number, or the name of a port of the container"
)


@dataclass(frozen=True, slots=True)
class Ports:
    """A port of this machine, 0 for a free one, and the pod's port behind it."""

    local: int
    remote: int


def container_of(pod: Json, wanted: str = "") -> str:
    """The container of a name, init containers included; without one, the one that the pod says is its main one.

    Raises:
        InputError: the pod has none of that name.
    """
    names = [str(one["name"]) for one in _containers(pod)]
    if not wanted:
        main = str(dig(pod, "metadata", "annotations", DEFAULT_CONTAINER, default=""))
        return main if main in names else names[0]
    if wanted in names:
        return wanted
    raise InputError(
        f"{pod['metadata']['name']} has no container {wanted!r}: it has {', '.join(names)}",
        hint=did_you_mean(wanted, names),
    )


def ports_of(spec: str, pod: Json) -> Ports:
    """Read LOCAL:REMOTE as kubectl does: without LOCAL the same number, with an empty one or 0 a free port.

    Raises:
        InputError: it is of another form, or the pod has no TCP port of that name.
    """
    match = re.fullmatch(_SPEC, spec)
    if match is None:
        raise InputError(f"--port {spec} is no pair of ports", hint=_FORMS)
    word = match["remote"]
    remote = int(word) if word.isdecimal() else _named(spec, word, pod)
    local = remote if match["local"] is None else int(match["local"] or 0)
    for number, least in ((local, 0), (remote, 1)):
        if not least <= number <= 65535:
            raise InputError(f"--port {spec}: {number} is no port", why="ports go from 1 to 65535")
    return Ports(local, remote)


def check_ports(specs: Sequence[str]) -> None:
    """See to it that each is of the right form, before there is a pod to ask for names.

    Raises:
        InputError: one is not, or there is none.
    """
    if not specs:
        raise InputError("no port is named", hint=f"--port {_FORMS}")
    for spec in specs:
        if re.fullmatch(_SPEC, spec) is None:
            raise InputError(f"--port {spec} is no pair of ports", hint=_FORMS)


def _named(spec: str, name: str, pod: Json) -> int:
    known = {
        str(port["name"]): int(port["containerPort"])
        for container in _containers(pod)
        for port in container.get("ports") or ()
        if port.get("name") and port.get("protocol", "TCP") == "TCP"
    }
    if name in known:
        return known[name]
    listed = ", ".join(f"{one} ({number})" for one, number in sorted(known.items()))
    raise InputError(
        f"--port {spec}: {pod['metadata']['name']} has no port named {name!r}",
        why=f"it names {listed or 'none'}",
        hint=did_you_mean(name, known) or "the number of the port",
    )


def _containers(pod: Json) -> Iterator[Json]:
    for key in _KEYS:
        yield from dig(pod, "spec", key, default=None) or ()
