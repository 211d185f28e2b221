"""A Cassandra ring of two nodes that start at the same time, shrinks, grows, stops, and loses a node."""

from __future__ import annotations

from dataclasses import dataclass

import pytest

from berth.core.objects import UNUSABLE_ANNOTATION, Json
from tests.node import cassandra
from tests.node.conftest import OpenSpace
from tests.node.support import Space, promise, until

pytestmark = [pytest.mark.node, pytest.mark.slow]

CLAIM = "data-cassandra-1"
ROWS = 200
PARALLEL = {"podManagementPolicy": "Parallel"}


@dataclass(frozen=True, slots=True)
class Ring:
    """The ring, and how its nodes looked when it had just formed."""

    space: Space
    pods: list[Json]
    prepared: str


@pytest.fixture(scope="module")
def ring(open_space: OpenSpace) -> Ring:
    space = open_space("ring")
    cassandra.up(space, **PARALLEL, replicas=2)
    pods = [space.pod(cassandra.pod_name(node)) for node in range(2)]
    return Ring(space, pods, cassandra.log(space, 1, "prepare"))


@pytest.fixture
def space(ring: Ring) -> Space:
    """The ring with two nodes and a keyspace without second copies: what a node takes along is lost."""
    found = ring.space.get("apps", "StatefulSet", "cassandra")
    assert found is not None
    if found["spec"]["replicas"] == 1:
        scale(ring.space, 2, "--discard-claims", CLAIM)
    cassandra.whole(ring.space, 2)
    cassandra.keyspace(ring.space, "berth", 1)
    cassandra.ask(ring.space, 0, "CREATE TABLE IF NOT EXISTS berth.rows (k int PRIMARY KEY)")
    filling = " ".join(f"INSERT INTO berth.rows (k) VALUES ({k});" for k in range(ROWS))
    cassandra.ask(ring.space, 0, f"BEGIN UNLOGGED BATCH {filling} APPLY BATCH", "ALL")
    return ring.space


def scale(space: Space, replicas: int, *arguments: str, code: int = 0) -> str:
    """`berth scale`; all that it printed."""
    command = ("scale", "--profile", "cassandra", "--replicas", str(replicas), "--timeout", f"{cassandra.PATIENCE}s")
    return space.berth(*command, *arguments, code=code, timeout=cassandra.PATIENCE + 60).text


def rows(space: Space, node: int) -> int:
    """How many rows a node finds."""
    return int(cassandra.ask(space, node, "SELECT count(*) FROM berth.rows")[0][0])


@promise("Under Parallel too, the second node waits for its seed before it joins", on="cassandra, controllers")
def test_the_second_node_waits_for_its_seed(ring: Ring) -> None:
    seed = ring.pods[0]["status"]["containerStatuses"][0]["state"]["running"]["startedAt"]
    waited = ring.pods[1]["status"]["initContainerStatuses"][0]["state"]["terminated"]["finishedAt"]
    assert seed <= waited
    assert "joining the ring through cassandra-0" in ring.prepared


@promise("Fewer nodes than a keyspace has replicas are refused with the reason, and no node leaves", on="cassandra")
def test_replicas_must_have_room(space: Space) -> None:
    cassandra.keyspace(space, "berth", 2)
    said = scale(space, 1, code=1)
    assert "refused: keyspace berth keeps 2 replicas, and 1 nodes would remain; lower it first: ALTER KEYSPACE" in said
    cassandra.whole(space, 2)
    assert UNUSABLE_ANNOTATION not in space.claims()[CLAIM]["metadata"].get("annotations", {})


@promise("Scaling down lets the node leave first, and no row is lost; its claim stays, and is marked", on="cassandra")
def test_a_node_leaves_before_it_goes(space: Space) -> None:
    assert rows(space, 0) == ROWS
    said = scale(space, 1)
    assert f"PersistentVolumeClaim/{CLAIM}" in said and "no pod may take it again" in said
    assert list(cassandra.states(space, 0).values()) == ["UN"]
    assert rows(space, 0) == ROWS
    assert "beforeScaleDown passed" in space.claims()[CLAIM]["metadata"]["annotations"][UNUSABLE_ANNOTATION]

    refused = scale(space, 2, code=1)
    assert f"cassandra-1 would take claim {CLAIM}, which must not be used again" in refused
    assert list(cassandra.states(space, 0).values()) == ["UN"]

    grown = scale(space, 2, "--discard-claims", CLAIM)
    cassandra.whole(space, 2)
    assert "Bootstrap completed" in cassandra.log(space, 1)
    assert rows(space, 1) == ROWS
    assert "operation afterScaleUp: passed on 1 pod of cassandra" in grown


@promise("A scaling down that stopped after the node had left passes when run again", on="cassandra, kubelet")
def test_leaving_bears_repetition(space: Space) -> None:
    leave = ("operate", "--profile", "cassandra", "--operation", "beforeScaleDown", "--ordinal", "1")
    for _ in range(2):
        assert "this node has left the ring" in space.berth(*leave).out
    space.kubectl("delete", "pod", "cassandra-1", "--wait=false")
    until(lambda: "waiting to be removed" in _log(space) or None, 120)
    scale(space, 1)
    assert list(cassandra.states(space, 0).values()) == ["UN"]
    assert rows(space, 0) == ROWS


@promise("Rows outlive `scale --replicas 0` and `teardown --data keep`, whatever the size", on="cassandra, provisioner")
def test_rows_outlive_the_ring(ring: Ring, space: Space) -> None:
    scale(space, 0)
    assert space.get("", "Pod", "cassandra-0") is None
    space.berth("teardown", "--profile", "cassandra", "--data", "keep")
    assert set(space.claims()) == {"data-cassandra-0", CLAIM}
    cassandra.up(space, **PARALLEL, replicas=2)
    cassandra.whole(space, 2)
    assert rows(space, 1) == ROWS


@promise(
    "An ordinal 0 that lost its claim founds no second ring: it joins, once the dead node is removed", on="cassandra"
)
def test_a_dead_node_is_replaced(space: Space) -> None:
    cassandra.keyspace(space, "berth", 2)
    cassandra.nodetool(space, 1, "repair", "berth")
    lost = cassandra.address(space, 0)
    space.kubectl("delete", "pvc", "data-cassandra-0", "--wait=false")
    space.kubectl("delete", "pod", "cassandra-0", "--wait=false")
    until(lambda: cassandra.states(space, 1).get(lost) == "DN" or None, 120)
    status = cassandra.nodetool(space, 1, "status")
    host = next(line.split()[-2] for line in status.splitlines() if line.startswith("DN"))
    cassandra.nodetool(space, 1, "removenode", host)
    cassandra.whole(space, 2)
    assert "founding" not in cassandra.log(space, 0, "prepare")
    assert rows(space, 0) == ROWS


def _log(space: Space) -> str:
    """What the second node has printed; nothing while its container is not there."""
    return space.kubectl("logs", "cassandra-1", "-c", "cassandra", code=None).out
