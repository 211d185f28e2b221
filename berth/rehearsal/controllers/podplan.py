"""What a pod on a simulated node is about to do: by the scenario, by the pod's own annotations, by its images.

The annotations and tags are those that the nodes of the local control plane honour, so that one manifest fails in the
same way on both: ``berth.dev/fault: image|crash|unready``, ``berth.dev/ready-after``, ``berth.dev/stop-after``, and an
image whose tag is ``bad`` or ``nope``.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, cast

from berth.core.errors import InputError
from berth.core.objects import Json
from berth.rehearsal import scenario as scenarios
from berth.rehearsal.durations import seconds_in
from berth.rehearsal.jsontree import dig
from berth.rehearsal.kinds import STATEFUL_SETS
from berth.rehearsal.scenario import Behaviour, Facts, Fault, PodRule

if TYPE_CHECKING:
    from berth.rehearsal.store import Store

FAULT = "berth.dev/fault"
READY_AFTER = "berth.dev/ready-after"
STOP_AFTER = "berth.dev/stop-after"
_ANNOTATED = ("image", "crash", "unready")
_PART = r"[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*"
_HOST = r"(?:[A-Za-z0-9](?:[A-Za-z0-9-]*[A-Za-z0-9])?)(?:\.[A-Za-z0-9](?:[A-Za-z0-9-]*[A-Za-z0-9])?)*(?::[0-9]+)?"
_REFERENCE = re.compile(rf"(?:{_HOST}/)?{_PART}(?:/{_PART})*(?::\w[\w.-]{{0,127}})?(?:@[a-z0-9+._-]+:[0-9a-f]{{32,}})?")
_NOT_PULLED = re.compile(":(bad|nope)$")


@dataclass(frozen=True, slots=True)
class Plan:
    """How one pod behaves now; ``stop`` is what its annotation says of how long it takes to end, whatever its grace."""

    behaviour: Behaviour
    rules: Sequence[PodRule] = ()
    annotated: str = ""
    stop: float | None = None

    def fault(self, container: Mapping[str, Any], *, init: bool) -> Fault | None:
        """How a container fails; None when it does not."""
        name, image = container["name"], container["image"]
        if self.annotated and not init:
            return Fault(cast(Any, self.annotated))
        if _NOT_PULLED.search(image) and not self.annotated:
            return Fault("image")
        return scenarios.fault(self.rules, name, image, init=init) if self.rules else None


def plan(pod: Json, rules: Sequence[PodRule]) -> Plan:
    """The plan of a pod about which these rules are in force."""
    behaviour = scenarios.behaviour(rules)
    annotations = pod["metadata"].get("annotations") or {}
    if not annotations:
        return Plan(behaviour, rules)
    ready, stop = (_seconds(annotations.get(key)) for key in (READY_AFTER, STOP_AFTER))
    if ready is not None:
        behaviour = replace(behaviour, ready=ready)
    fault = annotations.get(FAULT, "")
    return Plan(behaviour, rules, fault if fault in _ANNOTATED else "", stop)


def _seconds(text: str | None) -> float | None:
    try:
        return None if text is None else seconds_in(text)
    except InputError:
        return None


def facts_of(store: Store, pod: Json) -> Facts:
    """What rules may ask of a pod."""
    meta = pod["metadata"]
    labels = meta.get("labels") or {}
    owner: Json = next((one for one in meta.get("ownerReferences") or () if one.get("controller")), {})
    name, node = meta["name"], pod["spec"].get("nodeName", "")
    if owner.get("kind") != "StatefulSet":
        return Facts(meta["namespace"], name, labels, node=node)
    owning = store.get(STATEFUL_SETS, meta["namespace"], owner["name"])
    current = dig(owning, "status", "currentRevision")
    own = labels.get("controller-revision-hash", "")
    number = name.rpartition("-")[2]
    return Facts(
        namespace=meta["namespace"],
        name=name,
        labels=labels,
        set=owner["name"],
        ordinal=int(number) if number.isdecimal() else -1,
        # A set that is new has no current revision before its first status.
        revision="update" if current and own and own != current else "current",
        node=node,
    )


def pull_error(image: str, message: str) -> str:
    """What containerd says of an image that it does not find."""
    if message:
        return message
    name = image
    if "/" not in name:
        name = f"docker.io/library/{name}"
    elif not re.match(r"[^/]*[.:][^/]*/|localhost/", name):
        name = f"docker.io/{name}"
    return (
        f'rpc error: code = NotFound desc = failed to pull and unpack image "{name}": '
        f'failed to resolve reference "{name}": {name}: not found'
    )


def name_error(image: str) -> str:
    """What the kubelet says of a name that no image can have; "" for a good one (distribution/reference)."""
    if _REFERENCE.fullmatch(image):
        return ""
    repository = re.sub(r"(?::[^/:]*)?(?:@.*)?$", "", image)
    why = "invalid reference format"
    if repository != repository.lower() and _REFERENCE.fullmatch(image.replace(repository, repository.lower())):
        path = repository if "/" in repository else f"library/{repository}"
        why += f": repository name ({path}) must be lowercase"
    return f'Failed to apply default image tag "{image}": couldn\'t parse image name "{image}": {why}'


def probe_output(probe: Mapping[str, Any] | None, ip: str, message: str) -> str:
    """What a failing probe gives for output, by its kind."""
    if message:
        return message
    if probe and "tcpSocket" in probe:
        return f"dial tcp {ip}:{probe['tcpSocket'].get('port')}: connect: connection refused"
    if probe and "grpc" in probe:
        return 'service unhealthy (responded with "NOT_SERVING")'
    if probe and "exec" in probe:
        return "command returned 1"
    return "HTTP probe failed with statuscode: 503"


def probe_delay(probe: Mapping[str, Any] | None, *, failing: bool = False) -> float:
    """Seconds until a probe's verdict counts: after its delay, then as many periods as its threshold asks for."""
    if not probe:
        return 0.0
    rounds = int(probe.get("failureThreshold", 3) if failing else probe.get("successThreshold", 1))
    first = 0.0 if failing else float(probe.get("initialDelaySeconds", 0))
    return first + (rounds - (0 if failing else 1)) * float(probe.get("periodSeconds", 10))
