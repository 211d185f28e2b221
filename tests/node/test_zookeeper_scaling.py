"""An ensemble that grows from three members to five and shrinks again, one member at a time, with a client on it."""

from __future__ import annotations

from itertools import pairwise

import pytest

from tests.node import zookeeper
from tests.node.conftest import OpenSpace
from tests.node.support import Space, promise

pytestmark = [pytest.mark.node, pytest.mark.slow]


@pytest.fixture(scope="module")
def space(open_space: OpenSpace) -> Space:
    opened = open_space("zookeeper-scale")
    zookeeper.up(opened)
    return opened


@promise(
    "3 -> 5 -> 3 one member at a time, all in the quorum in between, never two quorums; a session and all data stay",
    on="zookeeper, StatefulSet controller",
)
def test_an_ensemble_grows_and_shrinks(space: Space) -> None:
    keeper = zookeeper.client(space)
    keeper.ask("create /of-three kept")
    keeper.say("create -e /lamp lit")
    keeper.start_beats()
    keeper.start_rounds()

    said = zookeeper.scale(space, 5)
    lines = ("3 -> 4 pods", "afterScaleUp: passed on 4 pods", "4 -> 5 pods", "afterScaleUp: passed on 5 pods")
    assert [line for line in lines if line in said] == list(lines), said
    assert sorted(zookeeper.whole(space, 5)) == ["follower"] * 4 + ["leader"]
    for member in range(5):
        assert sorted(zookeeper.members(space, member)) == [1, 2, 3, 4, 5]
    assert keeper.kept("/of-three", 5) == ["kept"] * 5
    keeper.ask("create /of-five kept")

    said = zookeeper.scale(space, 3)
    lines = ("beforeScaleDown: passed on 5 pods", "5 -> 4 pods", "beforeScaleDown: passed on 4 pods", "4 -> 3 pods")
    assert [line for line in lines if line in said] == list(lines), said
    assert "data-zookeeper-4" in said, "the ledger names the claims that stay"
    assert sorted(zookeeper.whole(space)) == ["follower", "follower", "leader"]
    for member in range(3):
        assert sorted(zookeeper.members(space, member)) == [1, 2, 3]
    assert keeper.kept("/of-three") == keeper.kept("/of-five") == ["kept"] * 3
    assert len(space.claims()) == 10

    seen, rounds = keeper.stop_beats(), keeper.leaders()
    print(seen)
    (session,) = seen.sessions
    assert f"ephemeralOwner = {session}" in keeper.ask("stat /lamp")
    assert set(seen.errors) <= {"ConnectionLoss"}
    assert {size for leaders in rounds.values() for size in leaders.values()} == {3, 4, 5}
    # One after the other is asked, so that a single round may catch a leader and the one that comes after it.
    twice = [(one, two) for one, two in pairwise(sorted(rounds)) if len(rounds[one].keys() & rounds[two].keys()) > 1]
    assert not twice, "two members led a quorum each"
