"""Engines that need one another: readiness that waits for a quorum, and peers that look one another up.

Whether a probe needs other pods cannot be seen in general. A pod template says it with the annotation
``berth.dev/readiness``: ``quorum`` (ready only when enough peers are up) or ``local`` (the pod alone decides). Without
the annotation, a few commands and paths that are known to ask the quorum are recognized.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from berth.core.lint.model import Hit, Severity, rule
from berth.core.lint.scene import Container, Part, Scene, Workload
from berth.core.lint.sets import governing

READINESS_ANNOTATION = "berth.dev/readiness"

#: Commands, and HTTP paths, that succeed only with a quorum. Data, not policy: the annotation always wins.
_ASKS_THE_QUORUM = re.compile(
    r"\b(?:srvr|mntr|stat)\b.*\bnc\b|\bnc\b.*\b(?:srvr|mntr)\b"  # ZooKeeper's words: answered while serving
    r"|zkServer(?:\.sh)?\s+status"
    r"|etcdctl\b.*\bendpoint\s+health"  # a linearizable read
    r"|cluster_state:ok"  # Redis Cluster
    r"|wsrep_(?:ready|cluster_status)"  # Galera
    r"|_cluster/health\b.*(?:wait_for_|green|yellow)"  # Elasticsearch, OpenSearch
    r"|/v1/status/leader"  # Consul
)


def is_quorum_probe(probe: Part) -> bool:
    """Whether a probe is known to succeed only when enough peers are up."""
    words = " ".join(probe.at("exec").texts("command")) or probe.at("httpGet").text("path")
    return bool(_ASKS_THE_QUORUM.search(words))


def needs_quorum(workload: Workload) -> bool:
    """Whether the pods become ready only when enough of them are up."""
    for metadata in (workload.template.at("metadata"), workload.root.at("metadata")):
        said = metadata.at("annotations").get(READINESS_ANNOTATION)
        if said is not None:
            return bool(said == "quorum")
    return any(is_quorum_probe(container.part.at("readinessProbe")) for container in workload.main())


def _readiness(workload: Workload) -> Part:
    """The place to point at: the first main container's readiness probe, else the pod."""
    for container in workload.main():
        if container.part.get("readinessProbe"):
            return container.part.at("readinessProbe")
    return workload.pod


@rule(
    "quorum/marker",
    f"The annotation {READINESS_ANNOTATION} says quorum or local",
    Severity.ERROR,
    fix=f"write {READINESS_ANNOTATION}: quorum, or local",
    structural=True,
)
def marker(scene: Scene) -> Iterator[Hit]:
    """A word that nobody knows would switch the rules about quorums off in silence."""
    for workload in scene.workloads:
        places = {part.path: part for part in (workload.template.at("metadata"), workload.root.at("metadata"))}
        for metadata in places.values():
            said = metadata.at("annotations").get(READINESS_ANNOTATION)
            if said not in (None, "quorum", "local"):
                yield metadata.hit(f"{said!r} is neither quorum nor local", "annotations", READINESS_ANNOTATION)


@rule(
    "quorum/ordered-ready",
    "A readiness that needs the quorum is not paired with OrderedReady",
    Severity.ERROR,
    fix="set podManagementPolicy: Parallel, or use a readiness that the pod alone decides",
    structural=True,
)
def ordered_ready(scene: Scene) -> Iterator[Hit]:
    """OrderedReady makes pod 1 only when pod 0 is ready, and pod 0 is ready only with a quorum: nothing ever starts."""
    for workload in scene.sets:
        if workload.ordered and workload.replicas > 1 and needs_quorum(workload):
            message = f"pod 0 waits for a quorum that OrderedReady never lets start ({workload.replicas} replicas)"
            yield _readiness(workload).hit(message)


@rule(
    "quorum/not-ready-addresses",
    "Peers of a quorum find one another before they are ready",
    Severity.ERROR,
    fix="set spec.publishNotReadyAddresses: true on the headless Service",
    structural=True,
)
def not_ready_addresses(scene: Scene) -> Iterator[Hit]:
    """A headless Service leaves out pods that are not ready, and these pods become ready only by finding the others."""
    for workload in scene.sets:
        service = governing(scene, workload)
        if service and workload.replicas > 1 and needs_quorum(workload):
            if service.at("spec").get("publishNotReadyAddresses") is not True:
                message = f"the pods of {workload.title} cannot resolve their peers before the quorum is there"
                yield service.hit(message, "spec", "publishNotReadyAddresses")


@rule(
    "quorum/odd",
    "A quorum has an odd number of members",
    Severity.WARNING,
    fix="run one replica more or one fewer",
)
def odd(scene: Scene) -> Iterator[Hit]:
    """An even number survives no more failures than the odd one below it, and two survive none."""
    for workload in scene.sets:
        if workload.replicas and workload.replicas % 2 == 0 and needs_quorum(workload):
            survives = (workload.replicas - 1) // 2
            yield workload.spec.hit(f"{workload.replicas} members survive the loss of {survives} only", "replicas")


@rule(
    "quorum/liveness",
    "Liveness does not need the quorum",
    Severity.ERROR,
    fix="let liveness ask only whether this process is alive",
    structural=True,
)
def liveness(scene: Scene) -> Iterator[Hit]:
    """When the quorum is lost, such a probe restarts the members that are left, and the quorum never returns."""
    for _, container in scene.containers():
        if is_quorum_probe(container.part.at("livenessProbe")):
            yield container.part.hit(f"liveness of {container.name} fails when the quorum is lost", "livenessProbe")


@rule(
    "quorum/peer-addresses",
    "Pods that name their peers can resolve them",
    Severity.WARNING,
    fix="set spec.publishNotReadyAddresses: true on the headless Service",
)
def peer_addresses(scene: Scene) -> Iterator[Hit]:
    """A headless Service gives a pod's name an address only once the pod is ready.

    Pods that look up one another, or themselves, by <set>-<ordinal>.<service> while they start would wait for it.
    """
    for workload in scene.sets:
        service = governing(scene, workload)
        if not service or workload.replicas < 2 or service.at("spec").get("publishNotReadyAddresses") is True:
            continue
        name = re.compile(rf"{re.escape(workload.name)}-\d+\.{re.escape(workload.spec.text('serviceName'))}\b")
        if any(name.search(text) for container in workload.containers for text in _texts(container)):
            message = f"pods of {workload.title} name their peers, which have no address before they are ready"
            yield service.hit(message, "spec", "publishNotReadyAddresses")


def _texts(container: Container) -> Iterator[str]:
    yield from container.part.texts("command")
    yield from container.part.texts("args")
    for entry in container.env():
        yield entry.text("value")
