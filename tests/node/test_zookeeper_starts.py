"""Other ways in which an ensemble starts: one member that becomes three, and members that start one after the other."""

from __future__ import annotations

import pytest

from tests.node import zookeeper
from tests.node.conftest import OpenSpace
from tests.node.support import promise

pytestmark = [pytest.mark.node, pytest.mark.slow]


@promise("One member is an ensemble; it becomes three, one at a time, and its data is on all", on="zookeeper")
def test_one_member_becomes_three(open_space: OpenSpace) -> None:
    space = open_space("zookeeper-one")
    zookeeper.up(space, "--set", "replicas=1")
    assert zookeeper.whole(space, 1) == ["leader"]
    keeper = zookeeper.client(space)
    keeper.ask("create /of-one kept")
    zookeeper.scale(space, 3)
    assert sorted(zookeeper.whole(space)) == ["follower", "follower", "leader"]
    for member in range(3):
        assert sorted(zookeeper.members(space, member)) == [1, 2, 3]
    assert keeper.kept("/of-one") == ["kept"] * 3


@promise(
    "With OrderedReady the members start one after the other, and are a quorum", on="zookeeper, StatefulSet controller"
)
def test_members_start_one_after_the_other(open_space: OpenSpace) -> None:
    space = open_space("zookeeper-order")
    zookeeper.up(space, "--set", "podManagementPolicy=OrderedReady")
    assert sorted(zookeeper.whole(space)) == ["follower", "follower", "leader"]
    made = [space.pod(f"zookeeper-{member}")["metadata"]["creationTimestamp"] for member in range(3)]
    assert made[0] < made[1] < made[2]
    keeper = zookeeper.client(space)
    keeper.ask("create /in-order kept")
    assert keeper.kept("/in-order") == ["kept"] * 3
