"""Containers that do not start, end, or are not ready."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from berth.core.diagnosis.logs import telling
from berth.core.diagnosis.model import Cause, LogsOf, Scene, Weight, event_time, latest
from berth.core.diagnosis.placing import pressure
from berth.core.objects import Json, dig

#: A container that runs again after fewer restarts than this has its chance to become ready.
_MANY_RESTARTS = 3


#: Waiting reasons of a container, from kubernetes pkg/kubelet/images, pkg/kubelet/kuberuntime and
#: k8s.io/cri-api/pkg/errors, with what to try.
_IMAGE_TERMINAL = {"InvalidImageName": "correct the image's name", "ErrImageNeverPull": "load the image onto the node"}
_IMAGE_SUSPECT = (
    "ErrImagePull",
    "ImagePullBackOff",
    "ImageInspectError",
    "RegistryUnavailable",
    "SignatureValidationFailed",
)
_CONFIGURATION = (
    "CreateContainerConfigError",
    "CreateContainerError",
    "PreCreateHookError",
    "PreStartHookError",
    "PostStartHookError",
    "RunContainerError",
)


def of_containers(pod: Json, scene: Scene) -> Cause | None:
    """Why a container does not start or does not stay; and why the kubelet gave the whole pod up."""
    status = pod.get("status") or {}
    for kind in ("initContainerStatuses", "containerStatuses"):
        for container in status.get(kind) or []:
            cause = _of_container(pod, container, "init container" if kind.startswith("init") else "container", scene)
            if cause:
                return cause
    if status.get("phase") == "Failed":
        reason = str(status.get("reason", "Failed"))
        node = str(dig(pod, "spec", "nodeName", default=""))
        hint = "the node was short of a resource" if reason == "Evicted" else ""
        if hint and (now := pressure(node, scene)):
            hint = f"node {node} is short of a resource still ({now}): free it, or cordon the node"
        return Cause(Weight.SUSPECT, reason, f"{pod['metadata']['name']}: {status.get('message', reason)}", hint)
    return None


def _of_container(pod: Json, container: Mapping[str, Any], noun: str, scene: Scene) -> Cause | None:
    pod_label, name = pod["metadata"]["name"], container["name"]
    waiting = dig(container, "state", "waiting", default={})
    reason, said = str(waiting.get("reason", "")), str(waiting.get("message", ""))
    image = container.get("image", "?")
    if reason in _IMAGE_TERMINAL:
        return Cause(Weight.TERMINAL, reason, f"{pod_label}: image {image}: {said or reason}", _IMAGE_TERMINAL[reason])
    if reason in _IMAGE_SUSPECT:
        # The container only says that it backs off; the event that names the image says why.
        pulled = latest(scene.events, pod, ("Failed",), image.split("/")[-1])
        text = str(pulled.get("message")) if pulled else said
        hint = "does the tag exist, and may the node pull it? (image.repository, image.tag, imagePullSecrets)"
        return Cause(Weight.SUSPECT, reason, f"{pod_label}: image {image} cannot be pulled: {text or reason}", hint)
    if reason in _CONFIGURATION:
        hint = "what the container refers to is missing or wrong (a Secret's or ConfigMap's key, a command)"
        return Cause(Weight.SUSPECT, reason, f"{pod_label}: {noun} {name}: {said or reason}", hint)
    return _crashed(pod, container, noun, reason, scene)


def _crashed(pod: Json, container: Mapping[str, Any], noun: str, reason: str, scene: Scene) -> Cause | None:
    """A container that ended and should not have; one that runs again is only suspect after some restarts."""
    ended = dig(container, "state", "terminated") or dig(container, "lastState", "terminated") or {}
    restarts, running = int(container.get("restartCount", 0)), _running(container)
    pod_label, name = pod["metadata"]["name"], container["name"]
    probe = _killed_for(pod, name, ended, scene) if ended else ""
    failing = (ended.get("exitCode", 0) != 0 or probe) and (restarts > 0 or noun.startswith("init"))
    if container.get("ready") or not (failing or reason == "CrashLoopBackOff"):
        return None
    why, hint = f"ended with exit code {ended.get('exitCode', '?')}", "its last lines say why"
    if ended.get("reason") == "OOMKilled":
        why, hint = "ran out of memory", "raise resources.limits.memory"
    if ended.get("reason") in ("StartError", "ContainerCannotRun"):
        why, hint = f"does not start: {ended.get('message', '')}", "is its command right, and in the image?"
    if probe:
        why, hint = f"was killed: {probe}", "its last lines say why; where it is only slow, give the probe more time"
    weight = Weight.TRANSIENT if running and restarts < _MANY_RESTARTS else Weight.SUSPECT
    logs = LogsOf(pod_label, name, previous=dig(container, "state", "terminated") is None)
    counted = f", {restarts} restart{'' if restarts == 1 else 's'}"
    last = telling(str(ended.get("message") or "").splitlines())
    said = f": {last}" if last and last not in why else ""
    return Cause(weight, reason or "Crashed", f"{pod_label}: {noun} {name} {why}{counted}{said}", hint, logs)


def _killed_for(pod: Json, container: str, ended: Mapping[str, Any], scene: Scene) -> str:
    """What the probe said for which the kubelet killed the run that has ended, "" where it ended by itself."""
    killed = latest(scene.events, pod, ("Killing",), f"Container {container} failed ")
    if not killed or ended.get("reason") == "OOMKilled" or event_time(killed) < str(ended.get("startedAt", "")):
        return ""
    kind = "Startup" if "startup probe" in str(killed.get("message")) else "Liveness"
    failed = latest(scene.events, pod, ("Unhealthy",), f"{kind} probe failed")
    said = str(failed.get("message", "") if failed else "").partition("probe failed:")[2].strip().splitlines()
    return f"{kind} probe failed: {said[0]}" if said else f"{kind} probe failed"


def of_readiness(pod: Json, scene: Scene) -> Cause:
    """What a pod without any fault is at."""
    name = pod["metadata"]["name"]
    containers = dig(pod, "status", "containerStatuses", default=[])
    running = [container for container in containers if _running(container)]
    if running and len(running) == len(containers):
        probe = latest(scene.events, pod, ("Unhealthy",))
        unready = next((c["name"] for c in containers if not c.get("ready")), containers[0]["name"])
        text = f": {str(probe.get('message')).splitlines()[0]}" if probe and probe.get("message") else ""
        hint = "its log says what it waits for" if probe else ""
        logs = LogsOf(name, unready, previous=False) if probe else None
        return Cause(Weight.TRANSIENT, "NotReady", f"{name} runs and is not ready yet{text}", hint, logs)
    initial = [c["name"] for c in dig(pod, "status", "initContainerStatuses", default=[]) if not c.get("ready")]
    if initial and dig(pod, "spec", "nodeName"):
        logs = LogsOf(name, initial[0], previous=False)
        return Cause(Weight.TRANSIENT, "Initializing", f"{name} is in its init container {initial[0]}", logs=logs)
    if dig(pod, "spec", "nodeName"):
        return Cause(Weight.TRANSIENT, "Creating", f"{name} is being created on {pod['spec']['nodeName']}")
    return Cause(Weight.TRANSIENT, "Pending", f"{name} is not scheduled yet")


def _running(container: Mapping[str, Any]) -> bool:
    return dig(container, "state", "running") is not None
