"""Claims that pods use, and volumes that claims use, are not deleted before they are free.

Their finalizers are put there by admission; here they are taken away, when the object is being deleted and nobody uses
it. Source: kubernetes pkg/controller/volume/pvcprotection and pvprotection.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from berth.core.objects import Json
from berth.rehearsal.controllers.claim_users import ClaimUsers
from berth.rehearsal.controllers.volumes import CLAIM_PROTECTION, VOLUME_PROTECTION
from berth.rehearsal.kinds import CLAIMS, PODS, VOLUMES, Kind
from berth.rehearsal.store import Change

if TYPE_CHECKING:
    from berth.rehearsal.world import Key, World


class ProtectionController:
    """Lets go of claims and volumes. Keys are (namespace, claim) and ("", volume)."""

    name = "protection"

    def __init__(self, world: World) -> None:
        """Protect what is in use in a world."""
        self._client = world.client("kube-controller-manager")
        self._users = ClaimUsers(world.store)

    def interested(self, change: Change) -> Iterable[Key]:
        """What is being deleted, and what a pod that is gone may have been the last to hold."""
        if change.kind is PODS:
            touched = self._users.observe(change)
            return touched if change.type == "DELETED" else ()
        if change.kind in (CLAIMS, VOLUMES) and "deletionTimestamp" in change.object["metadata"]:
            return (change.key,) if change.type != "DELETED" else ()
        return ()

    def sync(self, key: Key) -> None:
        """Let go of one object, if it is being deleted and nobody uses it."""
        namespace, name = key
        kind, finalizer = (CLAIMS, CLAIM_PROTECTION) if namespace else (VOLUMES, VOLUME_PROTECTION)
        body = self._client.get(kind, namespace, name)
        if body is None or "deletionTimestamp" not in body["metadata"]:
            return
        if finalizer in (body["metadata"].get("finalizers") or ()) and not self._used(body):
            self._release(kind, body, finalizer)

    def _used(self, body: Json) -> bool:
        """Whether a claim is named by a pod that has a node (others never start), or a volume is bound."""
        meta = body["metadata"]
        if meta.get("namespace"):
            users = self._users.of(meta["namespace"], meta["name"])
            return any(pod["spec"].get("nodeName") for pod in users)
        return bool((body.get("status") or {}).get("phase") == "Bound")

    def _release(self, kind: Kind, body: Json, finalizer: str) -> None:
        meta = dict(body["metadata"])
        meta["finalizers"] = [one for one in meta["finalizers"] if one != finalizer]
        self._client.update(kind, {**body, "metadata": meta})
