"""The kubelets of the simulated nodes: they bring pods to run, say so in their status, and end them in time.

Nothing runs in truth. Everything happens by timers in virtual time, and nothing is written while nothing happens. After
a new start of the process, the pods' status says where to go on.
Source: kubernetes pkg/kubelet (pod_workers, kubelet_pods, status) as of 1.36.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from berth.core.objects import Json
from berth.rehearsal import qos, scenarioclock
from berth.rehearsal.clock import seconds_of
from berth.rehearsal.controllers import podneeds, podstatus
from berth.rehearsal.controllers.addresses import Addresses
from berth.rehearsal.controllers.nodes import is_lost
from berth.rehearsal.controllers.podplan import Plan, facts_of, plan
from berth.rehearsal.controllers.podrun import Containers, Run
from berth.rehearsal.jsontree import dig
from berth.rehearsal.kinds import CLAIMS, CONFIG_MAPS, NODES, PODS, SECRETS
from berth.rehearsal.refusal import ApiError
from berth.rehearsal.scenario import NEVER
from berth.rehearsal.store import Change

if TYPE_CHECKING:
    from berth.rehearsal.world import Key, World

_TERMINAL = ("Failed", "Succeeded")


class Kubelet:
    """All the kubelets at once. Keys are pods."""

    name = "kubelet"

    def __init__(self, world: World) -> None:
        """Take up the pods of a world where their status says that they are."""
        self._world = world
        self._client = world.client("kubelet")
        self._runs: dict[tuple[str, str], Run] = {}
        #: Pods that wait for a claim, ConfigMap or Secret.
        self._needy: set[tuple[str, str]] = set()
        self._images: dict[str, set[str]] = {}
        self._addresses = Addresses(world.store)

    def interested(self, change: Change) -> Iterable[Key]:
        """A pod that has a node; those that wait for what came; those whose node came or went."""
        if change.kind is PODS:
            if change.type == "DELETED":
                self._forget(change.key, change.object)
            elif change.object["spec"].get("nodeName"):
                return (change.key,)
        elif change.kind in (CLAIMS, CONFIG_MAPS, SECRETS):
            if self._needy:
                return [key for key in sorted(self._needy) if key[0] == change.key[0]]
        elif change.kind is NODES and change.type != "MODIFIED":
            return self._pods_on(change.key[1])
        return ()

    def recovered(self, node: str) -> None:
        """Go on with the pods of a node that was lost."""
        for key in self._pods_on(node):
            self._world.enqueue(self, key)

    def look_at_all(self) -> None:
        """See what a rule of the scenario that begins or ends now makes of the pods."""
        for pod in self._world.store.list(PODS):
            if pod["spec"].get("nodeName"):
                self._world.enqueue(self, (pod["metadata"]["namespace"], pod["metadata"]["name"]))

    def _pods_on(self, node: str) -> list[Key]:
        return [
            (pod["metadata"]["namespace"], pod["metadata"]["name"])
            for pod in self._world.store.list(PODS)
            if pod["spec"].get("nodeName") == node
        ]

    def sync(self, key: Key) -> None:
        """Do with one pod all that is due, and arm a timer for what is not."""
        pod = self._client.get(PODS, *key)
        if pod is None:
            return
        node_name = pod["spec"].get("nodeName", "")
        node = self._client.get(NODES, "", node_name) if node_name else None
        run = self._run(key, pod)
        if run.timer is not None:
            run.timer.cancel()
            run.timer = None
        if node is None or is_lost(self._world, node_name):
            return
        if "deletionTimestamp" in pod["metadata"]:
            self._stop(key, pod, node, run)
        elif dig(pod, "status", "phase") not in _TERMINAL:
            self._go_on(key, pod, node, run)

    def _run(self, key: Key, pod: Json) -> Run:
        uid = pod["metadata"]["uid"]
        run = self._runs.get(key)
        if run is None or run.uid != uid:
            if run is not None and run.timer is not None:
                run.timer.cancel()
            run = self._runs[key] = Run(uid)
        return run

    def _forget(self, key: Key, pod: Json) -> None:
        self._needy.discard(key)
        self._addresses.release(pod)
        run = self._runs.get(key)
        if run is not None and run.uid == pod["metadata"]["uid"]:
            del self._runs[key]
            if run.timer is not None:
                run.timer.cancel()

    def _arm(self, key: Key, run: Run, due: float, recurring: bool) -> None:
        if due != NEVER:
            delay = due - self._world.clock.now()
            run.timer = self._world.at(delay, lambda: self._world.enqueue(self, key), recurring=recurring)

    def _plan(self, pod: Json) -> Plan:
        scenario = self._world.scenario
        if not scenario.pods:
            return plan(pod, ())
        known = facts_of(self._world.store, pod)
        return plan(pod, scenario.rules(known, scenarioclock.elapsed(self._world)))

    # A pod's life ----------------------------------------------------------------------------------------------------

    def _go_on(self, key: Key, pod: Json, node: Json, run: Run) -> None:
        containers = self._containers(pod, run, made := self._plan(pod))
        if "startTime" not in pod["status"]:
            # The kubelet says that it has taken the pod on before it does anything with it; the write brings us back.
            self._write(pod, node, containers)
            return
        run.mounted = run.mounted or containers.begun() or self._mount(pod, run, made)
        if run.mounted:
            containers.advance()
            pod = self._write(pod, node, containers)
            self._arm(key, run, containers.due, containers.recurring)
        if run.mounted and not containers.unconfigured_any():
            self._needy.discard(key)
        else:
            self._needy.add(key)

    def _mount(self, pod: Json, run: Run, made: Plan) -> bool:
        """Whether the pod's volumes are there; if not, why is said once."""
        problem = self._unmounted(pod, made)
        if problem and problem not in run.said:
            run.said.add(problem)
            self._client.event(pod, "Warning", "FailedMount", problem)
        return not problem

    def _containers(self, pod: Json, run: Run, made: Plan) -> Containers:
        clock = self._world.clock

        def say(severity: str, reason: str, message: str) -> None:
            self._client.event(pod, severity, reason, message)

        return Containers(
            pod,
            run,
            made,
            clock.now(),
            clock.timestamp(),
            self._images_of(pod["spec"]["nodeName"]),
            say,
            lambda container: podneeds.unconfigured(self._world.store, pod, container),
            probes=self._world.scenario.probes,
        )

    def _unmounted(self, pod: Json, made: Plan) -> str:
        for container in (*(pod["spec"].get("initContainers") or ()), *pod["spec"]["containers"]):
            fault = made.fault(container, init=False)
            if fault is not None and fault.kind == "mount":
                return podneeds.mount_failure(pod, container, fault.message)
        return podneeds.unmounted(self._world.store, pod)

    def _images_of(self, node: str) -> set[str]:
        """The images that a node has: those that its pods' containers have run."""
        if node not in self._images:
            found = self._images[node] = set()
            for pod in self._world.store.each(PODS):
                if pod["spec"].get("nodeName") == node:
                    for key in ("initContainerStatuses", "containerStatuses"):
                        entries = dig(pod, "status", key) or ()
                        found.update(entry["image"] for entry in entries if entry.get("imageID"))
        return self._images[node]

    def _write(self, pod: Json, node: Json, containers: Containers, *, ending: bool = False) -> Json:
        """Write the status, where it says anything new."""
        before = pod.get("status") or {}
        meta, spec = pod["metadata"], pod["spec"]
        now = self._world.clock.timestamp()
        phase = podstatus.phase(spec, containers.inits, containers.mains, ending=ending)
        sandbox = containers.begun()
        host = next(
            (one["address"] for one in dig(node, "status", "addresses") or () if one["type"] == "InternalIP"), ""
        )
        status = dict(before)
        status["conditions"] = podstatus.conditions(pod, containers.inits, containers.mains, phase, sandbox, now)
        status["containerStatuses"] = sorted(containers.mains, key=lambda entry: str(entry["name"]))
        if containers.inits:
            status["initContainerStatuses"] = containers.inits
        status |= {"hostIP": host, "hostIPs": [{"ip": host}]} if host else {}
        status["observedGeneration"] = meta.get("generation", 1)
        status["phase"] = phase
        if (sandbox or spec.get("hostNetwork")) and "podIP" not in before:
            address = host if spec.get("hostNetwork") else self._addresses.take(pod, node)
            status |= {"podIP": address, "podIPs": [{"ip": address}]}
        status.setdefault("qosClass", qos.class_of(spec))
        status.setdefault("startTime", now)
        if status == before:
            return pod
        return self._client.update_status(PODS, {**pod, "status": status})

    # Its end ---------------------------------------------------------------------------------------------------------

    def _stop(self, key: Key, pod: Json, node: Json, run: Run) -> None:
        meta = pod["metadata"]
        grace = float(meta.get("deletionGracePeriodSeconds") or 0)
        containers = self._containers(pod, run, made := self._plan(pod))
        alive = [
            entry for entry in (*containers.inits, *containers.mains) if podstatus.kind_of(entry["state"]) == "running"
        ]
        if run.stopping is None:
            # What was asked long ago was asked of a kubelet that was away.
            asked, now = seconds_of(meta["deletionTimestamp"]) - grace, self._world.clock.now()
            run.stopping = asked if now - asked > 2.0 else now
            for entry in alive:
                self._client.event(pod, "Normal", "Killing", f"Stopping container {entry['name']}")
        wish = made.behaviour.stop
        if made.stop is not None:
            lasts = made.stop
        elif not alive:
            lasts = NEVER if wish == NEVER else 0.0
        else:
            lasts = NEVER if wish == NEVER else min(wish, grace)
        due = run.stopping + lasts
        if due > self._world.clock.now() + 0.001:
            self._arm(key, run, due, recurring=False)
            return
        if alive:
            killed = made.stop is None and wish > grace
            for entry in alive:
                self._end(entry, 137 if killed else 0)
            pod = self._write(pod, node, containers, ending=True)
        if meta.get("finalizers") and grace == 0 and not alive:
            return  # somebody else holds it; the node has let go
        try:
            self._client.delete(PODS, *key, propagation=None, uid=meta["uid"], grace=0)
        except ApiError as error:
            if error.code != 404:
                raise

    def _end(self, entry: Json, code: int) -> None:
        started = entry["state"]["running"]["startedAt"]
        reason = "Completed" if code == 0 else "Error"
        now = self._world.clock.timestamp()
        entry["state"] = podstatus.terminated(code, reason, started, now, entry.get("containerID", ""))
        entry["ready"] = entry["started"] = False
