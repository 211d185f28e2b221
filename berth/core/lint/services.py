"""Services: whom they select, and where they send."""

from __future__ import annotations

import re
from collections.abc import Iterator

from berth.core.lint.model import Hit, Severity, rule
from berth.core.lint.scene import POD_INDEX_LABEL, POD_NAME_LABEL, Part, Scene, Workload


def _name_of(part: Part) -> str:
    return part.at("metadata").text("name")


@rule(
    "services/selects",
    "A Service selects pods of the release",
    Severity.ERROR,
    fix="make its selector a part of the pod template's labels",
    structural=True,
)
def selects(scene: Scene) -> Iterator[Hit]:
    """A Service that selects nothing has no endpoints, and its clients time out."""
    headless = {workload.spec.text("serviceName") for workload in scene.sets}
    for service in scene.of_kind("Service"):
        selector = service.at("spec", "selector")
        # That of a set is told by sets/service-selects-pods, with the set's name.
        if selector.body and _name_of(service) not in headless and not scene.selected(selector):
            ordinal = [key for key in (POD_NAME_LABEL, POD_INDEX_LABEL) if key in selector.body]
            which = f" (no ordinal has {ordinal[0]}={selector.body[ordinal[0]]})" if ordinal else ""
            yield service.hit(f"the selector meets no pod of this release{which}", "spec", "selector")


@rule(
    "services/one-workload",
    "A Service selects the pods of one workload",
    Severity.ERROR,
    fix="add app.kubernetes.io/component to the selector and to the pod template",
    structural=True,
)
def one_workload(scene: Scene) -> Iterator[Hit]:
    """Pods of another workload answer some of the requests: a job's, an exporter's, another role's."""
    for service in scene.of_kind("Service"):
        found = scene.selected(service.at("spec", "selector"))
        if len(found) > 1:
            names = " and of ".join(workload.title for workload in found)
            yield service.hit(f"the selector meets the pods of {names}", "spec", "selector")


@rule(
    "services/target-port",
    "A Service's target ports are ports of its pods",
    Severity.ERROR,
    fix="name a port that a container of those pods declares",
    structural=True,
)
def target_port(scene: Scene) -> Iterator[Hit]:
    """A name that no container declares sends nowhere; a number that none declares sends where nothing listens."""
    for service in scene.of_kind("Service"):
        for workload in scene.selected(service.at("spec", "selector")):
            for port in service.at("spec").each("ports"):
                target = port.get("targetPort") or port.get("port")
                if isinstance(target, str | int) and not _declares(workload, target):
                    key = "targetPort" if port.get("targetPort") else "port"
                    yield port.hit(f"no container of {workload.title} declares the port {target!r}", key)


def _declares(workload: Workload, target: str | int) -> bool:
    for container in workload.containers:
        if container.runs_on:
            known: set[str] | set[int] = container.port_names() if isinstance(target, str) else container.port_numbers()
            if target in known:
                return True
    return False


@rule(
    "services/headless-port",
    "A headless Service's port is the pods' own",
    Severity.WARNING,
    fix="make port and targetPort equal on the headless Service",
)
def headless_port(scene: Scene) -> Iterator[Hit]:
    """A headless Service has no proxy: its name resolves to the pods, and clients reach the pods' own port.

    `port` then shows a number that answers nowhere.
    """
    for service in scene.of_kind("Service"):
        if service.at("spec").get("clusterIP") != "None":
            continue
        for port in service.at("spec").each("ports"):
            target = port.get("targetPort")
            if isinstance(target, str):
                target = _number_of(scene.selected(service.at("spec", "selector")), target)
            if target is not None and target != port.get("port"):
                yield port.hit(f"the pods listen on {target}, and nothing translates {port.get('port')}", "port")


def _number_of(workloads: list[Workload], name: str) -> int | None:
    for workload in workloads:
        for container in workload.containers:
            for port in container.part.each("ports"):
                if port.text("name") == name:
                    return port.number("containerPort")
    return None


_PORT_NAME = re.compile(r"(?=.{1,63}$)[a-z0-9]([-a-z0-9]*[a-z0-9])?")


@rule(
    "services/port-names",
    "Several ports of a Service have names, each its own",
    Severity.ERROR,
    fix="give each port a name of lower case letters, digits and dashes",
    structural=True,
)
def port_names(scene: Scene) -> Iterator[Hit]:
    """The API refuses more than one port without names, and two of one name."""
    for service in scene.of_kind("Service"):
        ports = list(service.at("spec").each("ports"))
        seen: set[str] = set()
        for port in ports:
            name = port.text("name")
            if not name and len(ports) > 1:
                yield port.hit("one of several ports has no name", "name")
            elif name and not _PORT_NAME.fullmatch(name):
                yield port.hit(f"{name!r} is not a port's name", "name")
            elif name and name in seen:
                yield port.hit(f"two ports are named {name!r}", "name")
            seen.add(name)


@rule(
    "services/exposed",
    "Services stay inside the cluster",
    Severity.WARNING,
    fix="use type ClusterIP, and an Ingress or Gateway where the outside must come in",
)
def exposed(scene: Scene) -> Iterator[Hit]:
    """NodePort and LoadBalancer open the engine to networks outside; externalIPs lets a Service take another's traffic.

    The last one is CVE-2020-8554.
    """
    for service in scene.of_kind("Service"):
        spec = service.at("spec")
        if spec.get("type") in ("NodePort", "LoadBalancer"):
            yield spec.hit(f"the type {spec.get('type')} opens it to the outside", "type")
        if spec.get("externalIPs"):
            yield spec.hit("externalIPs can take traffic meant for others", "externalIPs")
