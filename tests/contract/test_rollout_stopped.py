"""A rollout, or its undoing, that is stopped anywhere: the same command again comes to the same end."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from berth.actions.applying import Options
from berth.actions.clock import Clock
from berth.actions.rollout import Wanted
from berth.actions.up import up
from berth.cluster.kube import Kube
from berth.core.errors import BerthError, InputError
from berth.core.events import StepDone
from tests.contract.rollouts import (
    NEW,
    back,
    images,
    interrupted,
    partition,
    promote,
    replaced,
    roll,
    rolling,
    settled,
    state,
    the_record,
    three,
    uids,
)
from tests.contract.support import PATIENCE, bring_up, done, pods, rehearsal_only, release
from tests.contract.test_interruption import Killed, expire_lock, tripping

# Threads die where they stand, as at a SIGKILL.
pytestmark = pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")


def killed_at(rehearsed: Sequence[int], real: Sequence[int]) -> pytest.MarkDecorator:
    """Many points on the simulated cluster, where they are cheap, and a few on the control plane."""
    many = [pytest.param("rehearsed", at, marks=pytest.mark.rehearsal, id=f"rehearsal-{at}") for at in rehearsed]
    few = [pytest.param("control_plane", at, marks=pytest.mark.controlplane, id=f"kubernetes-{at}") for at in real]
    return pytest.mark.parametrize(("plane", "at"), [*many, *few], indirect=["plane"])


def killed(plane: Path, kube: Kube, space: str, at: int, command: Callable[[Kube], object]) -> None:
    """Run a command that dies at its Nth exchange."""
    client, wire = tripping(plane, at, Killed)
    try:
        command(client)
    except (Killed, BerthError):
        assert wire.seen >= at
    finally:
        client.close()
    assert wire.seen
    expire_lock(kube, space)


#: A rollout of three takes about 60 exchanges; past the last one nothing trips.
@killed_at([1, 20, 24, 28, 32, 36, 40, 44, 48, 52, 55, 57, 200], [30, 45, 55])
def test_killed_at_any_call_then_the_same_rollout_ends_as_it_should(
    plane: Path, kube: Kube, space: str, at: int
) -> None:
    wanted = three(kube, space)
    before = uids(kube, space)
    killed(plane, kube, space, at, lambda client: roll(client, space, *NEW))
    roll(kube, space, *NEW)
    assert replaced(kube, space, before) == [0, 1, 2] and images(kube, space) == ["1.30"] * 3
    assert partition(kube, wanted) == 0
    settled(kube, space, *NEW)
    ended = [(one.action, one.result) for one in the_record(kube, space).history]
    assert ended == [("up", "deployed"), ("rollout", "deployed")]


#: Undoing a canary of two takes about 50.
@killed_at([20, 28, 36, 44, 200], [35])
def test_killed_at_any_call_then_undoing_again_ends_as_it_should(plane: Path, kube: Kube, space: str, at: int) -> None:
    wanted = three(kube, space)
    roll(kube, space, *NEW, wanted=Wanted(2, pause=True))
    before = uids(kube, space)
    killed(plane, kube, space, at, lambda client: back(client, space))
    if state(kube, space) != ("deployed", None):
        back(kube, space)
    assert replaced(kube, space, before) == [1, 2] and images(kube, space) == ["1.29"] * 3
    assert partition(kube, wanted) == 0
    settled(kube, space)


@rehearsal_only
def test_killed_before_the_set_was_changed_promote_says_what_to_do(plane: Path, kube: Kube, space: str) -> None:
    three(kube, space)
    before = uids(kube, space)
    for at in range(18, 40):
        killed(plane, kube, space, at, lambda client: roll(client, space, *NEW))
        if the_record(kube, space).rollout is not None:
            break
    assert uids(kube, space) == before
    with pytest.raises(BerthError, match="is not what the rollout made of it") as caught:
        promote(kube, space)
    assert "run the same `invoke rollout` again" in str(caught.value)
    back(kube, space)
    assert uids(kube, space) == before
    settled(kube, space)


def test_an_interrupted_rollout_says_what_stands_and_goes_on(kube: Kube, space: str) -> None:
    three(kube, space)
    before = uids(kube, space)
    said = interrupted(
        rolling(kube, space, *NEW), lambda event: isinstance(event, StepDone) and event.message == "partition 1"
    )
    assert "StatefulSet/web updated" in said
    record = the_record(kube, space)
    assert record.status == "interrupted" and record.rollout is not None and record.rollout.held == ""
    assert not kube.list("coordination.k8s.io", "Lease", space).items, "the lock is given back"
    now = uids(kube, space)
    roll(kube, space, *NEW)
    assert replaced(kube, space, before) == [0, 1, 2] and 2 not in replaced(kube, space, now)
    settled(kube, space, *NEW)


@rehearsal_only
def test_an_interrupted_rollout_is_promoted_or_undone(kube: Kube, space: str) -> None:
    three(kube, space)
    interrupted(
        rolling(kube, space, *NEW), lambda event: isinstance(event, StepDone) and event.ref.kind == "StatefulSet"
    )
    with pytest.raises(InputError, match="has 2 to go"):
        promote(kube, space, 3)
    promote(kube, space, 1)
    assert state(kube, space) == ("held", "paused")
    back(kube, space)
    assert images(kube, space) == ["1.29"] * 3
    settled(kube, space)


@rehearsal_only
def test_up_that_ends_a_rollout_may_scale_in_steps_as_well(kube: Kube, space: str) -> None:
    bring_up(kube, release("zookeeper", space, "spread.hostname=soft"))
    roll(kube, space, "terminationGracePeriodSeconds=31", wanted=Wanted(pause=True), name="zookeeper")
    wanted = release("zookeeper", space, "spread.hostname=soft", "replicas=5")
    events = list(up(kube, [wanted], Options(PATIENCE), Clock(), rollout="end"))
    assert done(events).succeeded and partition(kube, wanted) == 0
    assert len(pods(kube, space)) == 5
    record = the_record(kube, space, "zookeeper")
    assert (record.status, record.rollout) == ("deployed", None)
