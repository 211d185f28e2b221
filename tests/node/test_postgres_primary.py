"""postgres in real containers: the primary is lost, and a standby is promoted as the page of the profile says."""

from __future__ import annotations

import json

import pytest

from tests.node.conftest import OpenSpace
from tests.node.postgres import Postgres
from tests.node.support import Done, promise, until

pytestmark = pytest.mark.node

#: What a pod says that is the primary by name, and has an empty volume beside members with data.
EMPTY = "the primary's volume is empty while the member at "


@pytest.fixture
def pg(open_space: OpenSpace) -> Postgres:
    made = Postgres(open_space("primary"))
    made.up()
    made.sql(0, "CREATE TABLE precious (n int); INSERT INTO precious VALUES (1)")
    for ordinal in (1, 2):
        made.arrived(ordinal, "SELECT to_regclass('precious') IS NOT NULL", "t")
    return made


def _promote(pg: Postgres, ordinal: int, code: int = 0) -> Done:
    words = ("operate", "--profile", "postgres", "--operation", "promote", "--ordinal", str(ordinal))
    return pg.space.berth(*words, code=code)


def _lag(pg: Postgres, ordinal: int) -> None:
    """Let a standby fall behind: its receiver of log stands still."""
    pid = pg.sql(ordinal, "SELECT pid FROM pg_stat_wal_receiver")
    pg.space.shell(f"postgres-{ordinal}", f"kill -STOP {pid} && echo {pid} > /tmp/stopped")


@promise(
    "The primary's volume is lost: it does not come up empty, status and diagnose say why, a promotion loses no row",
    on="postgres, kubelet",
)
def test_a_lost_primary_is_replaced_by_promotion(pg: Postgres) -> None:
    refused = _promote(pg, 1, code=1)
    assert "takes writes: there would be two primaries" in refused.text

    _lag(pg, 2)
    pg.sql(0, "INSERT INTO precious VALUES (2)")
    pg.arrived(1, "SELECT count(*) FROM precious", "2")
    assert pg.sql(2, "SELECT count(*) FROM precious") == "1"
    pg.space.kubectl("delete", "pvc", "data-postgres-0", "--wait=false")
    pg.space.kubectl("delete", "pod", "postgres-0", "--grace-period=0", "--force")
    pg.refused(0, EMPTY)

    said = until(lambda: _diagnosis(pg))
    assert "postgres-0" in said and EMPTY in said
    status = json.loads(pg.space.berth("status", "--profile", "postgres", "--output", "json", code=None).out)
    (found,) = status["releases"][0]["sets"]
    cause = found["ordinals"][0]["cause"]
    assert not found["ordinals"][0]["ready"] and "init container prepare" in cause["message"]
    assert [one["ready"] for one in found["ordinals"]] == [False, True, True]
    # Reads go on.
    assert pg.ask("postgres-ro", "SELECT count(*) FROM precious").out.strip() in ("1", "2")

    behind = _promote(pg, 2, code=1)
    assert "has more of the log" in behind.text and pg.space.pod("postgres-1")["status"]["podIP"] in behind.text
    pg.space.shell("postgres-2", "kill -CONT $(cat /tmp/stopped)")

    _become_primary(pg, 1)
    pg.streams(1, [0, 2])
    assert pg.slots(1) == ["pg_0", "pg_2"]
    assert [pg.sql(ordinal, "SELECT count(*) FROM precious") for ordinal in range(3)] == ["2"] * 3
    assert pg.ask("postgres-rw", "INSERT INTO precious VALUES (3) RETURNING inet_server_addr()").code == 0
    pg.arrived(0, "SELECT count(*) FROM precious", "3")


@promise(
    "An old primary that returns with its data after a promotion does not take writes again", on="postgres, kubelet"
)
def test_an_old_primary_does_not_come_back(pg: Postgres) -> None:
    pg.keep_away(0)
    _promote(pg, 1)
    pg.sql(1, "INSERT INTO precious VALUES (2)")
    pg.let_back()
    pg.refused(0, "the member at ")
    # Between two runs of a container a kubelet may have no log to give.
    until(lambda: "was promoted and takes writes" in pg.prepare_log(0) or None)

    stuck = pg.up({"primaryOrdinal": "1"}, code=1, patience="5s")
    assert "kubectl delete pod postgres-0" in stuck.text
    pg.space.kubectl("delete", "pod", "postgres-0")
    pg.refused(0, "this pod is to be a standby of ordinal 1, and its data was a primary's")
    pg.forget(0)
    pg.up({"primaryOrdinal": "1"})
    pg.streams(1, [0, 2])
    assert [pg.sql(ordinal, "SELECT count(*) FROM precious") for ordinal in range(3)] == ["2"] * 3


def _diagnosis(pg: Postgres) -> str | None:
    """What `diagnose` says once it shows the line of the init container, which first must have ended once."""
    done = pg.space.berth("diagnose", "--profile", "postgres", code=None)
    return done.text if done.code == 1 and EMPTY in done.text else None


def _become_primary(pg: Postgres, ordinal: int) -> None:
    """The steps of docs/profiles/postgres.md, "The primary is lost"."""
    assert f"run up with primaryOrdinal={ordinal}" in _promote(pg, ordinal).text
    stuck = pg.up({"primaryOrdinal": str(ordinal)}, code=1, patience="5s")
    assert "blocks its own fix; delete it: kubectl delete pod postgres-0" in stuck.text
    pg.space.kubectl("delete", "pod", "postgres-0")
    pg.up({"primaryOrdinal": str(ordinal)})
