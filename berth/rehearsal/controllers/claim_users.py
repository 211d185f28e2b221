"""Which pods use a claim, kept up change by change instead of searched for."""

from __future__ import annotations

from berth.core.objects import Json
from berth.rehearsal.controllers.volumes import claims_of
from berth.rehearsal.kinds import PODS
from berth.rehearsal.store import Change, Store


class ClaimUsers:
    """The pods by the claims that they name."""

    def __init__(self, store: Store) -> None:
        """Read the pods from a store; `observe` must be given every change."""
        self._store = store
        self._names: dict[tuple[str, str], dict[str, None]] = {}

    def observe(self, change: Change) -> list[tuple[str, str]]:
        """Take note of a change; the claims that it touches. A pod's claims never change."""
        if change.kind is not PODS:
            return []
        namespace, pod = change.key
        claims = [(namespace, name) for name in claims_of(change.object)]
        for key in claims:
            if change.type == "DELETED":
                users = self._names.get(key, {})
                users.pop(pod, None)
                if not users:
                    self._names.pop(key, None)
            else:
                self._names.setdefault(key, {})[pod] = None
        return claims

    def of(self, namespace: str, claim: str) -> list[Json]:
        """The pods that name the claim, by name."""
        found = (self._store.get(PODS, namespace, name) for name in sorted(self._names.get((namespace, claim), ())))
        return [pod for pod in found if pod is not None]
