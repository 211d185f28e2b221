"""Keeps the record of a release while a run changes it: what it will own, what it owns, how the run ended."""

from __future__ import annotations

import getpass
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace

from berth import __version__
from berth.actions.clock import Clock
from berth.actions.survey import Survey
from berth.cluster.kube import Kube
from berth.cluster.record import Entry, ReleaseRecord, Revision, Rollout, live_digest
from berth.cluster.release import save
from berth.core.diff import manifest_hash
from berth.core.errors import BerthError
from berth.core.events import StepDone
from berth.core.masking import masked
from berth.core.objects import (
    ADOPTS_ANNOTATION,
    MANAGED_BY_LABEL,
    PART_OF_LABEL,
    Json,
    Manifest,
    ObjectRef,
    applyset_id,
    dig,
)
from berth.core.plan import Plan
from berth.core.render import Release


class Keeper:
    """The record of one release during one run; ``action`` is what history calls the run."""

    def __init__(self, kube: Kube, clock: Clock, action: str) -> None:
        self._kube, self._clock, self._action = kube, clock, action
        #: As it was written last; None before `begin`.
        self.record: ReleaseRecord | None = None
        self._manifests: Mapping[ObjectRef, Manifest] = {}

    def begin(
        self,
        release: Release,
        plan: Plan,
        seen: Survey,
        *,
        values: Json,
        scaling: tuple[int, int] | None = None,
        rollout: Rollout | None = None,
    ) -> None:
        """Write down what will be owned before any of it exists, so that a killed run leaves nothing unknown.

        The record is not read again under the lock: saving fails where another run wrote it in the meantime. A run has
        one revision, however often it begins anew.
        """
        before = seen.record
        entries = {entry.ref: entry for entry in (before.inventory if before else ())}
        for step in plan.steps:
            known = entries.get(step.ref)
            if step.manifest is not None and (known is None or _made_anew(known, seen)):
                entries[step.ref] = Entry(step.ref, created=_ours(step.manifest, release, seen))
        self._manifests = {manifest.ref: manifest for manifest in release.manifests}
        record = ReleaseRecord(
            name=release.name,
            namespace=release.namespace,
            profile=release.profile.name,
            profile_version=release.profile.version,
            environment=release.environment,
            values=values,
            status="pending",
            revision=(before.revision if before else 0) + (1 if self.record is None else 0),
            inventory=tuple(entries.values()),
            history=before.history if before else (),
            manifests=tuple(masked(manifest, release.values.secret_paths) for manifest in release.manifests),
            updated=self._clock.now(self._kube),
            resource_version=before.resource_version if before else "",
            scaling=scaling,
            rollout=rollout,
            site=release.site or (before.site if before else ""),
        )
        self.record = save(self._kube, record)

    def take_up(self, record: ReleaseRecord, manifests: Iterable[Manifest]) -> None:
        """Go on with the revision of a run that stands still."""
        self._manifests = {manifest.ref: manifest for manifest in manifests}
        self.record = save(self._kube, replace(record, status="pending", updated=self._clock.now(self._kube)))

    def learn(self, done: Sequence[StepDone], live: Mapping[ObjectRef, Json]) -> None:
        """Note what is known now of each object: those that are deleted are no longer owned."""
        record = self._known
        gone = {step.ref for step in done if step.action == "deleted"}
        entries = []
        for entry in record.inventory:
            body = live.get(entry.ref)
            if entry.ref in gone:
                continue
            if body is not None and entry.ref in self._manifests:
                made = manifest_hash(self._manifests[entry.ref].body)
                entry = replace(entry, uid=body["metadata"]["uid"], manifest_hash=made, live_digest=live_digest(body))
            entries.append(entry)
        self.record = replace(record, inventory=tuple(entries))

    def pass_on(self) -> None:
        """A step of scaling has ended, and another one follows."""
        self.record = save(self._kube, replace(self._known, scaling=None, updated=self._clock.now(self._kube)))

    def close(self, status: str, rollout: Rollout | None = None) -> None:
        """The run has ended, one way or the other; ``rollout`` is what of one is left to do."""
        record, now = self._known, self._clock.now(self._kube)
        revision = Revision(
            revision=record.revision,
            time=now,
            user=_who(),
            result=status,
            profile_version=record.profile_version,
            values=record.values,
            berth_version=__version__,
            action=self._action,
            environment=record.environment,
            manifests=record.manifests if status == "deployed" else (),
        )
        rests = record.scaling is not None and record.scaling[1] == 0
        earlier = tuple(one for one in record.history if one.revision != record.revision)
        self.record = save(
            self._kube,
            replace(
                record,
                status=status,
                history=(*earlier, revision),
                updated=now,
                scaling=record.scaling if rests or status != "deployed" else None,
                rollout=rollout,
            ),
        )

    def give_up(self, error: BaseException) -> None:
        """The run has ended badly; where even that cannot be written down, what went wrong first is what counts."""
        with suppress(BerthError):
            status = "interrupted" if isinstance(error, KeyboardInterrupt) else "failed"
            self.close(status, self._known.rollout)

    @property
    def _known(self) -> ReleaseRecord:
        assert self.record is not None, "a run begins before it ends"
        return self.record


def _made_anew(entry: Entry, seen: Survey) -> bool:
    """Whether another object than the one that was recorded has the name now."""
    live = seen.live.get(entry.ref)
    return bool(entry.uid and live is not None and live["metadata"]["uid"] != entry.uid)


def _ours(manifest: Manifest, release: Release, seen: Survey) -> bool:
    """Whether teardown may delete the object: it did not exist before, was of this release, or is taken over by it."""
    ref = manifest.ref
    live = seen.live.get(ref)
    if live is None or dig(manifest.body, "metadata", "annotations", ADOPTS_ANNOTATION) == live["metadata"]["uid"]:
        return True
    labels = live["metadata"].get("labels") or {}
    if not ref.namespace:
        return bool(labels.get(MANAGED_BY_LABEL) == "berth")
    return bool(labels.get(PART_OF_LABEL) == applyset_id(release.name, release.namespace))


def _who() -> str:
    try:
        return getpass.getuser()
    except (OSError, KeyError):
        return "unknown"  # A container's uid may have no name.
