"""What an ensemble of three survives, what it does not, and how it says so; and stops from which it comes back."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from berth.core.objects import Json, dig
from tests.node import zookeeper
from tests.node.conftest import OpenSpace
from tests.node.support import Space, promise, until

pytestmark = pytest.mark.node

REFUSAL = "start: refused: the volume belongs to member 9, and this pod is member"


@pytest.fixture(scope="module")
def space(open_space: OpenSpace) -> Space:
    opened = open_space("zookeeper-lost")
    zookeeper.up(opened)
    return opened


@promise(
    "The loss of one member is survived: writes go on, and `status` and `diagnose` name it", on="zookeeper, kubelet"
)
def test_the_loss_of_one(space: Space) -> None:
    keeper = zookeeper.client(space)
    with _lost(space, 2):
        keeper.ask("create /with-two kept")
        assert keeper.kept("/with-two", 2) == ["kept"] * 2
        reports = _status(space)
        assert {reports[0]["role"], reports[1]["role"]} == {"leader", "follower"}
        assert reports[2]["ready"] is False
        said = space.berth("diagnose", "--profile", "zookeeper", code=1).out
        assert "zookeeper-2" in said
        assert f"{REFUSAL} 3" in said
    assert keeper.kept("/with-two") == ["kept"] * 3


@promise("A volume of another member is refused, before ZooKeeper starts", on="zookeeper, kubelet")
def test_another_members_volume_is_refused(space: Space) -> None:
    with _lost(space, 1):
        state = space.pod("zookeeper-1")["status"]["containerStatuses"][0]
        ended = dig(state, "state", "terminated") or dig(state, "lastState", "terminated")
        assert ended["exitCode"] == 1
        assert f"{REFUSAL} 2" in ended["message"]


@promise(
    "The loss of two is reported: the last one is not ready, and says how many are needed", on="zookeeper, kubelet"
)
def test_the_loss_of_two(space: Space) -> None:
    keeper = zookeeper.client(space)
    keeper.ask("create /before-the-loss kept")
    with _lost(space, 1, 2):
        until(lambda: _unready(space, 0), 60)
        assert zookeeper.mode(space, 0) is None
        missing = "not in a quorum, for which 2 of 3 members are needed; alive: zookeeper-0"
        assert missing in space.berth("operate", "--profile", "zookeeper", "--operation", "ready", code=1).text
        assert [one["ready"] for one in _status(space)] == [False, False, False]
        said = space.berth("diagnose", "--profile", "zookeeper", code=1).out
        assert missing in said
        assert f"{REFUSAL} 2" in said
        assert f"{REFUSAL} 3" in said
    # A member that is ready again may refuse a client once more while it catches up.
    until(lambda: keeper.kept("/before-the-loss") == ["kept"] * 3 or None, 60)


@promise("A member that lost its volumes is filled by the others", on="zookeeper, local-path-provisioner")
def test_lost_volumes_are_filled(space: Space) -> None:
    zookeeper.whole(space)
    keeper = zookeeper.client(space)
    keeper.ask("create /of-the-others kept")
    space.kubectl("delete", "pvc", "data-zookeeper-1", "datalog-zookeeper-1", "--wait=false")
    space.delete_pod("zookeeper-1")
    zookeeper.whole(space)
    assert keeper.kept("/of-the-others") == ["kept"] * 3


@promise("Data is there after a scale to 0 and back, and no member is missing", on="zookeeper, StatefulSet controller")
def test_a_stop_and_a_start(space: Space) -> None:
    keeper = zookeeper.client(space)
    keeper.ask("create /before-the-stop kept")
    zookeeper.scale(space, 0)
    assert space.get("", "Pod", "zookeeper-0") is None
    zookeeper.scale(space, 3)
    assert sorted(zookeeper.whole(space)) == ["follower", "follower", "leader"]
    assert keeper.kept("/before-the-stop") == ["kept"] * 3


@promise("Data is there after `teardown --data keep` and `up`", on="zookeeper, local-path-provisioner")
def test_a_teardown_that_keeps_data(space: Space) -> None:
    keeper = zookeeper.client(space)
    keeper.ask("create /before-the-teardown kept")
    claims = {name: claim["metadata"]["uid"] for name, claim in space.claims().items()}
    assert len(claims) == 6
    space.berth("teardown", "--profile", "zookeeper", "--data", "keep")
    assert space.get("apps", "StatefulSet", "zookeeper") is None
    zookeeper.up(space)
    zookeeper.whole(space)
    assert {name: claim["metadata"]["uid"] for name, claim in space.claims().items()} == claims
    assert keeper.kept("/before-the-teardown") == ["kept"] * 3


@contextmanager
def _lost(space: Space, *members: int) -> Iterator[None]:
    """These members cannot start: their volumes say that they belong to another one. Afterwards all is well again."""
    zookeeper.whole(space)
    nodes = {member: space.pod(f"zookeeper-{member}")["spec"]["nodeName"] for member in members}
    for member in members:
        space.shell(f"zookeeper-{member}", "echo 9 > /data/myid")
    space.kubectl("delete", "pod", *(f"zookeeper-{member}" for member in members))
    for member in members:
        until(lambda one=member: _refused(space, one), 120)  # type: ignore[misc]
    try:
        yield
    finally:
        for member in members:
            zookeeper.mend_volume(space, member, nodes[member])
        space.kubectl("delete", "pod", "--wait=false", *(f"zookeeper-{member}" for member in members))
        zookeeper.whole(space)


def _refused(space: Space, member: int) -> bool | None:
    found = space.get("", "Pod", f"zookeeper-{member}")
    states = dig(found, "status", "containerStatuses", default=[])
    ends = [dig(one, place, "terminated") for one in states for place in ("state", "lastState")]
    return any(end and "refused" in end.get("message", "") for end in ends) or None


def _unready(space: Space, member: int) -> bool | None:
    conditions = space.pod(f"zookeeper-{member}")["status"]["conditions"]
    return any(one["type"] == "Ready" and one["status"] == "False" for one in conditions) or None


def _status(space: Space) -> list[Json]:
    """What `status` says of each ordinal; the release is not current."""
    said = json.loads(space.berth("status", "--profile", "zookeeper", "--output", "json", code=1).out)
    (release,) = said["releases"]
    (statefulset,) = release["sets"]
    return sorted(statefulset["ordinals"], key=lambda one: int(one["ordinal"]))
