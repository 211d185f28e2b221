"""NamespaceLifecycle: nothing new goes into a namespace that is not there or is going."""

from __future__ import annotations

from berth.core.objects import Json
from berth.rehearsal.admission.view import CREATE, DELETE, refuse_early
from berth.rehearsal.jsontree import dig
from berth.rehearsal.kinds import NAMESPACES, Kind
from berth.rehearsal.refusal import ApiError, forbidden, not_found

#: Namespaces that cannot be deleted.
IMMORTAL = frozenset({"default", "kube-public", "kube-system"})


def lifecycle(kind: Kind, operation: str, obj: Json, namespace: Json | None) -> None:
    """Let it pass.

    Raises:
        ApiError: 404 for a namespace that does not exist, 403 for one that is being terminated or must stay.
    """
    if kind.key == NAMESPACES.key and operation == DELETE and obj["metadata"]["name"] in IMMORTAL:
        raise forbidden(kind, obj["metadata"]["name"], "this namespace may not be deleted")
    if not kind.namespaced or operation == DELETE:
        return
    name = str(obj["metadata"].get("namespace", ""))
    if namespace is None:
        raise not_found(NAMESPACES, name)
    if operation == CREATE and dig(namespace, "status", "phase") == "Terminating":
        raise _terminating(kind, obj, name)


def _terminating(kind: Kind, obj: Json, namespace: str) -> ApiError:
    error = refuse_early(
        kind, obj, f"unable to create new content in namespace {namespace} because it is being terminated"
    )
    cause = {
        "reason": "NamespaceTerminating",
        "message": f"namespace {namespace} is being terminated",
        "field": "metadata.namespace",
    }
    return ApiError(error.code, error.reason, error.message, {**(error.details or {}), "causes": [cause]})
