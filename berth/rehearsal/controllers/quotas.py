"""ResourceQuotas: their status says what the namespace may use, and what it uses.

Whether something still fits is admission's question, which counts for itself; a status is for those who look.
Source: kubernetes pkg/controller/resourcequota.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from berth.rehearsal.admission.quota import status_of
from berth.rehearsal.admission.quota_use import use_of
from berth.rehearsal.kinds import QUOTAS
from berth.rehearsal.store import Change

if TYPE_CHECKING:
    from berth.rehearsal.world import Key, World


class QuotaController:
    """Keeps the status of every quota."""

    name = "resourcequota"

    def __init__(self, world: World) -> None:
        """Work on a world."""
        self._store = world.store
        self._client = world.client("kube-controller-manager")

    def interested(self, change: Change) -> Iterable[Key]:
        """Quotas that changed, and those of a namespace in which something is used that was not, or no longer."""
        namespace = change.key[0]
        if change.kind is QUOTAS and change.type != "DELETED":
            yield change.key
        quotas = self._store.list(QUOTAS, namespace) if namespace else []
        if quotas and _matters(change):
            for quota in quotas:
                yield namespace, quota["metadata"]["name"]

    def sync(self, key: Key) -> None:
        """Bring one status up to date."""
        quota = self._client.get(QUOTAS, *key)
        if quota is None:
            return
        status = status_of(self._store, quota)
        if status != quota.get("status"):
            self._client.update_status(QUOTAS, {**quota, "status": status})


def _matters(change: Change) -> bool:
    if change.type != "MODIFIED" or change.old is None:
        return True
    return use_of(change.kind, change.old) != use_of(change.kind, change.object)
