"""What the cluster must offer before a release may be applied: checked from what was read, nothing is changed."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

from berth.core.errors import InputError, Problem
from berth.core.objects import (
    INSTANCE_LABEL,
    KEEP_ANNOTATION,
    OLDEST_KUBERNETES,
    PART_OF_LABEL,
    Json,
    Manifest,
    ObjectRef,
    claim_name,
    claim_ordinal,
    dig,
    ordinals,
)
from berth.core.placement import schedulable
from berth.core.quantities import format_bytes, parse_quantity

#: The second one is deprecated and still heeded. Source: IsDefaultAnnotation in kubernetes pkg/volume/util.
_DEFAULT_CLASS = ("storageclass.kubernetes.io/is-default-class", "storageclass.beta.kubernetes.io/is-default-class")


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What was read of the cluster. None means that it may not be read, so that its check is left out and said.

    ``version`` is the server's own (major, minor).
    """

    namespace: Json | None = None
    classes: Sequence[Json] | None = ()
    claims: Sequence[Json] | None = ()
    nodes: Sequence[Json] | None = ()
    quotas: Sequence[Json] | None = ()
    live: Mapping[ObjectRef, Json] = field(default_factory=dict)
    version: tuple[int, int] | None = None


@dataclass(frozen=True, slots=True)
class Findings:
    """``problems`` stop the run, ``warnings`` are said and do not."""

    problems: tuple[Problem, ...]
    warnings: tuple[str, ...]


def preflight(release: str, manifests: Sequence[Manifest], around: Surroundings) -> Findings:
    """Everything that would keep the release from coming up and can be known beforehand, all at once."""
    sets = [manifest for manifest in manifests if manifest.ref.kind == "StatefulSet"]
    problems: list[Problem] = []
    warnings: list[str] = []
    unread = {
        "storage classes": around.classes,
        "claims": around.claims,
        "nodes": around.nodes,
        "quotas": around.quotas,
    }
    for what, read in unread.items():
        if read is None and sets:
            warnings.append(f"{what} may not be listed with these credentials, so they were not checked")
    if around.version and around.version < OLDEST_KUBERNETES:
        served, oldest = (".".join(map(str, version)) for version in (around.version, OLDEST_KUBERNETES))
        problems.append(Problem(f"the cluster is Kubernetes {served}; berth needs {oldest} or newer"))
    problems += _namespace(around.namespace)
    rendered = [manifest.body for manifest in manifests if manifest.ref.kind == "StorageClass"]
    for manifest in sets:
        if around.classes is not None:
            problems += _classes(manifest, around.classes, rendered, warnings)
        if around.claims is not None:
            problems += _claims(release, manifest, around.claims, around.live.get(manifest.ref), warnings)
        if around.nodes is not None:
            problems += _nodes(manifest, around.nodes, warnings)
    problems += _kept_secrets(release, manifests, sets, around)
    if around.quotas:
        problems += _quotas(sets, around)
    problems += _foreign(release, manifests, around.live)
    return Findings(tuple(problems), tuple(warnings))


def default_class(classes: Iterable[Json]) -> Json | None:
    """The class that a claim without one gets: the newest of those marked as default, by name where two are equal.

    Source: GetDefaultClass in kubernetes pkg/volume/util/storageclass.go.
    """
    marked = sorted(_marked(classes), key=_name)
    return max(marked, key=lambda c: str(dig(c, "metadata", "creationTimestamp", default="")), default=None)


def _marked(classes: Iterable[Json]) -> list[Json]:
    """The classes that say they are the default."""
    return [c for c in classes if any(dig(c, "metadata", "annotations", a) == "true" for a in _DEFAULT_CLASS)]


def _namespace(namespace: Json | None) -> Iterator[Problem]:
    if namespace and dig(namespace, "metadata", "deletionTimestamp"):
        conditions = dig(namespace, "status", "conditions", default=[])
        why = "; ".join(str(c.get("message")) for c in conditions if c.get("status") == "True")
        yield Problem(
            f"namespace {namespace['metadata']['name']} is being deleted",
            why=why or "its deletion is under way",
            hint="wait until it is gone, or use another --namespace",
        )


def _classes(
    manifest: Manifest, classes: Sequence[Json], rendered: Sequence[Json], warnings: list[str]
) -> Iterator[Problem]:
    names = {_name(c) for c in (*classes, *rendered)}
    chosen, marked = default_class(classes), _marked(classes)
    for index, template in enumerate(manifest.body["spec"].get("volumeClaimTemplates") or []):
        wanted = dig(template, "spec", "storageClassName")
        origin = manifest.origin_of(f"spec.volumeClaimTemplates[{index}].spec.storageClassName")
        where = f"{manifest.ref}, claim template {template['metadata']['name']} ({origin.template})"
        if wanted and wanted not in names:
            yield Problem(
                f"StorageClass {wanted} does not exist",
                where=where,
                hint=f"choose one of {', '.join(sorted(names)) or 'none'}, or create it",
            )
        if wanted is None and chosen is None and not _marked(rendered):
            yield Problem(
                "no StorageClass is the default, and the claim names none",
                where=where,
                hint=f"--set storage.className=..., one of: {', '.join(sorted(names)) or 'none exists'}",
            )
        if wanted is None and len(marked) > 1 and chosen:
            warnings.append(f"{len(marked)} StorageClasses are the default; the newest, {_name(chosen)}, is used")


def _claims(
    release: str, manifest: Manifest, claims: Sequence[Json], live: Json | None, warnings: list[str]
) -> Iterator[Problem]:
    """Claims that stand from before must be what the set would make: it takes them as they are, by name.

    Those that the live set has in use are only warned of: a claim that was grown by hand must not stop every later
    run, and a template that changes is refused with a better reason (see plan.check_immutable).
    """
    by_name, in_use = {_name(claim): claim for claim in claims}, ordinals(live) if live else range(0)
    for template in manifest.body["spec"].get("volumeClaimTemplates") or []:
        names = [claim_name(template["metadata"]["name"], manifest.ref.name, o) for o in ordinals(manifest.body)]
        lost = [name for number, name in enumerate(names) if name not in by_name and set(names[number:]) & set(by_name)]
        if lost:
            warnings.append(f"{', '.join(lost)} will be new and empty, while claims of higher ordinals exist")
        for ordinal in ordinals(manifest.body):
            name = claim_name(template["metadata"]["name"], manifest.ref.name, ordinal)
            claim = by_name.get(name)
            if claim is None:
                continue
            instance = dig(claim, "metadata", "labels", INSTANCE_LABEL)
            if instance not in (None, release):
                yield Problem(
                    f"claim {name} belongs to release {instance}",
                    hint="install under another --name, so that the two do not share a disk",
                )
            if dig(claim, "metadata", "deletionTimestamp"):
                held = ", ".join(dig(claim, "metadata", "finalizers", default=[])) or "nothing"
                yield Problem(f"claim {name} is being deleted", why=f"held by {held}", hint="wait until it is gone")
            differences = list(_claim_differs(name, claim, template))
            if ordinal in in_use:
                warnings += [problem.what for problem in differences]
            else:
                yield from differences


def _claim_differs(name: str, claim: Json, template: Json) -> Iterator[Problem]:
    has, wants = dig(claim, "spec", "storageClassName"), dig(template, "spec", "storageClassName")
    if wants is not None and has != wants:
        yield Problem(
            f"claim {name} exists with class {has or 'none'}, and the profile asks for {wants}",
            why="a claim's class cannot be changed, and the set would take the claim as it is",
            hint=f"--set storage.className={has}, or install under another --name",
        )
    path = ("spec", "resources", "requests", "storage")
    size, wanted = dig(claim, *path), dig(template, *path)
    if size is not None and wanted is not None and parse_quantity(size) != parse_quantity(wanted):
        grow = parse_quantity(size) < parse_quantity(wanted)
        yield Problem(
            f"claim {name} exists with {size}, and the profile asks for {wanted}",
            why="a set takes an existing claim as it is, whatever size its template names",
            hint=f"--set storage.size={size}" + (", or grow the claim first if its class allows it" if grow else ""),
        )


def _nodes(manifest: Manifest, nodes: Sequence[Json], warnings: list[str]) -> Iterator[Problem]:
    """A hard spread needs as many domains as there are pods, or one at least.

    That no node fits at all is only a warning: an autoscaler may make the first one when a pod asks for it.
    """
    template, wanted = manifest.body["spec"]["template"], len(ordinals(manifest.body))
    ready = [node for node in nodes if schedulable(node, template["spec"])]
    if nodes and not ready and wanted:
        why = "all are cordoned, not ready, tainted, or without the labels that the pods ask for"
        warnings.append(f"no node takes the pods of {manifest.ref} now: {why}")
        return
    for key, needed in sorted(_hard_spreads(template, wanted).items()):
        domains = {dig(node, "metadata", "labels", key) for node in ready} - {None}
        if len(domains) < needed:
            yield Problem(
                f"{manifest.ref} needs {needed} different {key}, and the nodes have {len(domains)}",
                where=str(manifest.origin_of("spec.template.spec.affinity").template),
                hint="add nodes, ask for fewer --set replicas=..., or relax it with --set spread.hostname=soft",
            )


def _hard_spreads(template: Json, wanted: int) -> dict[str, int]:
    """How many domains of each topology key the pods need: kept apart from one another one each, else one at least.

    A spread with minDomains counts missing domains as empty ones, so that only maxSkew pods fit into each there is.
    """
    pod, labels = template["spec"], dig(template, "metadata", "labels", default={})
    needed: dict[str, int] = {}
    for term in dig(pod, "affinity", "podAntiAffinity", "requiredDuringSchedulingIgnoredDuringExecution", default=[]):
        same = dig(term, "labelSelector", "matchLabels", default={})
        # What keeps the pods away from others says nothing of how many domains they need themselves.
        if all(labels.get(key) == value for key, value in same.items()):
            needed[str(term.get("topologyKey"))] = wanted
    for spread in pod.get("topologySpreadConstraints") or []:
        if spread.get("whenUnsatisfiable", "DoNotSchedule") == "DoNotSchedule" and wanted:
            most = -(-wanted // int(spread.get("maxSkew", 1)))
            key, least = str(spread.get("topologyKey")), min(int(spread.get("minDomains", 1)), most)
            needed[key] = max(needed.get(key, 0), least)
    return needed


def _kept_secrets(
    release: str, manifests: Sequence[Manifest], sets: Sequence[Manifest], around: Surroundings
) -> Iterator[Problem]:
    """A password that is gone cannot be made anew for data that was written under the old one."""
    left = [
        _name(claim)
        for claim in around.claims or ()
        for manifest in sets
        for template in manifest.body["spec"].get("volumeClaimTemplates") or []
        if claim_ordinal(_name(claim), template["metadata"]["name"], manifest.ref.name) is not None
        # A claim that was never bound holds nothing.
        if dig(claim, "spec", "volumeName")
    ]
    for manifest in manifests:
        if not manifest.generated or not left or not dig(manifest.body, "metadata", "annotations", KEEP_ANNOTATION):
            continue
        stored = (around.live.get(manifest.ref) or {}).get("data") or {}
        missing = sorted(set(manifest.generated) - set(stored))
        if missing:
            yield Problem(
                f"{manifest.ref} lacks {', '.join(missing)}, but claims of release {release} exist: "
                f"{', '.join(sorted(left)[:5])}{' ...' if len(left) > 5 else ''}",
                why="the data inside them was made with that password, and a new one would not open it",
                hint="restore the Secret, name one with --set auth.existingSecret=..., "
                f"or delete the claims first: invoke teardown --name {release} --data delete",
            )


def _foreign(release: str, manifests: Sequence[Manifest], live: Mapping[ObjectRef, Json]) -> Iterator[Problem]:
    """Objects of our names that belong to another release."""
    for manifest in manifests:
        part_of = dig(manifest.body, "metadata", "labels", PART_OF_LABEL)
        theirs = dig(live.get(manifest.ref) or {}, "metadata", "labels", PART_OF_LABEL)
        if part_of and theirs and theirs != part_of:
            other = dig(
                live[manifest.ref], "metadata", "labels", INSTANCE_LABEL, default="another tool's set of objects"
            )
            yield Problem(
                f"{manifest.ref} belongs to release {other}, not to {release}",
                hint="install under another --name, or into another --namespace",
            )


def _quotas(sets: Sequence[Manifest], around: Surroundings) -> Iterator[Problem]:
    """What the release would still add to a quota that is full already."""
    adds: dict[str, Decimal] = {}
    existing = {_name(claim) for claim in around.claims or ()}
    chosen = default_class(around.classes or ())

    def add(resource: str, amount: Decimal) -> None:
        adds[resource] = adds.get(resource, Decimal(0)) + amount

    for manifest in sets:
        before = around.live.get(manifest.ref)
        new = [o for o in ordinals(manifest.body) if before is None or o not in ordinals(before)]
        for resource, amount in _pod_usage(manifest.body["spec"]["template"]["spec"]).items():
            add(resource, amount * len(new))
        for template in manifest.body["spec"].get("volumeClaimTemplates") or []:
            names = {claim_name(template["metadata"]["name"], manifest.ref.name, ordinal) for ordinal in new}
            count = Decimal(len(names - existing))
            size = parse_quantity(dig(template, "spec", "resources", "requests", "storage", default=0))
            class_name = dig(template, "spec", "storageClassName", default=_name(chosen) if chosen else "")
            add("count/persistentvolumeclaims", count)
            for scope in ("", f"{class_name}.storageclass.storage.k8s.io/"):
                add(f"{scope}requests.storage", size * count)
                add(f"{scope}persistentvolumeclaims", count)
    for quota in around.quotas or ():
        if dig(quota, "spec", "scopes") or dig(quota, "spec", "scopeSelector"):
            continue
        for resource, hard in (dig(quota, "status", "hard") or {}).items():
            extra = adds.get(resource) or adds.get(f"requests.{resource}")
            used = parse_quantity(dig(quota, "status", "used", resource, default=0))
            if extra and used + extra > parse_quantity(hard):
                yield Problem(
                    f"quota {_name(quota)} would be exceeded: {resource} is limited to {hard}, "
                    f"{_amount(resource, used)} is used, and this needs {_amount(resource, extra)} more",
                    hint="raise the quota, or ask for less (replicas, resources, storage.size)",
                )


def _pod_usage(pod: Json) -> dict[str, Decimal]:
    """What a pod counts for in a quota, by the quota's words.

    The sum of its containers and sidecars, or an init container with the sidecars before it where that is more; what
    the pod states as a whole goes before. Source: PodRequests in k8s.io/component-helpers/resource.
    """
    usage = {"pods": Decimal(1), "count/pods": Decimal(1)}
    for side in ("requests", "limits"):
        for resource in ("cpu", "memory", "ephemeral-storage"):
            peak = sidecars = Decimal(0)
            for container in pod.get("initContainers") or []:
                amount = _asked(container, side, resource)
                if container.get("restartPolicy") == "Always":
                    sidecars += amount
                    amount = Decimal(0)
                peak = max(peak, sidecars + amount)
            total = sum((_asked(c, side, resource) for c in pod.get("containers") or []), sidecars)
            usage[f"{side}.{resource}"] = _asked(pod, side, resource) or max(total, peak)
    return usage


def _asked(container: Json, side: str, resource: str) -> Decimal:
    """What a container, or a pod as a whole, asks for; a request that is not stated is its limit."""
    amount: Any = dig(container, "resources", side, resource)
    if amount is None and side == "requests":
        amount = dig(container, "resources", "limits", resource)
    try:
        return parse_quantity(amount or 0)
    except InputError:
        return Decimal(0)


def _amount(resource: str, number: Decimal) -> str:
    if "memory" in resource or "storage" in resource:
        return format_bytes(number)
    return f"{number.normalize():f}"


def _name(body: Json) -> str:
    return str(body["metadata"]["name"])
