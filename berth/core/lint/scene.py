"""A release as rules look at it: parts of manifests that know their path, workloads, containers, selectors.

Rules run before any schema has been checked, so nothing here trusts a manifest's shape: a part that is missing or of
the wrong type reads as empty. That it is wrong is for the schema to say.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from berth.core.lint.model import Facts, Hit
from berth.core.objects import CLUSTER_SCOPED, Json, Manifest, field_path, ordinals, pod_name

#: Labels that the StatefulSet controller adds to each pod (the second since Kubernetes 1.28, stable in 1.32).
POD_NAME_LABEL = "statefulset.kubernetes.io/pod-name"
POD_INDEX_LABEL = "apps.kubernetes.io/pod-index"

_NOTHING: Json = {}


@dataclass(frozen=True, slots=True)
class Part:
    """A mapping inside a manifest, and where it is."""

    manifest: Manifest
    path: tuple[str | int, ...]
    body: Json

    def get(self, key: str) -> Any:
        """The value of a key, or None."""
        return self.body.get(key)

    def at(self, *keys: str) -> Part:
        """The mapping under keys; an empty one where it is missing or no mapping."""
        body: Any = self.body
        for key in keys:
            body = body.get(key) if isinstance(body, dict) else None
        return Part(self.manifest, (*self.path, *keys), body if isinstance(body, dict) else _NOTHING)

    def each(self, key: str) -> Iterator[Part]:
        """The mappings in the list under a key."""
        listed = self.body.get(key)
        for index, body in enumerate(listed if isinstance(listed, list) else ()):
            if isinstance(body, dict):
                yield Part(self.manifest, (*self.path, key, index), body)

    def text(self, key: str) -> str:
        """The string under a key, or "" where it is missing or no string."""
        value = self.body.get(key)
        return value if isinstance(value, str) else ""

    def texts(self, key: str) -> list[str]:
        """The strings in the list under a key."""
        listed = self.body.get(key)
        return [item for item in listed if isinstance(item, str)] if isinstance(listed, list) else []

    def number(self, key: str, default: int = 0) -> int:
        """The whole number under a key, or ``default``."""
        value = self.body.get(key)
        return value if isinstance(value, int) and not isinstance(value, bool) else default

    def labels(self, *keys: str) -> dict[str, str]:
        """A mapping of strings to strings, such as labels; what is no string is left out."""
        return {key: value for key, value in self.at(*keys).body.items() if isinstance(value, str)}

    def hit(self, message: str, *keys: str | int, fix: str = "") -> Hit:
        """A hit at this part, or at something below it."""
        return Hit(self.manifest, field_path((*self.path, *keys)), message, fix)


@dataclass(frozen=True, slots=True)
class Container:
    """A container of a workload; ``role`` is its list: containers, initContainers or ephemeralContainers."""

    part: Part
    role: str

    @property
    def name(self) -> str:
        """The container's name, or its index where it has none."""
        return self.part.text("name") or str(self.part.path[-1])

    @property
    def security(self) -> Part:
        """Its securityContext."""
        return self.part.at("securityContext")

    @property
    def runs_on(self) -> bool:
        """Whether it runs as long as the pod does: a main container, or a sidecar among the init containers."""
        return self.role == "containers" or (
            self.role == "initContainers" and self.part.get("restartPolicy") == "Always"
        )

    def env(self) -> Iterator[Part]:
        """Its environment entries."""
        return self.part.each("env")

    def mounts(self) -> Iterator[Part]:
        """Its volumeMounts."""
        return self.part.each("volumeMounts")

    def port_numbers(self) -> set[int]:
        """The ports that it declares."""
        return {port.number("containerPort") for port in self.part.each("ports")} - {0}

    def port_names(self) -> set[str]:
        """The names of the ports that it declares."""
        return {port.text("name") for port in self.part.each("ports")} - {""}


@dataclass(frozen=True, slots=True)
class Workload:
    """An object that makes pods. ``template`` is the pod template (of a Pod: the Pod itself)."""

    root: Part
    template: Part
    labels: dict[str, str]
    containers: tuple[Container, ...]

    @property
    def kind(self) -> str:
        """StatefulSet, Deployment ..."""
        return self.root.text("kind")

    @property
    def name(self) -> str:
        """The object's name."""
        return self.root.at("metadata").text("name")

    @property
    def title(self) -> str:
        """Kind/name, for messages."""
        return f"{self.kind}/{self.name}"

    @property
    def spec(self) -> Part:
        """The workload's spec."""
        return self.root.at("spec")

    @property
    def pod(self) -> Part:
        """The spec of the pods."""
        return self.template.at("spec")

    @property
    def security(self) -> Part:
        """The pods' securityContext."""
        return self.pod.at("securityContext")

    @property
    def replicas(self) -> int:
        """The pods that it wants; 1 where it does not say."""
        return self.spec.number("replicas", 1)

    @property
    def ordered(self) -> bool:
        """Whether it waits for each pod before it makes the next: a StatefulSet's default."""
        return self.kind == "StatefulSet" and self.spec.get("podManagementPolicy") in (None, "OrderedReady")

    def main(self) -> Iterator[Container]:
        """The containers proper."""
        return (container for container in self.containers if container.role == "containers")

    def volumes(self) -> Iterator[Part]:
        """The pods' volumes."""
        return self.pod.each("volumes")

    def claim_templates(self) -> Iterator[Part]:
        """A StatefulSet's claim templates."""
        return self.spec.each("volumeClaimTemplates")

    def pods_labels(self, wanted: Mapping[str, Any]) -> Iterator[dict[str, str]]:
        """The labels of its pods: of the template, and of every ordinal when ``wanted`` asks for one of those."""
        if self.kind == "StatefulSet" and (POD_NAME_LABEL in wanted or POD_INDEX_LABEL in wanted):
            start = self.spec.at("ordinals").number("start")
            # A bound, so that an absurd number of replicas costs an error message and not a minute. A set that is
            # scaled to 0 keeps the Services of the ordinals that it will have again.
            for ordinal in range(start, start + (min(self.replicas, 1000) or 100)):
                own = {POD_NAME_LABEL: pod_name(self.name, ordinal), POD_INDEX_LABEL: str(ordinal)}
                yield {**self.labels, **own}
        else:
            yield self.labels


_TEMPLATES: dict[str, tuple[str, ...]] = {
    "Pod": (),
    "StatefulSet": ("spec", "template"),
    "Deployment": ("spec", "template"),
    "DaemonSet": ("spec", "template"),
    "ReplicaSet": ("spec", "template"),
    "Job": ("spec", "template"),
    "CronJob": ("spec", "jobTemplate", "spec", "template"),
}


@dataclass(frozen=True, slots=True)
class Scene:
    """The manifests of one release, sorted for the questions that rules ask."""

    facts: Facts
    objects: tuple[Part, ...]
    workloads: tuple[Workload, ...]
    sets: tuple[Workload, ...]
    kinds: Mapping[str, tuple[Part, ...]]
    names: frozenset[tuple[str, str]]

    @classmethod
    def of(cls, manifests: tuple[Manifest, ...], facts: Facts) -> Scene:
        """Sort the manifests once, for all rules."""
        objects = tuple(Part(manifest, (), manifest.body) for manifest in manifests)
        kinds: dict[str, list[Part]] = {}
        for part in objects:
            kinds.setdefault(part.text("kind"), []).append(part)
        workloads = tuple(_workload(part) for part in objects if part.text("kind") in _TEMPLATES)
        names = {(part.text("kind"), part.at("metadata").text("name")) for part in objects}
        names |= {(other.ref.kind, other.ref.name) for other in facts.others}
        return cls(
            facts=facts,
            objects=objects,
            workloads=workloads,
            sets=tuple(workload for workload in workloads if workload.kind == "StatefulSet"),
            kinds={kind: tuple(parts) for kind, parts in kinds.items()},
            names=frozenset(names),
        )

    def of_kind(self, kind: str) -> tuple[Part, ...]:
        """The objects of a kind."""
        return self.kinds.get(kind, ())

    def find(self, kind: str, name: str) -> Part | None:
        """The release's object of that kind and name."""
        return next((part for part in self.of_kind(kind) if part.at("metadata").text("name") == name), None)

    def containers(self) -> Iterator[tuple[Workload, Container]]:
        """Every container of every workload."""
        return ((workload, container) for workload in self.workloads for container in workload.containers)

    def selected(self, selector: Part) -> list[Workload]:
        """The workloads of which a Service's selector (a plain mapping) meets any pod; none for an empty one."""
        wanted = selector.body
        if not wanted:
            return []
        return [
            workload
            for workload in self.workloads
            if any(
                all(labels.get(key) == value for key, value in wanted.items())
                for labels in workload.pods_labels(wanted)
            )
        ]

    def matched(self, selector: Part) -> list[Workload]:
        """The workloads whose pods a label selector (matchLabels, matchExpressions) meets; all when it is empty."""
        wanted = selector.labels("matchLabels")
        return [
            workload
            for workload in self.workloads
            if any(matches(selector, labels) for labels in workload.pods_labels(wanted))
        ]


def _workload(root: Part) -> Workload:
    template = root.at(*_TEMPLATES[root.text("kind")])
    pod = template.at("spec")
    containers = tuple(
        Container(part, role)
        for role in ("initContainers", "containers", "ephemeralContainers")
        for part in pod.each(role)
    )
    return Workload(root, template, template.labels("metadata", "labels"), containers)


def matches(selector: Part, labels: Mapping[str, str]) -> bool:
    """Whether a label selector meets labels; an empty one meets everything.

    The operators are those of k8s.io/apimachinery LabelSelector; an unknown one meets nothing.
    """
    if any(labels.get(key) != value for key, value in selector.at("matchLabels").body.items()):
        return False
    for expression in selector.each("matchExpressions"):
        value, allowed = labels.get(expression.text("key")), expression.texts("values")
        met = {
            "In": value is not None and value in allowed,
            "NotIn": value is None or value not in allowed,
            "Exists": value is not None,
            "DoesNotExist": value is None,
        }
        if not met.get(expression.text("operator"), False):
            return False
    return True


def selects_all(selector: Part) -> bool:
    """Whether a label selector is empty, and so meets every pod of the namespace."""
    return not selector.at("matchLabels").body and not any(selector.each("matchExpressions"))


def highest_ordinal(workload: Workload) -> int:
    """The highest ordinal that a set wants, or its first where it wants none."""
    try:
        wanted = ordinals(workload.root.body)
    except (TypeError, ValueError):
        return 0
    return max(wanted.stop - 1, wanted.start)


def is_namespaced(part: Part) -> bool:
    """Whether the object lives in a namespace."""
    return part.text("kind") not in CLUSTER_SCOPED
