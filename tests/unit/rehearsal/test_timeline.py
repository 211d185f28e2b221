"""The timeline: what is told of a change, in which order, and what a lane shows."""

from __future__ import annotations

import json
from typing import Any

import pytest

from berth.core.objects import Json
from berth.rehearsal import tales
from berth.rehearsal.kinds import CLAIMS, NAMESPACES
from berth.rehearsal.tales import State
from berth.rehearsal.timeline import Lane, Moment, Recorder, Span, Timeline
from tests.rehearsal.stage import Stage

pytestmark = pytest.mark.unit


def pod(phase: str = "Pending", ready: bool = False, node: str = "", **more: Any) -> Json:
    labels = {"controller-revision-hash": "web-5d8f"}
    container: Json = {"name": "nginx", "image": "docker.io/library/nginx:1.29"}
    status: Json = {"phase": phase, "conditions": [{"type": "Ready", "status": "True" if ready else "False"}]}
    if "state" in more:
        status["containerStatuses"] = [{"name": "nginx", **more}]
    spec = {"containers": [container], **({"nodeName": node} if node else {})}
    return {"metadata": {"name": "web-0", "namespace": "default", "labels": labels}, "spec": spec, "status": status}


def waiting(reason: str) -> Json:
    return {"waiting": {"reason": reason}}


def ended(code: int, reason: str = "Error") -> Json:
    return {"terminated": {"exitCode": code, "reason": reason}}


@pytest.mark.parametrize(
    ("body", "state", "note"),
    [
        (pod(), State.PENDING, ""),
        (pod(node="n"), State.STARTING, ""),
        (pod(node="n", state=waiting("ContainerCreating")), State.STARTING, ""),
        (pod(node="n", state=waiting("ErrImagePull")), State.FAILING, "ErrImagePull"),
        (pod("Running", node="n", state=ended(1)), State.FAILING, "exit code 1"),
        (pod("Running", node="n", state=ended(137, "OOMKilled")), State.FAILING, "OOMKilled, exit code 137"),
        (pod("Running", node="n", state=ended(0, "Completed")), State.UNREADY, "5d8f"),
        (pod("Running", node="n"), State.UNREADY, "5d8f"),
        (pod("Running", ready=True, node="n"), State.READY, "5d8f"),
        (pod("Failed", node="n"), State.FAILING, "Failed"),
    ],
)
def test_what_the_lane_of_a_pod_shows(body: Json, state: State, note: str) -> None:
    assert tales.pod_state(body) == (state, note)
    stopping = {**body, "metadata": {**body["metadata"], "deletionTimestamp": "2026-01-01T00:00:00Z"}}
    assert tales.pod_state(stopping) == (State.STOPPING, "")


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        (None, pod(), [("created with nginx:1.29, revision 5d8f", False)]),
        (pod(), None, [("gone", False)]),
        (pod(), pod(node="n-1"), [("scheduled to n-1", False)]),
        (pod(node="n"), pod("Running", node="n"), [("running, not ready yet", False)]),
        (pod(node="n"), pod("Running", ready=True, node="n"), [("ready", False)]),
        (pod("Running", ready=True), pod("Running"), [("no longer ready", True)]),
        (pod(), pod(state=waiting("ErrImagePull")), [("failing: ErrImagePull, nginx:1.29", True)]),
        (pod(state=waiting("CrashLoopBackOff")), pod(state=waiting("CrashLoopBackOff")), []),
        (
            pod("Running", state=waiting("CrashLoopBackOff"), restartCount=1),
            pod("Running", state={"running": {}}, restartCount=2, lastState=ended(2)),
            [("restart 2: nginx ended with exit code 2", True)],
        ),
    ],
)
def test_what_is_told_of_a_pod(old: Json | None, new: Json | None, told: list[tuple[str, bool]]) -> None:
    assert list(tales.tell("pods", old, new)) == told


def volume(phase: str, policy: str) -> Json:
    return {"metadata": {"name": "pv"}, "spec": {"persistentVolumeReclaimPolicy": policy}, "status": {"phase": phase}}


def test_the_data_of_a_volume_is_told_of_where_something_becomes_of_it() -> None:
    def told(old: str, new: str, policy: str) -> list[tuple[str, bool]]:
        return list(tales.tell("persistentvolumes", volume(old, policy), volume(new, policy)))

    assert told("Bound", "Released", "Retain") == [("released: the data is still in it", False)]
    assert told("Bound", "Released", "Delete") == [], "it is deleted next, and that is told"
    assert told("Released", "Failed", "Delete") == [("failed: the data is still in it", True)]
    assert list(tales.tell("persistentvolumes", volume("Released", "Delete"), None)) == [
        ("deleted, and the data with it", False)
    ]


def test_kinds_without_a_tale_and_usual_events_are_not_told() -> None:
    assert list(tales.tell("configmaps", None, {"metadata": {"name": "a"}})) == []
    assert tales.warning({"type": "Normal", "reason": "Pulled", "message": "x"}) == ""
    assert tales.warning({"type": "Warning", "reason": "BackOff", "message": "the pod says it"}) == ""
    assert tales.warning({"type": "Warning", "reason": "FailedCreate", "message": "quota"}) == "quota"


def recorded(scenario: str = "", replicas: int = 2) -> tuple[Stage, Recorder]:
    stage = Stage(scenario)
    recorder = Recorder(stage.world)
    stage.add_set(replicas=replicas)
    return stage, recorder


def words(timeline: Timeline, about: str) -> list[str]:
    return [moment.words for moment in timeline.moments if moment.about == about]


def test_ordinals_in_order() -> None:
    stage, recorder = recorded()
    stage.settle()
    timeline = recorder.finish("two pods")
    assert [lane.name for lane in timeline.lanes] == ["web-0", "web-1"]
    told = words(timeline, "pod web-0")
    assert told[0].startswith("created with nginx:1.27, revision ") and told[-1] == "ready"
    seconds = [moment.seconds for moment in timeline.moments]
    assert seconds == sorted(seconds) and seconds[0] == 0
    created = [moment.about for moment in timeline.moments if moment.words.startswith("created with")]
    assert created == ["pod web-0", "pod web-1"]
    assert timeline.revisions == {timeline.lanes[0].spans[-1].note: "nginx:1.27"}
    for lane in timeline.lanes:
        assert all(one.end == two.begin for one, two in zip(lane.spans, lane.spans[1:], strict=False))
        assert lane.spans[-1].end == timeline.seconds and lane.spans[-1].state is State.READY


def test_after_its_end_nothing_is_told() -> None:
    stage, recorder = recorded()
    timeline = recorder.finish("")
    stage.settle()
    assert all(moment.about == "set web" for moment in timeline.moments)
    assert recorder._changed not in stage.world.store.listeners


def test_the_same_trouble_is_told_once_until_it_is_over() -> None:
    stage, recorder = recorded("pods: [{match: {ordinals: 0}, fault: image}]", replicas=1)
    stage.settle()
    stage.advance(600)
    timeline = recorder.finish("")
    failing = [told for told in words(timeline, "pod web-0") if told.startswith("failing")]
    assert failing == ["failing: ErrImagePull, nginx:1.27", "failing: ImagePullBackOff, nginx:1.27"]
    [span] = [span for span in timeline.lanes[0].spans if span.state is State.FAILING]
    assert span.end == timeline.seconds, "both reasons in turn are one trouble"


def test_every_restart_is_told() -> None:
    stage, recorder = recorded("pods: [{fault: crash, exit_code: 3, ready: never}]", replicas=1)
    stage.settle()
    stage.advance(60)
    told = words(recorder.finish(""), "pod web-0")
    assert [one for one in told if one.startswith("restart")] == [
        f"restart {number}: web ended with exit code 3" for number in (1, 2, 3)
    ]
    assert told.count("failing: CrashLoopBackOff") == 1


def test_refusals_are_told_of_the_set() -> None:
    stage, recorder = recorded("quota: [{hard: {pods: 1}}]", replicas=2)
    stage.settle()
    [refused] = [one for one in words(recorder.finish(""), "set web") if "exceeded quota" in one]
    assert refused.startswith("Create Pod web-1 in StatefulSet web failed")


def test_what_the_scenario_does_and_what_it_has_in_store() -> None:
    stage, recorder = recorded("timeline: [{at: 5s, lose: berth-node-2}, {at: 1h, recover: berth-node-2}]")
    stage.advance(60)
    timeline = recorder.finish("")
    assert words(timeline, "scenario") == ["berth-node-2 falls silent"]
    assert timeline.to_come == ("berth-node-2 comes back at 3600 s",)
    assert "node berth-node-2" in [moment.about for moment in timeline.moments]
    assert "berth-node-2" in [lane.name for lane in timeline.lanes]
    assert "berth-node-1" not in [lane.name for lane in timeline.lanes], "nodes of which nothing is to be said"


def test_names_carry_their_namespace_where_there_are_several() -> None:
    stage, recorder = recorded(replicas=1)
    stage.settle()
    with stage.world.request():
        for name in ("one", "two"):
            stage.client.create(NAMESPACES, {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}})
            meta = {"name": "web-0", "namespace": name}
            body: Json = {"apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": meta}
            claim = {**body, "spec": {"resources": {"requests": {"storage": "1Gi"}}, "storageClassName": "none"}}
            stage.client.create(CLAIMS, claim)
    timeline = recorder.finish("")
    assert {"one/web-0", "two/web-0", "default/web-0"} <= {lane.name for lane in timeline.lanes}


def test_lines_are_aligned_and_bad_ones_marked() -> None:
    moments = (
        Moment(0, "StatefulSet", "web", "created"),
        Moment(61.25, "PersistentVolumeClaim", "data-web-0", "lost", bad=True),
    )
    lines = Timeline("", 70, moments, ()).to_lines()
    assert lines == ["     0.0s   set web           created", "    61.2s ! claim data-web-0  lost"]
    assert Timeline("", 0, (), ()).to_lines() == []


def test_json_is_json() -> None:
    lane = Lane("Pod", "web-0", (Span(0, 1.23456, State.READY, "5d8f"),))
    timeline = Timeline("t", 2, (Moment(0.1, "Pod", "web-0", "ready"),), (lane,), {"5d8f": "nginx:1"})
    found = json.loads(json.dumps(timeline.to_json()))
    assert found["lanes"][0]["spans"] == [{"from": 0, "to": 1.235, "state": "ready", "note": "5d8f"}]
    assert found["moments"] == [{"seconds": 0.1, "kind": "Pod", "name": "web-0", "event": "ready", "bad": False}]
    assert found["revisions"] == {"5d8f": "nginx:1"}
