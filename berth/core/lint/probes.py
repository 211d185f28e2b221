"""Probes and hooks: what the kubelet asks, where, and how often."""

from __future__ import annotations

import re
from collections.abc import Iterator

from berth.core.lint.model import Hit, Severity, rule
from berth.core.lint.scene import Container, Part, Scene

_PROBES = ("startupProbe", "readinessProbe", "livenessProbe")
_HANDLERS = ("exec", "httpGet", "tcpSocket", "grpc")


def _probes(container: Container) -> Iterator[tuple[str, Part]]:
    for name in _PROBES:
        probe = container.part.at(name)
        if probe.body:
            yield name, probe


def _hooks(container: Container) -> Iterator[Part]:
    for name in ("postStart", "preStop"):
        hook = container.part.at("lifecycle", name)
        if hook.body:
            yield hook


@rule(
    "probes/port",
    "Probes and hooks ask a port that their container declares",
    Severity.ERROR,
    fix="name a port of that container",
    structural=True,
)
def port(scene: Scene) -> Iterator[Hit]:
    """A named port that does not exist fails each probe; a number that is not declared is most often an old one."""
    for _, container in scene.containers():
        for part in [probe for _, probe in _probes(container)] + list(_hooks(container)):
            for handler in ("httpGet", "tcpSocket", "grpc"):
                target = part.at(handler).get("port")
                if target is None:
                    continue
                known: set[str] | set[int] = (
                    container.port_names() if isinstance(target, str) else container.port_numbers()
                )
                if not isinstance(target, str | int) or target not in known:
                    message = f"the container {container.name} declares no port {target!r}"
                    yield part.hit(message, handler, "port")


@rule(
    "probes/handler",
    "A probe has one handler and thresholds that the API accepts",
    Severity.ERROR,
    fix="give one of exec, httpGet, tcpSocket and grpc; leave successThreshold out of liveness and startup",
    structural=True,
)
def handler(scene: Scene) -> Iterator[Hit]:
    """The API refuses a probe without or with two handlers, and a success threshold other than 1 outside readiness."""
    for _, container in scene.containers():
        for name, probe in _probes(container):
            given = [key for key in _HANDLERS if probe.get(key) is not None]
            if len(given) != 1:
                yield probe.hit(
                    f"there are {len(given)} handlers: {', '.join(given)}" if given else "there is no handler"
                )
            if name != "readinessProbe" and probe.number("successThreshold", 1) != 1:
                yield probe.hit("the API accepts only 1 here", "successThreshold")


@rule(
    "probes/readiness",
    "Each container has a readiness probe",
    Severity.ERROR,
    fix="add a readinessProbe that asks whether this pod can serve",
)
def readiness(scene: Scene) -> Iterator[Hit]:
    """Without one a pod counts as ready once its process runs, so that a roll takes the next pod down too early.

    In checkov's words: CKV_K8S_9.
    """
    for workload in scene.sets:
        for container in workload.main():
            if not container.part.at("readinessProbe").body:
                yield container.part.hit(f"the container {container.name} has no readiness probe")


@rule(
    "probes/liveness",
    "Each container has a liveness probe",
    Severity.WARNING,
    fix="add a livenessProbe that fails only when a restart would help",
)
def liveness(scene: Scene) -> Iterator[Hit]:
    """Without one an engine that hangs stays hung. In checkov's words: CKV_K8S_8."""
    for workload in scene.sets:
        for container in workload.main():
            if not container.part.at("livenessProbe").body:
                yield container.part.hit(f"the container {container.name} has no liveness probe")


@rule(
    "probes/liveness-strict",
    "Liveness is more patient than readiness",
    Severity.WARNING,
    fix="raise failureThreshold or periodSeconds of the liveness probe, or ask it a simpler question",
)
def liveness_strict(scene: Scene) -> Iterator[Hit]:
    """Where both ask the same, a pod that is merely busy should lose its traffic before it loses its life."""
    for workload, container in scene.containers():
        ready, live = container.part.at("readinessProbe"), container.part.at("livenessProbe")
        if not ready.body or not live.body or workload.kind == "Job":
            continue
        same = all(ready.get(key) == live.get(key) for key in _HANDLERS)
        if same and _patience(live) <= _patience(ready):
            yield live.hit("it asks what readiness asks, and gives up as soon", "failureThreshold")


def _patience(probe: Part) -> int:
    """Seconds of failure until the probe counts as failed; the defaults are the API's."""
    return probe.number("periodSeconds", 10) * probe.number("failureThreshold", 3)


@rule(
    "probes/timeout",
    "A probe ends before the next one starts",
    Severity.WARNING,
    fix="keep timeoutSeconds at or below periodSeconds",
)
def timeout(scene: Scene) -> Iterator[Hit]:
    """A timeout above the period delays the next probe, so that failures are counted more slowly than is written.

    A startup probe is exempt: there a short period only means to ask again soon.
    """
    for _, container in scene.containers():
        for name, probe in _probes(container):
            if name != "startupProbe" and probe.number("timeoutSeconds", 1) > probe.number("periodSeconds", 10):
                yield probe.hit("the timeout is longer than the period", "timeoutSeconds")


_SLEEP = re.compile(r"\bsleep\s+(\d+)\b")


@rule(
    "probes/pre-stop",
    "preStop ends well before the grace period does",
    Severity.WARNING,
    fix="raise terminationGracePeriodSeconds, or sleep less",
)
def pre_stop(scene: Scene) -> Iterator[Hit]:
    """The grace period holds the hook and the shutdown together; what is left after the hook is the engine's time."""
    for workload, container in scene.containers():
        hook = container.part.at("lifecycle", "preStop")
        words = " ".join(hook.at("exec").texts("command"))
        sleeps = sum(int(number[:9]) for number in _SLEEP.findall(words)) + hook.at("sleep").number("seconds")
        grace = workload.pod.number("terminationGracePeriodSeconds", 30)
        if sleeps and sleeps >= grace:
            yield hook.hit(f"it sleeps {sleeps} of the {grace} seconds of grace")
