"""Which form an answer takes: JSON or YAML, whole objects, their metadata alone, or a Table."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from berth.rehearsal.refusal import ApiError
from berth.rehearsal.server.bodies import PROTOBUF, YAML
from berth.rehearsal.server.messages import JSON, Request

TABLE = "Table"
METADATA = "PartialObjectMetadata"
METADATA_LIST = "PartialObjectMetadataList"
_SHAPES = (TABLE, METADATA, METADATA_LIST)
_WATCH = ("application/json;stream=watch", "application/vnd.kubernetes.protobuf;stream=watch")
#: Clients that people look over the shoulder of: they get their JSON indented.
_PEOPLE = ("curl", "Wget", "Mozilla/5.0")


@dataclass(frozen=True, slots=True)
class Form:
    """``shape`` is "" for whole objects; ``version`` is that of meta.k8s.io in which another shape is wanted."""

    media_type: str = JSON
    shape: str = ""
    version: str = "v1"
    pretty: bool = False

    def encode(self, tree: Any) -> bytes:
        """An answer's body."""
        if self.media_type == YAML:
            import yaml

            dumper: Any = getattr(yaml, "CSafeDumper", yaml.SafeDumper)
            return str(yaml.dump(tree, Dumper=dumper, default_flow_style=False, allow_unicode=True)).encode()
        return encode(tree, self.pretty)


def encode(tree: Any, pretty: bool = False) -> bytes:
    """JSON, on one line unless it is for people."""
    if pretty:
        return json.dumps(tree, indent=2, ensure_ascii=False).encode()
    return (json.dumps(tree, separators=(",", ":"), ensure_ascii=False) + "\n").encode()


def wanted(request: Request, *, watch: bool = False) -> Form:
    """The form that a request asks for, the first of those it accepts that there is.

    Raises:
        ApiError: 406, there is none of them.
    """
    known = False
    for media, parameters in _clauses(request.header("Accept")):
        form = _media_type(media)
        if form is None or (watch and form == YAML):
            known = known or form is not None
            continue
        known = True
        shape = parameters.get("as", "")
        version = parameters.get("v", "v1")
        if shape and (shape not in _SHAPES or parameters.get("g") != "meta.k8s.io" or version not in ("v1", "v1beta1")):
            continue
        return Form(form, shape, version, _for_people(request))
    if known:
        accepted = _WATCH if watch else (JSON, YAML, PROTOBUF)
        words = f"only the following media types are accepted: {', '.join(accepted)}"
        raise ApiError(406, "NotAcceptable", words)
    available = (JSON, YAML, PROTOBUF, *(_WATCH if watch else ()))
    words = f"406: Not Acceptable\n\nAvailable representations: {', '.join(available)}"
    raise ApiError(406, "NotAcceptable", words, {})


def for_errors(request: Request) -> Form:
    """The form of a refusal: that of the answer where it can be had, else JSON."""
    for media, _ in _clauses(request.header("Accept")):
        form = _media_type(media)
        if form is not None:
            return Form(form, pretty=_for_people(request))
    return Form(pretty=_for_people(request))


def _for_people(request: Request) -> bool:
    if "pretty" in request.query:
        return request.flag("pretty")
    return request.header("User-Agent").startswith(_PEOPLE)


def _media_type(media: str) -> str | None:
    if media in (JSON, "*/*", "application/*"):
        return JSON
    return YAML if media == YAML else None


def _clauses(accept: str) -> Iterator[tuple[str, dict[str, str]]]:
    """The media types of an Accept header, the dearest first, each with its parameters."""
    found = []
    for clause in (accept or "*/*").split(","):
        media, *words = (word.strip() for word in clause.split(";"))
        parameters = {key.strip(): value.strip() for key, _, value in (word.partition("=") for word in words)}
        try:
            weight = float(parameters.pop("q", "1"))
        except ValueError:
            weight = 0.0
        found.append((weight, media.lower(), parameters))
    found.sort(key=lambda one: -one[0])
    for _, media, parameters in found:
        yield media, parameters
