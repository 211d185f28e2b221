"""Names, labels and namespaces: what the API refuses, and what berth needs to find its own objects again."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from berth.core.lint.model import Hit, Severity, rule
from berth.core.lint.scene import Part, Scene, is_namespaced
from berth.core.objects import INSTANCE_LABEL, MANAGED_BY_LABEL, MAX_SET_NAME

#: The syntaxes of k8s.io/apimachinery/pkg/util/validation.
DNS_1035 = re.compile(r"[a-z]([-a-z0-9]{0,61}[a-z0-9])?")
DNS_1123 = re.compile(r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?")
SUBDOMAIN = re.compile(r"(?=.{1,253}$)[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*")
LABEL_VALUE = re.compile(r"(([A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?)?)")
LABEL_NAME = re.compile(r"[A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?")

#: Kinds whose names must be one DNS label, by the label's syntax. A StatefulSet's name becomes its pods' host names.
_LABEL_KINDS = {"Service": DNS_1035, "StatefulSet": DNS_1123, "Namespace": DNS_1123}
#: Kinds that take any name that fits in a URL path.
_FREE_KINDS = frozenset({"Role", "RoleBinding", "ClusterRole", "ClusterRoleBinding"})

#: Labels that change from one version of a release to the next.
VERSION_LABELS = frozenset(
    {
        "app.kubernetes.io/version",
        "helm.sh/chart",
        "chart",
        "version",
        "controller-revision-hash",
        "pod-template-hash",
    }
)


@rule(
    "names/set-length",
    f"A StatefulSet's name has at most {MAX_SET_NAME} characters",
    Severity.ERROR,
    fix="give the release a shorter name",
    structural=True,
)
def set_length(scene: Scene) -> Iterator[Hit]:
    """Each pod carries a label with the set's name, a dash and a hash of ten characters, and labels end at 63.

    With a longer name the API accepts the set and then no pod ever comes up (kubernetes#64023).
    """
    for workload in scene.sets:
        if len(workload.name) > MAX_SET_NAME:
            message = f"the name has {len(workload.name)} characters; {MAX_SET_NAME} are possible"
            yield workload.root.hit(message, "metadata", "name")


@rule(
    "names/dns",
    "Names are DNS names of the form that their kind asks for",
    Severity.ERROR,
    fix="use lower case letters, digits and dashes, beginning with a letter",
    structural=True,
)
def dns(scene: Scene) -> Iterator[Hit]:
    """The API refuses other names.

    A Service's name is a DNS-1035 label (it begins with a letter), a StatefulSet's a DNS-1123 label, for its pods'
    host names are made of it; most other kinds take DNS subdomains.
    """
    for part in scene.objects:
        kind, name = part.text("kind"), part.at("metadata").text("name")
        if kind in _FREE_KINDS:
            continue
        syntax = _LABEL_KINDS.get(kind, SUBDOMAIN)
        if not syntax.fullmatch(name):
            form = {DNS_1035: "a DNS-1035 label", DNS_1123: "a DNS-1123 label"}.get(syntax, "a DNS-1123 subdomain")
            yield part.hit(f"{name!r} is not {form}, as a {kind}'s name must be", "metadata", "name")


@rule(
    "names/namespace",
    "Namespaced objects are in the release's namespace",
    Severity.ERROR,
    fix="leave metadata.namespace out: berth sets it",
    structural=True,
)
def namespace(scene: Scene) -> Iterator[Hit]:
    """A release lives in one namespace: its record, lock and inventory are there, and teardown looks nowhere else."""
    for part in scene.objects:
        given = part.at("metadata").get("namespace")
        if given is not None and given != scene.facts.namespace and is_namespaced(part):
            message = f"the namespace is {given!r} but the release is in {scene.facts.namespace!r}"
            yield part.hit(message, "metadata", "namespace")


@rule(
    "names/labels",
    "Labels are of the form that the API accepts",
    Severity.ERROR,
    fix="shorten the value to 63 letters, digits, dashes, dots and underscores, a letter or digit at both ends",
    structural=True,
)
def labels(scene: Scene) -> Iterator[Hit]:
    """A label's value has at most 63 characters, its name too, after an optional DNS prefix and a slash."""
    for part in _labelled(scene):
        for key, value in part.body.items():
            reason = _label_fault(key, value)
            if reason:
                yield part.hit(reason, key)


def _labelled(scene: Scene) -> Iterator[Part]:
    for part in scene.objects:
        yield part.at("metadata", "labels")
        if part.text("kind") == "Service":
            yield part.at("spec", "selector")
    for workload in scene.workloads:
        if workload.template.path:
            yield workload.template.at("metadata", "labels")
        yield workload.spec.at("selector", "matchLabels")
        for template in workload.claim_templates():
            yield template.at("metadata", "labels")


def _label_fault(key: Any, value: Any) -> str:
    prefix, slash, name = str(key).rpartition("/")
    if (slash and not SUBDOMAIN.fullmatch(prefix)) or not LABEL_NAME.fullmatch(name):
        return f"{key!r} is not a label's name"
    if not isinstance(value, str):
        return f"the label {key!r} must be a string"
    if len(value) > 63:
        return f"the label {key!r} has {len(value)} characters; 63 are possible"
    return "" if LABEL_VALUE.fullmatch(value) else f"{value!r} is not a label's value"


@rule(
    "labels/instance",
    "Objects and pods carry the release's name",
    Severity.ERROR,
    fix=f"add the label {INSTANCE_LABEL} with the release's name",
    structural=True,
)
def instance(scene: Scene) -> Iterator[Hit]:
    """Objects and pods of a release are found by this label, in status, diagnosis and teardown.

    Cluster-scoped objects are exempt, for several releases may share them.
    """
    for part in scene.objects:
        if is_namespaced(part):
            yield from _instance(part.at("metadata"), scene.facts.release)
    for workload in scene.workloads:
        if workload.template.path:
            yield from _instance(workload.template.at("metadata"), scene.facts.release)


def _instance(metadata: Part, release: str) -> Iterator[Hit]:
    value = metadata.at("labels").get(INSTANCE_LABEL)
    if value is None:
        yield metadata.hit(f"there is no label {INSTANCE_LABEL}", "labels")
    elif value != release:
        message = f"the label {INSTANCE_LABEL} is {value!r}, and not the release {release!r}"
        yield metadata.hit(message, "labels", INSTANCE_LABEL)


@rule(
    "labels/claims",
    "Claims carry the release's name",
    Severity.ERROR,
    fix=f"put {INSTANCE_LABEL} into the set's spec.selector.matchLabels, from where claims take it",
    structural=True,
)
def claims(scene: Scene) -> Iterator[Hit]:
    """Claims outlive their set. Only a label tells later which release's data they hold.

    The controller labels each claim with the set's matchLabels and the claim template's own labels.
    """
    for workload in scene.sets:
        from_selector = workload.spec.labels("selector", "matchLabels")
        for template in workload.claim_templates():
            own = {**template.labels("metadata", "labels"), **from_selector}
            if own.get(INSTANCE_LABEL) != scene.facts.release:
                yield template.hit(f"claims of this template get no label {INSTANCE_LABEL}={scene.facts.release}")


@rule(
    "labels/recommended",
    "Objects carry the labels that tools expect",
    Severity.WARNING,
    fix=f"add app.kubernetes.io/name and {MANAGED_BY_LABEL}: berth",
)
def recommended(scene: Scene) -> Iterator[Hit]:
    """Dashboards, cost reports and other people's scripts group objects by Kubernetes' recommended labels."""
    for part in scene.objects:
        own = part.labels("metadata", "labels")
        # What lives outside namespaces may be shared by releases, and belongs to none of them.
        wanted = ("app.kubernetes.io/name", MANAGED_BY_LABEL) if is_namespaced(part) else (MANAGED_BY_LABEL,)
        missing = [key for key in wanted if key not in own]
        if missing:
            yield part.hit(f"no label {' and no label '.join(missing)}", "metadata", "labels")
