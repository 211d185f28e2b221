"""Discovery: which groups, versions, resources and verbs there are, in both forms that clients ask for."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache

from berth.core.objects import Json
from berth.rehearsal.kinds import KINDS, NAMESPACES, Kind
from berth.rehearsal.server import negotiation
from berth.rehearsal.server.messages import JSON, Answer, Request

_AGGREGATED = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList"
_CHANGES = ["get", "patch", "update"]

#: In which groups are listed, and so what a name that two of them have means to kubectl.
_ORDER = (
    *("apps", "authentication.k8s.io", "authorization.k8s.io", "autoscaling", "networking.k8s.io", "policy"),
    *("storage.k8s.io", "scheduling.k8s.io", "coordination.k8s.io", "discovery.k8s.io"),
)
#: The verbs of subresources; all others have those of a status.
_VERBS = {
    "attach": ["create", "get"],
    "binding": ["create"],
    "eviction": ["create"],
    "exec": ["create", "get"],
    "finalize": ["update"],
    "log": ["get"],
    "portforward": ["create", "get"],
}
#: Subresources with a kind of their own: group, version, kind. Without a group they are in that of the resource.
_OWN = {
    "attach": ("", "", "PodAttachOptions"),
    "binding": ("", "", "Binding"),
    "eviction": ("policy", "v1", "Eviction"),
    "exec": ("", "", "PodExecOptions"),
    "portforward": ("", "", "PodPortForwardOptions"),
    "scale": ("autoscaling", "v1", "Scale"),
}


@dataclass(frozen=True, slots=True)
class Review:
    """A resource that is only created, and answered at once."""

    group: str
    kind: str
    plural: str
    version: str = "v1"


REVIEWS = (
    Review("authentication.k8s.io", "SelfSubjectReview", "selfsubjectreviews"),
    Review("authorization.k8s.io", "SelfSubjectAccessReview", "selfsubjectaccessreviews"),
    Review("authorization.k8s.io", "SelfSubjectRulesReview", "selfsubjectrulesreviews"),
)


def verbs(kind: Kind) -> list[str]:
    """What can be done with a resource; namespaces are not deleted by the dozen."""
    every = ["create", "delete", "deletecollection", "get", "list", "patch", "update", "watch"]
    return [verb for verb in every if not (kind is NAMESPACES and verb == "deletecollection")]


def subresource_verbs(subresource: str) -> list[str]:
    """What can be done with a subresource."""
    return _VERBS.get(subresource, _CHANGES)


@cache
def versions() -> tuple[tuple[str, str], ...]:
    """The groups beside the core, each with its only version, in the API server's order."""
    found = {(kind.group, kind.version) for kind in KINDS if kind.group}
    found |= {(review.group, review.version) for review in REVIEWS}
    return tuple(sorted(found, key=lambda one: (_ORDER.index(one[0]) if one[0] in _ORDER else len(_ORDER), one[0])))


def knows(group: str, version: str = "") -> bool:
    """Whether there is such a group, and such a version of it."""
    if not group:
        return version in ("", "v1")
    return any(group == name and version in ("", only) for name, only in versions())


def root(request: Request, paths: Iterable[str]) -> Answer:
    """``/``: the paths that there are."""
    return Answer(200, negotiation.for_errors(request).encode({"paths": sorted(paths)}))


def core_versions(request: Request, address: str) -> Answer:
    """``/api``: the core group, or all of its resources at once."""
    if _aggregated(request):
        return _aggregate([_group("", "v1")])
    where = [{"clientCIDR": "0.0.0.0/0", "serverAddress": address}]
    tree = {"kind": "APIVersions", "versions": ["v1"], "serverAddressByClientCIDRs": where}
    return Answer(200, negotiation.for_errors(request).encode(tree))


def groups(request: Request) -> Answer:
    """``/apis``: all other groups, or all of their resources at once."""
    if _aggregated(request):
        return _aggregate([_group(group, version) for group, version in versions()])
    found = [_group_of(name, version) for name, version in versions()]
    tree = {"kind": "APIGroupList", "apiVersion": "v1", "groups": found}
    return Answer(200, negotiation.for_errors(request).encode(tree))


def group(request: Request, name: str) -> Answer:
    """``/apis/NAME``: one group."""
    version = next(only for known, only in versions() if known == name)
    tree = {"kind": "APIGroup", "apiVersion": "v1", **_group_of(name, version)}
    return Answer(200, negotiation.for_errors(request).encode(tree))


def _group_of(name: str, version: str) -> Json:
    one = {"groupVersion": f"{name}/{version}", "version": version}
    return {"name": name, "versions": [one], "preferredVersion": one}


def resources(request: Request, group: str, version: str) -> Answer:
    """``/api/v1`` and ``/apis/GROUP/VERSION``: the resources of a version."""
    found: list[Json] = []
    for kind in _kinds(group, version):
        found.append(_resource(kind))
        for name in sorted(kind.subresources):
            found.append(_subresource(kind, name))
    for review in _reviews(group, version):
        one = {"name": review.plural, "singularName": review.kind.lower(), "namespaced": False, "kind": review.kind}
        found.append({**one, "verbs": ["create"]})
    tree: Json = {"kind": "APIResourceList", "apiVersion": "v1"}
    if not group:
        # The core's list is of the oldest form, which says no version of its own.
        tree.pop("apiVersion")
    tree |= {"groupVersion": f"{group}/{version}" if group else version, "resources": found}
    return Answer(200, negotiation.for_errors(request).encode(tree))


def _resource(kind: Kind) -> Json:
    one: Json = {
        "name": kind.plural,
        "singularName": kind.singular,
        "namespaced": kind.namespaced,
        "kind": kind.kind,
        "verbs": verbs(kind),
    }
    if kind.short:
        one["shortNames"] = list(kind.short)
    if kind.categories:
        one["categories"] = list(kind.categories)
    return {**one, "storageVersionHash": _hash(kind)}


def _hash(kind: Kind) -> str:
    """The version in which objects are stored, in the API server's form of a hash."""
    return base64.b64encode(hashlib.sha256(f"{kind.api_version}/{kind.kind}".encode()).digest()[:8]).decode()


def _subresource(kind: Kind, name: str) -> Json:
    own_group, own_version, own = _OWN.get(name, ("", "", kind.kind))
    one: Json = {"name": f"{kind.plural}/{name}", "singularName": "", "namespaced": kind.namespaced}
    if own_group:
        one |= {"group": own_group, "version": own_version}
    return {**one, "kind": own, "verbs": subresource_verbs(name)}


def _aggregated(request: Request) -> bool:
    """Whether the client takes everything at once (its first wish decides)."""
    first = request.header("Accept").partition(",")[0].replace(" ", "")
    words = set(first.split(";"))
    return words >= {JSON, "g=apidiscovery.k8s.io", "v=v2", "as=APIGroupDiscoveryList"}


def _aggregate(items: list[Json]) -> Answer:
    tree = {"kind": "APIGroupDiscoveryList", "apiVersion": "apidiscovery.k8s.io/v2", "metadata": {}, "items": items}
    return Answer(200, negotiation.encode(tree), _AGGREGATED)


def _group(group: str, version: str) -> Json:
    found = [_discovered(kind) for kind in _kinds(group, version)]
    for review in _reviews(group, version):
        found.append(
            {
                "resource": review.plural,
                "responseKind": _response_kind(review.kind),
                "scope": "Cluster",
                "singularResource": review.kind.lower(),
                "verbs": ["create"],
            }
        )
    one: Json = {"version": version, "resources": found, "freshness": "Current"}
    return {"metadata": {"name": group} if group else {}, "versions": [one]}


def _discovered(kind: Kind) -> Json:
    one: Json = {
        "resource": kind.plural,
        "responseKind": _response_kind(kind.kind),
        "scope": "Namespaced" if kind.namespaced else "Cluster",
        "singularResource": kind.singular,
        "verbs": verbs(kind),
    }
    if kind.short:
        one["shortNames"] = list(kind.short)
    if kind.categories:
        one["categories"] = list(kind.categories)
    below = []
    for name in sorted(kind.subresources):
        own_group, own_version, own = _OWN.get(name, ("", "", kind.kind))
        response = _response_kind(own, own_group, own_version)
        below.append({"subresource": name, "responseKind": response, "verbs": subresource_verbs(name)})
    return {**one, "subresources": below} if below else one


def _response_kind(kind: str, group: str = "", version: str = "") -> Json:
    """A kind; without a group it is in that of the resource it is said of."""
    return {"group": group, "version": version, "kind": kind}


def _kinds(group: str, version: str) -> list[Kind]:
    found = [kind for kind in KINDS if (kind.group, kind.version) == (group, version)]
    return sorted(found, key=lambda kind: kind.plural)


def _reviews(group: str, version: str) -> list[Review]:
    return [review for review in REVIEWS if (review.group, review.version) == (group, version)]


def review(group: str, version: str, plural: str) -> Review | None:
    """The review under a path of the API."""
    return next((one for one in _reviews(group, version) if one.plural == plural), None)
