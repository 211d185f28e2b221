"""Why a container does not run. Reasons and messages are as the kubelet writes them."""

from __future__ import annotations

from typing import Any

import pytest

from berth.core.diagnosis import Cause, LogsOf, Scene, diagnose
from berth.core.objects import Json
from tests.unit.core.samples import event, name_of, over, pod, statefulset, table, waiting_pod

pytestmark = pytest.mark.unit


def of(body: Json, *events: Json) -> Cause:
    """The cause for one pod, of a set of one."""
    return diagnose(statefulset({"spec": {"replicas": 1}}), Scene([body], events=events))[0]


CONTAINERS = table("""
- name: starts
  status: {state: {waiting: {reason: ContainerCreating}}}
  reason: Creating
  weight: transient
- name: an image name that cannot be
  status: {image: "Nginx:1:2", state: {waiting: {reason: InvalidImageName, message: couldn't parse image name}}}
  reason: InvalidImageName
  weight: terminal
  says: "web-0: image Nginx:1:2: couldn't parse image name"
- name: an image that may not be pulled and is not there
  status: {state: {waiting: {reason: ErrImageNeverPull, message: not present with pull policy of Never}}}
  reason: ErrImageNeverPull
  weight: terminal
- name: a pull that fails
  status: {state: {waiting: {reason: ErrImagePull, message: rpc error}}}
  reason: ErrImagePull
  says: "web-0: image nginx:1.29 cannot be pulled: rpc error"
- name: a pull that is backed off, with the event that says why
  status: {state: {waiting: {reason: ImagePullBackOff, message: Back-off pulling image "nginx:1.29"}}}
  events:
  - [Failed, 'Failed to pull image "nginx:1.29": not found']
  - [Failed, 'Error: ErrImagePull']
  reason: ImagePullBackOff
  says: 'web-0: image nginx:1.29 cannot be pulled: Failed to pull image "nginx:1.29": not found'
- name: a signature
  status: {state: {waiting: {reason: SignatureValidationFailed, message: image pull failed}}}
  reason: SignatureValidationFailed
- name: a Secret without the key
  status:
    state: {waiting: {reason: CreateContainerConfigError, message: "couldn't find key password in Secret shop/web"}}
  reason: CreateContainerConfigError
  says: "web-0: container nginx: couldn't find key password in Secret shop/web"
- name: a hook that fails
  status: {state: {waiting: {reason: PostStartHookError, message: "Exec lifecycle hook failed"}}}
  reason: PostStartHookError
- name: a crash loop
  status:
    restartCount: 4
    state: {waiting: {reason: CrashLoopBackOff, message: back-off 1m20s}}
    lastState: {terminated: {exitCode: 1, reason: Error}}
  reason: CrashLoopBackOff
  says: "web-0: container nginx ended with exit code 1, 4 restarts"
  logs: previous
- name: a crash loop that ends well each time
  status:
    restartCount: 1
    state: {waiting: {reason: CrashLoopBackOff}}
    lastState: {terminated: {exitCode: 0, reason: Completed}}
  reason: CrashLoopBackOff
  says: "web-0: container nginx ended with exit code 0, 1 restart"
  logs: previous
- name: out of memory
  status:
    restartCount: 2
    state: {waiting: {reason: CrashLoopBackOff}}
    lastState: {terminated: {exitCode: 137, reason: OOMKilled}}
  reason: CrashLoopBackOff
  says: "web-0: container nginx ran out of memory, 2 restarts"
  hint: raise resources.limits.memory
  logs: previous
- name: a command that is not there
  status:
    restartCount: 2
    state: {waiting: {reason: CrashLoopBackOff}}
    lastState:
      terminated: {exitCode: 128, reason: StartError, message: 'exec: "nginz": executable file not found in $PATH'}
  reason: CrashLoopBackOff
  says: 'web-0: container nginx does not start: exec: "nginz": executable file not found in $PATH, 2 restarts'
  logs: previous
- name: just ended, its log is the current one
  status:
    restartCount: 3
    state: {terminated: {exitCode: 2, reason: Error}}
    lastState: {terminated: {exitCode: 1, reason: Error}}
  reason: Crashed
  says: "web-0: container nginx ended with exit code 2, 3 restarts"
  logs: current
- name: runs again after one crash, and may well become ready
  status: {restartCount: 1, state: {running: {}}, lastState: {terminated: {exitCode: 1, reason: Error}}}
  reason: Crashed
  weight: transient
  logs: previous
- name: runs again after many crashes
  status: {restartCount: 3, state: {running: {}}, lastState: {terminated: {exitCode: 1, reason: Error}}}
  reason: Crashed
  logs: previous
- name: was restarted without having failed
  status: {restartCount: 1, state: {running: {}}, lastState: {terminated: {exitCode: 0, reason: Completed}}}
  reason: NotReady
  weight: transient
- name: was killed for its liveness probe
  status: &killed
    restartCount: 3
    state: {running: {}}
    lastState: {terminated: {exitCode: 143, reason: Error, startedAt: "2026-01-01T09:59:00Z"}}
  events: &probe
  - [Unhealthy, "Liveness probe failed: no heartbeat\\n"]
  - [Killing, "Container nginx failed liveness probe, will be restarted"]
  reason: Crashed
  says: "web-0: container nginx was killed: Liveness probe failed: no heartbeat, 3 restarts"
  logs: previous
- name: was killed for its liveness probe, and stopped in good order
  status: {<<: *killed, lastState: {terminated: {exitCode: 0, startedAt: "2026-01-01T09:59:00Z"}}}
  events: *probe
  reason: Crashed
  says: "web-0: container nginx was killed: Liveness probe failed: no heartbeat, 3 restarts"
  logs: previous
- name: crashed by itself after a run that was killed for a probe
  status: {<<: *killed, lastState: {terminated: {exitCode: 1, startedAt: "2026-01-01T10:00:01Z"}}}
  events: *probe
  reason: Crashed
  says: "web-0: container nginx ended with exit code 1, 3 restarts"
  logs: previous
- name: was killed for its startup probe, which says nothing
  status: *killed
  events:
  - [Unhealthy, "Startup probe failed: "]
  - [Killing, "Container nginx failed startup probe, will be restarted"]
  reason: Crashed
  says: "web-0: container nginx was killed: Startup probe failed, 3 restarts"
  logs: previous
- name: a volume that does not mount
  status: {state: {waiting: {reason: ContainerCreating}}}
  events: [[FailedMount, 'MountVolume.SetUp failed for volume "config" : configmap "web" not found']]
  reason: FailedMount
- name: a volume that did mount in the end
  status: {state: {waiting: {reason: ContainerCreating}}}
  events:
  - [FailedMount, 'MountVolume.SetUp failed for volume "config" : failed to sync configmap cache']
  - [Pulling, 'Pulling image "nginx:1.29"']
  reason: Creating
  weight: transient
- name: a volume that is attached elsewhere
  status: {state: {waiting: {reason: ContainerCreating}}}
  events:
  - [FailedAttachVolume, 'Multi-Attach error for volume "pvc-1" Volume is already exclusively attached to one node']
  reason: MultiAttach
- name: no network for the sandbox
  status: {state: {waiting: {reason: ContainerCreating}}}
  events: [[FailedCreatePodSandBox, 'Failed to create pod sandbox: rpc error']]
  reason: FailedCreatePodSandBox
- name: a mount that failed before the container ran
  status: {state: {running: {}}}
  events: [[FailedMount, 'MountVolume.SetUp failed']]
  reason: NotReady
  weight: transient
- name: runs, no probe has failed yet
  status: {state: {running: {}}}
  reason: NotReady
  weight: transient
- name: runs, and its probe fails
  status: {state: {running: {}}}
  events: [[Unhealthy, "Readiness probe failed: no response\\nsecond line"]]
  reason: NotReady
  weight: transient
  says: "web-0 runs and is not ready yet: Readiness probe failed: no response"
  logs: current
""")


@pytest.mark.parametrize("case", CONTAINERS, ids=name_of)
def test_a_container(case: dict[str, Any]) -> None:
    status = {"name": "nginx", "image": "nginx:1.29", "ready": False, "restartCount": 0, **case["status"]}
    body = pod(0, {"status": {"containerStatuses": [status]}}, ready=False)
    cause = of(body, *(event(body, reason, message) for reason, message in case.get("events", [])))
    assert (cause.reason, cause.weight) == (case["reason"], case.get("weight", "suspect"))
    assert case.get("says", cause.message) == cause.message
    assert case.get("hint", cause.hint) == cause.hint
    logs = case.get("logs")
    assert cause.logs == (LogsOf("web-0", "nginx", previous=logs == "previous") if logs else None)


INIT = table("""
- name: fails at once
  init: {state: {terminated: {exitCode: 3, reason: Error}}, restartCount: 0}
  reason: Crashed
  says: "web-0: init container setup ended with exit code 3, 0 restarts"
- name: fails again and again
  init:
    restartCount: 2
    state: {waiting: {reason: CrashLoopBackOff}}
    lastState: {terminated: {exitCode: 3, reason: Error}}
  reason: CrashLoopBackOff
  says: "web-0: init container setup ended with exit code 3, 2 restarts"
- name: cannot pull its image
  init: {state: {waiting: {reason: ErrImagePull, message: not found}}, restartCount: 0}
  reason: ErrImagePull
- name: runs
  init: {state: {running: {}}, restartCount: 0}
  reason: Initializing
  weight: transient
- name: is done
  init: {state: {terminated: {exitCode: 0, reason: Completed}}, restartCount: 0, ready: true}
  reason: Creating
  weight: transient
""")


@pytest.mark.parametrize("case", INIT, ids=name_of)
def test_an_init_container(case: dict[str, Any]) -> None:
    init = {"name": "setup", "image": "busybox:1", "ready": False, **case["init"]}
    body = over(waiting_pod(0, "PodInitializing"), {"status": {"initContainerStatuses": [init]}})
    cause = of(body)
    assert (cause.reason, cause.weight) == (case["reason"], case.get("weight", "suspect"))
    assert case.get("says", cause.message) == cause.message
