"""The three kinds of patch that change an object from what it is: JSON patch, merge patch and strategic merge patch.

All are pure: the object and the patch are left as they are, and what did not change may be shared with the result.
The refusals are the API server's own, quirks included; each was asked of a real one (1.36). A JSON patch that does not
apply says nothing of why: the API server keeps the reason to itself.
"""

from __future__ import annotations

from berth.rehearsal.patches.gotext import go_text
from berth.rehearsal.patches.merging import merge_patch
from berth.rehearsal.patches.operations import json_patch, unknown_in_operations
from berth.rehearsal.patches.strategic import strategic_merge

__all__ = ["go_text", "json_patch", "merge_patch", "strategic_merge", "unknown_in_operations"]
