"""JSON merge patches (RFC 7386)."""

from __future__ import annotations

from typing import Any

from berth.core.objects import Json
from berth.rehearsal.jsontree import clone
from berth.rehearsal.patches.gotext import not_a_map
from berth.rehearsal.refusal import bad_request


def merge_patch(live: Json, patch: Any) -> Json:
    """The object after a JSON merge patch (RFC 7386).

    Raises:
        ApiError: 400 when the patch is no mapping.
    """
    if patch is None:
        raise bad_request("Invalid JSON Patch")
    if not isinstance(patch, dict):
        raise bad_request(f"error decoding patch: {not_a_map(patch)}")
    merged: Json = _merged(live, patch)
    return merged


def _merged(live: Any, patch: Any) -> Any:
    if not isinstance(patch, dict):
        return clone(patch)
    base = live if isinstance(live, dict) else {}
    result = {key: value for key, value in base.items() if key not in patch}
    result |= {key: _merged(base.get(key), value) for key, value in patch.items() if value is not None}
    return result
