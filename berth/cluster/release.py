"""The record of a release: a Secret in its namespace that holds inventory, history and manifests.

The Secret is also the parent object of an ApplySet, so that kubectl understands the inventory. Labels, annotations and
their forms: KEP-3659 and k8s.io/kubectl/pkg/cmd/apply/applyset.go (``contains-group-resources`` is deprecated there in
favour of ``contains-group-kinds``). A Secret, because values and manifests may say more than everyone should read.
"""

from __future__ import annotations

import json
import zlib
from base64 import b64decode, b64encode
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from hashlib import blake2b
from typing import Any, Literal, TypeAlias

from berth import __version__
from berth.cluster.kube import Kube
from berth.cluster.refusals import ExistsError, MissingError, StaleError
from berth.core.errors import ClusterError, ConflictError, InputError, did_you_mean
from berth.core.objects import MANAGED_BY_LABEL, Json, ObjectRef, applyset_id, record_name

#: The Secret's type, and the label that carries the release's name, by which releases are listed.
RECORD_TYPE = "berth.dev/release.v1"
RELEASE_LABEL = "berth.dev/release"
#: What the JSON inside looks like; a newer number is refused, not guessed at.
SCHEMA = 1
#: Bytes of data that a record may have: a Secret may have 1 MiB, keys included.
MAX_BYTES = 900 * 1024
MAX_HISTORY = 10

APPLYSET_ID = "applyset.kubernetes.io/id"
APPLYSET_TOOLING = "applyset.kubernetes.io/tooling"
APPLYSET_KINDS = "applyset.kubernetes.io/contains-group-kinds"
APPLYSET_NAMESPACES = "applyset.kubernetes.io/additional-namespaces"

_KEY = "release"

#: What became of a release: pending until `up` has ended one way or the other.
ReleaseStatus: TypeAlias = Literal["pending", "deployed", "failed", "interrupted", "removing", "removed", "orphaned"]


@dataclass(frozen=True, slots=True)
class Entry:
    """One object of the release.

    ``uid``, ``manifest_hash`` and ``live_digest`` are "" until it was applied. ``created`` is False for an object that
    existed before us, which `teardown` therefore leaves.
    """

    ref: ObjectRef
    uid: str = ""
    manifest_hash: str = ""
    live_digest: str = ""
    created: bool = True


@dataclass(frozen=True, slots=True)
class Revision:
    """One run over the release that ended; ``values`` with the secret ones masked."""

    revision: int
    time: datetime
    user: str
    result: str
    profile_version: str
    values: Json
    berth_version: str = __version__


@dataclass(frozen=True, slots=True)
class ReleaseRecord:
    """What is known of a release. ``resource_version`` is "" for a record that was not saved yet.

    ``scaling`` is the step (from, to) by which its set is scaled and which has not ended; (from, 0) for one that rests.
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

    @property
    def ref(self) -> ObjectRef:
        """The Secret that holds it."""
        return ObjectRef("", "Secret", self.namespace, record_name(self.name))


class UnreadableError(ClusterError):
    """The Secret is there, and is not a record that this version can read."""


def load(kube: Kube, namespace: str, name: str) -> ReleaseRecord | None:
    """The record of a release, None when there is none.

    Raises:
        UnreadableError: the Secret is there, and is not a record that this version can read.
    """
    body = kube.get(ObjectRef("", "Secret", namespace, record_name(name)))
    return None if body is None else _read(body)


def list_releases(kube: Kube, namespace: str | None = None) -> tuple[ReleaseRecord, ...]:
    """The records of all releases in a namespace, or everywhere for None, by namespace and name."""
    selector = f"{MANAGED_BY_LABEL}=berth,{RELEASE_LABEL}"
    items = kube.list("", "Secret", namespace, label_selector=selector, field_selector=f"type={RECORD_TYPE}").items
    return tuple(sorted((_read(item) for item in items), key=lambda record: (record.namespace, record.name)))


def find_release(kube: Kube, namespace: str, name: str | None, profile: str | None) -> ReleaseRecord:
    """The release of a name, or the only one of a profile.

    Raises:
        InputError: there is none, or several.
    """
    if name and (record := load(kube, namespace, name)):
        return record
    found = list_releases(kube, namespace)
    matching = [] if name else [record for record in found if record.profile == profile]
    if len(matching) > 1:
        names = ", ".join(record.name for record in matching)
        raise InputError(f"the profile {profile} is installed several times: {names}", hint="--name NAME")
    if not matching:
        close = did_you_mean(str(name or profile), {record.name if name else record.profile for record in found})
        what = f"release {name}" if name else f"release of the profile {profile}"
        raise InputError(f"there is no {what} in {namespace}", hint=close or "another --namespace or --context?")
    return matching[0]


def save(kube: Kube, record: ReleaseRecord) -> ReleaseRecord:
    """Write the record if it is still as it was loaded (or, never saved, does not exist).

    Returns what was kept of it, with its new version.

    Raises:
        ConflictError: another run wrote it in the meantime.
        ClusterError: it does not fit into a Secret.
    """
    kept, data = _fit(record)
    body = _secret(kept, data)
    try:
        live = kube.replace(body) if record.resource_version else kube.create(body)
    except (StaleError, ExistsError, MissingError) as error:
        if isinstance(error, MissingError) and not record.resource_version:
            raise  # What is gone is the namespace.
        raise ConflictError(
            f"release {record.name} in {record.namespace} was changed by another run since this one looked",
            hint="run the same command again",
        ) from error
    meta = live["metadata"]
    return replace(kept, resource_version=str(meta["resourceVersion"]), uid=str(meta["uid"]))


def remove(kube: Kube, record: ReleaseRecord) -> None:
    """Delete the record if nobody wrote it since.

    Raises:
        ConflictError: another run did.
    """
    try:
        kube.delete(record.ref, uid=record.uid or None, resource_version=record.resource_version or None)
    except StaleError as error:
        raise ConflictError(
            f"release {record.name} in {record.namespace} was changed by another run since this one looked",
            hint="run the same command again",
        ) from error


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


def _secret(record: ReleaseRecord, packed: bytes) -> Json:
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


def _fit(record: ReleaseRecord) -> tuple[ReleaseRecord, bytes]:
    """What is kept of the record, and that compressed; when too large, less of the past: values, then revisions."""
    manifests, history = tuple(map(_without_data, record.manifests)), record.history[-MAX_HISTORY:]
    while True:
        kept = replace(record, manifests=manifests, history=history)
        data = _squeeze(kept)
        if len(data) <= MAX_BYTES:
            return kept, data
        if history and any(revision.values for revision in history[:-1]):
            history = (*(replace(revision, values={}) for revision in history[:-1]), history[-1])
        elif history:
            history = history[1:]
        else:
            break
    raise ClusterError(
        f"the record of release {record.name} does not fit into a Secret",
        where=str(record.ref),
        why=f"it has {len(data) // 1024} KiB compressed, and {MAX_BYTES // 1024} are the limit",
        hint="make the manifests smaller, for instance large ConfigMaps",
    )


def _squeeze(record: ReleaseRecord) -> bytes:
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
        "history": [_revision(revision) for revision in record.history],
        "manifests": record.manifests,
        **({"scaling": record.scaling} if record.scaling else {}),
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


def _revision(revision: Revision) -> Json:
    return {
        "revision": revision.revision,
        "time": revision.time.isoformat(),
        "user": revision.user,
        "result": revision.result,
        "profile_version": revision.profile_version,
        "values": revision.values,
        "berth_version": revision.berth_version,
    }


def _without_data(body: Json) -> Json:
    """A manifest as it may be kept: a Secret's values have no place in a second Secret."""
    if body.get("kind") != "Secret":
        return body
    return {
        key: {name: "" for name in value} if key in ("data", "stringData") and value else value
        for key, value in body.items()
    }


def _read(secret: Json) -> ReleaseRecord:
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
                Revision(**{**revision, "time": datetime.fromisoformat(revision["time"])})
                for revision in body["history"]
            ),
            manifests=tuple(body["manifests"]),
            updated=datetime.fromisoformat(body["updated"]),
            resource_version=str(meta.get("resourceVersion", "")),
            uid=str(meta.get("uid", "")),
            scaling=(int(body["scaling"][0]), int(body["scaling"][1])) if body.get("scaling") else None,
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
