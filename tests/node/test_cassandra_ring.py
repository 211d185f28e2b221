"""A ring of three Cassandra nodes: how it forms, what its nodes look like inside, and what clients see of restarts."""

from __future__ import annotations

import re
from dataclasses import dataclass

import pytest
import yaml

from berth.core.objects import Json
from tests.node import cassandra
from tests.node.conftest import OpenSpace
from tests.node.support import Space, promise

pytestmark = [pytest.mark.node, pytest.mark.slow]

NODES = range(3)
#: What dev leaves out.
GUARDS = {"networkPolicy": {"enabled": True}, "disruptionBudget": {"enabled": True}}


@dataclass(frozen=True, slots=True)
class Ring:
    """The ring, and how it looked when it had just formed: pods, and logs of the containers by name."""

    space: Space
    pods: list[Json]
    prepared: list[str]
    started: list[str]


@pytest.fixture(scope="module")
def ring(open_space: OpenSpace) -> Ring:
    space = open_space("cassandra")
    cassandra.up(space, **GUARDS)
    return Ring(
        space,
        [space.pod(cassandra.pod_name(node)) for node in NODES],
        [cassandra.log(space, node, "prepare") for node in NODES],
        [cassandra.log(space, node) for node in NODES],
    )


@pytest.fixture(scope="module")
def space(ring: Ring) -> Space:
    return ring.space


@promise("Ordinal 0 founds the ring, the others join it through their seed, one at a time", on="cassandra, controllers")
def test_nodes_join_one_at_a_time(ring: Ring) -> None:
    assert "founding the ring" in ring.prepared[0]
    assert "Bootstrap completed" not in ring.started[0]
    for node in NODES[1:]:
        assert f"joining the ring through cassandra-0.cassandra.{ring.space.name}" in ring.prepared[node]
        assert "Bootstrap completed" in ring.started[node]
        made = ring.pods[node]["metadata"]["creationTimestamp"]
        ready = [one for one in ring.pods[node - 1]["status"]["conditions"] if one["type"] == "Ready"]
        assert ready[0]["lastTransitionTime"] <= made
    cassandra.whole(ring.space, 3)


@promise("`operate` tells each node's place, and that all are up and normal", on="cassandra, kubelet")
def test_operations_ask_the_engine(space: Space) -> None:
    cassandra.whole(space, 3, asked=0)
    said = space.berth("operate", "--profile", "cassandra", "--operation", "role").out
    for node in NODES:
        assert re.search(rf"cassandra-{node}\s+role\s+passed\s+datacenter dc1 rack rack1", said), said
    space.berth("operate", "--profile", "cassandra", "--operation", "ready")


@promise(
    "Nodes run under Pod Security restricted: uid 999, a root that cannot be written", on="cassandra, API server, runc"
)
def test_nodes_are_restricted(space: Space) -> None:
    for node in NODES:
        pod = cassandra.pod_name(node)
        assert space.shell(pod, "cat /proc/1/comm; id -u; id -g").split() == ["java", "999", "999"]
        assert "Read-only file system" in space.shell(pod, "touch /there 2>&1", code=None)


@promise("Nodes have their own host names, and DNS gives names and SRV records for both ports", on="CoreDNS")
def test_nodes_have_names(space: Space) -> None:
    cassandra.whole(space, 3, asked=0)
    domain, look = f"cassandra.{space.name}.svc.cluster.local", space.client()
    for node in NODES:
        pod = cassandra.pod_name(node)
        assert space.shell(pod, "hostname -f") == f"{pod}.{domain}"
        for name in (f"{pod}.{domain}", domain):
            assert cassandra.address(space, node) in look(f"nslookup -type=a {name}")
    for port, number in (("cql", 9042), ("internode", 7000)):
        records = look(f"nslookup -type=srv _{port}._tcp.{domain}")
        found = set(re.findall(rf"service = \d+ \d+ {number} (\S+?)\.?$", records, re.MULTILINE))
        assert found == {f"{cassandra.pod_name(node)}.{domain}" for node in NODES}


@promise("A node listens for clients and other nodes only; JMX stays on its own loopback", on="cassandra, kernel")
def test_jmx_stays_local(space: Space) -> None:
    look = space.client()
    for node in NODES:
        where = f"{cassandra.pod_name(node)}.cassandra"
        look(f"nc -w 5 {where} 9042 < /dev/null && nc -w 5 {where} 7000 < /dev/null")
        assert look(f"nc -w 5 {where} 7199 < /dev/null 2> /dev/null || echo refused") == "refused"
        space.exec(cassandra.pod_name(node), "bash", "-c", "exec 3<>/dev/tcp/127.0.0.1/7199")


@promise("The Java heap is as set, and refused where it exceeds half of the memory limit", on="cassandra")
def test_the_heap_fits(space: Space) -> None:
    options = space.shell("cassandra-0", "tr '\\0' '\\n' < /proc/1/cmdline").splitlines()
    assert {"-Xmx320M", "-Xmn96M"} <= set(options)
    refused = space.up("cassandra", "--values", "ring.yaml", "--set", "heap.max=500M", code=2)
    assert "heap.max is 500M, more than half of resources.limits.memory (900Mi)" in refused.text


@promise("All manifests of prod are accepted, NetworkPolicy and PodDisruptionBudget too", on="API server")
def test_manifests_of_production_are_valid(space: Space) -> None:
    out = space.berth("render", "--profile", "cassandra", "--env", "prod").out
    wanted = {"NetworkPolicy", "PodDisruptionBudget"}
    checked = [text for text in yaml.safe_load_all(out) if text and text["kind"] in wanted]
    assert {manifest["kind"] for manifest in checked} == wanted
    space.kubectl("apply", "--dry-run=server", "-f", "-", stdin=yaml.safe_dump_all(checked))


@promise("A row written with three replicas is on all three nodes, and read from each", on="cassandra")
def test_a_row_is_read_from_each(space: Space) -> None:
    cassandra.whole(space, 3, asked=0)
    cassandra.keyspace(space, "berth", 3)
    cassandra.ask(space, 0, "CREATE TABLE IF NOT EXISTS berth.rows (k int PRIMARY KEY, v text)", "ALL")
    cassandra.ask(space, 1, "INSERT INTO berth.rows (k, v) VALUES (7, 'seven')", "ALL")
    holders = cassandra.nodetool(space, 2, "getendpoints", "berth", "rows", "7").split()
    assert set(holders) == {cassandra.address(space, node) for node in NODES}
    for node in NODES:
        assert cassandra.ask(space, node, "SELECT v FROM berth.rows WHERE k = 7") == [["seven"]]


@promise(
    "A stop is clean: drained, 143 for SIGTERM within the grace period; the next start has its data, and replays none",
    on="cassandra, kubelet",
)
def test_a_stop_is_clean(space: Space) -> None:
    cassandra.whole(space, 3, asked=0)
    cassandra.keyspace(space, "berth", 3)
    cassandra.ask(space, 0, "CREATE TABLE IF NOT EXISTS berth.kept (k int PRIMARY KEY, v text)", "ALL")
    cassandra.ask(space, 1, "INSERT INTO berth.kept (k, v) VALUES (1, 'kept')", "ALL")
    host = cassandra.nodetool(space, 1, "info")
    ended = space.stopped("cassandra-1", "cassandra", lambda: space.delete_pod("cassandra-1"))
    assert ended["exitCode"] == 143
    assert "DRAINED" in ended["message"]
    cassandra.whole(space, 3, asked=0)
    assert "starting with its data" in cassandra.log(space, 1, "prepare")
    assert re.findall(r"(\d+) replayed mutations", cassandra.log(space, 1)) in ([], ["0"])
    same = re.compile(r"^ID .*$", re.MULTILINE)
    assert same.findall(host) == same.findall(cassandra.nodetool(space, 1, "info")) != []
    assert cassandra.ask(space, 1, "SELECT v FROM berth.kept WHERE k = 1") == [["kept"]]


@promise(
    "A rolling restart under QUORUM reads and writes: none fails for good, none is lost; a driver's retries carry it",
    on="cassandra, controllers, kube-proxy",
)
def test_a_rolling_restart_serves_quorums(space: Space) -> None:
    cassandra.whole(space, 3)
    cassandra.keyspace(space, "berth", 3)
    before = {space.pod(cassandra.pod_name(node))["metadata"]["uid"] for node in NODES}
    cassandra.start_traffic(space)
    cassandra.up(space, **GUARDS, podAnnotations={"example.org/round": "2"})
    seen = cassandra.stop_traffic(space)
    assert before.isdisjoint(space.pod(cassandra.pod_name(node))["metadata"]["uid"] for node in NODES)
    assert (seen.failed, seen.lost) == (0, 0), seen
    assert seen.rounds > 100 and seen.longest < 10, seen
    print(seen)
