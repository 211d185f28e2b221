"""ordinals.start: where the numbers of the pods begin, and what moves when it is changed."""

from __future__ import annotations

from berth.core.objects import Json
from tests.contract.behaviour.space import CLAIMS, PODS, SETS, Space, stateful_set
from tests.waiting import eventually


def start(number: int) -> Json:
    """A start of the ordinals."""
    return {"ordinals": {"start": number}}


def arrived(here: Space, *ordinals: int) -> None:
    """Wait until exactly these pods are there and the set has settled."""
    wanted = [f"web-{ordinal}" for ordinal in ordinals]
    eventually(lambda: here.names(PODS) == wanted or None)
    here.settled()


def test_a_set_that_starts_at_a_number(here: Space) -> None:
    with here.log() as log:
        here.make(SETS, stateful_set(2, claims=("data",), **start(5)))
        here.settled()
        assert log.until("!web-6") == ["+web-5", "!web-5", "+web-6", "!web-6"]
    assert here.names(CLAIMS) == ["data-web-5", "data-web-6"]
    labels = here.read(PODS, "web-5")["metadata"]["labels"]
    assert labels["apps.kubernetes.io/pod-index"] == "5"


def test_a_raised_start_makes_the_new_ones_and_removes_the_old_ones(here: Space) -> None:
    here.make(SETS, stateful_set(2))
    here.settled()
    with here.log() as log:
        here.patch(SETS, "web", {"spec": start(2)})
        arrived(here, 2, 3)
        entries = log.until("!web-3", "-web-0", "-web-1")
    assert [entry for entry in entries if entry[0] in "+!"] == ["+web-2", "!web-2", "+web-3", "!web-3"]
    assert [entry for entry in entries if entry[0] in "~-"] == ["~web-1", "-web-1", "~web-0", "-web-0"]


def test_a_raised_start_that_overlaps_keeps_what_is_in_both(here: Space) -> None:
    here.make(SETS, stateful_set(3))
    here.settled()
    before = here.uids()
    here.patch(SETS, "web", {"spec": start(1)})
    arrived(here, 1, 2, 3)
    after = here.uids()
    assert (after["web-1"], after["web-2"]) == (before["web-1"], before["web-2"])


def test_a_lowered_start(here: Space) -> None:
    here.make(SETS, stateful_set(2, **start(3)))
    here.settled()
    before = here.uids()
    here.patch(SETS, "web", {"spec": start(2)})
    arrived(here, 2, 3)
    assert here.uids()["web-3"] == before["web-3"]


def test_a_removed_start_is_zero(here: Space) -> None:
    here.make(SETS, stateful_set(2, **start(2)))
    here.settled()
    body = here.patch(SETS, "web", {"spec": {"ordinals": None}})
    assert "ordinals" not in body["spec"]
    arrived(here, 0, 1)


def test_the_partition_counts_pods_from_the_start_on(here: Space) -> None:
    strategy = {"type": "RollingUpdate", "rollingUpdate": {"partition": 1}}
    here.make(SETS, stateful_set(3, updateStrategy=strategy, **start(2)))
    here.settled()
    here.image("web:2")
    here.settled(updated=2)
    assert here.images() == {"web-2": "web:1", "web-3": "web:2", "web-4": "web:2"}


def test_a_rolling_update_from_the_highest_number_down_to_the_start(here: Space) -> None:
    here.make(SETS, stateful_set(2, **start(4)))
    here.settled()
    here.image("web:2")
    here.settled()
    assert here.images() == {"web-4": "web:2", "web-5": "web:2"}


def test_whenscaled_applies_to_ordinals_below_the_start(here: Space) -> None:
    policy = {"whenDeleted": "Retain", "whenScaled": "Delete"}
    here.make(SETS, stateful_set(2, claims=("data",), persistentVolumeClaimRetentionPolicy=policy))
    here.settled()
    here.patch(SETS, "web", {"spec": start(1)})
    arrived(here, 1, 2)
    eventually(lambda: here.names(CLAIMS) == ["data-web-1", "data-web-2"] or None)


def test_a_start_below_zero_is_refused(here: Space) -> None:
    answer = here.ask("POST", SETS, body=stateful_set(1, **start(-1)))
    assert answer.status == 422
    assert answer.causes == [
        ("FieldValueInvalid", "spec.ordinals.start", "Invalid value: -1: must be greater than or equal to 0")
    ]
