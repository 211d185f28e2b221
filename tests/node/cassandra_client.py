"""A client of a ring: runs in a pod of the engine's image, with the driver that cqlsh brings along.

``ask ADDRESS CONSISTENCY STATEMENT`` prints the rows as JSON, from the node at that address and no other.
``traffic SERVICE`` writes and reads with QUORUM until /tmp/enough is there, and keeps its count in /tmp/traffic.
"""

# mypy: ignore-errors
from __future__ import annotations

import json
import os
import sys
import time
from glob import glob

#: Where the driver lies: a directory, or an archive as in the official image.
sys.path[:0] = [
    *glob("/opt/cassandra/pylib"),
    *(f"{path}/cassandra-driver-{path[:-4].rpartition('-')[2]}" for path in glob("/opt/cassandra/lib/*-internal*.zip")),
    *glob("/opt/cassandra/lib/*.zip"),
]

from cassandra import ConsistencyLevel, OperationTimedOut, Timeout  # noqa: E402
from cassandra.cluster import EXEC_PROFILE_DEFAULT, Cluster, ExecutionProfile  # noqa: E402
from cassandra.policies import (  # noqa: E402
    ConstantReconnectionPolicy,
    DCAwareRoundRobinPolicy,
    FallthroughRetryPolicy,
    WhiteListRoundRobinPolicy,
)

#: Tries of one statement, and seconds between two of them: what a driver's own policy does in a service.
TRIES, PAUSE = 10, 0.5


def session(contact, policy, consistency, timeout):
    profile = ExecutionProfile(
        load_balancing_policy=policy,
        retry_policy=FallthroughRetryPolicy(),
        consistency_level=ConsistencyLevel.name_to_value[consistency],
        request_timeout=timeout,
    )
    return Cluster(
        [contact],
        execution_profiles={EXEC_PROFILE_DEFAULT: profile},
        reconnection_policy=ConstantReconnectionPolicy(1.0, None),
        connect_timeout=30,
        control_connection_timeout=30,
    ).connect()


def ask(address, consistency, statement):
    node = session(address, WhiteListRoundRobinPolicy([address]), consistency, 60)
    for tried in range(1, TRIES + 1):  # A busy machine makes nodes wait for themselves; statements may be repeated.
        try:
            return print(json.dumps([list(row) for row in node.execute(statement)]))
        except (OperationTimedOut, Timeout):
            if tried == TRIES:
                raise
            time.sleep(PAUSE)


def traffic(service):
    ring = session(service, DCAwareRoundRobinPolicy("dc1"), "QUORUM", 5)
    count = {"rounds": 0, "retried": 0, "failed": 0, "lost": 0, "longest": 0.0, "why": {}}

    def insist(statement):
        began = time.monotonic()
        for tried in range(1, TRIES + 1):
            try:
                return list(ring.execute(statement))
            except Exception as error:  # Whatever it is, a client sees it: count it by its name.
                name = type(error).__name__
                count["why"][name] = count["why"].get(name, 0) + 1
                count["failed" if tried == TRIES else "retried"] += 1
                time.sleep(PAUSE)
            finally:
                count["longest"] = max(count["longest"], time.monotonic() - began)
        return None

    while not os.path.exists("/tmp/enough"):
        count["rounds"] += 1
        insist(f"INSERT INTO berth.beats (k, n) VALUES (0, {count['rounds']})")
        rows = insist("SELECT n FROM berth.beats WHERE k = 0")
        if rows is not None and [row.n for row in rows] != [count["rounds"]]:
            count["lost"] += 1
        with open("/tmp/traffic.new", "w") as file:
            json.dump(count, file)
        os.replace("/tmp/traffic.new", "/tmp/traffic")
        time.sleep(0.1)


{"ask": ask, "traffic": traffic}[sys.argv[1]](*sys.argv[2:])
sys.stdout.flush()
os._exit(0)  # The driver's threads would take their time.
