"""Admission: what the API server adds to an object, and what it refuses, beyond the object's own validity.

The plug-ins that a server of 1.36 runs by default, as far as our kinds meet them. `mutate` comes before validation and
`check` after it, so that a pod which is both invalid and insecure is told the former.
Nothing here writes: the view answers get and list, and what an allocator gave away is read from the objects.
"""

from __future__ import annotations

from berth.rehearsal.admission.plugins import check, mutate, topology_labels
from berth.rehearsal.admission.view import CREATE, DELETE, UPDATE, View

__all__ = ["CREATE", "DELETE", "UPDATE", "View", "check", "mutate", "topology_labels"]
