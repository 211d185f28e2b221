"""Executes a plan: applies the steps of a phase at the same time, waits, and yields what happens."""

from __future__ import annotations

import secrets
import string
from base64 import b64encode
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from berth.cluster.kube import Kube
from berth.core.errors import BerthError, Problem
from berth.core.events import Event, StepDone
from berth.core.objects import FIELD_MANAGER, Json, Manifest, ObjectRef, dig
from berth.core.plan import Action, Step

#: Requests in flight at the same time. The client has no rate limit of its own, so this is what spares the server.
CONCURRENCY = 24

#: Generated keys of Secrets belong to this manager, so that applying the rest never touches them.
GENERATE_MANAGER = "berth-generate"

_ALPHABET = string.ascii_letters + string.digits

_PAST = {Action.CREATE: "created", Action.UPDATE: "updated", Action.UNCHANGED: "unchanged", Action.DELETE: "deleted"}


class Runner:
    """Applies and deletes, by ``kube``; ``alive`` is called before each write and raises to stop the run."""

    def __init__(self, kube: Kube, alive: Callable[[], None], *, force_conflicts: bool = False) -> None:
        self._kube = kube
        self._alive = alive
        self._force = force_conflicts
        #: Live objects as the server returned them, for the record.
        self.applied: dict[ObjectRef, Json] = {}

    def run(self, steps: Sequence[Step]) -> Iterator[Event]:
        """Take the steps of one phase at the same time, and yield each as it is done.

        All steps are tried, so that every problem of a phase is told at once.

        Raises:
            BerthError: of the class of the first failure, with the problems of all.
        """
        due = [step for step in steps if step.action not in (Action.UNCHANGED, Action.KEEP)]
        for step in steps:
            if step.action is Action.KEEP:
                yield StepDone(step.ref, "kept", step.why)
            elif step.action is Action.UNCHANGED:
                yield StepDone(step.ref, "unchanged")
        errors: list[BerthError] = []
        for step, outcome in in_parallel(due, self._take):
            if isinstance(outcome, BerthError):
                errors.append(outcome)
                yield StepDone(step.ref, "failed", outcome.problems[0].what)
            else:
                yield StepDone(step.ref, _PAST[step.action], step.why)
        raise_all(errors)

    def _take(self, step: Step) -> None:
        self._alive()
        if step.action is Action.DELETE:
            self._kube.delete(step.ref, propagation="Background")
            return
        assert step.manifest is not None
        if step.manifest.generated:
            generate_keys(self._kube, step.manifest)
        self.applied[step.ref] = self._kube.apply(step.manifest.body, force=self._force)


def in_parallel(items: Sequence[Any], work: Callable[[Any], Any]) -> Iterator[tuple[Any, Any]]:
    """Run ``work`` on each item, a bounded number at a time; yield (item, result or BerthError) in the items' order.

    After an interruption what is in flight is finished, and nothing else is begun.
    """
    if not items:
        return
    with ThreadPoolExecutor(min(CONCURRENCY, len(items))) as pool:
        futures = [(item, pool.submit(work, item)) for item in items]
        try:
            for item, future in futures:
                try:
                    yield item, future.result()
                except BerthError as error:
                    yield item, error
        except BaseException:
            pool.shutdown(wait=True, cancel_futures=True)
            raise


def all_of(items: Sequence[Any], work: Callable[[Any], Any]) -> list[Any]:
    """The results of ``work`` on each item, in the items' order.

    Raises:
        BerthError: of the class of the first failure, with the problems of all.
    """
    results = [outcome for _, outcome in in_parallel(items, work)]
    raise_all([outcome for outcome in results if isinstance(outcome, BerthError)])
    return results


def raise_all(errors: Sequence[BerthError]) -> None:
    """Raise one error of the first one's class that carries the problems of all; nothing for none."""
    if errors:
        problems: dict[Problem, None] = {problem: None for error in errors for problem in error.problems}
        raise type(errors[0])(problems) from errors[0]


def generate_keys(kube: Kube, manifest: Manifest) -> None:
    """Make the generated keys of a Secret that do not exist yet; those that exist are never touched.

    They are created under a field manager of their own: server-side apply by the main one neither owns nor removes
    them. A key that the main one wrote, when its value was still given, gets that owner too, or the next apply would
    remove it.
    """
    live = kube.get(manifest.ref)
    held = (live or {}).get("data") or {}
    given = {key: held[key] for key in manifest.generated if key in held and _applied(live, key)}
    if given:
        meta = {"name": manifest.ref.name, "namespace": manifest.ref.namespace}
        kube.apply(
            {"apiVersion": "v1", "kind": "Secret", "metadata": meta, "data": given}, field_manager=GENERATE_MANAGER
        )
    missing = [key for key in manifest.generated if key not in held]
    if not missing:
        return
    live = kube.get(manifest.ref) if given else live
    data = {key: b64encode(new_password(manifest.generated[key]).encode()).decode() for key in missing}
    meta = {"name": manifest.ref.name, "namespace": manifest.ref.namespace}
    body = {"apiVersion": "v1", "kind": "Secret", "metadata": meta, "type": manifest.body.get("type", "Opaque")}
    if live is None:
        kube.create({**body, "data": data}, field_manager=GENERATE_MANAGER)
    else:
        # Compare-and-swap: a key that somebody adds at this moment is not overwritten.
        patch = {"metadata": {"resourceVersion": live["metadata"]["resourceVersion"]}, "data": data}
        kube.patch(manifest.ref, patch, field_manager=GENERATE_MANAGER)


def _applied(live: Json | None, key: str) -> bool:
    """Whether the main manager's apply has the key among its fields."""
    return any(
        entry.get("manager") == FIELD_MANAGER
        and entry.get("operation") == "Apply"
        and dig(entry, "fieldsV1", "f:data", f"f:{key}") is not None
        for entry in dig(live, "metadata", "managedFields", default=[]) or []
    )


def new_password(length: int) -> str:
    """Letters and digits from the system's source of secrets: every engine and every URL takes them unquoted."""
    return "".join(secrets.choice(_ALPHABET) for _ in range(length))
