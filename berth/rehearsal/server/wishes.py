"""How a request is meant: the options in its query, and of a deletion those in its body."""

from __future__ import annotations

from typing import Any

from berth.core.objects import Json
from berth.rehearsal.kinds import Kind
from berth.rehearsal.refusal import FieldError, bad_request, invalid
from berth.rehearsal.registry import APPLY_PATCH, Options
from berth.rehearsal.server import bodies, yamltext
from berth.rehearsal.server.messages import JSON, Request

_LONGEST_MANAGER = 128
_VALIDATIONS = ("", "Ignore", "Strict", "Warn")
_POLICIES = ("Foreground", "Background", "Orphan")
_NUMBERS = {"gracePeriodSeconds": "int64"}
_SWITCHES = ("orphanDependents", "ignoreStoreReadErrorWithClusterBreakingPotential")


def options(request: Request, what: str, patch_type: str = "") -> Options:
    """The options of a write; ``what`` is CreateOptions, UpdateOptions or PatchOptions.

    Raises:
        ApiError: 422, an option has no such value.
    """
    manager, validation = request.text("fieldManager"), request.text("fieldValidation")
    errors = []
    if patch_type == APPLY_PATCH and not manager:
        errors.append(FieldError("FieldValueRequired", "fieldManager", "Required value: is required for apply patch"))
    if patch_type not in ("", APPLY_PATCH) and "force" in request.query:
        detail = "Forbidden: may not be specified for non-apply patch"
        errors.append(FieldError("FieldValueForbidden", "force", detail))
    errors += _manager_errors(manager)
    errors += _dry_run_errors(request.query.get("dryRun", []))
    if validation not in _VALIDATIONS:
        known = ", ".join(f'"{word}"' for word in _VALIDATIONS)
        detail = f'Unsupported value: "{validation}": supported values: {known}'
        errors.append(FieldError("FieldValueNotSupported", "fieldValidation", detail))
    if errors:
        raise _refusal(what, errors)
    return Options(
        manager=manager or manager_of(request.header("User-Agent")),
        dry_run=bool(request.query.get("dryRun")),
        force=request.flag("force"),
        field_validation=validation or "Warn",
    )


def manager_of(user_agent: str) -> str:
    """The field manager of a client that names none: what its User-Agent begins with."""
    name = user_agent.partition("/")[0].encode()[:_LONGEST_MANAGER].decode("utf-8", "ignore")
    return name or "unknown"


def _manager_errors(manager: str) -> list[FieldError]:
    errors = []
    if len(manager.encode()) > _LONGEST_MANAGER:
        detail = f"Too long: may not be more than {_LONGEST_MANAGER} bytes"
        errors.append(FieldError("FieldValueTooLong", "fieldManager", detail))
    for index, char in enumerate(manager):
        if not char.isprintable():
            shown = "".join(c if c.isprintable() else f"\\x{ord(c):02x}" for c in manager)
            detail = f'Invalid value: "{shown}": invalid character U+{ord(char):04X} (at position {index})'
            errors.append(FieldError("FieldValueInvalid", "fieldManager", detail))
    return errors


def _dry_run_errors(values: Any) -> list[FieldError]:
    if not values or set(values) == {"All"}:
        return []
    shown = ",".join(f'"{value}"' for value in values)
    detail = f'Unsupported value: [{shown}]: supported values: "All"'
    return [FieldError("FieldValueNotSupported", "dryRun", detail)]


def deletion(request: Request, kind: Kind) -> Json:
    """The DeleteOptions of a request: those in its body, else those in its query (never both, as the API server).

    Raises:
        ApiError: they cannot be read, or contradict themselves.
    """
    wish = _in_body(request, kind) if request.body else _in_query(request)
    check_deletion(wish)
    return wish


def check_deletion(wish: Json) -> None:
    """See that DeleteOptions do not contradict themselves; raises ApiError 422."""
    errors = _dry_run_errors(wish.get("dryRun"))
    policy = wish.get("propagationPolicy")
    if policy is not None and wish.get("orphanDependents") is not None:
        words = "orphanDependents and deletionPropagation cannot be both set"
        detail = f'Invalid value: "{policy}": {words}'
        errors.append(FieldError("FieldValueInvalid", "propagationPolicy", detail))
    if policy is not None and policy not in _POLICIES:
        known = ", ".join(f'"{word}"' for word in (*_POLICIES, "nil"))
        detail = f'Unsupported value: "{policy}": supported values: {known}'
        errors.append(FieldError("FieldValueNotSupported", "propagationPolicy", detail))
    if errors:
        raise _refusal("DeleteOptions", errors)


def _in_query(request: Request) -> Json:
    wish: Json = {}
    grace = request.number("gracePeriodSeconds")
    if grace is not None:
        wish["gracePeriodSeconds"] = grace
    if request.text("propagationPolicy"):
        wish["propagationPolicy"] = request.text("propagationPolicy")
    if "orphanDependents" in request.query:
        wish["orphanDependents"] = request.flag("orphanDependents")
    if request.query.get("dryRun"):
        wish["dryRun"] = request.query["dryRun"]
    return wish


def _in_body(request: Request, kind: Kind) -> Json:
    form = bodies.media_type(request) or JSON
    try:
        if form == JSON:
            wish = bodies.loads(request.body)[0]
        elif form == bodies.YAML:
            wish = yamltext.read(request.body)[0]
        else:
            wish = bodies.read_object(request, "meta.k8s.io/v1", "DeleteOptions")[0]
    except yamltext.NotReadable as error:
        raise bad_request(f"couldn't get version/kind; json parse error: {error}") from None
    if not isinstance(wish, dict):
        raise bad_request(f"json: cannot unmarshal {bodies.go_type(wish)} into Go value of type v1.DeleteOptions")
    version, name = wish.get("apiVersion") or kind.api_version, wish.get("kind") or "DeleteOptions"
    if name != "DeleteOptions" or version not in ("v1", "meta.k8s.io/v1", kind.api_version):
        raise bad_request(bodies.unregistered(version, name))
    _check_types(wish)
    return wish


def _check_types(wish: Json) -> None:
    for key, value in wish.items():
        wanted = _wanted(key, value)
        if value is not None and wanted:
            found = bodies.go_type(value)
            raise bad_request(
                f"json: cannot unmarshal {found} into Go struct field DeleteOptions.{key} of type {wanted}"
            )


def _wanted(key: str, value: Any) -> str:
    """The Go type that a field of DeleteOptions should have had; "" when it has it."""
    if key in _NUMBERS:
        return "" if isinstance(value, int) and not isinstance(value, bool) else _NUMBERS[key]
    if key in _SWITCHES:
        return "" if isinstance(value, bool) else "bool"
    if key == "propagationPolicy":
        return "" if isinstance(value, str) else "v1.DeletionPropagation"
    if key == "preconditions":
        return "" if isinstance(value, dict) else "v1.Preconditions"
    if key == "dryRun":
        return "" if isinstance(value, list) and all(isinstance(word, str) for word in value) else "string"
    return ""


def _refusal(what: str, errors: list[FieldError]) -> Exception:
    return invalid(Kind("meta.k8s.io", "v1", what, what.lower()), "", errors)
