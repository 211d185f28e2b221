"""A small ring, and a client of it: a pod of the engine's image with the driver of its cqlsh."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from berth.core.objects import Json
from tests.node.support import IDLE, Done, Space, restricted_pod, until

#: What makes nodes small, and quick to join: a ring of a few waits for less news than one of hundreds.
SMALL: dict[str, Any] = {
    "heap": {"max": "320M", "new": "96M"},
    "resources": {"requests": {"memory": "512Mi"}, "limits": {"memory": "900Mi"}},
    "probes": {"readiness": {"periodSeconds": 2}},
    "jvmOptions": [
        "-XX:TieredStopAtLevel=1",
        "-Dcassandra.ring_delay_ms=5000",
        "-Dcassandra.gossip_settle_min_wait_ms=1000",
        "-Dcassandra.gossip_settle_interval_ms=500",
    ],
}

#: Seconds that all nodes may take, one after the other, on a machine that is busy with other things too.
PATIENCE = 900

_CLIENT = "cassandra-driver"
_SCRIPT = (Path(__file__).parent / "cassandra_client.py").read_text(encoding="utf-8")


@dataclass(frozen=True, slots=True)
class Traffic:
    """What a client saw that wrote and read all the time, with QUORUM.

    ``failed`` are statements that failed for good, ``retried`` tries that did and were repeated, ``why`` both by their
    names; ``lost`` are writes that a later read did not find; ``longest`` is the longest statement in seconds, its
    retries included.
    """

    rounds: int
    retried: int
    failed: int
    lost: int
    longest: float
    why: dict[str, int]


def up(space: Space, **values: object) -> Done:
    """`berth up` of a small ring with these values."""
    (space.home / "ring.yaml").write_text(yaml.safe_dump({**SMALL, **values}))
    command = ("up", "--profile", "cassandra", "--env", "dev", "--values", "ring.yaml", "--timeout", f"{PATIENCE}s")
    return space.berth(*command, timeout=PATIENCE + 60)


def pod_name(ordinal: int) -> str:
    """The pod of an ordinal."""
    return f"cassandra-{ordinal}"


def log(space: Space, ordinal: int, container: str = "cassandra") -> str:
    """What a container has printed since it started."""
    return space.kubectl("logs", pod_name(ordinal), "-c", container).out


def nodetool(space: Space, ordinal: int, *arguments: str) -> str:
    """What nodetool prints in a node."""
    return space.exec(pod_name(ordinal), "nodetool", *arguments, timeout=180)


def states(space: Space, ordinal: int) -> dict[str, str]:
    """The ring as a node sees it: a state such as UN (up and normal) by address."""
    found = re.findall(r"^([UD?][NLJMS])\s+(\S+)", nodetool(space, ordinal, "status"), re.MULTILINE)
    return {address: state for state, address in found}


def address(space: Space, ordinal: int) -> str:
    """The address of a node."""
    return str(space.pod(pod_name(ordinal))["status"]["podIP"])


def whole(space: Space, count: int, *, asked: int | None = None) -> None:
    """Wait until that many nodes are ready, and these see all of them up and normal, and no others: all, or one."""
    space.ready("cassandra", PATIENCE)
    wanted = {address(space, ordinal): "UN" for ordinal in range(count)}
    for ordinal in range(count) if asked is None else [asked]:
        until(lambda o=ordinal: states(space, o) == wanted or None, 120)  # type: ignore[misc]


def ask(space: Space, ordinal: int, statement: str, consistency: str = "ONE") -> list[list[Any]]:
    """The rows that one node answers; another one is not asked by the client."""
    client(space)
    command = ["exec", "-i", _CLIENT, "--", "python3", "-", "ask", address(space, ordinal), consistency, statement]
    rows: list[list[Any]] = json.loads(space.kubectl(*command, stdin=_SCRIPT, timeout=180).out)
    return rows


def keyspace(space: Space, name: str, replicas: int) -> None:
    """A keyspace with that many replicas, whether it is there or not."""
    how = f"WITH replication = {{'class': 'NetworkTopologyStrategy', 'dc1': {replicas}}}"
    ask(space, 0, f"CREATE KEYSPACE IF NOT EXISTS {name} {how}")
    ask(space, 0, f"ALTER KEYSPACE {name} {how}")


def start_traffic(space: Space) -> None:
    """Write and read from now on."""
    ask(space, 0, "CREATE TABLE IF NOT EXISTS berth.beats (k int PRIMARY KEY, n bigint)")
    command = ["exec", "-i", _CLIENT, "--", "sh", "-c", "rm -f /tmp/enough /tmp/traffic; cat > /tmp/client.py"]
    space.kubectl(*command, stdin=_SCRIPT)
    space.background(_CLIENT, "python3 /tmp/client.py traffic cassandra-client > /tmp/traffic.log 2>&1")
    until(lambda: ((found := _traffic(space)) and found.rounds > 5) or None, 60)


def stop_traffic(space: Space) -> Traffic:
    """What came of it, once some more have passed."""
    before = _traffic(space)
    assert before is not None
    until(lambda: ((found := _traffic(space)) and found.rounds > before.rounds + 5) or None, 60)
    space.shell(_CLIENT, "touch /tmp/enough")
    found = _traffic(space)
    assert found is not None
    return found


def client(space: Space) -> None:
    """The client's pod; it is made when it is first asked for."""
    space.once_ready(_CLIENT, lambda: _pod(space))


def _traffic(space: Space) -> Traffic | None:
    text = space.shell(_CLIENT, "cat /tmp/traffic", code=None)
    return Traffic(**json.loads(text)) if text else None


def _pod(space: Space) -> Json:
    ring = space.get("apps", "StatefulSet", "cassandra")
    assert ring is not None
    image = ring["spec"]["template"]["spec"]["containers"][0]["image"]
    pod = restricted_pod(space.name, _CLIENT, image, 999, ["bash", *IDLE[1:]])
    limits = {"requests": {"cpu": "100m", "memory": "96Mi"}, "limits": {"memory": "384Mi"}}
    pod["spec"]["containers"][0]["resources"] = limits
    return pod
