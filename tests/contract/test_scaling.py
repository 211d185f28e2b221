"""Another number of pods: step by step where the profile asks for it, and with an eye on what claims hold.

No containers run here. Where a test needs an operation to pass or to fail, it answers in the container's place.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import pytest

from berth.actions import scaling
from berth.actions.applying import Options
from berth.actions.clock import Clock
from berth.actions.operations import Outcome, Result, ordinal
from berth.actions.plan import plan_lines, plan_release
from berth.actions.scale import Scaling, find_scaling
from berth.actions.up import up
from berth.cluster.kube import Kube
from berth.cluster.record import ReleaseRecord
from berth.cluster.release import load
from berth.core.errors import BerthError, ClusterError, FailedError, InputError, InterruptedRunError, PreflightError
from berth.core.events import Event, Notice, OperationDone, OrdinalState, PhaseStarted
from berth.core.objects import UNUSABLE_ANNOTATION, Json, ObjectRef, dig
from berth.core.operations import Operation
from berth.core.render import Release
from berth.core.scaling import Wishes
from berth.library import open_library
from tests.contract.support import PATIENCE, ROOT, bring_up, claims, done, pods, release, statefulset, steps
from tests.contract.test_interruption import Killed, expire_lock, tripping


class Answers:
    """In the place of containers: what operations were run where, and which of them fail."""

    def __init__(self, *failing: str) -> None:
        self.failing = set(failing)
        self.asked: list[str] = []
        self.broken = ""

    def __call__(self, kube: Kube, namespace: str, operation: Operation, pods: Iterable[Json]) -> list[Result]:
        return [self._one(operation, pod) for pod in pods]

    def _one(self, operation: Operation, pod: Json) -> Result:
        name = pod["metadata"]["name"]
        if name == self.broken:
            return Result(
                operation.name, name, ordinal(pod), Outcome.FAILED, None, "", "the container does not run", 0.1
            )
        self.asked.append(f"{operation.name} {name}")
        if {operation.name, f"{operation.name} {name}"} & self.failing:
            why = "exit code 1"
            return Result(operation.name, name, ordinal(pod), Outcome.FAILED, 1, "the ring is not whole", why, 0.1)
        return Result(operation.name, name, ordinal(pod), Outcome.PASSED, 0, "", "", 0.1)


@pytest.fixture
def answers(monkeypatch: pytest.MonkeyPatch) -> Answers:
    """Operations of scaling pass, unless the test says otherwise."""
    made = Answers()
    monkeypatch.setattr(scaling, "run_operation", made)
    return made


def wanted(profile: str, space: str, *sets: str) -> Release:
    """The profile for any number of nodes."""
    return release(profile, space, "spread.hostname=soft", *sets)


def the_record(kube: Kube, space: str, name: str) -> ReleaseRecord:
    record = load(kube, space, name)
    assert record is not None
    return record


def find(kube: Kube, space: str, name: str, replicas: int, wishes: Wishes | None = None) -> Scaling:
    return find_scaling(kube, open_library(ROOT), the_record(kube, space, name), replicas, wishes or Wishes())


def scale(kube: Kube, space: str, name: str, replicas: int, *discard: str, insist: bool = False) -> list[Event]:
    """What `berth scale` does."""
    wishes = Wishes(insist, discard)
    found = find(kube, space, name, replicas, wishes)
    return list(up(kube, [found.release], Options(PATIENCE, scaling=wishes), Clock()))


def notices(events: Iterable[Event]) -> list[str]:
    return [event.message for event in events if isinstance(event, Notice)]


def taken(events: Iterable[Event]) -> list[str]:
    """The steps of a run, as it said them."""
    return [text.split(": ", 1)[1] for text in notices(events) if text.startswith("step ")]


def marks(kube: Kube, space: str) -> dict[str, str]:
    found = {
        name: dig(body, "metadata", "annotations", UNUSABLE_ANNOTATION) for name, body in claims(kube, space).items()
    }
    return {name: text for name, text in found.items() if text}


def test_one_member_at_a_time(kube: Kube, space: str, answers: Answers) -> None:
    bring_up(kube, wanted("zookeeper", space))
    before = the_record(kube, space, "zookeeper")
    events = bring_up(kube, wanted("zookeeper", space, "replicas=5"))
    assert taken(events) == ["StatefulSet/zookeeper 3 -> 4 pods", "StatefulSet/zookeeper 4 -> 5 pods"]
    asked = [f"afterScaleUp zookeeper-{o}" for o in (*range(4), *range(5))]
    assert answers.asked == asked and set(pods(kube, space)) == {f"zookeeper-{o}" for o in range(5)}
    after = the_record(kube, space, "zookeeper")
    assert (after.status, after.scaling, after.revision) == ("deployed", None, before.revision + 1)
    assert (after.values["replicas"], after.values["allowEven"]) == (5, False), "as the user asked, not as between"
    assert len(after.history) == len(before.history) + 1
    assert done(events).succeeded and done(events).changed == 1
    assert done(bring_up(kube, wanted("zookeeper", space, "replicas=5"))).changed == 0

    answers.asked.clear()
    assert taken(scale(kube, space, "zookeeper", 3)) == [f"StatefulSet/zookeeper {n} -> {n - 1} pods" for n in (5, 4)]
    asked = [f"beforeScaleDown zookeeper-{o}" for o in (*reversed(range(5)), *reversed(range(4)))]
    assert answers.asked == asked and set(pods(kube, space)) == {f"zookeeper-{o}" for o in range(3)}
    assert set(claims(kube, space)) == {f"{t}-zookeeper-{o}" for t in ("data", "datalog") for o in range(5)}


def test_a_pod_has_gone_before_those_that_stay_are_rolled(kube: Kube, space: str, answers: Answers) -> None:
    bring_up(kube, wanted("zookeeper", space, "replicas=4", "allowEven=true"))
    before = {name: body["metadata"]["uid"] for name, body in pods(kube, space).items()}
    seen = []
    for event in up(kube, [wanted("zookeeper", space)], Options(PATIENCE), Clock()):
        if isinstance(event, PhaseStarted):
            seen.append({name: body["metadata"]["uid"] for name, body in pods(kube, space).items()})
    assert seen[0] == {name: uid for name, uid in before.items() if name != "zookeeper-3"}
    after = {name: body["metadata"]["uid"] for name, body in pods(kube, space).items()}
    assert after.keys() == seen[0].keys() and not set(after.values()) & set(before.values()), "then all are rolled"


def test_a_plan_shows_the_steps_and_writes_nothing(kube: Kube, space: str) -> None:
    bring_up(kube, wanted("zookeeper", space))
    planned = plan_release(kube, wanted("zookeeper", space, "replicas=5"))
    shown = "\n".join(plan_lines(planned))
    assert "StatefulSet/zookeeper goes 3 -> 4 -> 5" in shown and "3 -> 4, allowEven: true, afterScaleUp" in shown
    assert statefulset(kube, wanted("zookeeper", space))["spec"]["replicas"] == 3


def test_where_no_container_runs_the_steps_are_taken_and_operations_are_not_said_to_pass(
    kube: Kube, space: str
) -> None:
    bring_up(kube, wanted("cassandra", space))
    events = scale(kube, space, "cassandra", 2)
    said = {event.operation: event.outcome for event in events if isinstance(event, OperationDone)}
    assert said["beforeScaleDown"] == "not run" and "beforeScaleDown" in done(events).verdict
    assert taken(events) == ["StatefulSet/cassandra 3 -> 2 pods"] and len(pods(kube, space)) == 2
    assert marks(kube, space) == {}, "nobody knows whether the node has left"


def test_what_must_pass_and_fails_leaves_everything_as_it_was(kube: Kube, space: str, answers: Answers) -> None:
    bring_up(kube, wanted("cassandra", space))
    before, record = pods(kube, space), the_record(kube, space, "cassandra")
    answers.failing = {"beforeScaleDown"}
    with pytest.raises(FailedError, match="the ring is not whole"):
        scale(kube, space, "cassandra", 1)
    assert {name: body["metadata"]["uid"] for name, body in pods(kube, space).items()} == {
        name: body["metadata"]["uid"] for name, body in before.items()
    }
    assert the_record(kube, space, "cassandra") == record and marks(kube, space) == {}


def test_a_pod_in_which_nothing_can_be_run_is_passed_over_only_where_somebody_insists(
    kube: Kube, space: str, answers: Answers
) -> None:
    bring_up(kube, wanted("cassandra", space))
    answers.broken = "cassandra-2"
    with pytest.raises(FailedError, match="cannot be run in cassandra-2") as caught:
        scale(kube, space, "cassandra", 2)
    assert "--force" in str(caught.value) and len(pods(kube, space)) == 3
    answers.failing = {"beforeScaleDown"}
    events = scale(kube, space, "cassandra", 2, insist=True)
    assert any("going on, as you insist" in text for text in notices(events)) and len(pods(kube, space)) == 2
    assert marks(kube, space) == {}, "nobody knows whether it has left"
    answers.broken = ""
    with pytest.raises(FailedError, match="the ring is not whole"):
        scale(kube, space, "cassandra", 1, insist=True)


def test_a_failure_on_the_way_stops_there_and_the_next_run_goes_on(kube: Kube, space: str, answers: Answers) -> None:
    bring_up(kube, wanted("cassandra", space))
    answers.failing = {"beforeScaleDown cassandra-1"}
    with pytest.raises(FailedError):
        scale(kube, space, "cassandra", 1)
    record = the_record(kube, space, "cassandra")
    assert (record.status, record.history[-1].result, len(pods(kube, space))) == ("failed", "failed", 2)
    assert set(marks(kube, space)) == {"data-cassandra-2"}
    answers.failing = set()
    assert taken(scale(kube, space, "cassandra", 1)) == ["StatefulSet/cassandra 2 -> 1 pods"]
    assert the_record(kube, space, "cassandra").status == "deployed"


def test_an_interrupted_step_is_ended_before_the_next(kube: Kube, space: str, answers: Answers) -> None:
    bring_up(kube, wanted("zookeeper", space))
    run = up(kube, [wanted("zookeeper", space, "replicas=5")], Options(PATIENCE), Clock())
    with pytest.raises(InterruptedRunError):
        for event in run:
            if isinstance(event, OrdinalState):
                run.throw(KeyboardInterrupt)
    record = the_record(kube, space, "zookeeper")
    assert (record.status, record.scaling, record.values["replicas"]) == ("interrupted", (3, 4), 5)
    assert answers.asked == []
    events = scale(kube, space, "zookeeper", 5)
    assert taken(events) == ["StatefulSet/zookeeper 3 -> 4 pods", "StatefulSet/zookeeper 4 -> 5 pods"]
    assert len(answers.asked) == 4 + 5 and the_record(kube, space, "zookeeper").scaling is None


def test_what_failed_afterwards_is_run_again(kube: Kube, space: str, answers: Answers) -> None:
    bring_up(kube, wanted("zookeeper", space))
    answers.failing = {"afterScaleUp"}
    larger = wanted("zookeeper", space, "replicas=4", "allowEven=true")
    with pytest.raises(FailedError, match="the ring is not whole"):
        bring_up(kube, larger)
    assert the_record(kube, space, "zookeeper").status == "failed" and len(pods(kube, space)) == 4
    answers.failing, answers.asked = set(), []
    assert done(bring_up(kube, larger)).succeeded and len(answers.asked) == 4
    answers.asked = []
    bring_up(kube, larger)
    assert answers.asked == [], "and not once more"


def test_a_claim_that_must_not_come_back_is_marked_refused_and_discarded_by_name_only(
    kube: Kube, space: str, answers: Answers
) -> None:
    bring_up(kube, wanted("cassandra", space))
    before = {name: body["metadata"]["uid"] for name, body in claims(kube, space).items()}
    ledger = find(kube, space, "cassandra", 2).ledger
    assert [line.claim for line in ledger.claims] == ["data-cassandra-2"]
    assert "once beforeScaleDown has passed" in ledger.claims[0].why
    assert steps(scale(kube, space, "cassandra", 2), "updated")[0] == "PersistentVolumeClaim/data-cassandra-2"
    assert "leaves the ring" in marks(kube, space)["data-cassandra-2"] and len(marks(kube, space)) == 1
    assert "no pod may take it again" in find(kube, space, "cassandra", 2).ledger.claims[0].why

    for back in (find(kube, space, "cassandra", 3).release, wanted("cassandra", space)):
        with pytest.raises(PreflightError, match="must not be used again") as caught:
            bring_up(kube, back)
        assert "--discard-claims data-cassandra-2" in str(caught.value) and "kubectl annotate" in str(caught.value)
    with pytest.raises(PreflightError, match="data-cassandra-1 is no claim that a new pod would take"):
        scale(kube, space, "cassandra", 3, "data-cassandra-2", "data-cassandra-1")
    assert {name: body["metadata"]["uid"] for name, body in claims(kube, space).items()} == before

    events = scale(kube, space, "cassandra", 3, "data-cassandra-2")
    assert "PersistentVolumeClaim/data-cassandra-2" in steps(events, "deleted")
    after = {name: body["metadata"]["uid"] for name, body in claims(kube, space).items()}
    assert {name for name in before if before[name] != after[name]} == {"data-cassandra-2"} and not marks(kube, space)


def test_without_the_mark_the_claim_is_taken_again(kube: Kube, space: str, answers: Answers) -> None:
    bring_up(kube, wanted("cassandra", space))
    scale(kube, space, "cassandra", 2)
    ref = ObjectRef("", "PersistentVolumeClaim", space, "data-cassandra-2")
    uid = claims(kube, space)[ref.name]["metadata"]["uid"]
    kube.patch(ref, {"metadata": {"annotations": {UNUSABLE_ANNOTATION: None}}})
    events = scale(kube, space, "cassandra", 3)
    assert any(text.startswith("cassandra-2 takes claim data-cassandra-2 again") for text in notices(events))
    assert claims(kube, space)[ref.name]["metadata"]["uid"] == uid


def test_what_passed_before_an_interruption_is_not_run_again(kube: Kube, space: str, answers: Answers) -> None:
    bring_up(kube, wanted("cassandra", space))
    found = find(kube, space, "cassandra", 2)
    run = up(kube, [found.release], Options(PATIENCE), Clock())
    with pytest.raises(InterruptedRunError):
        for event in run:
            if isinstance(event, OperationDone) and event.operation == "beforeScaleDown":
                next(run)  # The claim is marked, and the set not scaled yet.
                run.throw(KeyboardInterrupt)
    assert set(marks(kube, space)) == {"data-cassandra-2"} and len(pods(kube, space)) == 3
    events = scale(kube, space, "cassandra", 2)
    assert answers.asked == ["beforeScaleDown cassandra-2"] and len(pods(kube, space)) == 2
    assert any("passed in cassandra-2 before" in text for text in notices(events))


#: Two steps down take about 120 exchanges; past the last one nothing trips.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
@pytest.mark.parametrize("at", [20, 40, 50, 60, 70, 80, 90, 100, 110, 120, 140])
def test_killed_at_any_call_then_the_same_command_converges(
    plane: Path, kube: Kube, space: str, answers: Answers, at: int
) -> None:
    bring_up(kube, wanted("cassandra", space))
    before = {name: body["metadata"]["uid"] for name, body in claims(kube, space).items()}
    client, wire = tripping(plane, at, Killed)
    try:
        scale(client, space, "cassandra", 1)
    except (Killed, BerthError):
        assert wire.seen >= at
    finally:
        client.close()
    expire_lock(kube, space)
    scale(kube, space, "cassandra", 1)
    assert set(pods(kube, space)) == {"cassandra-0"} and set(marks(kube, space)) == {
        f"data-cassandra-{o}" for o in (1, 2)
    }
    assert {name: body["metadata"]["uid"] for name, body in claims(kube, space).items()} == before
    record = the_record(kube, space, "cassandra")
    assert (record.status, record.scaling, record.values["replicas"]) == ("deployed", None, 1)
    assert find(kube, space, "cassandra", 1).settled


def test_old_claims_come_back_with_their_age(kube: Kube, space: str) -> None:
    bring_up(kube, release("nginx", space, "replicas=3"))
    uid = claims(kube, space)["www-web-2"]["metadata"]["uid"]
    assert not taken(scale(kube, space, "nginx", 2)), "the profile has nothing to do in between"
    assert [line.claim for line in find(kube, space, "nginx", 2).ledger.claims] == ["www-web-2"]
    events = scale(kube, space, "nginx", 3)
    (said,) = [text for text in notices(events) if "www-web-2" in text]
    assert said.startswith("web-2 takes claim www-web-2 again, with what is in it (1Gi, ") and said.endswith(" old)")
    assert claims(kube, space)["www-web-2"]["metadata"]["uid"] == uid


def test_a_set_that_rests_comes_back_as_it_was_and_then_grows(kube: Kube, space: str, answers: Answers) -> None:
    bring_up(kube, wanted("zookeeper", space))
    scale(kube, space, "zookeeper", 0)
    assert answers.asked == [] and pods(kube, space) == {} and len(claims(kube, space)) == 6
    events = scale(kube, space, "zookeeper", 5)
    assert taken(events) == [f"StatefulSet/zookeeper {a} -> {b} pods" for a, b in ((0, 3), (3, 4), (4, 5))]


def test_a_size_that_is_wrong_and_one_that_is_only_unwise(kube: Kube, space: str, answers: Answers) -> None:
    bring_up(kube, wanted("zookeeper", space))
    with pytest.raises(InputError, match="an ensemble of 4 needs 3 members"):
        find(kube, space, "zookeeper", 4)
    with pytest.raises(InputError, match="0 to 9, got 11"):
        find(kube, space, "zookeeper", 11, Wishes(insist=True))
    with pytest.raises(PreflightError, match="a quorum of 3 takes 2"):
        find(kube, space, "zookeeper", 1)
    with pytest.raises(PreflightError, match="a quorum of 3 takes 2"):
        plan_release(kube, wanted("zookeeper", space, "replicas=1"))
    scale(kube, space, "zookeeper", 1, insist=True)
    assert set(pods(kube, space)) == {"zookeeper-0"}
    scale(kube, space, "zookeeper", 2, insist=True)
    assert the_record(kube, space, "zookeeper").values["allowEven"] is True


def test_autoscalers_and_budgets_are_named(kube: Kube, space: str) -> None:
    bring_up(kube, release("nginx", space))
    meta = {"name": "mine", "namespace": space}
    target = {"apiVersion": "apps/v1", "kind": "StatefulSet", "name": "web"}
    spec = {"scaleTargetRef": target, "minReplicas": 1, "maxReplicas": 5}
    hpa = {"apiVersion": "autoscaling/v2", "kind": "HorizontalPodAutoscaler", "metadata": meta, "spec": spec}
    ref = ObjectRef.of(kube.create(hpa))
    with pytest.raises(PreflightError, match="HorizontalPodAutoscaler/mine sets the number of pods"):
        find(kube, space, "nginx", 3, Wishes(insist=True))
    kube.delete(ref)
    selector = {"matchLabels": dig(statefulset(kube, release("nginx", space)), "spec", "selector", "matchLabels")}
    policy: Json = {"minAvailable": 2, "selector": selector}
    kube.create({"apiVersion": "policy/v1", "kind": "PodDisruptionBudget", "metadata": meta, "spec": policy})
    with pytest.raises(PreflightError, match="PodDisruptionBudget/mine wants 2 pods to be available"):
        find(kube, space, "nginx", 1)
    assert find(kube, space, "nginx", 1, Wishes(insist=True)).stages == ()
    assert find(kube, space, "nginx", 0)


def test_the_same_number_is_nothing_to_do_and_what_is_gone_is_said(kube: Kube, space: str) -> None:
    bring_up(kube, release("nginx", space))
    assert find(kube, space, "nginx", 2).settled and not find(kube, space, "nginx", 3).settled
    kube.delete(ObjectRef("apps", "StatefulSet", space, "web"), propagation="Background")
    with pytest.raises(ClusterError, match="renders none that exists"):
        find(kube, space, "nginx", 3)
