"""Lists: what is selected, in which version of the world, and in which pieces.

Source: kubernetes staging/src/k8s.io/apimachinery/pkg/apis/meta/internalversion/validation (which options go together)
and staging/src/k8s.io/apiserver/pkg/storage (continue tokens, versions), with the messages of a real API server.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from berth.core.objects import Json
from berth.rehearsal.kinds import Kind
from berth.rehearsal.refusal import ApiError, FieldError, bad_request, invalid
from berth.rehearsal.server import bodies, fields, selectors
from berth.rehearsal.server.fields import FieldSelector
from berth.rehearsal.server.messages import Request
from berth.rehearsal.server.selectors import LabelSelector
from berth.rehearsal.store import Store

_TOO_OLD = (
    "The provided continue parameter is too old to display a consistent list result. You can start a new list without "
    "the continue parameter, or use the continue token in this response to retrieve the remainder of the results. "
    "Continuing with the provided token results in an inconsistent list - objects that were created, modified, or "
    "deleted between the time the first chunk was returned and now may show up in the list."
)


class Outdated(ApiError):
    """A continue token whose version is forgotten; the answer has one that goes on at the version of now."""

    def __init__(self, token: str) -> None:
        super().__init__(410, "Expired", _TOO_OLD)
        self._token = token

    def to_status(self) -> Json:
        """The Status, with the new token in its metadata."""
        return {**super().to_status(), "metadata": {"continue": self._token}}


@dataclass(frozen=True, slots=True)
class Selection:
    """Which objects of a collection are meant."""

    labels: LabelSelector
    fields: FieldSelector

    def __bool__(self) -> bool:
        return bool(self.labels or self.fields)

    def matches(self, body: Json) -> bool:
        """Whether this one is."""
        return self.labels.matches(body["metadata"].get("labels")) and self.fields.matches(body)

    def of(self, found: Iterable[Json]) -> list[Json]:
        """Those of a list that are."""
        return [body for body in found if self.matches(body)] if self else list(found)


def selection(request: Request, kind: Kind) -> Selection:
    """The selectors of a request.

    Raises:
        ApiError: 400, one cannot be read.
    """
    return Selection(selectors.parse(request.text("labelSelector")), fields.parse(kind, request.text("fieldSelector")))


@dataclass(frozen=True, slots=True)
class Page:
    """A piece of a list. ``remaining`` is None where it is not told: at the end, or behind selectors."""

    items: list[Json]
    version: int
    token: str = ""
    remaining: int | None = None


def check(request: Request, *, watch: bool) -> None:
    """See that a request's options go together.

    Raises:
        ApiError: 422, they do not.
    """
    errors: list[FieldError] = []
    match = request.text("resourceVersionMatch")
    if watch:
        _check_watch(request, match, errors)
    else:
        _check_list(request, match, errors)
    if errors:
        raise invalid(Kind("meta.k8s.io", "v1", "ListOptions", "listoptions"), "", errors)


def _check_list(request: Request, match: str, errors: list[FieldError]) -> None:
    version = request.text("resourceVersion")
    if match and not version:
        errors.append(_forbidden("resourceVersionMatch is forbidden unless resourceVersion is provided"))
    if match and request.text("continue"):
        errors.append(_forbidden("resourceVersionMatch is forbidden when continue is provided"))
    if match and match not in ("Exact", "NotOlderThan"):
        detail = f'Unsupported value: "{match}": supported values: "Exact", "NotOlderThan", ""'
        errors.append(FieldError("FieldValueNotSupported", "resourceVersionMatch", detail))
    if match == "Exact" and version == "0":
        errors.append(_forbidden('resourceVersionMatch "exact" is forbidden for resourceVersion "0"'))
    if "sendInitialEvents" in request.query:
        detail = "Forbidden: sendInitialEvents is forbidden for list"
        errors.append(FieldError("FieldValueForbidden", "sendInitialEvents", detail))


def _check_watch(request: Request, match: str, errors: list[FieldError]) -> None:
    initial = "sendInitialEvents" in request.query
    if request.text("continue"):
        errors.append(_forbidden("resourceVersionMatch is forbidden when continue is provided"))
    if initial and match != "NotOlderThan":
        errors.append(_forbidden("sendInitialEvents requires setting resourceVersionMatch to NotOlderThan"))
    if match and not initial:
        errors.append(_forbidden("resourceVersionMatch is forbidden for watch unless sendInitialEvents is provided"))


def _forbidden(words: str) -> FieldError:
    return FieldError("FieldValueForbidden", "resourceVersionMatch", f"Forbidden: {words}")


def version_of(text: str) -> int | None:
    """A resourceVersion; None where none is given.

    Raises:
        ApiError: 500 as the API server, it is no number.
    """
    if not text:
        return None
    if not (text.isascii() and text.isdigit() and len(text) < 20):
        raise bodies.internal(
            f'resourceVersion: Invalid value: "{text}": strconv.ParseUint: parsing "{text}": invalid syntax'
        )
    return int(text)


def too_new(version: int, current: int) -> ApiError:
    """The version asked for has not been yet (504, to be tried again)."""
    details: Json = {"causes": [{"reason": "ResourceVersionTooLarge", "message": "Too large resource version"}]}
    return ApiError(
        504,
        "Timeout",
        f"Timeout: Too large resource version: {version}, current: {current}",
        {**details, "retryAfterSeconds": 1},
        {"Retry-After": "1"},
    )


def page(store: Store, kind: Kind, namespace: str | None, request: Request) -> Page:
    """The piece of a list that a request asks for; the world's lock must be held.

    Raises:
        ApiError: an option cannot be read, or a version is forgotten or has not been yet.
    """
    check(request, watch=False)
    chosen = selection(request, kind)
    limit = max(0, request.number("limit") or 0)
    token = request.text("continue")
    after: tuple[str, str] | None = None
    if token:
        version, after = _read_token(token, namespace)
        found = _at_version(store, kind, namespace, version, token)
        version = store.version if version < 0 else version
    else:
        version, found = _at_request(store, kind, namespace, request)
    if after is not None:
        found = [body for body in found if _place(body) > after]
    items = chosen.of(found)
    if not limit or len(items) <= limit:
        return Page(items, version)
    remaining = None if chosen else len(items) - limit
    return Page(items[:limit], version, _make_token(version, _place(items[limit - 1]), namespace), remaining)


def _at_request(store: Store, kind: Kind, namespace: str | None, request: Request) -> tuple[int, Sequence[Json]]:
    text = request.text("resourceVersion")
    try:
        version = version_of(text)
    except ApiError as error:
        raise bad_request(f"invalid resource version: {error.message}") from None
    if version is not None and version > store.version:
        raise too_new(version, store.version)
    match = request.text("resourceVersionMatch")
    # A limit makes a version without a rule an exact one, as the API server has had it from before there were rules.
    if version and (match == "Exact" or (not match and request.number("limit"))):
        return version, _at_version(store, kind, namespace, version, "")
    return store.version, store.list(kind, namespace)


def _at_version(store: Store, kind: Kind, namespace: str | None, version: int, token: str) -> Sequence[Json]:
    """The objects as they were: what happened since then is undone, newest first."""
    if version < 0 or version == store.version:
        return store.list(kind, namespace)
    try:
        changes = store.changes_since(version, kind, namespace)
    except ApiError:
        if token:
            raise Outdated(_make_token(-1, _read_token(token, namespace)[1], namespace)) from None
        words = "The resourceVersion for the provided list is too old."
        raise ApiError(410, "Expired", words) from None
    found = {_place(body): body for body in store.list(kind, namespace)}
    for change in reversed(changes):
        found.pop(change.key, None)
        if change.old is not None:
            found[change.key] = change.old
    return [found[place] for place in sorted(found)]


def _place(body: Json) -> tuple[str, str]:
    meta = body["metadata"]
    return meta.get("namespace", ""), meta["name"]


def _make_token(version: int, after: tuple[str, str], namespace: str | None) -> str:
    key = f"/{after[1]}\0" if namespace is not None else f"/{after[0]}/{after[1]}\0"
    words = json.dumps({"v": "meta.k8s.io/v1", "rv": version, "start": key}, separators=(",", ":"))
    return base64.urlsafe_b64encode(words.encode()).decode().rstrip("=")


def _read_token(token: str, namespace: str | None) -> tuple[int, tuple[str, str]]:
    problem = "invalid continue token: continue key is not valid: "
    try:
        data = base64.urlsafe_b64decode(token + "=" * (-len(token) % 4))
        words = bodies.loads(data)[0]
    except ValueError as error:
        raise bad_request(problem + str(error)) from None
    if not isinstance(words, dict):
        raise bad_request(f"{problem}json: cannot unmarshal {bodies.go_type(words)} into Go value")
    version, start = words.get("rv", 0), words.get("start", "")
    for name, value, wanted in (("v", words.get("v", ""), str), ("rv", version, int), ("start", start, str)):
        if not isinstance(value, wanted):
            kind = "string" if wanted is str else "int64"
            text = f"json: cannot unmarshal {bodies.go_type(value)} into Go struct field continueToken.{name}"
            raise bad_request(f"{problem}{text} of type {kind}")
    if words.get("v") != "meta.k8s.io/v1":
        raise bad_request(f'{problem}server does not recognize this encoded version "{words.get("v", "")}"')
    if version == 0:
        raise bad_request(f"{problem}incorrect encoded start resourceVersion (version meta.k8s.io/v1)")
    parts = start.removesuffix("\0").lstrip("/").split("/")
    if not start or ".." in parts:
        raise bad_request(f"{problem}encoded start key empty (version meta.k8s.io/v1)")
    if namespace is not None:
        return version, (namespace, parts[-1])
    return version, (parts[0], parts[-1]) if len(parts) > 1 else ("", parts[0])
