"""What the API server answers when it does not do what was asked: a Status, with its own reasons and words."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from berth.core.objects import Json
from berth.rehearsal.kinds import Kind


@dataclass(frozen=True, slots=True)
class FieldError:
    """One field that is wrong: ``detail`` is the API server's text behind "path: ", the value included."""

    reason: str
    path: str
    detail: str

    def __str__(self) -> str:
        return f"{self.path}: {self.detail}"


class ApiError(Exception):
    """A refusal. ``headers`` go with it (Retry-After)."""

    def __init__(
        self,
        code: int,
        reason: str,
        message: str,
        details: Mapping[str, Any] | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(message)
        self.code = code
        self.reason = reason
        self.message = message
        self.details = details
        self.headers = dict(headers or {})

    def to_status(self) -> Json:
        """The body of the answer."""
        status: Json = {"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure"}
        status |= {"message": self.message}
        if self.reason:
            status["reason"] = self.reason
        if self.details is not None:
            status["details"] = dict(self.details)
        return {**status, "code": self.code}


def details_of(kind: Kind, name: str, **more: Any) -> Json:
    """The details of a refusal about one object; the kind is the plural in most of them, as the API server has it."""
    found: Json = {"name": name} if name else {}
    if kind.group:
        found["group"] = kind.group
    return {**found, "kind": kind.plural, **more}


def not_found(kind: Kind, name: str) -> ApiError:
    """There is no such object."""
    return ApiError(404, "NotFound", f'{kind.qualified} "{name}" not found', details_of(kind, name))


def no_such_path() -> ApiError:
    """There is no such resource at all."""
    return ApiError(404, "NotFound", "the server could not find the requested resource", {})


def already_exists(kind: Kind, name: str) -> ApiError:
    """Somebody was first."""
    return ApiError(409, "AlreadyExists", f'{kind.qualified} "{name}" already exists', details_of(kind, name))


def conflict(kind: Kind, name: str, why: str = "") -> ApiError:
    """The object has changed since it was read."""
    why = why or "the object has been modified; please apply your changes to the latest version and try again"
    message = f'Operation cannot be fulfilled on {kind.qualified} "{name}": {why}'
    return ApiError(409, "Conflict", message, details_of(kind, name))


def invalid(kind: Kind, name: str, errors: Sequence[FieldError]) -> ApiError:
    """Fields are wrong; every one is a cause."""
    words = ", ".join(dict.fromkeys(str(error) for error in errors))
    words = f"[{words}]" if len({str(error) for error in errors}) > 1 else words
    details: Json = {"name": name} if name else {}
    details |= {"group": kind.group} if kind.group else {}
    details |= {"kind": kind.kind}
    details["causes"] = [{"reason": error.reason, "message": error.detail, "field": error.path} for error in errors]
    return ApiError(422, "Invalid", f'{kind.qualified_kind} "{name}" is invalid: {words}', details)


def forbidden(kind: Kind, name: str, why: str) -> ApiError:
    """An admission rule says no."""
    return ApiError(403, "Forbidden", f'{kind.qualified} "{name}" is forbidden: {why}', details_of(kind, name))


def bad_request(message: str) -> ApiError:
    """The request itself is wrong."""
    return ApiError(400, "BadRequest", message)


def method_not_allowed() -> ApiError:
    """The resource does not take this verb."""
    message = "the server does not allow this method on the requested resource"
    return ApiError(405, "MethodNotAllowed", message, {})


def unsupported_media_type(allowed: Sequence[str]) -> ApiError:
    """The body is in a format that is not read here."""
    message = f"the body of the request was in an unknown format - accepted media types include: {', '.join(allowed)}"
    return ApiError(415, "UnsupportedMediaType", message, {})


def unusable_patch(shown: str, why: str) -> ApiError:
    """A patch that is one, of which no object comes; ``shown`` is the object, or the patch, in text."""
    quoted = shown.replace("\\", "\\\\").replace('"', '\\"')
    detail = f'Invalid value: "{quoted}": {why}'
    cause = {"reason": "FieldValueInvalid", "message": detail, "field": "patch"}
    return ApiError(422, "Invalid", f' "" is invalid: patch: {detail}', {"causes": [cause]})


def expired(version: int, oldest: int) -> ApiError:
    """The versions asked for are no longer remembered (410 Gone)."""
    return ApiError(410, "Expired", f"too old resource version: {version} ({oldest})")
