"""Pod Security: the standard that the labels of a namespace ask for, enforced on pods and warned of for others.

Source: k8s.io/pod-security-admission; the texts are the ones that a server of 1.36 gives.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from berth.core.objects import Json
from berth.rehearsal.admission.podsecurity_checks import violations
from berth.rehearsal.admission.view import View, refuse
from berth.rehearsal.jsontree import dig
from berth.rehearsal.kinds import NAMESPACES, PODS, Kind
from berth.rehearsal.refusal import FieldError, invalid

LEVELS = ("privileged", "baseline", "restricted")
#: The minor version that "latest" stands for: newer than every rule.
LATEST = 1 << 30

_PREFIX = "pod-security.kubernetes.io/"
_VERSION = re.compile(r"v1\.(\d|[1-9]\d*)")


@dataclass(frozen=True, slots=True)
class Standard:
    """A level of the standards, as of a version of Kubernetes."""

    level: str = "privileged"
    version: str = "latest"

    @property
    def minor(self) -> int:
        """The minor version of its rules."""
        return LATEST if self.version == "latest" else int(self.version.partition(".")[2])

    def __str__(self) -> str:
        return f"{self.level}:{self.version}"


@dataclass(frozen=True, slots=True)
class Policy:
    """What a namespace asks for, and what is wrong with its labels."""

    enforce: Standard
    warn: Standard
    errors: tuple[FieldError, ...]


def policy_of(labels: Mapping[str, str]) -> Policy:
    """Read the labels; an enforced level is warned of, too, unless they say otherwise."""
    errors: list[FieldError] = []
    found: dict[str, Standard] = {}
    wrong: set[str] = set()
    for mode in ("enforce", "audit", "warn"):
        level, version = labels.get(_PREFIX + mode), labels.get(f"{_PREFIX}{mode}-version")
        if level is not None and level not in LEVELS:
            errors.append(_error(mode, level, f"must be one of {', '.join(LEVELS)}"))
            wrong.add(mode)
            # A broken level enforces everything, and warns of nothing.
            level = "restricted" if mode == "enforce" else "privileged"
        if version is not None and version != "latest" and not _VERSION.fullmatch(version):
            errors.append(_error(f"{mode}-version", version, 'must be "latest" or "v1.x"'))
            version = "latest"
        found[mode] = Standard(level or "privileged", version or "latest")
    enforce, warn = found["enforce"], found["warn"]
    if f"{_PREFIX}warn" not in labels and "enforce" not in wrong and enforce.level != "privileged":
        warn = Standard(enforce.level, warn.version if f"{_PREFIX}warn-version" in labels else enforce.version)
    return Policy(enforce, warn, tuple(errors))


def _error(label: str, value: str, why: str) -> FieldError:
    return FieldError("FieldValueInvalid", f"metadata.labels[{_PREFIX}{label}]", f'Invalid value: "{value}": {why}')


def check(kind: Kind, obj: Json, old: Json | None, namespace: Json | None) -> list[str]:
    """The warnings for a pod, or for an object with a pod template.

    Raises:
        ApiError: 403, a pod violates the standard that its namespace enforces.
    """
    labels = ((namespace or {}).get("metadata") or {}).get("labels") or {}
    policy = policy_of(labels)
    if policy.enforce.level == policy.warn.level == "privileged":
        return []
    is_pod = kind.key == PODS.key
    if is_pod and old is not None and _images(obj) == _images(old):
        return []
    template = obj if is_pod else dig(obj, "spec", "template") or {}
    metadata, spec = template.get("metadata") or {}, template.get("spec") or {}
    if is_pod:
        broken = _described(policy.enforce, metadata, spec)
        if broken:
            raise refuse(kind, obj, f'violates PodSecurity "{policy.enforce}": {broken}')
    broken = _described(policy.warn, metadata, spec)
    return [f'would violate PodSecurity "{policy.warn}": {broken}'] if broken else []


def _images(pod: Json) -> list[list[str]]:
    spec = pod.get("spec") or {}
    keys = ("containers", "initContainers", "ephemeralContainers")
    return [[one.get("image", "") for one in spec.get(key) or []] for key in keys]


def _described(standard: Standard, metadata: Json, spec: Json) -> str:
    found = violations(standard.level, standard.minor, metadata, spec)
    return ", ".join(f"{one.reason} ({one.detail})" if one.detail else one.reason for one in found)


def check_namespace(view: View, obj: Json, old: Json | None) -> list[str]:
    """The warnings about the pods that a namespace holds, when it asks for more of them than before.

    Raises:
        ApiError: 422, the labels say what no standard is.
    """
    name = obj["metadata"]["name"]
    policy = policy_of(obj["metadata"].get("labels") or {})
    before = policy_of((old or {}).get("metadata", {}).get("labels") or {})
    if policy.errors and (old is None or policy.errors != before.errors):
        raise invalid(NAMESPACES, name, policy.errors)
    if old is None or policy.enforce == before.enforce or policy.enforce.level == "privileged":
        return []
    relaxed = LEVELS.index(policy.enforce.level) <= LEVELS.index(before.enforce.level)
    if policy.enforce.version == before.enforce.version and relaxed:
        return []
    return _existing(view, name, policy.enforce)


def _existing(view: View, namespace: str, standard: Standard) -> list[str]:
    names: dict[str, list[str]] = {}
    for pod in view.list(PODS, namespace):
        found = violations(standard.level, standard.minor, pod["metadata"], pod.get("spec") or {})
        if found:
            names.setdefault(", ".join(one.reason for one in found), []).append(pod["metadata"]["name"])
    if not names:
        return []
    lines = []
    for reasons, pods in names.items():
        more = {1: "", 2: " (and 1 other pod)"}.get(len(pods), f" (and {len(pods) - 1} other pods)")
        lines.append(f"{min(pods)}{more}: {reasons}")
    head = f'existing pods in namespace "{namespace}" violate the new PodSecurity enforce level "{standard}"'
    return [head, *sorted(lines)]
