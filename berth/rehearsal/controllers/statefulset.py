"""The StatefulSet controller: which sets to look at when, whose pods are whose, revisions, and the status.

Source: kubernetes pkg/controller/statefulset/stateful_set.go and pkg/controller/history.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from berth.core.objects import Json
from berth.rehearsal.clock import Timer
from berth.rehearsal.controllers import revisions as history
from berth.rehearsal.controllers import statefulset_pods as pods
from berth.rehearsal.controllers.ownership import (
    Ownership,
    controller_of,
    controller_reference,
    references,
    with_references,
)
from berth.rehearsal.controllers.podstate import available_at
from berth.rehearsal.controllers.selection import SelectorIndex, labels_of, matches
from berth.rehearsal.controllers.statefulset_effects import Effects
from berth.rehearsal.controllers.statefulset_status import Status
from berth.rehearsal.controllers.statefulset_update import Step
from berth.rehearsal.kinds import CLAIMS, PODS, REVISIONS, STATEFUL_SETS, Kind
from berth.rehearsal.refusal import ApiError
from berth.rehearsal.store import Change

if TYPE_CHECKING:
    from berth.rehearsal.world import Key, World

#: Added to the time at which a pod becomes available, so that rounding does not make the look at it a little early.
_LATE = 0.001


class StatefulSetController:
    """Keeps the pods, claims and revisions of every StatefulSet."""

    name = "statefulset"
    #: Whether this cluster knows spec.updateStrategy.rollingUpdate.maxUnavailable (off by default in 1.36).
    max_unavailable = False

    def __init__(self, world: World) -> None:
        """Work on a world."""
        self._world = world
        self._client = world.client("kube-controller-manager")
        self._effects = Effects(self._client)
        self._owned = Ownership.of(world.store)
        self._selecting = SelectorIndex(world.store, STATEFUL_SETS, lambda body: body["spec"].get("selector"))
        self._timers: dict[Key, Timer] = {}

    def interested(self, change: Change) -> Iterable[Key]:
        """The sets that own, or might adopt, a pod that changed; and sets that changed themselves."""
        if change.kind is STATEFUL_SETS:
            return (change.key,)
        if change.kind is PODS:
            return self._sets_of(change)
        if change.kind is CLAIMS and change.type == "DELETED":
            return self._sets_of_claim(change.object)
        return ()

    def _sets_of(self, change: Change) -> list[Key]:
        keys = []
        ours, before = controller_of(change.object), controller_of(change.old) if change.old else None
        namespace = change.key[0]
        if change.type == "MODIFIED" and before != ours and before is not None:
            keys += self._resolved(namespace, before)
        if ours is not None:
            return keys + self._resolved(namespace, ours)
        changed = change.old is None or labels_of(change.old) != labels_of(change.object) or before is not None
        if change.type != "DELETED" and changed:
            found = self._selecting.selecting(namespace, labels_of(change.object))
            keys += [(namespace, body["metadata"]["name"]) for body in found]
        return keys

    def _sets_of_claim(self, claim: Json) -> list[Key]:
        """The sets whose claim this may have been.

        The real controller does not watch claims: a set that waits for the end of a claim of the pod before goes on at
        its next event, whenever that is. A simulation in which nothing else happens would stand still for ever.
        """
        namespace = claim["metadata"]["namespace"]
        found = self._selecting.selecting(namespace, labels_of(claim))
        return [(namespace, body["metadata"]["name"]) for body in found if pods.Retention.of(body).delete_with_pod]

    def _resolved(self, namespace: str, reference: Json) -> list[Key]:
        if reference["kind"] != "StatefulSet":
            return []
        set_ = self._client.get(STATEFUL_SETS, namespace, reference["name"])
        same = set_ is not None and set_["metadata"]["uid"] == reference["uid"]
        return [(namespace, reference["name"])] if same else []

    def sync(self, key: Key) -> None:
        """Take one step of a set. Raises ApiError where it has to be taken again."""
        timer = self._timers.pop(key, None)
        if timer is not None:
            timer.cancel()
        set_ = self._client.get(STATEFUL_SETS, *key)
        if set_ is None:
            return
        known = self._adopted_revisions(set_)
        if known is None:
            return
        members = self._claimed_pods(set_)
        current, update, known, collisions = self._revisions(set_, known)
        now = self._world.clock.now()
        meta = set_["metadata"]
        names = (current["metadata"]["name"], update["metadata"]["name"])
        outcome = Step(
            self._effects,
            set_,
            history.restored(set_, current),
            history.restored(set_, update),
            members,
            Status(int(meta.get("generation", 0)), *names, collisions),
            now,
            max_unavailable=self.max_unavailable,
        ).take()
        status = outcome.status.completed(set_)
        if status.differs(set_):
            self._write(set_, status)
        live = {*names, *(pods.revision_of(pod) for pod in members)}
        for revision in history.superfluous(known, live, int(set_["spec"].get("revisionHistoryLimit", 10))):
            self._client.delete(REVISIONS, meta["namespace"], revision["metadata"]["name"])
        if outcome.error is not None:
            raise outcome.error
        self._look_again(key, set_, members, status, now)

    def _write(self, set_: Json, status: Status) -> None:
        """Write the status, over what is there now: a claim's or pod's change does not touch the set's version."""
        meta = {key: value for key, value in set_["metadata"].items() if key != "resourceVersion"}
        self._client.update_status(STATEFUL_SETS, {**set_, "metadata": meta, "status": status.to_json()})

    def _look_again(self, key: Key, set_: Json, members: list[Json], status: Status, now: float) -> None:
        """Come back when the next ready pod becomes available (minReadySeconds)."""
        seconds = int(set_["spec"].get("minReadySeconds") or 0)
        if seconds <= 0 or status.ready == status.available:
            return
        dues = [due for pod in members if (due := available_at(pod, seconds)) is not None and due > now]
        wait = min(dues) - now if dues else float(seconds)
        self._timers[key] = self._world.at(wait + _LATE, lambda: self._world.enqueue(self, key))

    def _claimed_pods(self, set_: Json) -> list[Json]:
        """The set's pods by name; on the way matching orphans are adopted, and pods that no longer match released."""
        meta = set_["metadata"]
        deleting = "deletionTimestamp" in meta
        selector = set_["spec"].get("selector")

        def fits(pod: Json) -> bool:
            return matches(selector, labels_of(pod)) and pods.is_member(set_, pod)

        claimed = []
        for pod in self._owned.dependents(meta["uid"], PODS):
            owner = controller_of(pod)
            if owner is None or owner["uid"] != meta["uid"]:
                continue
            if fits(pod):
                claimed.append(pod)
            elif not deleting:
                kept = [ref for ref in references(pod) if ref["uid"] != meta["uid"]]
                self._client.update(PODS, with_references(pod, kept))
        if not deleting:
            for pod in self._owned.unmanaged(PODS, meta["namespace"]):
                if "deletionTimestamp" not in pod["metadata"] and fits(pod):
                    claimed.append(self._adopted(PODS, set_, pod))
        return claimed

    def _adopted(self, kind: Kind, set_: Json, body: Json) -> Json:
        others = [ref for ref in references(body) if ref["uid"] != set_["metadata"]["uid"]]
        return self._client.update(kind, with_references(body, [*others, controller_reference(set_)]))

    def _adopted_revisions(self, set_: Json) -> list[Json] | None:
        """The set's revisions, oldest first, orphans that match adopted; None where a set that ends leaves orphans."""
        meta = set_["metadata"]
        selector = set_["spec"].get("selector")
        orphans = [
            body for body in self._owned.unmanaged(REVISIONS, meta["namespace"]) if matches(selector, labels_of(body))
        ]
        if orphans and "deletionTimestamp" in meta:
            return None
        mine = [self._adopted(REVISIONS, set_, body) for body in orphans]
        for body in self._owned.dependents(meta["uid"], REVISIONS):
            owner = controller_of(body)
            known = any(body["metadata"]["name"] == other["metadata"]["name"] for other in mine)
            if not known and owner is not None and owner["uid"] == meta["uid"] and matches(selector, labels_of(body)):
                mine.append(body)
        return history.in_order(mine)

    def _revisions(self, set_: Json, known: list[Json]) -> tuple[Json, Json, list[Json], int]:
        """The current and the update's revision, all revisions, and the collisions of names so far.

        A template that a revision remembers already is that revision again, with the newest number: a rollback.
        """
        status = set_.get("status") or {}
        collisions = int(status.get("collisionCount") or 0)
        data = history.data_of(set_)
        equal = [body for body in known if body.get("data") == data]
        if equal and known[-1].get("data") == data:
            update = known[-1]
        elif equal:
            update = self._client.update(REVISIONS, {**equal[-1], "revision": history.next_number(known)})
            known = [update if body["metadata"]["name"] == update["metadata"]["name"] else body for body in known]
        else:
            update, collisions = self._created(set_, history.next_number(known), collisions)
        current = next((body for body in known if body["metadata"]["name"] == status.get("currentRevision")), update)
        return current, update, known, collisions

    def _created(self, set_: Json, number: int, collisions: int) -> tuple[Json, int]:
        """Make a revision; a name that another one has counts as a collision and changes the hash."""
        body = history.new_revision(set_, number, collisions)
        meta = body["metadata"]
        while True:
            digest = history.hash_of(body["data"], collisions)
            name = history.revision_name(set_["metadata"]["name"], digest)
            try:
                return self._client.create(REVISIONS, {**body, "metadata": {**meta, "name": name}}), collisions
            except ApiError as error:
                if error.reason != "AlreadyExists":
                    raise
            there = self._client.get(REVISIONS, meta["namespace"], name)
            if there is not None and there.get("data") == body["data"]:
                return there, collisions
            collisions += 1
