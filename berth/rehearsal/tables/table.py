"""The Table of objects that a client asked for with ``as=Table``."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from berth.core.objects import Json
from berth.rehearsal.kinds import Kind
from berth.rehearsal.refusal import bad_request
from berth.rehearsal.tables import cells
from berth.rehearsal.tables.columns import COLUMNS
from berth.rehearsal.tables.pods import pod_cells, pod_conditions

#: What ``includeObject`` may be.
INCLUDES = ("Metadata", "Object", "None", "")


def table(kind: Kind, objects: Iterable[Json], now: float, include: str = "Metadata", *, headers: bool = True) -> Json:
    """The objects as rows, with ages as of ``now`` (seconds since the epoch).

    ``include`` says what each row carries of its object; nothing is the metadata. Without ``headers`` the columns are
    null, as in all but the first event of a watch. The list's metadata (resourceVersion, continue) is the caller's.

    Raises:
        ApiError: 400, ``include`` is none of `INCLUDES`.
    """
    if include not in INCLUDES:
        words = f"includeObject: Invalid value: \"{include}\": must be 'Metadata', 'Object', 'None', or empty"
        raise bad_request(f"Unable to convert to Table as requested: {words}")
    columns = [
        {"name": name, "type": kept, "format": "name" if shown == "name" else "", "description": "", "priority": wide}
        for name, kept, shown, wide in COLUMNS[kind.key]
    ]
    return {
        "kind": "Table",
        "apiVersion": "meta.k8s.io/v1",
        "metadata": {},
        "columnDefinitions": columns if headers else None,
        "rows": [_row(kind, one, now, include) for one in objects],
    }


def _row(kind: Kind, one: Json, now: float, include: str) -> Json:
    if kind.key == "pods":
        row: dict[str, Any] = {"cells": pod_cells(one, now)}
        conditions = pod_conditions(one)
        if conditions:
            row["conditions"] = conditions
    else:
        row = {"cells": cells.OF[kind.key](one, now)}
    if include == "Object":
        row["object"] = one
    elif include == "None":
        row["object"] = None
    else:
        about = {"kind": "PartialObjectMetadata", "apiVersion": "meta.k8s.io/v1"}
        row["object"] = {**about, "metadata": one.get("metadata") or {}}
    return row
