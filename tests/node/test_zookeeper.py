"""An ensemble of three ZooKeeper members: how it forms, what it looks like inside, and what clients see of restarts."""

from __future__ import annotations

import re
import time

import pytest
import yaml

from tests.node import zookeeper
from tests.node.conftest import OpenSpace
from tests.node.support import Space, promise

pytestmark = pytest.mark.node

MEMBERS = range(3)


@pytest.fixture(scope="module")
def space(open_space: OpenSpace) -> Space:
    opened = open_space("zookeeper")
    zookeeper.up(opened)
    return opened


@promise("Three members form a quorum from an empty start: one leader, two followers", on="zookeeper")
def test_a_quorum_forms(space: Space) -> None:
    assert sorted(zookeeper.whole(space)) == ["follower", "follower", "leader"]
    assert zookeeper.members(space, 0) == {1: "zookeeper-0", 2: "zookeeper-1", 3: "zookeeper-2"}


@promise("`operate` tells who leads, and that all are in the quorum", on="zookeeper, kubelet")
def test_operations_ask_the_engine(space: Space) -> None:
    modes = zookeeper.whole(space)
    said = space.berth("operate", "--profile", "zookeeper", "--operation", "role").out
    for member in MEMBERS:
        assert re.search(rf"zookeeper-{member}\s+role\s+passed\s+{modes[member]}", said), said
    space.berth("operate", "--profile", "zookeeper", "--operation", "ready")


@promise(
    "Members run under Pod Security restricted: uid 1000, a root that cannot be written", on="zookeeper, API server"
)
def test_members_are_restricted(space: Space) -> None:
    for member in MEMBERS:
        pod = f"zookeeper-{member}"
        assert space.shell(pod, "cat /proc/1/comm; id -u; id -g").split() == ["java", "1000", "1000"]
        assert "Read-only file system" in space.shell(pod, "touch /there 2>&1", code=None)


@promise("In dev, members may share a node", on="scheduler")
def test_members_may_share_a_node_in_dev(space: Space) -> None:
    assert all("affinity" not in space.pod(f"zookeeper-{member}")["spec"] for member in MEMBERS)


@promise("Members have their own host names, and DNS gives names and SRV records for the three ports", on="CoreDNS")
def test_members_have_names(space: Space) -> None:
    domain = f"zookeeper.{space.name}.svc.cluster.local"
    look = space.client()
    for member in MEMBERS:
        pod = f"zookeeper-{member}"
        assert space.shell(pod, "hostname -f") == f"{pod}.{domain}"
        address = space.pod(pod)["status"]["podIP"]
        assert address in look(f"nslookup -type=a {pod}.{domain}")
        assert look(f"printf ruok | nc -w 5 {pod}.zookeeper 2181") == "imok"
    for port, number in (("client", 2181), ("quorum", 2888), ("election", 3888)):
        records = look(f"nslookup -type=srv _{port}._tcp.{domain}")
        found = set(re.findall(rf"service = \d+ \d+ {number} (\S+?)\.?$", records, re.MULTILINE))
        assert found == {f"zookeeper-{member}.{domain}" for member in MEMBERS}


@promise("The Service zookeeper-client reaches a member that serves", on="kube-proxy")
def test_the_service_of_clients(space: Space) -> None:
    assert "Mode: " in space.client()("printf srvr | nc -w 5 zookeeper-client 2181")


@promise("Four-letter words are limited to srvr, ruok and mntr", on="zookeeper")
def test_words_are_limited(space: Space) -> None:
    assert zookeeper.word(space, 0, "ruok") == "imok"
    assert "Mode: " in zookeeper.word(space, 0, "srvr")
    assert "zk_server_state" in zookeeper.word(space, 0, "mntr")
    refused = ("envi", "conf", "dump", "cons", "stat", "wchs")
    script = f"for word in {' '.join(refused)}; do printf $word | nc -w 2 localhost 2181; echo; done"
    said = [line for line in space.shell("zookeeper-0", script).splitlines() if line]
    assert said == [f"{word} is not executed because it is not in the whitelist." for word in refused]


@promise("The AdminServer is off: a member listens on 2181, 2888 and 3888 only", on="zookeeper, kernel")
def test_nothing_else_listens(space: Space) -> None:
    for member in MEMBERS:
        table = space.shell(f"zookeeper-{member}", "cat /proc/net/tcp /proc/net/tcp6")
        listening = {int(port, 16) for port in re.findall(r"^ *\d+: \w+:(\w{4}) \w+:\w+ 0A ", table, re.MULTILINE)}
        assert {2181, 3888} <= listening <= {2181, 2888, 3888}


@promise("The Java heap leaves a quarter of the memory limit to the rest of the process", on="zookeeper, kernel")
def test_the_heap_fits(space: Space) -> None:
    options = space.shell("zookeeper-0", "tr '\\0' '\\n' < /proc/1/cmdline").splitlines()
    heap = [option for option in options if option.startswith("-Xmx")][-1]
    memory = space.pod("zookeeper-0")["spec"]["containers"][0]["resources"]["limits"]["memory"]
    assert (heap, memory) == ("-Xmx192m", "384Mi")
    refused = zookeeper.up(space, "--set", "heap=300m", code=2)
    assert "more than three quarters of resources.limits.memory (384Mi)" in refused.text


@promise("Two replicas are refused with the reason, before anything is changed", on="API server")
def test_two_members_are_refused(space: Space) -> None:
    before = space.get("apps", "StatefulSet", "zookeeper")
    refused = zookeeper.up(space, "--set", "replicas=2", code=2)
    assert "an ensemble of 2 needs 2 members for a quorum" in refused.text
    assert before == space.get("apps", "StatefulSet", "zookeeper")


@promise("All manifests of prod are accepted, NetworkPolicy and PodDisruptionBudget too", on="API server")
def test_manifests_of_production_are_valid(space: Space) -> None:
    out = space.berth("render", "--profile", "zookeeper", "--env", "prod").out
    wanted = {"NetworkPolicy", "PodDisruptionBudget"}
    checked = [text for text in yaml.safe_load_all(out) if text and text["kind"] in wanted]
    assert {manifest["kind"] for manifest in checked} == wanted
    space.kubectl("apply", "--dry-run=server", "-f", "-", stdin=yaml.safe_dump_all(checked))


@promise(
    "A member's data is there after its pod was deleted, and it catches up",
    on="zookeeper, kubelet, local-path-provisioner",
)
def test_data_survives_a_pod(space: Space) -> None:
    zookeeper.whole(space)
    keeper = zookeeper.client(space)
    keeper.ask("create /before kept")
    before = space.shell("zookeeper-1", "cat /data/myid; ls /datalog/version-2").split()
    space.delete_pod("zookeeper-1")
    keeper.ask("create /after kept-too")
    assert set(before) <= set(space.shell("zookeeper-1", "cat /data/myid; ls /datalog/version-2").split())
    assert keeper.kept("/before") == ["kept"] * 3
    assert keeper.kept("/after") == ["kept-too"] * 3


@promise("A stop is clean: the JVM's 143 for SIGTERM, within the grace period", on="zookeeper, kubelet")
def test_a_stop_is_clean(space: Space) -> None:
    zookeeper.whole(space)
    pod = space.pod("zookeeper-2")
    grace = pod["spec"]["terminationGracePeriodSeconds"]
    begin = time.monotonic()
    ended = space.stopped("zookeeper-2", "zookeeper", lambda: space.kubectl("delete", "pod", "zookeeper-2"))
    assert ended["exitCode"] == 143
    assert time.monotonic() - begin < grace
    zookeeper.whole(space)


@promise("A rolling restart keeps a session and its ephemeral node; a client pauses for seconds", on="zookeeper")
def test_a_session_outlives_a_rolling_restart(space: Space) -> None:
    zookeeper.whole(space)
    keeper = zookeeper.client(space)
    keeper.say("create -e /lamp lit")
    keeper.start_beats()
    zookeeper.up(space, "--set", "maxClientConnections=61")
    zookeeper.whole(space)
    seen = keeper.stop_beats()
    print(seen)
    (session,) = seen.sessions
    assert f"ephemeralOwner = {session}" in keeper.ask("stat /lamp")
    assert 1 <= seen.connections <= 1 + 2 * len(MEMBERS)
    assert set(seen.errors) <= {"ConnectionLoss"}
    assert seen.pause < zookeeper.SESSION, "docs/profiles/zookeeper.md says that sessions outlive it"
    assert "maxClientCnxns=61" in space.shell("zookeeper-0", "cat /conf/zoo.cfg")
