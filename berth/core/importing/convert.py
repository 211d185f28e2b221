"""A StatefulSet that runs already: which objects belong to it, and what of them a template says.

What berth would apply must change nothing. Server-side apply compares before it fills in defaults, and lists and
mappings that have one owner as a whole (claim templates, field references, commands) only as a whole: left out are
therefore only defaults that stand on their own. Source: structured-merge-diff merge/update.go, and listType and mapType
"atomic" in kubernetes staging/src/k8s.io/api.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from berth.core.errors import InputError, PreflightError
from berth.core.lint.references import EXTERNAL_ANNOTATION
from berth.core.objects import ADOPTS_ANNOTATION, INSTANCE_LABEL, PART_OF_LABEL, Json, ObjectRef, dig
from berth.core.order import pod_references
from berth.core.readiness import controller_of, owned_pods
from berth.core.status import selects

#: By these other tools know their own objects; they stay on the live ones, and no template says them.
_OTHERS_MARKS = (
    "kubectl.kubernetes.io/last-applied-configuration",
    "meta.helm.sh/",
    "argocd.argoproj.io/",
    "kustomize.toolkit.fluxcd.io/",
    "helm.toolkit.fluxcd.io/",
)

#: Defaults of fields that stand on their own. Source: kubernetes pkg/apis/{core,apps}/v1/defaults.go.
_POD: Json = {
    "dnsPolicy": "ClusterFirst",
    "restartPolicy": "Always",
    "schedulerName": "default-scheduler",
    "securityContext": {},
}
_CONTAINER: Json = {"terminationMessagePath": "/dev/termination-log", "terminationMessagePolicy": "File"}
_SET: Json = {"revisionHistoryLimit": 10}
_SERVICE: Json = {
    "internalTrafficPolicy": "Cluster",
    "ipFamilyPolicy": "SingleStack",
    "sessionAffinity": "None",
    "type": "ClusterIP",
}
#: What the server hands out: another one is as good when the Service is made anew.
_HANDED_OUT = ("clusterIPs", "healthCheckNodePort", "ipFamilies")


@dataclass(frozen=True, slots=True)
class Left:
    """An object that stays as it is, and why."""

    name: str
    why: str


@dataclass(frozen=True, slots=True)
class Chosen:
    """The live objects that the profile takes over, the set first, and what it refers to and leaves."""

    statefulset: Json
    others: tuple[Json, ...]
    left: tuple[Left, ...]

    @property
    def bodies(self) -> tuple[Json, ...]:
        """All that is taken over."""
        return (self.statefulset, *self.others)


def require_free(statefulset: Json, release: str | None) -> None:
    """Refuse a set that somebody else steers; ``release`` is the one of berth that holds it.

    Raises:
        InputError: a release or another tool's set of objects has it already.
        PreflightError: it is being deleted, or an operator made it.
    """
    ref, meta = ObjectRef.of(statefulset), statefulset["metadata"]
    if release:
        raise InputError(
            f"{ref} is of release {release} already", hint=f"`invoke history --name {release}` says what was done to it"
        )
    if PART_OF_LABEL in (meta.get("labels") or {}):
        raise InputError(
            f"{ref} belongs to another set of objects",
            why=f"it carries the label {PART_OF_LABEL}, by which kubectl and other releases know their own",
            hint="take it out there first",
        )
    if meta.get("deletionTimestamp"):
        raise PreflightError(f"{ref} is being deleted", hint="wait until it is gone, or import another one")
    owner = controller_of(statefulset)
    if owner:
        raise PreflightError(
            f"{ref} was made by {owner.get('kind')}/{owner.get('name')}",
            why="an operator sets back what anybody else changes, so the two would fight",
            hint="change that object instead; berth takes over sets that nobody else steers",
        )


def release_name(statefulset: Json, profile: str) -> str:
    """The name of the release that takes the set over: what its claims are labelled with, else the profile's."""
    spec = statefulset["spec"]
    labels = [dig(one, "metadata", "labels", default={}) for one in spec.get("volumeClaimTemplates") or []]
    labels.append(dig(spec, "selector", "matchLabels", default={}))
    return next((str(one[INSTANCE_LABEL]) for one in labels if one and one.get(INSTANCE_LABEL)), profile)


def choose(
    statefulset: Json,
    sets: Iterable[Json],
    services: Iterable[Json],
    budgets: Iterable[Json],
    pods: Sequence[Json],
) -> Chosen:
    """Which objects of the namespace are taken over with the set, and what it uses besides.

    Its Services and budgets are those that select its pods, and the Service that it names. What serves other pods too,
    or belongs to somebody else, stays as it is.
    """
    name = statefulset["metadata"]["name"]
    governing = statefulset["spec"].get("serviceName")
    labels = dig(statefulset, "spec", "template", "metadata", "labels", default={})
    own = {pod["metadata"]["uid"] for pod in owned_pods(statefulset, pods).values()}
    strangers = [pod for pod in pods if pod["metadata"]["uid"] not in own]
    users = [
        other["metadata"]["name"]
        for other in sets
        if governing and other["spec"].get("serviceName") == governing and other["metadata"]["name"] != name
    ]
    taken: list[Json] = []
    left: list[Left] = []
    for body in services:
        selector = dig(body, "spec", "selector") or {}
        governs = body["metadata"]["name"] == governing
        if governs or (selector and selects({"matchLabels": selector}, labels)):
            why = _claimed(body, {"matchLabels": selector} if selector else None, strangers)
            if governs and users:
                why = f"StatefulSet/{users[0]} names it, too"
            _sort(body, why, taken, left)
    for body in budgets:
        if selects(dig(body, "spec", "selector"), labels):
            _sort(body, _claimed(body, dig(body, "spec", "selector"), strangers), taken, left)
    if governing and not any(_is(one, "Service", governing) for one in taken):
        if not any(one.name == f"Service/{governing}" for one in left):
            left.append(Left(f"Service/{governing}", "the set names it, and it does not exist"))
    return Chosen(statefulset, tuple(taken), (*left, *_used(statefulset)))


def _sort(body: Json, why: str, taken: list[Json], left: list[Left]) -> None:
    if why:
        left.append(Left(f"{body['kind']}/{body['metadata']['name']}", why))
    else:
        taken.append(body)


def _is(body: Json, kind: str, name: str) -> bool:
    return bool(body["kind"] == kind and body["metadata"]["name"] == name)


def _claimed(body: Json, selector: Json | None, strangers: Sequence[Json]) -> str:
    """Why an object cannot be taken over; "" where nothing is against it."""
    meta, owner = body["metadata"], controller_of(body)
    if PART_OF_LABEL in (meta.get("labels") or {}):
        return "it belongs to another release, or another tool's set of objects"
    if meta.get("deletionTimestamp"):
        return "it is being deleted"
    if owner:
        return f"it was made by {owner.get('kind')}/{owner.get('name')}"
    for pod in strangers:
        if selects(selector, pod["metadata"].get("labels") or {}):
            return f"it selects pods of others, too, such as {pod['metadata']['name']}"
    return ""


def _used(statefulset: Json) -> Iterator[Left]:
    """What pods and claims name."""
    reasons = {
        "ConfigMap": "pods read it; in a release a checksum of it would go into the pod template, and restart them",
        "Secret": "pods read it; in a release a checksum of it would go into the pod template, and restart them",
        "ServiceAccount": "pods run as it, and others may",
        "PersistentVolumeClaim": "all pods use it, and it is not of the set's claim templates",
    }
    for _, kind, name in used(statefulset):
        if kind in reasons:
            yield Left(f"{kind}/{name}", reasons[kind])
    templates = statefulset["spec"].get("volumeClaimTemplates") or []
    for name in dict.fromkeys(str(dig(one, "spec", "storageClassName") or "") for one in templates):
        if name:
            yield Left(f"StorageClass/{name}", "the whole cluster shares it")


def used(statefulset: Json) -> list[tuple[str, str, str]]:
    """(group, kind, name) of what the set's pods name, each once."""
    found = pod_references(statefulset["spec"]["template"]["spec"])
    return sorted({one for one in found if one[2] != "None"})


def literal(body: Json) -> Json:
    """What a template says of a live object: no status, nothing that the server or another tool keeps for itself."""
    made: Json = {"apiVersion": body["apiVersion"], "kind": body["kind"], "metadata": _metadata(body)}
    spec = _plain(body["spec"])
    if body["kind"] == "StatefulSet":
        external = [f"{kind}/{name}" for _, kind, name in used(body) if kind in ("ConfigMap", "Secret")]
        if external:
            made["metadata"]["annotations"][EXTERNAL_ANNOTATION] = ", ".join(external)
        spec = _without(spec, _SET)
        pod = _without(spec["template"]["spec"], _POD)
        if pod.get("serviceAccount") == pod.get("serviceAccountName"):
            pod.pop("serviceAccount", None)
        for key in ("initContainers", "containers"):
            if key in pod:
                pod[key] = [_container(one) for one in pod[key]]
        spec["template"] = {**spec["template"], "spec": pod}
    if body["kind"] == "Service":
        spec = {key: value for key, value in _without(spec, _SERVICE).items() if key not in _HANDED_OUT}
        if spec.get("clusterIP") != "None":
            spec.pop("clusterIP", None)
        if "ports" in spec:
            spec["ports"] = [_port(one) for one in spec["ports"]]
    return {**made, "spec": spec}


def _metadata(body: Json) -> Json:
    """Name, labels and annotations, and that this very object is taken over."""
    meta = body["metadata"]
    labels, annotations = (
        {key: value for key, value in _plain(meta.get(part) or {}).items() if not key.startswith(_OTHERS_MARKS)}
        for part in ("labels", "annotations")
    )
    marked = {**annotations, ADOPTS_ANNOTATION: meta["uid"]}
    return {"name": meta["name"], **({"labels": labels} if labels else {}), "annotations": marked}


def _container(body: Json) -> Json:
    made = _without(body, _CONTAINER)
    if "ports" in made:
        made["ports"] = [_without(one, {"protocol": "TCP"}) for one in made["ports"]]
    return made


def _port(body: Json) -> Json:
    return _without(body, {"protocol": "TCP", "targetPort": body.get("port")})


def _without(body: Json, defaults: Mapping[str, Any]) -> Json:
    return {key: value for key, value in body.items() if key not in defaults or defaults[key] != value}


def _plain(value: Any) -> Any:
    """The value without what is null, its keys in one order, whichever way a server returns them."""
    if isinstance(value, dict):
        first = ("apiVersion", "kind", "metadata", "name", "image")
        ordered = [*(key for key in first if key in value), *sorted(value.keys() - {*first})]
        return {key: _plain(value[key]) for key in ordered if value[key] is not None}
    if isinstance(value, list):
        return [_plain(item) for item in value]
    return value
