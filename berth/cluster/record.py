"""What is known of a release, and the Secret that holds it.

The Secret is also the parent object of an ApplySet, so that kubectl understands the inventory. Labels, annotations and
their forms: KEP-3659 and k8s.io/kubectl/pkg/cmd/apply/applyset.go (``contains-group-resources`` is deprecated there in
favour of ``contains-group-kinds``). A Secret, because values and manifests may say more than everyone should read.
"""

from __future__ import annotations

import json
import zlib
from base64 import b64decode, b64encode
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import datetime
from hashlib import blake2b
from typing import Any, Literal, TypeAlias

from berth import __version__
from berth.core.errors import ClusterError
from berth.core.objects import MANAGED_BY_LABEL, Json, ObjectRef, applyset_id, record_name

#: The Secret's type, and the label that carries the release's name, by which releases are listed.
RECORD_TYPE = "berth.dev/release.v1"
RELEASE_LABEL = "berth.dev/release"
#: What the JSON inside looks like; a newer number is refused, not guessed at.
SCHEMA = 2
#: Bytes of data that a record may have: a Secret may have 1 MiB, keys included.
MAX_BYTES = 900 * 1024
MAX_HISTORY = 10

APPLYSET_ID = "applyset.kubernetes.io/id"
APPLYSET_TOOLING = "applyset.kubernetes.io/tooling"
APPLYSET_KINDS = "applyset.kubernetes.io/contains-group-kinds"
APPLYSET_NAMESPACES = "applyset.kubernetes.io/additional-namespaces"

_KEY = "release"

#: What became of a release: pending until a run has ended one way or the other, held where a rollout stands still.
ReleaseStatus: TypeAlias = Literal[
    "pending", "deployed", "failed", "interrupted", "held", "removing", "removed", "orphaned"
]


@dataclass(frozen=True, slots=True)
class Entry:
    """One object of the release.

    ``uid``, ``manifest_hash`` and ``live_digest`` are "" until it was applied. ``created`` is False for an object that
    existed before us and was not handed over, which `teardown` therefore leaves.
    """

    ref: ObjectRef
    uid: str = ""
    manifest_hash: str = ""
    live_digest: str = ""
    created: bool = True


@dataclass(frozen=True, slots=True)
class Revision:
    """One run over the release that ended; ``values`` with the secret ones masked.

    ``manifests`` are there for those that came to their end, so that one can go back to them; where a record grows too
    large, the oldest lose them. ``action`` says what the run was: up, scale, rollout, rollback to 3.
    """

    revision: int
    time: datetime
    user: str
    result: str
    profile_version: str
    values: Json
    berth_version: str = __version__
    action: str = "up"
    environment: str | None = None
    manifests: tuple[Json, ...] = ()


@dataclass(frozen=True, slots=True)
class Rollout:
    """A change of pods that goes ordinal by ordinal and has not come to its end.

    ``origin`` is the revision that it started from, 0 where none is recorded; ``partition`` the one that its set is to
    have at the end; ``held`` why it stands still, "" while it is under way.
    """

    set_name: str
    origin: int
    partition: int = 0
    held: str = ""


@dataclass(frozen=True, slots=True)
class ReleaseRecord:
    """What is known of a release. ``resource_version`` is "" for a record that was not saved yet.

    ``scaling`` is the step (from, to) by which its set is scaled and which has not ended; (from, 0) for one that rests.
    ``rollout`` is there until it has come to its end or was undone. ``site`` is the site that it belongs to, or "".
    """

    name: str
    namespace: str
    profile: str
    profile_version: str
    environment: str | None
    values: Json
    status: str
    revision: int
    inventory: tuple[Entry, ...]
    history: tuple[Revision, ...]
    manifests: tuple[Json, ...]
    updated: datetime
    resource_version: str = ""
    uid: str = ""
    scaling: tuple[int, int] | None = None
    rollout: Rollout | None = None
    site: str = ""

    @property
    def ref(self) -> ObjectRef:
        """The Secret that holds it."""
        return ObjectRef("", "Secret", self.namespace, record_name(self.name))


class UnreadableError(ClusterError):
    """The Secret is there, and is not a record that this version can read."""


#: Kept by the server or by controllers; they change without anyone changing the object.
_SERVER_FIELDS = frozenset(
    {
        "creationTimestamp",
        "deletionGracePeriodSeconds",
        "generation",
        "managedFields",
        "resourceVersion",
        "selfLink",
        "uid",
    }
)
_CONTROLLER_ANNOTATIONS = frozenset(
    {"deployment.kubernetes.io/revision", "kubectl.kubernetes.io/last-applied-configuration"}
)


def live_digest(body: Mapping[str, Any]) -> str:
    """A digest of what a live object says, without status and what the server keeps in its metadata.

    An object whose digest is the one that our last apply left, under a manifest that is the same too, is as we want
    it: an unchanged run needs no dry run to know. Equal in every process and on every machine.
    """
    meta = {key: value for key, value in body["metadata"].items() if key not in _SERVER_FIELDS}
    annotations = {
        key: value for key, value in (meta.pop("annotations", None) or {}).items() if key not in _CONTROLLER_ANNOTATIONS
    }
    if annotations:
        meta["annotations"] = annotations
    rest = {key: value for key, value in body.items() if key not in ("status", "metadata", "apiVersion")}
    text = json.dumps({**rest, "metadata": meta}, sort_keys=True, separators=(",", ":"))
    return blake2b(text.encode(), digest_size=16).hexdigest()


def secret_of(record: ReleaseRecord, packed: bytes) -> Json:
    """The Secret that holds the record."""
    spaced = [entry.ref for entry in record.inventory if entry.ref.namespace]
    kinds = sorted({ref.kind + (f".{ref.group}" if ref.group else "") for ref in spaced})
    elsewhere = sorted({ref.namespace for ref in spaced} - {record.namespace})
    meta: Json = {
        "name": record.ref.name,
        "namespace": record.namespace,
        "labels": {
            MANAGED_BY_LABEL: "berth",
            RELEASE_LABEL: record.name,
            APPLYSET_ID: applyset_id(record.name, record.namespace),
        },
        "annotations": {
            APPLYSET_TOOLING: f"berth/v{__version__}",
            APPLYSET_KINDS: ",".join(kinds),
            **({APPLYSET_NAMESPACES: ",".join(elsewhere)} if elsewhere else {}),
        },
    }
    if record.resource_version:
        meta["resourceVersion"] = record.resource_version
    data = {_KEY: b64encode(packed).decode()}
    return {"apiVersion": "v1", "kind": "Secret", "type": RECORD_TYPE, "metadata": meta, "data": data}


def fit(record: ReleaseRecord) -> tuple[ReleaseRecord, bytes]:
    """What is kept of the record, and that compressed; when too large, less of the past, the oldest first.

    What one could go back to goes first, then values, then whole revisions.

    Raises:
        ClusterError: it does not fit without any past.
    """
    kept = replace(
        record,
        manifests=tuple(map(_without_data, record.manifests)),
        history=tuple(
            replace(revision, manifests=tuple(map(_without_data, revision.manifests)))
            for revision in record.history[-MAX_HISTORY:]
        ),
    )
    while len(data := _squeeze(kept)) > MAX_BYTES:
        if not kept.history:
            raise ClusterError(
                f"the record of release {record.name} does not fit into a Secret",
                where=str(record.ref),
                why=f"it has {len(data) // 1024} KiB compressed, and {MAX_BYTES // 1024} are the limit",
                hint="make the manifests smaller, for instance large ConfigMaps",
            )
        kept = replace(kept, history=_less(kept.history))
    return kept, data


def _less(history: tuple[Revision, ...]) -> tuple[Revision, ...]:
    for field in ("manifests", "values"):
        for index, revision in enumerate(history[:-1]):
            if getattr(revision, field):
                thinner = replace(revision, manifests=(), values=revision.values if field == "manifests" else {})
                return (*history[:index], thinner, *history[index + 1 :])
    return history[1:]


def _squeeze(record: ReleaseRecord) -> bytes:
    objects: dict[str, Json] = {}

    def stored(bodies: Sequence[Json]) -> list[str]:
        """The keys under which bodies are kept, each once however many revisions have it."""
        keys = []
        for body in bodies:
            text = json.dumps(body, sort_keys=True, separators=(",", ":"))
            keys.append(blake2b(text.encode(), digest_size=8).hexdigest())
            objects[keys[-1]] = body
        return keys

    body = {
        "schema": SCHEMA,
        "name": record.name,
        "profile": record.profile,
        "profileVersion": record.profile_version,
        "environment": record.environment,
        "values": record.values,
        "status": record.status,
        "revision": record.revision,
        "updated": record.updated.isoformat(),
        "inventory": [_entry(entry) for entry in record.inventory],
        "history": [_revision(revision, stored(revision.manifests)) for revision in record.history],
        "manifests": stored(record.manifests),
        "objects": objects,
        **({"scaling": record.scaling} if record.scaling else {}),
        **({"rollout": asdict(record.rollout)} if record.rollout else {}),
        **({"site": record.site} if record.site else {}),
    }
    # zlib's gzip header has no time in it: the same record gives the same bytes.
    packer = zlib.compressobj(level=6, wbits=31)
    return packer.compress(json.dumps(body, separators=(",", ":")).encode()) + packer.flush()


def _entry(entry: Entry) -> Json:
    ref = entry.ref
    return {
        "ref": [ref.group, ref.kind, ref.namespace, ref.name],
        "uid": entry.uid,
        "manifest_hash": entry.manifest_hash,
        "live_digest": entry.live_digest,
        "created": entry.created,
    }


def _revision(revision: Revision, manifests: list[str]) -> Json:
    return {
        "revision": revision.revision,
        "time": revision.time.isoformat(),
        "user": revision.user,
        "result": revision.result,
        "profile_version": revision.profile_version,
        "values": revision.values,
        "berth_version": revision.berth_version,
        "action": revision.action,
        "environment": revision.environment,
        "manifests": manifests,
    }


def _without_data(body: Json) -> Json:
    """A manifest as it may be kept: a Secret's values have no place in a second Secret."""
    if body.get("kind") != "Secret":
        return body
    return {
        key: {name: "" for name in value} if key in ("data", "stringData") and value else value
        for key, value in body.items()
    }


def read(secret: Json) -> ReleaseRecord:
    """The record that a Secret holds.

    Raises:
        UnreadableError: it holds none that this version can read.
    """
    meta = secret["metadata"]
    where = str(ObjectRef.of({"apiVersion": "v1", "kind": "Secret", "metadata": meta}))
    try:
        text = zlib.decompress(b64decode((secret.get("data") or {})[_KEY]), wbits=31)
        body = json.loads(text)
        schema = int(body["schema"])
    except (KeyError, TypeError, ValueError, zlib.error) as error:
        raise _broken(where, error) from None
    if schema > SCHEMA:
        raise UnreadableError(
            "the record of a release was written by a newer berth",
            where=where,
            why=f"it has schema {schema}, and this berth knows {SCHEMA}",
            hint="upgrade berth",
        )
    try:
        objects = body.get("objects") or {}

        def kept(stored: Sequence[Any]) -> tuple[Json, ...]:
            # Schema 1 had the bodies themselves.
            return tuple(objects[one] if isinstance(one, str) else one for one in stored)

        return ReleaseRecord(
            name=str(body["name"]),
            namespace=str(meta["namespace"]),
            profile=str(body["profile"]),
            profile_version=str(body["profileVersion"]),
            environment=body["environment"],
            values=body["values"],
            status=str(body["status"]),
            revision=int(body["revision"]),
            inventory=tuple(Entry(**{**entry, "ref": ObjectRef(*entry["ref"])}) for entry in body["inventory"]),
            history=tuple(
                Revision(
                    **{
                        **revision,
                        "time": datetime.fromisoformat(revision["time"]),
                        "manifests": kept(revision.get("manifests", ())),
                    }
                )
                for revision in body["history"]
            ),
            manifests=kept(body["manifests"]),
            updated=datetime.fromisoformat(body["updated"]),
            resource_version=str(meta.get("resourceVersion", "")),
            uid=str(meta.get("uid", "")),
            scaling=(int(body["scaling"][0]), int(body["scaling"][1])) if body.get("scaling") else None,
            rollout=Rollout(**body["rollout"]) if body.get("rollout") else None,
            site=str(body.get("site", "")),
        )
    except (IndexError, KeyError, TypeError, ValueError) as error:
        raise _broken(where, error) from None


def _broken(where: str, error: Exception) -> UnreadableError:
    return UnreadableError(
        "the record of a release cannot be read",
        where=where,
        why=f"its data is damaged ({type(error).__name__})",
        hint="restore the Secret from a backup; or delete it, and `up` adopts what it finds under the same names",
    )
