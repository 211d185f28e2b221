"""postgres in real containers: standbys that are killed while they are copied, lose their volume, stay away."""

from __future__ import annotations

import pytest

from tests.node.conftest import OpenSpace
from tests.node.postgres import Postgres
from tests.node.support import promise

pytestmark = [pytest.mark.node, pytest.mark.slow]

#: What the primary keeps for a standby that is away, and what it keeps anyway, in MiB.
KEPT, WAL = 64, 128


@pytest.fixture(scope="module")
def pg(open_space: OpenSpace) -> Postgres:
    made = Postgres(open_space("standbys"))
    made.values |= {"replication.maxSlotWalKeepSize": f"{KEPT}MB", "settings.max_wal_size": f"{WAL}MB"}
    made.up()
    # Enough that a copy takes a moment.
    made.sql(0, "CREATE TABLE big AS SELECT repeat(md5(n::text), 30) AS text FROM generate_series(1, 200000) AS n")
    return made


@promise("kill -9 of a standby in the middle of its base backup: it recovers by itself", on="postgres, kubelet")
@pytest.mark.parametrize("killed", ["process", "pod"])
def test_a_standby_recovers_from_a_killed_copy(pg: Postgres, killed: str) -> None:
    go_on = pg.held_base_backup(0, lambda: pg.forget(2))
    try:
        look = ("exec", "postgres-2", "-c", "prepare", "--", "ls", "/var/lib/postgresql/data")
        assert pg.space.kubectl(*look).out.split() == ["pgdata.tmp"], "it is not in the middle of its copy"
        if killed == "process":
            pg.kill_base_backup(2)
        else:
            pg.space.kubectl("delete", "pod", "postgres-2", "--grace-period=0", "--force")
    finally:
        go_on()
    pg.whole()
    pg.streams(0, [1, 2])
    assert pg.restarts(2) >= 1 or killed == "pod"
    assert pg.sql(2, "SELECT count(*) FROM big") == "200000"


@promise("The volume of a standby is lost: it is copied anew", on="postgres")
def test_a_standby_without_its_claim_is_copied_anew(pg: Postgres) -> None:
    pg.forget(1)
    pg.whole()
    pg.streams(0, [1, 2])
    assert "copying the data of postgres-0" in pg.prepare_log(1)
    assert pg.sql(1, "SELECT count(*) FROM big") == "200000"


@promise(
    "A standby that stays away does not fill the primary's disk; it refuses to return, and is copied anew",
    on="postgres",
)
def test_log_kept_for_an_absent_standby_is_bounded(pg: Postgres) -> None:
    pg.keep_away(2)
    assert pg.slots(0) == ["pg_1", "pg_2"]
    for _ in range(8):
        pg.sql(0, "SELECT pg_logical_emit_message(false, 'test', repeat('x', 1000000)) FROM generate_series(1, 64)")
        pg.sql(0, "CHECKPOINT")
    size = int(pg.sql(0, "SELECT (sum(size) / 1048576)::int FROM pg_ls_waldir()"))
    print(f"pg_wal after 512 MiB: {size} MiB")
    assert size <= WAL + KEPT + 64
    assert pg.sql(0, "SELECT wal_status FROM pg_replication_slots WHERE slot_name = 'pg_2'") == "lost"

    pg.let_back()
    pg.refused(2, "the primary no longer has the log that this standby needs: delete its claim")
    pg.forget(2)
    pg.whole()
    pg.streams(0, [1, 2])


@promise("A standby whose log is gone with its slot is not called ready", on="postgres")
def test_a_standby_that_cannot_stream_is_not_ready(pg: Postgres) -> None:
    pg.scale(2)
    for _ in range(8):
        pg.sql(0, "SELECT pg_logical_emit_message(false, 'test', repeat('x', 1000000)) FROM generate_series(1, 64)")
        pg.sql(0, "CHECKPOINT")
    failed = pg.up({"replicas": "3"}, code=1, patience="30s")
    assert "standby does not stream" in failed.text and "delete its claim and its pod" in failed.text
    pg.forget(2)
    pg.up({"replicas": "3"})
    pg.streams(0, [1, 2])
