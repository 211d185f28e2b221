"""Operations: commands that a profile declares for its engine, run inside its pods.

A profile file is checked against ``OPERATION_SCHEMA`` when it is read; what only the whole of a profile and its bases
can say, that a command is there at all, is checked by ``operations_of``.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from berth.core.errors import Position, Problem, ProfileError
from berth.core.objects import Json
from berth.core.quantities import parse_duration

if TYPE_CHECKING:
    from berth.core.profile import Profile

#: The operations that berth itself runs, and when; a profile may declare others, which people run.
ROLES: Mapping[str, str] = {
    "ready": "after `up`, on every pod, until all pass",
    "role": "by `status`, and to find the primary",
    "beforeScaleDown": "before pods go; it must pass",
    "afterScaleDown": "after pods have gone",
    "afterScaleUp": "after pods have come",
    "backup": "by people so far",
    "restore": "by people so far",
}
SCALING = frozenset({"beforeScaleDown", "afterScaleDown", "afterScaleUp"})

#: Seconds that a command may take whose operation does not say.
TIMEOUT = 30.0
#: What the `role` operation prints in the pod that is the primary.
PRIMARY = "primary"

#: The name of an operation, as a pattern of JSON Schema.
NAME = r"^[a-z][A-Za-z0-9-]{0,62}$"

#: One operation, as a profile file has it.
OPERATION_SCHEMA: Json = {
    "type": "object",
    "additionalProperties": False,
    "properties": {
        "command": {
            "type": "array",
            "minItems": 1,
            "prefixItems": [{"type": "string", "minLength": 1}],
            "items": {"type": "string"},
            "description": "The program and its arguments; no shell reads them, so name one where you want one",
        },
        "container": {
            "type": "string",
            "pattern": r"^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$",
            "description": "The container in which it runs; by default the only one of the pod",
        },
        "timeout": {
            "type": ["string", "integer"],
            "format": "duration",
            "minimum": 1,
            "description": "How long it may take in one pod, such as 90s or 6h (default: 30s)",
        },
        "pods": {
            "type": "string",
            "enum": ["each", "primary", "others", "condemned", "one"],
            "description": "In which pods it runs (default: each)",
        },
        "step": {
            "type": "integer",
            "minimum": 1,
            "description": "How many ordinals come or go at a time, each step with all pods ready before the next",
        },
        "between": {
            "type": "object",
            "minProperties": 1,
            "description": "Values that hold at the steps in between only, such as a switch that allows an even number",
        },
        "claims": {
            "type": "string",
            "enum": ["unusable"],
            "description": "What the claims of the pods are worth once it has passed; they must not be used again",
        },
        "description": {"type": "string", "minLength": 1, "description": "One line on what it does"},
        "output": {"type": "string", "minLength": 1, "description": "One line on what its exit code and output mean"},
    },
}


@dataclass(frozen=True, slots=True)
class Operation:
    """A command that a profile declares.

    ``container`` is "" for the only one of a pod; ``timeout`` is in seconds; ``pods`` is each, primary, others,
    condemned or one; ``step`` is None where any number of ordinals may come or go at a time.
    """

    name: str
    command: tuple[str, ...]
    container: str = ""
    timeout: float = TIMEOUT
    pods: str = "each"
    step: int | None = None
    between: Mapping[str, Any] = field(default_factory=dict)
    claims: str | None = None
    description: str = ""
    output: str = ""


def operations_of(profile: Profile) -> dict[str, Operation]:
    """The operations of a profile and its bases, in their order.

    Raises:
        ProfileError: with everything that makes no sense.
    """
    problems = [
        Problem(f"operations.{name}: {what}", str(_position(profile, name, key)), hint=hint)
        for name, body in profile.operations.items()
        for key, what, hint in _flaws(name, body)
    ]
    if problems:
        raise ProfileError(problems)
    return {name: _operation(name, body) for name, body in profile.operations.items()}


def _operation(name: str, body: Json) -> Operation:
    return Operation(
        name=name,
        command=tuple(body["command"]),
        container=body.get("container", ""),
        timeout=parse_duration(body.get("timeout", TIMEOUT)),
        pods=body.get("pods", "each"),
        step=body.get("step"),
        between=body.get("between", {}),
        claims=body.get("claims"),
        description=body.get("description", ""),
        output=body.get("output", ""),
    )


def _flaws(name: str, body: Json) -> list[tuple[str, str, str]]:
    """Field, what is wrong with it, and what to try."""
    found: list[tuple[str, str, str]] = []
    for role in ROLES:
        if name != role and _letters(name) == _letters(role):
            found.append(("", "berth would not run it, for it knows no operation of that name", f"write {role!r}"))
    if "command" not in body:
        found.append(("", "it has no command", "command: [PROGRAM, ARGUMENT, ...]"))
    for key in ("step", "between", "claims"):
        roles = {"beforeScaleDown"} if key == "claims" else SCALING
        if key in body and name not in roles:
            found.append((key, f"{key} means something for {' and '.join(sorted(roles))} only", "leave it out"))
    if "between" in body and "step" not in body:
        found.append(("between", "there are no steps between which the values could hold", "step: 1"))
    pods = body.get("pods", "each")
    if pods != "each" and name in ("ready", "role"):
        found.append(("pods", f"berth runs {name} on every pod, not on {pods}", "pods: each"))
    if pods == "condemned" and name != "beforeScaleDown":
        found.append(("pods", "only beforeScaleDown knows pods that are about to go", "pods: one"))
    return found


def _letters(name: str) -> str:
    return name.replace("-", "").lower()


def _position(profile: Profile, name: str, key: str) -> Position:
    """The place of a field, else of the operation, else of the profile that takes it from its base."""
    for path in (("operations", name, key), ("operations", name)):
        if path in profile.positions:
            return profile.positions[path]
    return profile.position
