"""Scaling in stages: what the profile's operations do before pods go, and after pods have gone or come.

`up` carries the stages out, each as a run of its own over the release rendered with that many pods. A stage that was
stopped anywhere is taken up by the next run: what must run before it is either repeated or was marked in the claims,
what must run after it is repeated. So these operations must bear being run twice.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from berth.actions.operations import Outcome, Result, choose, done, ordinal, pods_of, require, run_operation
from berth.cluster.exec import NothingRunsError
from berth.cluster.kube import Kube
from berth.cluster.removal import Removal
from berth.cluster.runner import all_of
from berth.core.errors import DeniedError, FailedError, PreflightError, Problem, ProfileError
from berth.core.events import Event, Notice, OperationDone, StepDone
from berth.core.objects import UNUSABLE_ANNOTATION, Json, Manifest, ObjectRef, dig, ordinals, pod_name
from berth.core.operations import SCALING, Operation, operations_of
from berth.core.readiness import judge, owned_pods
from berth.core.render import Release
from berth.core.scaling import (
    ScaleStep,
    Wishes,
    claims_of,
    quorum_problem,
    reuse_lines,
    scaling_steps,
    unusable,
    unusable_problems,
)

_AGAIN = "nothing was deleted; see to what it says, and run the same command again"


@dataclass(frozen=True, slots=True)
class Stage:
    """One step of scaling the set ``ref``: the release as it is to be applied at that step."""

    ref: ObjectRef
    step: ScaleStep
    release: Release
    number: int
    total: int
    insist: bool = False

    def __str__(self) -> str:
        """As a line of the run says it."""
        step = self.step
        way = f"{step.origin} -> {step.replicas} pods" if step.origin != step.replicas else f"whole at {step.replicas}"
        return f"step {self.number} of {self.total}: {self.ref.kind}/{self.ref.name} {way}"


def find_stages(
    release: Release,
    live: Mapping[ObjectRef, Json],
    mark: tuple[int, int] | None,
    autoscaled: Collection[ObjectRef],
    wishes: Wishes,
) -> tuple[Stage, ...]:
    """The stages in which a release gets to its number of pods, each rendered; none where one go will do.

    Raises:
        PreflightError: a quorum speaks against it, and the user does not insist.
        InputError: the profile does not take a number of pods on the way.
    """
    operations = operations_of(release.profile)
    if not SCALING & operations.keys():
        return ()
    manifest = scaled_set(release, live)
    if manifest is None or manifest.ref in autoscaled:
        return ()
    body, wanted = live[manifest.ref], len(ordinals(manifest.body))
    now = ordinals(body)
    steps = scaling_steps(
        len(now), wanted, operations, first=now.start, mark=mark, whole=len(now) == wanted or judge(body).current
    )
    if not steps:
        return ()
    problem = None if wishes.insist else quorum_problem(body, wanted)
    if problem:
        raise PreflightError([problem])
    releases = [*(_rendered(release, manifest.ref, step) for step in steps[:-1]), release]
    return tuple(
        Stage(manifest.ref, step, rendered, number, len(steps), wishes.insist)
        for number, (step, rendered) in enumerate(zip(steps, releases, strict=True), 1)
    )


def scaled_set(release: Release, live: Mapping[ObjectRef, Json]) -> Manifest | None:
    """The set, of those that exist, whose number of pods is the value ``replicas``.

    Raises:
        ProfileError: there are several, of which operations cannot tell whose pods they mean.
    """
    sets = [
        manifest
        for manifest in release.manifests
        if manifest.ref.kind == "StatefulSet"
        and manifest.ref in live
        and dig(manifest.body, "spec", "replicas") == release.values.data.get("replicas")
    ]
    if len(sets) > 1:
        names = ", ".join(manifest.ref.name for manifest in sets)
        raise ProfileError(
            f"the profile {release.profile.name} scales one set, and has several of that size: {names}",
            where=str(release.profile.position),
            hint="make a profile of each",
        )
    return sets[0] if sets else None


def check_stages(kube: Kube, stages: Sequence[Stage]) -> None:
    """Ask beforehand whether the operations may be run.

    Raises:
        DeniedError: they may not; nothing was changed.
    """
    operations = [one for stage in stages for one in (stage.step.before, stage.step.after) if one]
    if not operations:
        return
    space = stages[0].ref.namespace
    needs = [("create", "", "pods", space, "", "exec")]
    if any(operation.claims for operation in operations):
        needs.append(("patch", "", "persistentvolumeclaims", space, "", ""))
    answers = all_of(needs, lambda need: kube.can(*need))
    missing = [need for need, allowed in zip(needs, answers, strict=True) if not allowed]
    if missing:
        names = ", ".join(dict.fromkeys(operation.name for operation in operations))
        raise DeniedError(
            Problem(
                f"these credentials may not {verb} {resource}{f'/{sub}' if sub else ''} in {space}",
                why=f"the operations {names} of the profile need it",
                hint="the role that berth needs is in docs/reference/rbac.md",
            )
            for verb, _, resource, space, _, sub in missing
        )


def claim_problems(
    manifests: Sequence[Manifest], live: Mapping[ObjectRef, Json], claims: Sequence[Json], wishes: Wishes
) -> list[Problem]:
    """What speaks against the claims that new pods would take, and against those that the user discards."""
    sets = [manifest for manifest in manifests if manifest.ref.kind == "StatefulSet"]
    bodies = [{**m.body, "spec": {**dig(live.get(m.ref), "spec", default={}), **m.body["spec"]}} for m in sets]
    runs = [ordinals(live[m.ref]) if m.ref in live else range(0) for m in sets]
    found = [
        problem
        for body, now in zip(bodies, runs, strict=True)
        for problem in unusable_problems(body, now, claims, wishes.discard)
    ]
    free = {
        claim["metadata"]["name"]
        for body, now in zip(bodies, runs, strict=True)
        for _, claim in claims_of(body, claims, set(ordinals(body)) - set(now))
    }
    hint = f"one of: {', '.join(sorted(free))}" if free else "leave --discard-claims out"
    found += [
        Problem(f"{name} is no claim that a new pod would take, so it is not discarded", hint=hint)
        for name in wishes.discard
        if name not in free
    ]
    return found


def claim_notes(
    kube: Kube, manifests: Sequence[Manifest], live: Mapping[ObjectRef, Json], claims: Sequence[Json], wishes: Wishes
) -> Iterator[str]:
    """Which claims are deleted first, and which ones that are there already the new pods of sets that grow take."""
    yield from (f"claim {name} is deleted first, with all that is in it" for name in wishes.discard)
    claims = [claim for claim in claims if claim["metadata"]["name"] not in wishes.discard]
    for manifest in manifests:
        before = live.get(manifest.ref)
        if manifest.ref.kind == "StatefulSet" and before is not None and "replicas" in manifest.body["spec"]:
            if set(ordinals(manifest.body)) - set(ordinals(before)):
                yield from reuse_lines(manifest.body, ordinals(before), claims, kube.server_time())


def discard(kube: Kube, namespace: str, names: Sequence[str], removal: Removal) -> Iterator[Event]:
    """Delete these claims, with what is in them, and wait until they are gone."""
    for name in names:
        ref = ObjectRef("", "PersistentVolumeClaim", namespace, name)
        claim = kube.get(ref)
        if claim is None:
            continue
        removal.delete(claim)
        yield from removal.until_gone([ref])
        yield StepDone(ref, "deleted", "discarded, as you said")


def before(kube: Kube, stage: Stage, alive: Callable[[], None], now: Callable[[], datetime]) -> Iterator[Event]:
    """Run what must pass before pods go, then mark their claims where the operation makes them unusable.

    Raises:
        FailedError: it did not pass; no pod was touched.
    """
    operation, step, ref = stage.step.before, stage.step, stage.ref
    if operation is None:
        return
    live, owned = _pods(kube, stage)
    claims = kube.list("", "PersistentVolumeClaim", ref.namespace).items if operation.claims else []
    marked = {o for o in step.condemned if (own := claims_of(live, claims, [o])) and all(unusable(c) for _, c in own)}
    if marked:
        names = ", ".join(pod_name(ref.name, number) for number in sorted(marked, reverse=True))
        yield Notice(f"{operation.name} passed in {names} before: its claim says so")
    if operation.pods == "condemned":
        missing = [pod_name(ref.name, o) for o in step.condemned if o not in owned and o not in marked]
        if missing and not stage.insist:
            raise FailedError(_impossible(operation, pod, "there is no such pod") for pod in missing)
        if marked >= set(step.condemned):
            return
    pods = [pod for number, pod in sorted(owned.items()) if number not in marked]
    results, events = _run(kube, stage, operation, pods, step.condemned)
    yield from events
    alive()
    if operation.claims:
        passed = {result.ordinal for result in results if result.passed}
        if operation.pods != "condemned":  # Then it spoke for those that go where it passed in all.
            passed = set(step.condemned) if results and all(result.passed for result in results) else set()
        yield from _mark(kube, operation, claims_of(live, claims, passed & set(step.condemned)), now())
    impossible = [result for result in results if result.outcome is Outcome.FAILED and result.code is None]
    require([result for result in results if result not in impossible], _AGAIN)
    if impossible and not stage.insist:
        raise FailedError(_impossible(operation, result.pod, result.why) for result in impossible)
    if impossible:
        names = ", ".join(result.pod for result in impossible)
        yield Notice(f"{operation.name} could not be run in {names}; going on, as you insist", "warning")


def after(kube: Kube, stage: Stage, alive: Callable[[], None]) -> Iterator[Event]:
    """Run what belongs after the pods have gone or come.

    Raises:
        FailedError: it did not pass; the same command runs it again.
    """
    operation = stage.step.after
    if operation is None:
        return
    _, owned = _pods(kube, stage)
    results, events = _run(kube, stage, operation, [pod for _, pod in sorted(owned.items())], stage.step.added)
    yield from events
    alive()
    require(results, "the pods are as they should be; run the same command again, which runs this again")


def _run(
    kube: Kube, stage: Stage, operation: Operation, pods: Sequence[Json], named: Sequence[int]
) -> tuple[list[Result], list[OperationDone]]:
    """Run an operation in those of the pods that it means."""
    role = operations_of(stage.release.profile).get("role")
    if operation.pods == "one":
        named = [ordinal(pod) for pod in pods if ordinal(pod) not in stage.step.condemned][:1]
    try:
        chosen = choose(kube, stage.ref.namespace, operation, pods, role=role, named=named)
    except NothingRunsError as error:
        return [], [OperationDone(operation.name, stage.ref.name, (), str(Outcome.NOT_RUN), error.why)]
    down = bool(stage.step.condemned)  # As the controller does: the highest goes first.
    chosen.sort(key=ordinal, reverse=down)
    results = run_operation(kube, stage.ref.namespace, operation, chosen)
    return results, done(results, stage.ref.name)


def _mark(kube: Kube, operation: Operation, claims: Sequence[tuple[int, Json]], now: datetime) -> Iterator[Event]:
    """Say on claims that no pod may take them again."""
    why = f"{operation.name} passed on {now:%Y-%m-%d %H:%M:%S} UTC"
    why += f": {operation.description}" if operation.description else ""
    for _, claim in claims:
        ref = ObjectRef("", "PersistentVolumeClaim", claim["metadata"]["namespace"], claim["metadata"]["name"])
        meta = {"uid": claim["metadata"]["uid"], "annotations": {UNUSABLE_ANNOTATION: why}}
        kube.patch(ref, {"metadata": meta})
        yield StepDone(ref, "updated", "marked: no pod may take it again")


def _pods(kube: Kube, stage: Stage) -> tuple[Json, dict[int, Json]]:
    """The set as it is now, and its pods by ordinal."""
    live = kube.get(stage.ref)
    if live is None:
        raise FailedError(f"{stage.ref} was deleted by somebody", hint="`invoke up` makes it again")
    return live, owned_pods(live, pods_of(kube, stage.release))


def _impossible(operation: Operation, pod: str, why: str) -> Problem:
    """Where an operation that must pass cannot be run."""
    hint = f"{_AGAIN}; or `invoke scale ... --force`, which goes on without it"
    return Problem(f"{operation.name} cannot be run in {pod}", why=why, hint=hint)


def _rendered(release: Release, ref: ObjectRef, step: ScaleStep) -> Release:
    """The release at a step that is not the last."""
    if release.again is None:
        raise ProfileError(
            f"the release {release.name} cannot be rendered with another number of pods",
            why=f"{ref} is to be scaled step by step",
            hint="make it with berth.actions.prepare",
        )
    made = release.again({**step.between, "replicas": step.replicas})
    sizes = [len(ordinals(manifest.body)) for manifest in made.manifests if manifest.ref == ref]
    if sizes != [step.replicas]:
        raise ProfileError(
            f"the value replicas does not set the number of pods of {ref}",
            where=str(release.profile.position),
            why=f"with {step.replicas} it renders {sizes[0] if sizes else 'none'}",
            hint="operations that scale step by step need `replicas: {{ values.replicas }}` in the template",
        )
    return made
