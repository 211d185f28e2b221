"""The containers of one pod, from the first image to the last exit.

A run is what the kubelet remembers of a pod beside its status: moments to the fraction of a second, where objects have
whole seconds, and counts of failures. It may be lost at any time: the status says enough to go on.
Source of orders, texts and delays: kubernetes pkg/kubelet/kuberuntime, pkg/kubelet/images, client-go's flowcontrol.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from berth.core.objects import Json
from berth.rehearsal.clock import Timer, seconds_of
from berth.rehearsal.controllers import podstatus
from berth.rehearsal.controllers.podplan import Plan, name_error, probe_delay, probe_output, pull_error
from berth.rehearsal.durations import go_duration
from berth.rehearsal.scenario import NEVER, Fault

#: Seconds until a kubelet notices that a container has ended, and until it looks again at a failed pull.
NOTICE = 0.5
PULL_NOTICE = 1.0
#: Back-off of restarts and of pulls: the first, and the longest.
BACKOFF, LONGEST_BACKOFF = 10.0, 300.0
#: A container that ran for so long starts its back-off anew (twice the longest, as client-go's flowcontrol has it).
FORGIVEN = 600.0
#: Moments this close are one: timers add up fractions.
_TOLERANCE = 0.001


@dataclass(slots=True)
class Run:
    """What is remembered of a pod between two looks at it."""

    uid: str
    mounted: bool = False
    stopping: float | None = None
    since: dict[str, float] = field(default_factory=dict)
    step: dict[str, str] = field(default_factory=dict)
    crashes: dict[str, int] = field(default_factory=dict)
    pulls: dict[str, int] = field(default_factory=dict)
    said: set[str] = field(default_factory=set)
    annotated: str = ""
    timer: Timer | None = None


def backoff(failures: int) -> float:
    """Seconds that the next attempt waits after so many failures in a row."""
    return float(min(LONGEST_BACKOFF, BACKOFF * 2 ** max(0, failures - 1))) if failures else 0.0


class Containers:
    """One look at a pod's containers: does what is due, and says when there is more to do.

    ``inits`` and ``mains`` are the entries of the new status. ``say(type, reason, message)`` makes an Event; ``images``
    are those that the node has; ``unconfigured(container)`` says which ConfigMap, Secret or key a container misses.
    """

    def __init__(
        self,
        pod: Json,
        run: Run,
        plan: Plan,
        now: float,
        stamp: str,
        images: set[str],
        say: Callable[[str, str, str], None],
        unconfigured: Callable[[Json], str],
        *,
        probes: bool = False,
    ) -> None:
        """Take the containers as the pod's status has them; those of a new pod wait."""
        self.pod, self.run, self.plan = pod, run, plan
        self.now, self.stamp, self.images, self.say, self.unconfigured = now, stamp, images, say, unconfigured
        self.probes = probes
        self.spec: Json = pod["spec"]
        self.policy = self.spec.get("restartPolicy", "Always")
        status = pod.get("status") or {}
        self.inits = self._entries("initContainers", status.get("initContainerStatuses"))
        self.mains = self._entries("containers", status.get("containerStatuses"))
        self.due = NEVER
        self.recurring = True

    def _entries(self, key: str, known: list[Json] | None) -> list[Json]:
        before = {entry["name"]: entry for entry in known or ()}
        idle = "PodInitializing" if self.spec.get("initContainers") else "ContainerCreating"
        made = []
        for container in self.spec.get(key) or ():
            fresh: Json = {"image": container["image"], "imageID": "", "lastState": {}, "name": container["name"]}
            fresh |= {"ready": False, "restartCount": 0, "started": False, "state": podstatus.waiting(idle)}
            made.append(fresh | before.get(container["name"], {}))
        return made

    def advance(self) -> None:
        """Do everything that is due; ``due`` and ``recurring`` say afterwards when to look again."""
        while True:
            self.due, self.recurring = NEVER, True
            if not self._pass():
                return

    def begun(self) -> bool:
        """Whether any container has got past waiting for the node: the pod has its sandbox then."""
        return any(
            podstatus.kind_of(entry["state"]) != "waiting"
            or entry["lastState"]
            or entry["state"]["waiting"]["reason"] not in ("ContainerCreating", "PodInitializing")
            for entry in (*self.inits, *self.mains)
        )

    def unconfigured_any(self) -> bool:
        """Whether a container waits for a ConfigMap, a Secret or a key."""
        return any(
            (entry["state"].get("waiting") or {}).get("reason") == "CreateContainerConfigError"
            for entry in (*self.inits, *self.mains)
        )

    def _pass(self) -> bool:
        for container, entry in zip(self.spec.get("initContainers") or (), self.inits, strict=True):
            sidecar = podstatus.is_sidecar(container)
            if entry["ready"] and not sidecar:
                continue
            moved = self._drive(container, entry, init=True)
            if moved or not (sidecar and entry["started"]):
                return moved
        return any([self._drive(container, entry, init=False) for container, entry in self._mains()])

    def _mains(self) -> list[tuple[Json, Json]]:
        entries = {entry["name"]: entry for entry in self.mains}
        return [(container, entries[container["name"]]) for container in self.spec["containers"]]

    def _drive(self, container: Json, entry: Json, *, init: bool) -> bool:
        match podstatus.kind_of(entry["state"]):
            case "running":
                return self._running(container, entry, init)
            case "terminated":
                return self._ended(container, entry, init)
            case _:
                held = entry["state"]["waiting"]["reason"] == "CrashLoopBackOff"
                return self._held(container, entry, init) if held else self._starting(container, entry, init)

    def _reached(self, due: float, *, recurring: bool = False) -> bool:
        """Whether a moment has come; if not, it is one to look again at."""
        if due <= self.now + _TOLERANCE:
            return True
        if due != NEVER:
            self.due = min(self.due, due)
            self.recurring = self.recurring and recurring
        return False

    def _go(self, name: str, step: str) -> bool:
        self.run.step[name] = step
        self.run.since[name] = self.now
        return True

    # Images and starts -----------------------------------------------------------------------------------------------

    def _starting(self, container: Json, entry: Json, init: bool) -> bool:
        name, image, run = container["name"], container["image"], self.run
        fault = self._fault(container, init, "image")
        since = run.since.get(name, self.now)
        match run.step.get(name, ""):
            case "pull":
                return self._reached(since + self.plan.behaviour.pull) and self._pulled(container, entry, fault)
            case "failed":
                return self._reached(since + PULL_NOTICE) and self._hold_image(container, entry)
            case "held":
                # An annotation that is taken away heals at once, as it does on the local control plane.
                healed = not fault and run.annotated == "image" and not self.plan.annotated
                wait = 0.0 if healed else backoff(run.pulls.get(name, 1))
                if not self._reached(since + wait, recurring=fault is not None and fault.times is None):
                    return False
            case "start":
                return self._configured(container, entry, init) and self._started(container, entry, init, since)
            case _:
                pass
        wrong = name_error(image)
        if wrong:
            return self._misnamed(entry, wrong)
        if run.step.get(name) != "held" and not fault and not self._must_pull(container):
            self.say("Normal", "Pulled", _present(image))
            return self._go(name, "start")
        self.say("Normal", "Pulling", f'Pulling image "{image}"')
        run.annotated = self.plan.annotated
        return self._go(name, "pull")

    def _misnamed(self, entry: Json, why: str) -> bool:
        """No back-off and no other try: only another image helps."""
        state = podstatus.waiting("InvalidImageName", why)
        if entry["state"] == state:
            return False
        entry["state"] = state
        self.say("Warning", "InspectFailed", why)
        self.say("Warning", "Failed", "Error: InvalidImageName")
        return True

    def _must_pull(self, container: Json) -> bool:
        return container.get("imagePullPolicy") == "Always" or container["image"] not in self.images

    def _pulled(self, container: Json, entry: Json, fault: Fault | None) -> bool:
        name, image = container["name"], container["image"]
        failures = self.run.pulls.get(name, 0)
        if fault is None or (fault.times is not None and failures >= fault.times):
            took = go_duration(self.plan.behaviour.pull)
            self.say(
                "Normal",
                "Pulled",
                f'Successfully pulled image "{image}" in {took} ({took} including waiting). Image size: 0 bytes.',
            )
            self.images.add(image)
            return self._go(name, "start")
        error = pull_error(image, fault.message)
        self.run.pulls[name] = failures + 1
        self.say("Warning", "Failed", f'Failed to pull image "{image}": {error}')
        self.say("Warning", "Failed", "Error: ErrImagePull")
        entry["state"] = podstatus.waiting("ErrImagePull", error)
        return self._go(name, "failed")

    def _hold_image(self, container: Json, entry: Json) -> bool:
        text = f'Back-off pulling image "{container["image"]}"'
        error = entry["state"]["waiting"].get("message", "")
        self.say("Normal", "BackOff", text)
        self.say("Warning", "Failed", "Error: ImagePullBackOff")
        entry["state"] = podstatus.waiting("ImagePullBackOff", f"{text}: ErrImagePull: {error}")
        self.run.step[container["name"]] = "held"
        return True

    def _configured(self, container: Json, entry: Json, init: bool) -> bool:
        fault = self._fault(container, init, "config")
        missing = self.unconfigured(container)
        if fault is None and not missing:
            return True
        message = missing or (fault.message if fault else "") or 'configmap "settings" not found'
        state = podstatus.waiting("CreateContainerConfigError", message)
        if entry["state"] != state:
            entry["state"] = state
            self.say("Warning", "Failed", f"Error: {message}")
        return False

    def _started(self, container: Json, entry: Json, init: bool, since: float) -> bool:
        if not self._reached(since + (0.0 if init else self.plan.behaviour.start)):
            return False
        return self._begin(container, entry, init)

    def _begin(self, container: Json, entry: Json, init: bool) -> bool:
        name, count = container["name"], entry["restartCount"]
        self.say("Normal", "Created", "Container created")
        self.say("Normal", "Started", "Container started")
        entry["containerID"] = f"rehearsal://{self.run.uid}/{name}/{count}"
        entry["imageID"] = "simulated"
        entry["image"] = container["image"]
        entry["state"] = podstatus.running(self.stamp)
        # A plain init container is never "started": the word is of startup probes.
        entry["started"] = not init or podstatus.is_sidecar(container)
        entry["ready"] = False
        return self._go(name, "run")

    # Running and ending ----------------------------------------------------------------------------------------------

    def _running(self, container: Json, entry: Json, init: bool) -> bool:
        name = container["name"]
        since = self.run.since.get(name)
        if since is None:
            since = self.run.since[name] = seconds_of(entry["state"]["running"]["startedAt"])
        fault = self._fault(container, init, "crash", "oom", "init", "liveness")
        if fault is not None and (fault.times is None or entry["restartCount"] < fault.times):
            again = self.run.crashes.get(name, 0) >= 2 and fault.times is None
            if self._reached(since + fault.after, recurring=again):
                return self._fail(container, entry, fault)
        if init and not podstatus.is_sidecar(container):
            return self._reached(since + self.plan.behaviour.init) and self._exit(entry, 0, "Completed", since)
        return self._probe(container, entry, since)

    def _probe(self, container: Json, entry: Json, since: float) -> bool:
        probe = container.get("readinessProbe")
        fault = self._fault(container, False, "unready")
        if fault is not None:
            late = probe_delay(probe, failing=True) if self.probes and entry["ready"] else 0.0
            if self._reached(since + fault.after + late):
                return self._unready(container, entry, fault)
        delay = self.plan.behaviour.ready
        if self.probes:
            delay += probe_delay(container.get("startupProbe")) + probe_delay(probe)
        if entry["ready"]:
            return bool(self._is_job()) and self._exit(entry, 0, "Completed", since)
        if self._reached(since + delay):
            entry["ready"] = True
            self.run.said.discard(f"unready {container['name']}")
            return True
        return False

    def _unready(self, container: Json, entry: Json, fault: Fault) -> bool:
        mark = f"unready {container['name']}"
        moved = bool(entry["ready"])
        entry["ready"] = False
        if mark not in self.run.said:
            self.run.said.add(mark)
            self._say_probe("Readiness", container.get("readinessProbe"), fault)
        return moved

    def _say_probe(self, kind: str, probe: Json | None, fault: Fault) -> None:
        ip = (self.pod.get("status") or {}).get("podIP", "")
        self.say("Warning", "Unhealthy", f"{kind} probe failed: {probe_output(probe, ip, fault.message)}")

    def _is_job(self) -> bool:
        return any(owner["kind"] == "Job" for owner in self.pod["metadata"].get("ownerReferences") or ())

    def _fail(self, container: Json, entry: Json, fault: Fault) -> bool:
        since = self.run.since[container["name"]]
        if fault.kind == "oom":
            return self._exit(entry, 137, "OOMKilled", since, fault.message)
        if fault.kind == "liveness":
            self._say_probe("Liveness", container.get("livenessProbe"), fault)
            text = f"Container {container['name']} failed liveness probe, will be restarted"
            self.say("Normal", "Killing", text)
            return self._exit(entry, 137, "Error", since)
        code = 1 if fault.exit_code is None else fault.exit_code
        return self._exit(entry, code, "Completed" if code == 0 else "Error", since, fault.message)

    def _exit(self, entry: Json, code: int, reason: str, since: float, message: str = "") -> bool:
        name = entry["name"]
        started = entry["state"]["running"]["startedAt"]
        identity = entry.get("containerID", "")
        entry["state"] = podstatus.terminated(code, reason, started, self.stamp, identity, message)
        entry["started"] = False
        # An init container that has done its part counts as ready.
        entry["ready"] = code == 0 and any(entry is one for one in self.inits)
        crashes = 0 if self.now - since >= FORGIVEN else self.run.crashes.get(name, int(entry["restartCount"]))
        self.run.crashes[name] = crashes + 1
        return self._go(name, "ended")

    def _ended(self, container: Json, entry: Json, init: bool) -> bool:
        name, ended = container["name"], entry["state"]["terminated"]
        again = podstatus.restarts("OnFailure" if init and self.policy == "Always" else self.policy, ended["exitCode"])
        if not again and not podstatus.is_sidecar(container):
            return False
        since = self.run.since.setdefault(name, seconds_of(ended["finishedAt"]))
        if not self._reached(since + NOTICE):
            return False
        wait = backoff(self._crashes(entry) - 1)
        if wait == 0:
            return self._restart(container, entry, init)
        meta = self.pod["metadata"]
        where = f"{meta['name']}_{meta['namespace']}({meta['uid']})"
        self.say("Warning", "BackOff", f"Back-off restarting failed container {name} in pod {where}")
        text = f"back-off {go_duration(wait)} restarting failed container={name} pod={where}"
        entry["lastState"] = entry["state"]
        entry["state"] = podstatus.waiting("CrashLoopBackOff", text)
        self.run.step[name] = "backoff"
        self.run.annotated = self.plan.annotated
        return True

    def _held(self, container: Json, entry: Json, init: bool) -> bool:
        name = container["name"]
        since = self.run.since.setdefault(name, seconds_of(entry["lastState"]["terminated"]["finishedAt"]))
        fault = self._fault(container, init, "crash", "oom", "init", "liveness")
        healed = not fault and self.run.annotated == "crash" and not self.plan.annotated
        wait = 0.0 if healed else backoff(self._crashes(entry) - 1)
        if not self._reached(since + wait, recurring=fault is not None and fault.times is None):
            return False
        return self._restart(container, entry, init)

    def _crashes(self, entry: Json) -> int:
        return self.run.crashes.setdefault(entry["name"], int(entry["restartCount"]) + 1)

    def _restart(self, container: Json, entry: Json, init: bool) -> bool:
        if "terminated" in entry["state"]:
            entry["lastState"] = entry["state"]
        entry["restartCount"] += 1
        self.say("Normal", "Pulled", _present(container["image"]))
        return self._begin(container, entry, init)

    def _fault(self, container: Json, init: bool, *kinds: Any) -> Fault | None:
        """The container's fault, if it is of one of these kinds."""
        fault = self.plan.fault(container, init=init)
        return fault if fault is not None and fault.kind in kinds else None


def _present(image: str) -> str:
    return f'Container image "{image}" already present on machine and can be accessed by the pod'
