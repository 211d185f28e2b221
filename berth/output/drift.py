"""Drift, for people and for machines."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from typing import Any

from berth.core.diff import MASKED, shown_value
from berth.core.drift import Drift, Way
from berth.core.report import Recorded
from berth.output.plain import harmless

#: Characters of a value that are shown.
_VALUE = 120


def field_line(one: Drift) -> str:
    """One field, or an object as a whole, without what takes it back."""
    name, by = f"{one.ref.kind}/{one.ref.name}", f"  (by {one.manager})" if one.manager else ""
    if not one.path:
        return f"{name}: is not there any more"
    recorded, live = (shown_value(value, _VALUE) for value in (one.recorded, one.live))
    return f"{name} {one.path}: {recorded} -> {live}{by}"


def again(record: Recorded, where: Sequence[str] = ()) -> str:
    """The command that brings the release up once more, without the values that were given to it.

    ``where`` are the options that chose the target.
    """
    words = ["invoke", "up", "--profile", record.profile]
    words += ["--name", record.name] if record.name != record.profile else []
    words += ["--namespace", record.namespace]
    words += ["--env", record.environment] if record.environment else []
    return shlex.join([*words, *where])


def release_lines(record: Recorded, fields: Sequence[Drift], where: Sequence[str] = ()) -> list[str]:
    """A release, a line for each field, and below them what takes them back."""
    environment = f", environment {record.environment}" if record.environment else ""
    told = f"(profile {record.profile}{environment}, revision {record.revision}, {record.status})"
    shown = [f"release {record.name} in {record.namespace} {told}"]
    shown += [f"  {line}" for line in _stands(record.status, bool(fields))]
    shown += [f"  {field_line(one)}  [{one.way}]" for one in fields]
    shown += [f"  {line}" for line in _ways(fields, again(record, where))]
    return [harmless(line.rstrip()) for line in shown]


def _stands(status: str, drift: bool) -> list[str]:
    """What is to be known of a release that is not simply deployed, or has no drift."""
    if status == "removed":
        return ["was taken down: nothing of it is expected to be there"]
    if status == "orphaned":
        return ["its sets were deleted, and the pods left running: up adopts them"]
    if status == "removing":
        return ["a teardown has begun and not ended: what is not there any more may be its work"]
    if status != "deployed":
        return [f"the last up is {status}: what it did not come to is not compared"]
    return [] if drift else ["as recorded"]


def _ways(fields: Sequence[Drift], command: str) -> list[str]:
    """One line for each way that a field needs."""
    sorted_out = {way: [one for one in fields if one.way is way] for way in Way}
    force = bool(sorted_out[Way.FORCE])
    shown = []
    if some := sorted_out[Way.UP]:
        # An `up` that meets a conflict writes nothing at all.
        how = "`up` with --force-conflicts takes it back, and stops without" if force else f"`{command}` takes it back"
        shown.append(f"[{Way.UP}] {_fields(some)} missing, or nobody else's: {how}")
    if some := sorted_out[Way.FORCE]:
        said = f"{_fields(some)} another field manager's now"
        shown.append(f"[{Way.FORCE}] {said}: `{command} --force-conflicts` takes it back")
    if some := sorted_out[Way.BY_HAND]:
        refs = sorted({one.ref for one in some})
        edits = ", ".join(f"`kubectl edit {ref.kind.lower()} {ref.name} -n {ref.namespace}`" for ref in refs)
        shown.append(f"[{Way.BY_HAND}] {_fields(some)} a port of another number, which `up` cannot remove: {edits}")
    if some := sorted_out[Way.STAYS]:
        generated = any(one.ref.kind == "Secret" and one.recorded == MASKED for one in some)
        said = "what berth has said nothing of" + (", or generates only once" if generated else "")
        shown.append(f"[{Way.STAYS}] {_fields(some)} {said}: `up` leaves it")
    if sorted_out[Way.UP] or force:
        shown.append("give `up` the same --values and --set as last time")
    return shown


def _fields(some: Sequence[Drift]) -> str:
    return "1 field is" if len(some) == 1 else f"{len(some)} fields are"


def total(drifts: Sequence[Sequence[Drift]]) -> str:
    """How much drift there is, in one line."""
    fields = [one for some in drifts for one in some]
    if not fields:
        return "no drift"
    objects, releases = len({one.ref for one in fields}), sum(1 for some in drifts if some)
    parts = [(len(fields), "field"), (objects, "object"), (releases, "release")]
    return "drift: " + " of ".join(f"{count} {word}{'' if count == 1 else 's'}" for count, word in parts)


def as_json(record: Recorded, fields: Sequence[Drift], where: Sequence[str] = ()) -> dict[str, Any]:
    """One release for machines; ``commands`` say what takes back what, by its way."""
    ways = {one.way for one in fields}
    command = again(record, where)
    force = f"{command} --force-conflicts"
    commands = {Way.UP: force if Way.FORCE in ways else command, Way.FORCE: force}
    return {
        "release": record.name,
        "namespace": record.namespace,
        "profile": record.profile,
        "environment": record.environment,
        "revision": record.revision,
        "status": record.status,
        "drift": [
            {
                "kind": one.ref.kind,
                "name": one.ref.name,
                "path": one.path,
                "recorded": one.recorded,
                "live": one.live,
                "manager": one.manager,
                "way": one.way.value,
            }
            for one in fields
        ],
        "commands": {way.value: text for way, text in commands.items() if way in ways},
    }
