"""How far one ordinal is, as its live line says it."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from berth.core.objects import Json
from berth.core.progress import ordinal_state
from tests.unit.core.samples import NEW, claim, name_of, over, pod, statefulset, table

pytestmark = pytest.mark.unit

NOW = datetime(2026, 1, 1, 10, 0, 15, tzinfo=UTC)

STAGES = table("""
- name: not there
  stage: waiting
  detail: not created yet
- name: on its way out
  pod: {metadata: {deletionTimestamp: "2026-01-01T10:00:30Z", deletionGracePeriodSeconds: 60}}
  stage: stopping
  detail: up to 60s
- name: no node, its claim not made
  pod: {spec: {nodeName: null}}
  ready: false
  stage: claim
  detail: www-web-0 is absent
- name: no node, its claim not bound
  pod: {spec: {nodeName: null}}
  ready: false
  claim: Pending
  stage: claim
  detail: www-web-0 is pending
- name: no node, its claim bound
  pod: {spec: {nodeName: null}}
  ready: false
  claim: Bound
  stage: scheduling
  detail: no node yet
- name: no node fits, so that a claim that waits for its first consumer is pending
  pod:
    spec: {nodeName: null}
    status:
      conditions:
      - {type: PodScheduled, status: "False", message: "0/3 nodes are available: 3 Insufficient cpu. no new"}
  ready: false
  claim: Pending
  stage: scheduling
  detail: "0/3 nodes are available: 3 Insufficient cpu"
- name: no node because of its claim
  pod:
    spec: {nodeName: null}
    status:
      conditions:
      - {type: PodScheduled, status: "False", message: pod has unbound immediate PersistentVolumeClaims. not found}
  ready: false
  claim: Pending
  stage: claim
  detail: www-web-0 is pending
- name: has a node and nothing else
  pod: {status: {containerStatuses: null}}
  ready: false
  stage: image
  detail: on node-1
- name: pulls its image
  pod: {status: {containerStatuses: [{name: nginx, state: {waiting: {reason: ContainerCreating}}}]}}
  ready: false
  stage: image
  detail: ContainerCreating
- name: cannot pull its image
  pod: {status: {containerStatuses: [{name: nginx, state: {waiting: {reason: ImagePullBackOff}}}]}}
  ready: false
  stage: image
  detail: ImagePullBackOff
- name: runs its init container
  pod:
    status:
      initContainerStatuses: [{name: setup, state: {running: {}}}]
      containerStatuses: [{name: nginx, state: {waiting: {reason: PodInitializing}}}]
  ready: false
  stage: init
  detail: setup (running)
- name: its init container failed
  pod: {status: {initContainerStatuses: [{name: setup, state: {terminated: {exitCode: 1}}}]}}
  ready: false
  stage: init
  detail: setup (ended)
- name: its init container is done
  pod: {status: {initContainerStatuses: [{name: setup, state: {terminated: {exitCode: 0}}}]}}
  ready: false
  stage: start
  detail: runs, not ready yet
- name: a sidecar runs for ever, and is not what is waited for
  pod:
    spec: {initContainers: [{name: proxy, restartPolicy: Always}]}
    status: {initContainerStatuses: [{name: proxy, started: true, state: {running: {}}}]}
  ready: false
  stage: start
  detail: runs, not ready yet
- name: a sidecar that has not started
  pod:
    spec: {initContainers: [{name: proxy, restartPolicy: Always}]}
    status: {initContainerStatuses: [{name: proxy, started: false, state: {running: {}}}]}
  ready: false
  stage: init
  detail: proxy (running)
- name: crashes
  pod: {status: {containerStatuses: [{name: nginx, state: {waiting: {reason: CrashLoopBackOff}}}]}}
  ready: false
  stage: start
  detail: CrashLoopBackOff
- name: ready
  stage: ready
  pod: {}
  detail: node-1
  done: true
- name: ready for a part of minReadySeconds
  set: {spec: {minReadySeconds: 20}}
  pod: {}
  stage: settling
  detail: 15s of minReadySeconds left
- name: ready for all of minReadySeconds
  set: {spec: {minReadySeconds: 5}}
  pod: {}
  stage: ready
  detail: node-1
  done: true
- name: ready, of an old revision that an update replaces
  set: {status: {updateRevision: web-664889b478}}
  pod: {}
  stage: ready
  detail: old revision, to be replaced
- name: ready, of an old revision that the partition keeps
  set: {spec: {updateStrategy: {rollingUpdate: {partition: 1}}}, status: {updateRevision: web-664889b478}}
  pod: {}
  stage: ready
  detail: node-1, old revision
  done: true
- name: ready, of an old revision that OnDelete keeps
  set: {spec: {updateStrategy: {type: OnDelete, rollingUpdate: null}}, status: {updateRevision: web-664889b478}}
  pod: {}
  stage: ready
  detail: node-1, old revision
  done: true
""")


@pytest.mark.parametrize("case", STAGES, ids=name_of)
def test_stages(case: dict[str, Any]) -> None:
    body: Json | None = over(pod(0, ready=case.get("ready", True)), case["pod"]) if "pod" in case else None
    claims = {"www-web-0": claim("www-web-0", phase=case["claim"])} if "claim" in case else {}
    state = ordinal_state(statefulset(case.get("set")), 0, body, claims, NOW)
    assert (state.stage, state.detail, state.done) == (case["stage"], case.get("detail", ""), case.get("done", False))
    assert (state.set_name, state.ordinal, state.pod) == ("web", 0, "web-0")


def test_a_pod_of_the_new_revision_is_done() -> None:
    body = statefulset({"status": {"updateRevision": NEW}})
    assert ordinal_state(body, 1, pod(1, revision=NEW), {}, NOW).done
