"""Objects and lists in the form that a client wants them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from berth.core.objects import Json
from berth.rehearsal.kinds import Kind
from berth.rehearsal.server.listing import Page
from berth.rehearsal.server.negotiation import METADATA, METADATA_LIST, TABLE, Form

#: Where the objects of a list say their kind: nowhere, the list says it for all.
_SAID_BY_LIST = ("apiVersion", "kind")


def one(kind: Kind, body: Json, form: Form, now: float, include: str) -> Json:
    """One object; a Status is shown as it is."""
    if body.get("kind") == "Status" or not form.shape:
        return body
    if form.shape == TABLE:
        return table(kind, [body], form, now, include, {"resourceVersion": body["metadata"].get("resourceVersion", "")})
    if form.shape == METADATA:
        return _metadata(body, form)
    return body


def many(kind: Kind, page: Page, form: Form, now: float, include: str) -> Json:
    """A list of objects."""
    about: Json = {"resourceVersion": str(page.version)}
    if page.token:
        about["continue"] = page.token
    if page.remaining is not None:
        about["remainingItemCount"] = page.remaining
    if form.shape == TABLE:
        return table(kind, page.items, form, now, include, about)
    if form.shape == METADATA_LIST:
        items = [_metadata(body, form) for body in page.items]
        return {
            "kind": METADATA_LIST,
            "apiVersion": f"meta.k8s.io/{form.version}",
            "metadata": about,
            "items": items,
        }
    items = [{key: value for key, value in body.items() if key not in _SAID_BY_LIST} for body in page.items]
    return {"kind": f"{kind.kind}List", "apiVersion": kind.api_version, "metadata": about, "items": items}


def scale(body: Json, form: Form, now: float) -> Json:
    """A Scale; of all that is no kind of its own, the only thing that is shown as a Table."""
    if form.shape == METADATA:
        return _metadata(body, form)
    if form.shape != TABLE:
        return body
    from berth.rehearsal.tables.text import age

    meta = body["metadata"]
    columns = [("Name", "string"), ("Desired", "integer"), ("Available", "integer"), ("Age", "string")]
    cells = [meta["name"], body["spec"]["replicas"], body["status"]["replicas"], age(body, now)]
    return {
        "kind": TABLE,
        "apiVersion": f"meta.k8s.io/{form.version}",
        "metadata": {"resourceVersion": meta.get("resourceVersion", "")},
        "columnDefinitions": [
            {"name": name, "type": sort, "format": "", "description": "", "priority": 0} for name, sort in columns
        ],
        "rows": [{"cells": cells, "object": _metadata(body, form)}],
    }


def table(
    kind: Kind,
    objects: Sequence[Json],
    form: Form,
    now: float,
    include: str,
    about: Json,
    *,
    headers: bool = True,
) -> Json:
    """Objects as rows; ``about`` is the table's metadata.

    Raises:
        ApiError: 400, ``include`` is nothing that rows can have.
    """
    from berth.rehearsal import tables

    made: Json = tables.table(kind, objects, now, include, headers=headers)
    about = {key: value for key, value in about.items() if value}
    made = {**made, "apiVersion": f"meta.k8s.io/{form.version}", "metadata": about}
    if form.version == "v1" or include == "None":
        return made
    rows: list[Any] = [
        {**row, "object": {**row["object"], "apiVersion": f"meta.k8s.io/{form.version}"}}
        if row["object"].get("kind") == METADATA
        else row
        for row in made["rows"]
    ]
    return {**made, "rows": rows}


def _metadata(body: Json, form: Form) -> Json:
    return {"kind": METADATA, "apiVersion": f"meta.k8s.io/{form.version}", "metadata": body["metadata"]}
