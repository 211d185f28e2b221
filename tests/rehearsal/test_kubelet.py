"""What a simulated kubelet makes of pods that go well, and of their end."""

from __future__ import annotations

from pathlib import Path

import pytest

from berth.rehearsal.controllers import nodes
from berth.rehearsal.controllers.kubelet import Kubelet
from berth.rehearsal.kinds import CLAIMS, CONFIG_MAPS, PODS, SECRETS
from berth.rehearsal.store import Store
from tests.rehearsal.stage import SPACE, START, Stage, container

pytestmark = pytest.mark.rehearsal


def test_a_pod_runs_and_says_so_as_a_kubelet_does() -> None:
    stage = Stage()
    uid = stage.add_pod("web")["metadata"]["uid"]
    stage.settle()
    status = stage.pod("web")["status"]
    assert stage.now == pytest.approx(0.5, abs=0.01)
    stamp = "2027-01-15T08:00:00Z"
    head = {"lastProbeTime": None, "lastTransitionTime": stamp, "observedGeneration": 1, "status": "True"}
    kinds = ("PodReadyToStartContainers", "Initialized", "Ready", "ContainersReady", "PodScheduled")
    assert status == {
        "phase": "Running",
        "conditions": [{**head, "type": kind} for kind in kinds],
        "hostIP": "127.0.0.1",
        "hostIPs": [{"ip": "127.0.0.1"}],
        "podIP": "10.244.0.2",
        "podIPs": [{"ip": "10.244.0.2"}],
        "startTime": stamp,
        "observedGeneration": 1,
        "qosClass": "BestEffort",
        "containerStatuses": [
            {
                "name": "web",
                "image": "nginx:1.27",
                "imageID": "simulated",
                "containerID": f"rehearsal://{uid}/web/0",
                "ready": True,
                "started": True,
                "restartCount": 0,
                "state": {"running": {"startedAt": stamp}},
                "lastState": {},
            }
        ],
    }
    assert stage.events("web") == [
        ("Pulling", 'Pulling image "nginx:1.27"'),
        (
            "Pulled",
            'Successfully pulled image "nginx:1.27" in 100ms (100ms including waiting). Image size: 0 bytes.',
        ),
        ("Created", "Container created"),
        ("Started", "Container started"),
    ]


def test_before_it_runs_it_is_creating() -> None:
    stage = Stage("pods: [{start: 10s}]")
    stage.add_pod("web")
    stage.advance(5)
    pod = stage.pod("web")
    assert (pod["status"]["phase"], stage.state("web")) == ("Pending", "ContainerCreating")
    assert stage.condition("web", "PodReadyToStartContainers")[0] == "False"
    assert stage.condition("web", "Initialized")[0] == "True"
    unready = ("False", "ContainersNotReady", "containers with unready status: [web]")
    assert stage.condition("web", "Ready") == stage.condition("web", "ContainersReady") == unready
    assert "podIP" not in pod["status"]


def test_nothing_is_written_while_nothing_happens() -> None:
    stage = Stage()
    for number in range(3):
        stage.add_pod(f"web-{number}")
    stage.settle()
    before = stage.writes
    stage.advance(3000)
    assert stage.writes == before


def test_an_image_is_pulled_once_on_each_node() -> None:
    stage = Stage()
    for number, node in enumerate(("berth-node-1", "berth-node-1", "berth-node-2")):
        stage.add_pod(f"web-{number}", node)
        stage.settle()
    assert [stage.count(f"web-{number}", "Pulling") for number in range(3)] == [1, 0, 1]
    present = 'Container image "nginx:1.27" already present on machine and can be accessed by the pod'
    assert stage.events("web-1", "Pulled") == [("Pulled", present)]


def test_addresses_are_of_the_node_and_unique_and_return() -> None:
    stage = Stage()
    for number in range(4):
        stage.add_pod(f"web-{number}", f"berth-node-{number % 2 + 1}")
    stage.settle()
    addresses = [stage.pod(f"web-{number}")["status"]["podIP"] for number in range(4)]
    assert addresses == ["10.244.0.2", "10.244.4.2", "10.244.0.3", "10.244.4.3"]
    stage.delete("web-0", grace=0)
    stage.add_pod("other")
    stage.settle()
    assert stage.pod("other")["status"]["podIP"] == "10.244.0.4"


def test_a_pod_of_the_hosts_network_has_its_address() -> None:
    stage = Stage()
    stage.add_pod("web", hostNetwork=True)
    stage.settle()
    assert stage.pod("web")["status"]["podIP"] == "127.0.0.1"


def test_init_containers_run_in_order() -> None:
    stage = Stage("pods: [{init: 10s}]")
    stage.add_pod("web", initContainers=[container("one"), container("two")])
    seen = []
    for _ in range(3):
        stage.advance(8)
        states = [stage.state("web", index, "initContainerStatuses") for index in range(2)]
        seen.append((*states, stage.state("web"), stage.condition("web", "Initialized")))
    waits = "ContainersNotInitialized"
    assert seen == [
        (
            "running",
            "PodInitializing",
            "PodInitializing",
            ("False", waits, f"containers with incomplete status: [{names}]"),
        )
        if index == 0
        else (
            "Completed",
            "running",
            "PodInitializing",
            ("False", waits, f"containers with incomplete status: [{names}]"),
        )
        if index == 1
        else ("Completed", "Completed", "running", ("True", "", ""))
        for index, names in enumerate(("one two", "two", ""))
    ]
    assert stage.pod("web")["status"]["initContainerStatuses"][0]["ready"]


def test_a_sidecar_goes_on_beside_the_others() -> None:
    stage = Stage()
    stage.add_pod("web", initContainers=[container("log", restartPolicy="Always"), container("one")])
    stage.settle()
    assert [stage.state("web", index, "initContainerStatuses") for index in range(2)] == ["running", "Completed"]
    assert stage.ready("web")


def test_containers_are_listed_by_name() -> None:
    stage = Stage()
    stage.add_pod("web", containers=[container("b"), container("a")])
    stage.settle()
    assert [entry["name"] for entry in stage.pod("web")["status"]["containerStatuses"]] == ["a", "b"]


def test_a_readiness_gate_waits_for_its_condition() -> None:
    stage = Stage()
    stage.add_pod("web", readinessGates=[{"conditionType": "example.com/open"}])
    stage.settle()
    assert stage.condition("web", "ContainersReady")[0] == "True"
    missing = 'corresponding condition of pod readiness gate "example.com/open" does not exist.'
    assert stage.condition("web", "Ready") == ("False", "ReadinessGatesNotReady", missing)
    pod = stage.pod("web")
    opened = {"type": "example.com/open", "status": "True"}
    with stage.world.request():
        status = {**pod["status"], "conditions": [*pod["status"]["conditions"], opened]}
        stage.client.update_status(PODS, {**pod, "status": status})
    stage.settle()
    assert stage.ready("web")
    assert stage.pod("web")["status"]["conditions"][0] == opened


def test_a_pod_waits_for_its_claim_and_its_config_map() -> None:
    stage = Stage()
    # The binder would call a claim lost whose volume the test has not made.
    stage.world.controllers = tuple(one for one in stage.world.controllers if isinstance(one, Kubelet))
    volumes = [
        {"name": "data", "persistentVolumeClaim": {"claimName": "data"}},
        {"name": "config", "configMap": {"name": "config", "items": [{"key": "a.conf", "path": "a"}]}},
    ]
    stage.add_pod("web", volumes=volumes)
    stage.settle()
    assert (stage.pod("web")["status"]["phase"], stage.state("web")) == ("Pending", "ContainerCreating")
    meta = {"name": "data", "namespace": SPACE}
    claim = {"apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": meta, "status": {"phase": "Bound"}}
    config = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {**meta, "name": "config"}, "data": {"b": ""}}
    with stage.world.request():
        made = stage.client.create(CLAIMS, claim | {"spec": {"storageClassName": "", "volumeName": "x"}})
        stage.world.store.update(CLAIMS, made | {"status": {"phase": "Bound"}})
    stage.world.settle(limit_seconds=1)
    with stage.world.request():
        stage.client.create(CONFIG_MAPS, config)
    stage.world.settle(limit_seconds=1)
    with stage.world.request():
        found = stage.world.store.get(CONFIG_MAPS, SPACE, "config")
        assert found is not None
        stage.client.update(CONFIG_MAPS, found | {"data": {"a.conf": ""}})
    stage.world.settle(limit_seconds=1)
    assert stage.ready("web")
    head = 'MountVolume.SetUp failed for volume "config" : '
    said = [message for _, message in stage.events("web", "FailedMount")]
    assert said[0].endswith('persistentvolumeclaim "data" not found')
    assert said[-2:] == [
        f'{head}configmap "config" not found',
        f"{head}references non-existent config key: a.conf",
    ]


def test_a_container_waits_for_its_environment() -> None:
    stage = Stage()
    env = [{"name": "A", "valueFrom": {"secretKeyRef": {"name": "pass", "key": "a"}}}]
    stage.add_pod("web", containers=[container("web", env=env)])
    stage.settle()
    assert stage.entry("web")["state"]["waiting"] == {
        "reason": "CreateContainerConfigError",
        "message": 'secret "pass" not found',
    }
    assert ("Failed", 'Error: secret "pass" not found') in stage.events("web")
    meta = {"name": "pass", "namespace": SPACE}
    with stage.world.request():
        stage.client.create(SECRETS, {"apiVersion": "v1", "kind": "Secret", "metadata": meta, "data": {"a": ""}})
    stage.settle()
    assert stage.ready("web")


def test_a_graceful_end() -> None:
    stage = Stage("pods: [{stop: 4s}]")
    stage.add_pod("web")
    stage.settle()
    stage.delete("web")
    stage.advance(3)
    assert stage.pod("web")["metadata"]["deletionGracePeriodSeconds"] == 30
    assert stage.ready("web")
    assert stage.events("web", "Killing") == [("Killing", "Stopping container web")]
    last = []
    stage.world.store.listeners.append(lambda change: last.append(change) if change.kind is PODS else None)
    stage.settle()
    assert stage.now == pytest.approx(4.5, abs=0.01)
    assert [change.type for change in last] == ["MODIFIED", "DELETED"]
    status = last[0].object["status"]
    assert (status["phase"], status["containerStatuses"][0]["state"]["terminated"]["exitCode"]) == ("Succeeded", 0)


def test_what_does_not_stop_is_killed_after_its_grace() -> None:
    stage = Stage("pods: [{stop: 10m}]")
    stage.add_pod("web")
    stage.settle()
    stage.delete("web", grace=20)
    last = []
    stage.world.store.listeners.append(lambda change: last.append(change) if change.kind is PODS else None)
    stage.settle()
    assert stage.now == pytest.approx(20.5, abs=0.01)
    assert last[0].object["status"]["containerStatuses"][0]["state"]["terminated"]["exitCode"] == 137


def test_a_forced_end_is_one_at_once() -> None:
    stage = Stage("pods: [{stop: never}]")
    stage.add_pod("web")
    stage.settle()
    stage.delete("web")
    stage.settle()
    assert stage.exists("web")
    stage.delete("web", grace=0)
    assert not stage.exists("web")


def test_a_finalizer_holds_a_pod_whose_containers_have_ended() -> None:
    stage = Stage()
    stage.add_pod("web", finalizers=["example.com/hold"])
    stage.settle()
    stage.delete("web")
    stage.settle()
    assert stage.pod("web")["metadata"]["deletionGracePeriodSeconds"] == 0
    assert stage.pod("web")["status"]["phase"] == "Succeeded"
    before = stage.writes
    stage.advance(100)
    assert stage.writes == before


def test_the_annotations_of_the_local_control_plane() -> None:
    stage = Stage()
    stage.add_pod("late", annotations={"berth.dev/ready-after": "5s"})
    stage.advance(4)
    assert (stage.state("late"), stage.ready("late")) == ("running", False)
    stage.settle()
    assert stage.ready("late")
    stage.add_pod("slow", annotations={"berth.dev/stop-after": "50s"})
    stage.settle()
    stage.delete("slow", grace=1)
    stage.advance(49)
    assert stage.exists("slow")
    stage.advance(2)
    assert not stage.exists("slow")


def test_probes_count_where_the_scenario_says_so() -> None:
    stage = Stage("probes: true")
    probe = {"initialDelaySeconds": 5, "periodSeconds": 10, "successThreshold": 3, "failureThreshold": 3}
    stage.add_pod("web", containers=[container("web", readinessProbe=probe)])
    stage.settle()
    assert stage.now == pytest.approx(25.5, abs=0.01)


def test_a_lost_node_does_nothing_until_it_is_back() -> None:
    stage = Stage()
    stage.add_pod("old")
    stage.settle()
    with stage.world.request():
        nodes.lose(stage.world, "berth-node-1")
    stage.add_pod("new")
    stage.delete("old")
    stage.advance(40)
    assert stage.exists("old") and "startTime" not in stage.pod("new").get("status", {})
    with stage.world.request():
        nodes.recover(stage.world, "berth-node-1")
    stage.settle()
    assert not stage.exists("old") and stage.ready("new")


def test_a_new_process_goes_on_where_the_last_one_was(tmp_path: Path) -> None:
    text = "pods: [{match: {name: slow}, ready: 60s}, {match: {name: stop}, stop: 20s}]"
    path = tmp_path / "state"
    first = Stage(text, Store(path))
    for name in ("slow", "stop", "pull", "new"):
        image = "nginx:nope" if name == "pull" else "nginx:1"
        if name != "new":
            first.add_pod(name, containers=[container("web", image)])
    first.world.settle(limit_seconds=2)
    first.delete("stop")
    first.world.settle(limit_seconds=1)
    first.add_pod("new")
    first.world.close()
    later = START + 30
    stage = Stage(text, Store(path), start=later)
    assert not stage.exists("stop")
    assert stage.ready("new") and stage.ready("slow")
    assert stage.world.clock.now() == pytest.approx(START + 60.5, abs=1.1)
    assert stage.state("pull") == "ImagePullBackOff"
    assert stage.pod("new")["status"]["podIP"] not in {stage.pod(name)["status"]["podIP"] for name in ("slow", "pull")}
