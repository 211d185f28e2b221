"""The record of a release in the cluster: found, read, and written by compare-and-swap."""

from __future__ import annotations

from dataclasses import replace

from berth.cluster import record as records
from berth.cluster.kube import Kube
from berth.cluster.record import RECORD_TYPE, RELEASE_LABEL, ReleaseRecord
from berth.cluster.refusals import ExistsError, MissingError, StaleError
from berth.core.errors import ConflictError, InputError, did_you_mean
from berth.core.objects import MANAGED_BY_LABEL, ObjectRef, record_name


def load(kube: Kube, namespace: str, name: str) -> ReleaseRecord | None:
    """The record of a release, None when there is none.

    Raises:
        UnreadableError: the Secret is there, and is not a record that this version can read.
    """
    body = kube.get(ObjectRef("", "Secret", namespace, record_name(name)))
    return None if body is None else records.read(body)


def list_releases(kube: Kube, namespace: str | None = None) -> tuple[ReleaseRecord, ...]:
    """The records of all releases in a namespace, or everywhere for None, by namespace and name."""
    selector = f"{MANAGED_BY_LABEL}=berth,{RELEASE_LABEL}"
    items = kube.list("", "Secret", namespace, label_selector=selector, field_selector=f"type={RECORD_TYPE}").items
    return tuple(sorted((records.read(item) for item in items), key=lambda record: (record.namespace, record.name)))


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
    kept, data = records.fit(record)
    body = records.secret_of(kept, data)
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
