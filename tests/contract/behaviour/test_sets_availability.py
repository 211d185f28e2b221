"""minReadySeconds: how long a pod must have been ready before it counts as available.

Where time jumps, nothing can be seen not to have happened yet: what is held against each other are the times that the
objects carry, to the second.
"""

from __future__ import annotations

from datetime import datetime

from berth.core.objects import Json
from tests.contract.behaviour.space import PODS, SETS, Log, Space, stateful_set
from tests.contract.behaviour.wire import STRATEGIC

#: Seconds; times are whole seconds, so that the difference of two may be one less.
LONG = 2


def ready_since(body: Json) -> float:
    """When a pod got ready."""
    found = next(entry for entry in body["status"]["conditions"] if entry["type"] == "Ready")
    assert found["status"] == "True"
    return datetime.fromisoformat(found["lastTransitionTime"]).timestamp()


def made(body: Json) -> float:
    """When an object was made."""
    return datetime.fromisoformat(body["metadata"]["creationTimestamp"]).timestamp()


def observed(body: Json) -> bool:
    """Whether the controller has seen the newest spec."""
    return bool(body["status"].get("observedGeneration") == body["metadata"]["generation"])


def counts(log: Log, available: int) -> list[tuple[int, int]]:
    """Ready and available replicas, each time that they changed, until so many are available."""
    log.seen(lambda body: body["status"].get("availableReplicas") == available and observed(body))
    found = [body["status"] for _, body in log.objects]
    pairs = [(status.get("readyReplicas", 0), status.get("availableReplicas", 0)) for status in found]
    return [pair for index, pair in enumerate(pairs) if index == 0 or pairs[index - 1] != pair]


def test_a_ready_pod_is_not_available_at_once(here: Space) -> None:
    with here.log(SETS) as log:
        here.make(SETS, stateful_set(1, minReadySeconds=LONG))
        here.settled()
        assert counts(log, 1) == [(0, 0), (1, 0), (1, 1)]


def test_without_it_a_ready_pod_is_available_at_once(here: Space) -> None:
    with here.log(SETS) as log:
        here.make(SETS, stateful_set(1))
        here.settled()
        assert counts(log, 1) == [(0, 0), (1, 1)]


def test_parallel_pods_become_available_together(here: Space) -> None:
    with here.log(SETS) as log:
        here.make(SETS, stateful_set(2, podManagementPolicy="Parallel", minReadySeconds=LONG))
        here.settled()
        assert (2, 0) in counts(log, 2)
        assert counts(log, 2)[-1] == (2, 2)


def test_the_next_pod_is_made_only_when_the_one_before_is_available(here: Space) -> None:
    here.make(SETS, stateful_set(3, minReadySeconds=LONG))
    here.settled()
    pods = here.named(PODS)
    for ordinal in (1, 2):
        assert made(pods[f"web-{ordinal}"]) - ready_since(pods[f"web-{ordinal - 1}"]) >= LONG - 1


def test_a_rolling_update_waits_for_availability(here: Space) -> None:
    here.make(SETS, stateful_set(2, minReadySeconds=LONG))
    here.settled()
    here.image("web:2")
    here.settled()
    pods = here.named(PODS)
    assert made(pods["web-0"]) - ready_since(pods["web-1"]) >= LONG - 1


def test_pods_that_were_available_are_not_so_when_the_time_is_raised(here: Space) -> None:
    here.make(SETS, stateful_set(2))
    here.settled()
    with here.log(SETS) as log:
        here.patch(SETS, "web", {"spec": {"minReadySeconds": 1_000_000}})
        here.until(SETS, "web", observed)
        here.patch(SETS, "web", {"spec": {"minReadySeconds": 0}})
        log.seen(
            lambda body: body["status"].get("observedGeneration") == 3 and body["status"]["availableReplicas"] == 2
        )
        found = counts(log, 2)
    assert (2, 0) in found
    assert found[-1] == (2, 2)


def test_an_update_and_a_longer_time_at_once_wait_for_the_old_pods_first(here: Space) -> None:
    """The pods of the old revision are unavailable by the new measure, and no update begins with unavailable pods."""
    here.make(SETS, stateful_set(2))
    here.settled()
    old = max(ready_since(pod) for pod in here.all(PODS))
    template = {"spec": {"containers": [{"name": "web", "image": "web:2"}]}}
    here.patch(SETS, "web", {"spec": {"minReadySeconds": LONG, "template": template}}, STRATEGIC)
    here.settled()
    assert min(made(pod) for pod in here.all(PODS)) - old >= LONG - 1


def test_the_number_must_not_be_negative(here: Space) -> None:
    answer = here.ask("POST", SETS, body=stateful_set(1, minReadySeconds=-1))
    assert answer.status == 422
    assert answer.causes == [
        ("FieldValueInvalid", "spec.minReadySeconds", "Invalid value: -1: must be greater than or equal to 0")
    ]
