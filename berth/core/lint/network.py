"""NetworkPolicies: that there is one, that it meets pods, and that it does not cut off what they need."""

from __future__ import annotations

from collections.abc import Iterator

from berth.core.lint.model import Hit, Severity, rule
from berth.core.lint.scene import Part, Scene, Workload, selects_all


def _policies(scene: Scene) -> Iterator[tuple[Part, list[Workload]]]:
    for policy in scene.of_kind("NetworkPolicy"):
        yield policy.at("spec"), scene.matched(policy.at("spec", "podSelector"))


@rule(
    "network/missing",
    "Pods have a network policy",
    Severity.WARNING,
    fix="add a NetworkPolicy that lets in the clients' and the peers' ports",
)
def missing(scene: Scene) -> Iterator[Hit]:
    """Without one every pod of the cluster can reach the engine, its peers' ports included.

    Not asked of development environments. In checkov's words: CKV2_K8S_6.
    """
    if scene.facts.is_development:
        return
    covered = [workload for _, found in _policies(scene) for workload in found]
    for workload in scene.sets:
        if not any(workload is other for other in covered):
            yield workload.root.hit(f"no NetworkPolicy meets the pods of {workload.title}")


@rule(
    "network/selects",
    "A network policy meets pods of the release, and no others",
    Severity.ERROR,
    fix="give podSelector the labels of the set's selector",
    structural=True,
)
def selects(scene: Scene) -> Iterator[Hit]:
    """One that meets nothing protects nothing; an empty podSelector cuts off other releases in the namespace."""
    for spec, found in _policies(scene):
        if selects_all(spec.at("podSelector")):
            yield spec.hit("the selector is empty, and so takes every pod of the namespace", "podSelector")
        elif not found:
            yield spec.hit("the selector meets no pod of this release", "podSelector")


@rule(
    "network/port",
    "The ports that a policy lets in are ports of the pods",
    Severity.ERROR,
    fix="name a port that a container of those pods declares",
    structural=True,
)
def port(scene: Scene) -> Iterator[Hit]:
    """A port that no pod has leaves the one that was meant shut, and the clients time out without a word."""
    for spec, found in _policies(scene):
        containers = [container for workload in found for container in workload.containers]
        names = {name for container in containers for name in container.port_names()}
        numbers = {number for container in containers for number in container.port_numbers()}
        for ingress in spec.each("ingress"):
            for entry in ingress.each("ports"):
                target, end = entry.get("port"), entry.number("endPort")
                if not found or target is None or not isinstance(target, int | str):
                    continue
                ranged = isinstance(target, int) and any(target <= number <= end for number in numbers)
                if target not in names and target not in numbers and not ranged:
                    yield entry.hit(f"no container of these pods declares the port {target!r}", "port")


@rule(
    "network/dns",
    "A policy that limits egress lets DNS through",
    Severity.WARNING,
    fix="allow egress to port 53, UDP and TCP",
)
def dns(scene: Scene) -> Iterator[Hit]:
    """Peers and Services are found by name; without DNS the pods reach nobody, and say only that a name is unknown."""
    for spec, found in _policies(scene):
        if not found or "Egress" not in (spec.texts("policyTypes") or (["Egress"] if spec.get("egress") else [])):
            continue
        open_ports = [list(egress.each("ports")) for egress in spec.each("egress")]
        if not any(
            not ports or any(entry.get("port") in (53, "dns", "dns-udp") for entry in ports) for ports in open_ports
        ):
            yield spec.hit("no egress rule lets port 53 through", "egress")
