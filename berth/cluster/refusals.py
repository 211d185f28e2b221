"""What the API server's refusals mean: its Status objects, read leniently, as errors that name object and cause.

The reasons and their codes: https://kubernetes.io/docs/reference/using-api/api-concepts/ and
k8s.io/apimachinery/pkg/apis/meta/v1/types.go (StatusReason, CauseType).
"""

from __future__ import annotations

import json
import re
from base64 import b64decode
from collections.abc import Mapping
from dataclasses import dataclass
from email.message import Message
from typing import Any

from berth.core.errors import BerthError, ClusterError, ConflictError, DeniedError, ImmutableError, Problem
from berth.core.objects import Json, dig

# Patterns stay text, for `re` compiles and keeps them when the first refusal comes: most runs have none.

#: What the StatefulSet's validation says of its many immutable fields, and what others say of theirs.
_IMMUTABLE = r"field is immutable|updates to statefulset spec for fields other than|may not be changed|is immutable"
_MANAGER = r'conflict with "([^"]*)"'
_RBAC = (
    r'cannot (?P<verb>\S+) (?:resource "(?P<resource>[^"]*)" in API group "(?P<group>[^"]*)"|path "(?P<path>[^"]*)")'
    r'(?: in the namespace "(?P<namespace>[^"]*)")?'
)
#: Messages of passing trouble; kapp retries the same ones.
_PASSING = (
    r"etcdserver: (leader changed|request timed out)"
    r"|failed calling webhook"
    r"|operation cannot be fulfilled on resourcequotas"
)
#: Messages that come with code 500 although the request is what is wrong: an apply with a field that is not in the
#: schema, or of a wrong type. Source: k8s.io/apimachinery/pkg/util/managedfields/internal/structuredmerge.go
_OUR_FAULT = "failed to create typed patch object"


class MissingError(ClusterError):
    """The object, or the namespace or kind it needs, does not exist."""


class ExistsError(ClusterError):
    """An object of that name exists already, and we did not make it."""


class StaleError(ClusterError):
    """The object changed, or was made anew, since we read it."""


class InvalidError(ClusterError):
    """The API server's validation refuses the object."""


class ExpiredError(ClusterError):
    """The resourceVersion to go on from is too old (410): list again."""


@dataclass(frozen=True, slots=True)
class Cause:
    """One entry of a Status's details.causes."""

    reason: str
    field: str
    message: str


@dataclass(frozen=True, slots=True)
class Status:
    """A refusal: the HTTP code, and what the body said as far as it could be read."""

    code: int
    reason: str = ""
    message: str = ""
    causes: tuple[Cause, ...] = ()
    retry_after: float | None = None

    @property
    def passing(self) -> bool:
        """Whether the message is one of those that go away by themselves, whatever the code."""
        return bool(re.search(_PASSING, self.message, re.IGNORECASE))

    @property
    def our_fault(self) -> bool:
        """Whether the request is wrong although the code says that the server is."""
        return _OUR_FAULT in self.message

    @property
    def raced(self) -> bool:
        """Whether another writer was faster, and nothing else is wrong: no other owner, no precondition of ours."""
        return (
            self.code == 409
            and self.reason == "Conflict"
            and not self.causes
            and not re.search(r"precondition|content is removed", self.message, re.IGNORECASE)
        )

    @property
    def purging(self) -> bool:
        """Whether a namespace that is to be deleted is on its way out already, which the API calls a conflict."""
        return self.code == 409 and "ensuring all content is removed" in self.message

    @property
    def managers(self) -> tuple[str, ...]:
        """The field managers that an apply conflicts with, once each."""
        found = (re.search(_MANAGER, cause.message) for cause in self.causes if cause.reason == "FieldManagerConflict")
        return tuple(dict.fromkeys(match[1] for match in found if match))


def read_status(code: int, body: bytes | Any, headers: Mapping[str, str] | Message | None = None) -> Status:
    """A Status from an error's body: the API's JSON, truncated JSON, a proxy's HTML, or nothing at all."""
    after = _seconds((headers or {}).get("Retry-After"))
    if isinstance(body, bytes):
        text = body.decode("utf-8", "replace")
        try:
            body = json.loads(text)
        except ValueError:
            return Status(code, message=_plain(text), retry_after=after)
    if not isinstance(body, dict) or body.get("kind") != "Status":
        return Status(code, message=_plain(json.dumps(body)) if body else "", retry_after=after)
    causes = dig(body, "details", "causes", default=None)
    if after is None:
        after = _seconds(dig(body, "details", "retryAfterSeconds", default=None))
    return Status(
        int(body.get("code") or code),
        str(body.get("reason") or ""),
        str(body.get("message") or ""),
        tuple(
            Cause(str(cause.get("reason") or ""), str(cause.get("field") or ""), str(cause.get("message") or ""))
            for cause in (causes if isinstance(causes, list) else ())
            if isinstance(cause, dict)
        ),
        after,
    )


def _seconds(text: Any) -> float | None:
    """Retry-After in seconds; the HTTP-date form is rare and read as "soon"."""
    if text is None or text == "" or text == 0:
        return None
    try:
        return max(float(text), 0.0)
    except (TypeError, ValueError):
        return 1.0


def _plain(text: str) -> str:
    """The words of an HTML page or of broken JSON, one line, not too long."""
    if match := re.search(r'"message"\s*:\s*"((?:[^"\\]|\\.)*)', text):
        text = match[1]
    title = re.search(r"<title>(.*?)</title>", text, re.IGNORECASE | re.DOTALL)
    words = " ".join(re.sub(r"<[^>]*>", " ", title[1] if title else text).split())
    return words if len(words) <= 200 else words[:199] + "…"


def refusal(status: Status, verb: str, what: str, target: str, sent: Json | None = None) -> BerthError:
    """The error for a refused request: ``verb`` and ``what`` say what was wanted (apply, StatefulSet/web in shop).

    ``sent`` is the object that was sent: when it is a Secret, nothing of its data shows in the error.
    """
    if sent is not None and sent.get("kind") == "Secret":
        status = _masked(status, sent)
    match status.code:
        case 401:
            return DeniedError(
                "the cluster does not accept our credentials",
                where=target,
                why=status.message or "401 Unauthorized",
                hint="log in again: the token may have expired, or the certificate may be of another cluster",
            )
        case 403:
            return _forbidden(status, verb, what, target)
        case 404:
            return MissingError(
                f"cannot {verb} {what}", why=status.message or "404 not found", hint=_missing_hint(status)
            )
        case 409:
            return _conflict(status, verb, what)
        case 410:
            return ExpiredError(f"cannot {verb} {what} from there", why=status.message or "410 gone")
        case 422:
            return _invalid(status, verb, what)
    if status.our_fault or status.code == 400:
        return InvalidError(f"cannot {verb} {what}", why=status.message or "400 bad request")
    return ClusterError(f"cannot {verb} {what}", why=f"{status.message or 'no reason given'} (HTTP {status.code})")


def _missing_hint(status: Status) -> str:
    return "the namespace does not exist" if status.message.startswith("namespaces ") else ""


def _forbidden(status: Status, verb: str, what: str, target: str) -> BerthError:
    """403 has many meanings: no permission, but also quota, a namespace on its way out, or a policy."""
    text = status.message
    if match := re.search(_RBAC, text):
        wanted = match["path"] or match["resource"] + (f".{match['group']}" if match["group"] else "")
        scope = (
            f" in namespace {match['namespace']}" if match["namespace"] else ("" if match["path"] else " cluster-wide")
        )
        return DeniedError(
            f"not allowed to {match['verb']} {wanted}{scope}, needed to {verb} {what}",
            where=target,
            why=text,
            hint=f"ask for a role with the verb {match['verb']} on {wanted}{scope}",
        )
    if (
        any(cause.reason == "NamespaceTerminating" for cause in status.causes)
        or "because it is being terminated" in text
    ):
        return ClusterError(
            f"cannot {verb} {what}", why=text, hint="wait until the namespace is gone, or use another one"
        )
    if "exceeded quota" in text:
        return ClusterError(
            f"cannot {verb} {what}", why=text, hint="ask for less, or have the namespace's ResourceQuota raised"
        )
    if status.reason:
        return ClusterError(f"cannot {verb} {what}", why=text)
    return DeniedError(f"not allowed to {verb} {what}", where=target, why=text or "403 Forbidden")


def _conflict(status: Status, verb: str, what: str) -> BerthError:
    conflicts = [cause for cause in status.causes if cause.reason == "FieldManagerConflict"]
    if conflicts:
        hint = "leave the field to its owner, or take it with --force-conflicts"
        return ConflictError(
            Problem(f"{what}: {_owner(cause)} owns {cause.field.removeprefix('.')}", why=cause.message, hint=hint)
            for cause in conflicts
        )
    if status.reason == "AlreadyExists":
        return ExistsError(f"cannot {verb} {what}", why=status.message)
    return StaleError(f"cannot {verb} {what}: it changed in the meantime", why=status.message)


def _owner(cause: Cause) -> str:
    match = re.search(_MANAGER, cause.message)
    return match[1] if match else "another manager"


def _invalid(status: Status, verb: str, what: str) -> BerthError:
    causes = status.causes or (Cause("", "", status.message),)
    immutable = any(re.search(_IMMUTABLE, cause.message) for cause in causes)
    return (ImmutableError if immutable else InvalidError)(
        Problem(f"cannot {verb} {what}" + (f": {cause.field}" if cause.field else ""), why=cause.message)
        for cause in causes
    )


def _masked(status: Status, secret: Json) -> Status:
    """The same Status without a value of the Secret, plain or in base64, and without quoted invalid values."""
    values = set()
    for part in ("data", "stringData"):
        for value in (secret.get(part) or {}).values():
            text = str(value)
            values.add(text)
            if part == "data":
                try:
                    values.add(b64decode(text).decode("utf-8", "replace"))
                except ValueError:
                    pass

    def mask(text: str) -> str:
        for value in sorted(values, key=len, reverse=True):
            if value:
                text = text.replace(value, "***")
        return re.sub(r'Invalid value: "(?:[^"\\]|\\.)*"', 'Invalid value: "***"', text)

    causes = tuple(Cause(cause.reason, cause.field, mask(cause.message)) for cause in status.causes)
    return Status(status.code, status.reason, mask(status.message), causes, status.retry_after)
