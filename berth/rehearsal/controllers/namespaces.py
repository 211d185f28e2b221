"""Namespaces: what every one of them holds from the start, and how one that is deleted is emptied.

Source: kubernetes pkg/controller/namespace/deletion, pkg/controller/serviceaccount and
pkg/controller/certificates/rootcacertpublisher.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from typing import TYPE_CHECKING

from berth.core.objects import Json
from berth.rehearsal.controllers.podstate import is_terminal
from berth.rehearsal.kinds import CONFIG_MAPS, EVENTS, KINDS, NAMESPACES, PODS, SERVICE_ACCOUNTS, Kind
from berth.rehearsal.refusal import ApiError
from berth.rehearsal.store import Change

if TYPE_CHECKING:
    from berth.rehearsal.world import Key, World

ROOT_CERTIFICATES = "kube-root-ca.crt"
_DESCRIPTION = (
    "Contains a CA bundle that can be used to verify the kube-apiserver when using internal endpoints such as the "
    "internal service IP or kubernetes.default.svc. No other usage is guaranteed across distributions of Kubernetes "
    "clusters."
)
#: Nothing is signed in a rehearsal, so there is no authority whose certificate could stand here.
_NO_CERTIFICATE = "# a rehearsal has no certificate authority\n"
#: Virtual seconds from the deletion of a namespace until it is emptied. A real cluster takes 5, to let all of its API
#: servers see the deletion first; there is one here.
DELAY = 0.5
#: Virtual seconds between looks into a namespace that is not empty yet. A real cluster takes from 1 to 60.
RHYTHM = 0.1

#: Type, and reason and message while all is well, in the order in which they are written.
_CONDITIONS = (
    ("NamespaceDeletionDiscoveryFailure", "ResourcesDiscovered", "All resources successfully discovered"),
    ("NamespaceDeletionGroupVersionParsingFailure", "ParsedGroupVersions", "All legacy kube types successfully parsed"),
    (
        "NamespaceDeletionContentFailure",
        "ContentDeleted",
        "All content successfully deleted, may be waiting on finalization",
    ),
    ("NamespaceContentRemaining", "ContentRemoved", "All content successfully removed"),
    ("NamespaceFinalizersRemaining", "ContentHasNoFinalizers", "All content-preserving finalizers finished"),
)


class NamespaceController:
    """Gives namespaces their default ServiceAccount and certificates, and empties those that are deleted."""

    name = "namespace"

    def __init__(self, world: World) -> None:
        """Work on a world."""
        self._world = world
        self._client = world.client("kube-controller-manager")
        self._emptying: set[str] = set()
        self._awaited: set[str] = set()

    def interested(self, change: Change) -> Iterable[Key]:
        """A namespace that changed, or one that lost something it needs, or waits to lose."""
        kind = change.kind
        if kind is NAMESPACES:
            name = change.key[1]
            if change.type == "DELETED":
                self._emptying.discard(name)
                return ()
            if "deletionTimestamp" not in change.object["metadata"]:
                return (("", name),)
            if name not in self._emptying:
                self._emptying.add(name)
                self._look_in(name, DELAY)
            return ()
        if change.type == "DELETED":
            space = change.key[0]
            if space in self._emptying:
                self._look_in(space, RHYTHM)
            elif kind is SERVICE_ACCOUNTS or kind is CONFIG_MAPS:
                return (("", space),)
        return ()

    def _look_in(self, name: str, seconds: float) -> None:
        """Come back to a namespace in a while, once for all that happens until then."""
        if name not in self._awaited:
            self._awaited.add(name)
            self._world.at(seconds, lambda: self._world.enqueue(self, ("", name)))

    def sync(self, key: Key) -> None:
        """See to one namespace. Raises ApiError where that has to be done again."""
        name = key[1]
        self._awaited.discard(name)
        space = self._client.get(NAMESPACES, "", name)
        if space is None:
            return
        if "deletionTimestamp" not in space["metadata"]:
            self._furnish(name)
        elif (space.get("spec") or {}).get("finalizers"):
            self._empty(space)

    def _furnish(self, name: str) -> None:
        if self._client.get(SERVICE_ACCOUNTS, name, "default") is None:
            meta: Json = {"name": "default", "namespace": name}
            self._client.create(SERVICE_ACCOUNTS, {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": meta})
        if self._client.get(CONFIG_MAPS, name, ROOT_CERTIFICATES) is None:
            annotations = {"kubernetes.io/description": _DESCRIPTION}
            meta = {"name": ROOT_CERTIFICATES, "namespace": name, "annotations": annotations}
            data = {"ca.crt": _NO_CERTIFICATE}
            self._client.create(CONFIG_MAPS, {"apiVersion": "v1", "kind": "ConfigMap", "metadata": meta, "data": data})

    def _empty(self, space: Json) -> None:
        """Delete what is in the namespace, pods before all else, and let it go once nothing is left."""
        name = space["metadata"]["name"]
        errors: list[ApiError] = []
        remaining = self._sweep(name, (PODS,), errors)
        pods_left = bool(remaining)
        if not pods_left:
            others = tuple(kind for kind in KINDS if kind.namespaced and kind is not PODS)
            remaining = self._sweep(name, others, errors)
        # While pods are left the real controller says nothing of them: it only counts what comes after them.
        said = {} if pods_left else remaining
        space = self._tell(space, said, errors)
        if errors:
            raise errors[0]
        if not remaining:
            self._finalize(space)

    def _sweep(self, name: str, kinds: Iterable[Kind], errors: list[ApiError]) -> dict[Kind, list[Json]]:
        remaining = {}
        for kind in kinds:
            for body in self._client.list(kind, name):
                if "deletionTimestamp" not in body["metadata"] or (kind is PODS and is_terminal(body)):
                    try:
                        self._client.delete(kind, name, body["metadata"]["name"])
                    except ApiError as error:
                        if error.code != 404:
                            errors.append(error)
            left = self._client.list(kind, name)
            if left:
                remaining[kind] = left
        return remaining

    def _tell(self, space: Json, remaining: dict[Kind, list[Json]], errors: list[ApiError]) -> Json:
        """Write what is left, and why, as the namespace's conditions."""
        bad: dict[str, tuple[str, str]] = {}
        if errors:
            words = ", ".join(sorted(error.message for error in errors))
            message = f"Failed to delete all resource types, {len(errors)} remaining: {words}"
            bad["NamespaceDeletionContentFailure"] = ("ContentDeletionFailed", message)
        if remaining:
            counts = sorted(
                f"{kind.plural}.{kind.group} has {len(left)} resource instances" for kind, left in remaining.items()
            )
            message = f"Some resources are remaining: {', '.join(counts)}"
            bad["NamespaceContentRemaining"] = ("SomeResourcesRemain", message)
        holders = Counter(
            finalizer
            for left in remaining.values()
            for body in left
            for finalizer in body["metadata"].get("finalizers") or ()
        )
        if holders:
            words = ", ".join(sorted(f"{name} in {count} resource instances" for name, count in holders.items()))
            message = f"Some content in the namespace has finalizers remaining: {words}"
            bad["NamespaceFinalizersRemaining"] = ("SomeFinalizersRemain", message)
        status = space.get("status") or {}
        known = {condition["type"]: condition for condition in status.get("conditions") or ()}
        for kind, reason, message in _CONDITIONS:
            said = ("True", *bad[kind]) if kind in bad else ("False", reason, message)
            known[kind] = self._condition(kind, said, known.get(kind))
        conditions = list(known.values())
        if conditions == (status.get("conditions") or []):
            return space
        return self._client.update_status(NAMESPACES, {**space, "status": {**status, "conditions": conditions}})

    def _condition(self, kind: str, said: tuple[str, str, str], old: Json | None) -> Json:
        value, reason, message = said
        same = old is not None and old["status"] == value
        since = old["lastTransitionTime"] if old is not None and same else self._world.clock.timestamp()
        return {"type": kind, "status": value, "lastTransitionTime": since, "reason": reason, "message": message}

    def _finalize(self, space: Json) -> None:
        spec = {**space["spec"], "finalizers": [name for name in space["spec"]["finalizers"] if name != "kubernetes"]}
        name = space["metadata"]["name"]
        self._client.update(NAMESPACES, {**space, "spec": spec})
        # What a controller wrote on the way out (an Event that tells of its failure) would else outlive the namespace.
        for body in self._client.list(EVENTS, name):
            self._client.delete(EVENTS, name, body["metadata"]["name"])
