"""What a simulated kubelet makes of pods that fail, by scenario, annotation or image."""

from __future__ import annotations

import pytest

from berth.rehearsal.controllers.podplan import name_error
from tests.rehearsal.stage import Stage, container

pytestmark = pytest.mark.rehearsal

_NOT_FOUND = (
    'rpc error: code = NotFound desc = failed to pull and unpack image "docker.io/library/nginx:nope": failed to '
    'resolve reference "docker.io/library/nginx:nope": docker.io/library/nginx:nope: not found'
)


def test_an_image_that_cannot_be_pulled() -> None:
    stage = Stage()
    stage.add_pod("web", containers=[container("a"), container("b", "nginx:nope")])
    stage.advance(0.2)
    assert stage.entry("web", 1)["state"] == {"waiting": {"reason": "ErrImagePull", "message": _NOT_FOUND}}
    stage.settle()
    assert stage.pod("web")["status"]["phase"] == "Pending"
    assert (stage.state("web"), stage.state("web", 1)) == ("running", "ImagePullBackOff")
    message = f'Back-off pulling image "nginx:nope": ErrImagePull: {_NOT_FOUND}'
    assert stage.entry("web", 1)["state"]["waiting"]["message"] == message
    unready = ("False", "ContainersNotReady", "containers with unready status: [b]")
    assert stage.condition("web", "Ready") == unready
    assert stage.condition("web", "PodReadyToStartContainers")[0] == "True"
    assert stage.events("web", "Failed", "BackOff") == [
        ("Failed", f'Failed to pull image "nginx:nope": {_NOT_FOUND}'),
        ("Failed", "Error: ErrImagePull"),
        ("BackOff", 'Back-off pulling image "nginx:nope"'),
        ("Failed", "Error: ImagePullBackOff"),
    ]


def test_an_image_with_an_impossible_name() -> None:
    stage = Stage()
    stage.add_pod("web", containers=[container("a", "Nginx:1")])
    stage.settle()
    why = "invalid reference format: repository name (library/Nginx) must be lowercase"
    message = f'Failed to apply default image tag "Nginx:1": couldn\'t parse image name "Nginx:1": {why}'
    assert stage.entry("web")["state"]["waiting"] == {"reason": "InvalidImageName", "message": message}
    assert stage.events("web") == [("InspectFailed", message), ("Failed", "Error: InvalidImageName")]


@pytest.mark.parametrize(
    ("image", "good"),
    [
        ("nginx", True),
        ("docker.io/library/nginx:1.27-alpine", True),
        ("localhost:5000/a/b_c/d--e:v1", True),
        ("registry.example.com/Team/app", False),
        ("nginx@sha256:" + "a" * 64, True),
        ("nginx:1@sha256:" + "a" * 64, True),
        ("nginx:", False),
        ("nginx:-1", False),
        ("a//b", False),
        ("", False),
    ],
)
def test_names_of_images(image: str, good: bool) -> None:
    assert (name_error(image) == "") == good


def test_pulls_back_off_to_five_minutes() -> None:
    stage = Stage()
    stage.add_pod("web", containers=[container("a", "nginx:nope")])
    pulls: list[int] = []
    for _ in range(1500):
        stage.advance(1)
        if len(pulls) < (count := stage.count("web", "Pulling")):
            pulls += [round(stage.now)] * (count - len(pulls))
    assert pulls == pytest.approx([1, 11, 31, 71, 151, 311, 611, 911, 1211], abs=1.5)


def test_a_pull_that_fails_twice() -> None:
    stage = Stage("pods: [{fault: image, times: 2, message: no route to host}]")
    stage.add_pod("web")
    stage.settle()
    assert stage.ready("web")
    assert stage.now == pytest.approx(30.7, abs=0.1)
    assert ("Failed", 'Failed to pull image "nginx:1.27": no route to host') in stage.events("web")


def test_a_crash_loop() -> None:
    stage = Stage("pods: [{fault: crash, exit_code: 3, message: out of luck}]")
    uid = stage.add_pod("web")["metadata"]["uid"]
    stage.advance(0.6)
    entry = stage.entry("web")
    assert (stage.state("web"), entry["restartCount"], entry["ready"]) == ("Error", 0, False)
    assert entry["state"]["terminated"]["exitCode"] == 3
    assert entry["state"]["terminated"]["message"] == "out of luck"
    assert entry["state"]["terminated"]["containerID"] == f"rehearsal://{uid}/web/0"
    stage.settle()
    entry = stage.entry("web")
    assert stage.pod("web")["status"]["phase"] == "Running"
    where = f"web_default({uid})"
    assert entry["state"]["waiting"] == {
        "reason": "CrashLoopBackOff",
        "message": f"back-off 10s restarting failed container=web pod={where}",
    }
    assert (entry["restartCount"], entry["lastState"]["terminated"]["reason"]) == (1, "Error")
    assert stage.events("web", "BackOff") == [("BackOff", f"Back-off restarting failed container web in pod {where}")]


def test_restarts_back_off_to_five_minutes() -> None:
    stage = Stage("pods: [{fault: crash}]")
    stage.add_pod("web")
    texts = []
    for _ in range(1300):
        stage.advance(1)
        waiting = stage.entry("web")["state"].get("waiting", {}) if stage.pod("web")["status"] else {}
        text = waiting.get("message", "").partition(" restarting")[0]
        if text and text not in texts:
            texts.append(text)
    times = ("10s", "20s", "40s", "1m20s", "2m40s", "5m0s")
    assert texts == [f"back-off {time}" for time in times]


def test_a_container_that_ran_long_starts_its_back_off_anew() -> None:
    stage = Stage("pods: [{fault: crash, after: 15m}]")
    stage.add_pod("web")
    stage.advance(3600)
    assert stage.entry("web")["restartCount"] == 3
    assert stage.count("web", "BackOff") == 0


def test_a_crash_that_heals_after_three_starts() -> None:
    stage = Stage("pods: [{fault: crash, times: 3}]")
    stage.add_pod("web")
    stage.settle()
    assert (stage.ready("web"), stage.entry("web")["restartCount"]) == (True, 3)
    assert stage.now == pytest.approx(31.5, abs=0.6)


def test_a_container_out_of_memory() -> None:
    stage = Stage("pods: [{fault: oom, after: 5s}]")
    stage.add_pod("web")
    stage.advance(4)
    assert stage.ready("web")
    stage.advance(1.6)
    ended = stage.entry("web")["state"]["terminated"]
    assert (ended["exitCode"], ended["reason"]) == (137, "OOMKilled")


@pytest.mark.parametrize(
    ("policy", "code", "phase", "reason", "condition"),
    [
        ("Never", 1, "Failed", "Error", "PodFailed"),
        ("Never", 0, "Succeeded", "Completed", "PodCompleted"),
        ("OnFailure", 0, "Succeeded", "Completed", "PodCompleted"),
    ],
)
def test_pods_that_are_not_started_again(policy: str, code: int, phase: str, reason: str, condition: str) -> None:
    stage = Stage(f"pods: [{{fault: crash, exit_code: {code}}}]")
    stage.add_pod("web", restartPolicy=policy)
    stage.settle()
    assert (stage.pod("web")["status"]["phase"], stage.state("web")) == (phase, reason)
    assert stage.condition("web", "Ready")[:2] == ("False", condition)
    before = stage.writes
    stage.advance(1000)
    assert stage.writes == before


def test_an_init_container_that_fails() -> None:
    stage = Stage("pods: [{fault: init, exit_code: 2}]")
    stage.add_pod("web", initContainers=[container("prepare")])
    stage.settle()
    entry = stage.pod("web")["status"]["initContainerStatuses"][0]
    assert entry["state"]["waiting"]["reason"] == "CrashLoopBackOff"
    assert (stage.pod("web")["status"]["phase"], stage.state("web")) == ("Pending", "PodInitializing")
    assert stage.condition("web", "Initialized")[1] == "ContainersNotInitialized"


def test_an_init_container_that_fails_for_good() -> None:
    stage = Stage("pods: [{fault: init}]")
    stage.add_pod("web", initContainers=[container("prepare")], restartPolicy="Never")
    stage.settle()
    assert stage.pod("web")["status"]["phase"] == "Failed"


@pytest.mark.parametrize(
    ("probe", "output"),
    [
        ({"httpGet": {"path": "/", "port": 80}}, "HTTP probe failed with statuscode: 503"),
        ({"tcpSocket": {"port": 5432}}, "dial tcp 10.244.0.2:5432: connect: connection refused"),
        ({"exec": {"command": ["true"]}}, "command returned 1"),
    ],
)
def test_a_readiness_probe_that_fails_for_a_while(probe: dict[str, object], output: str) -> None:
    stage = Stage("pods: [{from: 30s, until: 1m, fault: unready}]")
    stage.add_pod("web", containers=[container("web", readinessProbe=probe)])
    stage.advance(29)
    assert stage.ready("web")
    stage.advance(2)
    assert stage.condition("web", "Ready") == (
        "False",
        "ContainersNotReady",
        "containers with unready status: [web]",
    )
    assert (stage.state("web"), stage.entry("web")["restartCount"]) == ("running", 0)
    assert stage.events("web", "Unhealthy") == [("Unhealthy", f"Readiness probe failed: {output}")]
    stage.advance(30)
    assert stage.ready("web")


def test_a_liveness_probe_that_fails_once() -> None:
    stage = Stage("pods: [{fault: liveness, after: 20s, times: 1}]")
    stage.add_pod("web")
    stage.settle()
    assert (stage.ready("web"), stage.entry("web")["restartCount"]) == (True, 1)
    assert stage.entry("web")["lastState"]["terminated"]["exitCode"] == 137
    said = stage.events("web", "Unhealthy", "Killing")
    assert said == [
        ("Unhealthy", "Liveness probe failed: HTTP probe failed with statuscode: 503"),
        ("Killing", "Container web failed liveness probe, will be restarted"),
    ]


def test_a_container_that_is_never_ready() -> None:
    stage = Stage("pods: [{ready: never}]")
    stage.add_pod("web")
    stage.settle()
    assert (stage.state("web"), stage.ready("web")) == ("running", False)


def test_a_volume_that_is_not_mounted() -> None:
    stage = Stage("pods: [{until: 5m, fault: mount, message: the disk is attached elsewhere}]")
    stage.add_pod("web", volumes=[{"name": "data", "emptyDir": {}}])
    stage.world.settle(limit_seconds=100)
    assert stage.state("web") == "ContainerCreating"
    said = 'MountVolume.SetUp failed for volume "data" : the disk is attached elsewhere'
    assert stage.events("web") == [("FailedMount", said)]
    stage.settle()
    assert stage.ready("web")


def test_a_configuration_that_is_wrong_for_a_while() -> None:
    stage = Stage("pods: [{until: 5m, fault: config}]")
    stage.add_pod("web")
    stage.world.settle(limit_seconds=100)
    assert stage.state("web") == "CreateContainerConfigError"
    stage.settle()
    assert stage.ready("web")


@pytest.mark.parametrize(
    ("fault", "state"), [("image", "ImagePullBackOff"), ("crash", "CrashLoopBackOff"), ("unready", "running")]
)
def test_an_annotation_fails_a_pod_and_its_removal_heals_it(fault: str, state: str) -> None:
    stage = Stage()
    stage.add_pod("web", annotations={"berth.dev/fault": fault})
    stage.settle()
    assert (stage.state("web"), stage.ready("web")) == (state, False)
    at = stage.now
    stage.annotate("web", fault=None)
    stage.settle()
    assert stage.ready("web")
    assert stage.now - at < 1


@pytest.mark.parametrize(("fault", "state"), [("crash", "CrashLoopBackOff"), ("unready", "running")])
def test_an_annotation_fails_a_pod_that_runs(fault: str, state: str) -> None:
    stage = Stage()
    stage.add_pod("web")
    stage.settle()
    stage.annotate("web", fault=fault)
    stage.settle()
    assert (stage.state("web"), stage.ready("web")) == (state, False)


def test_rules_choose_pods_by_set_ordinal_and_revision() -> None:
    stage = Stage(
        "pods:\n"
        "  - {match: {set: web, ordinals: '1+', revision: update}, fault: crash, ready: never}\n"
        "  - {match: {image: '*:broken'}, fault: image}\n"
    )
    stage.add_set()
    stage.settle()
    assert all(stage.ready(f"web-{number}") for number in range(3))
    stage.upgrade("nginx:1.28")
    stage.settle()
    assert stage.state("web-2") == "CrashLoopBackOff"
    assert stage.ready("web-1")
