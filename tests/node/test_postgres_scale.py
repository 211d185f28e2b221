"""postgres in real containers: more pods, fewer, one, none."""

from __future__ import annotations

import pytest

from tests.node.conftest import OpenSpace
from tests.node.postgres import Postgres
from tests.node.support import promise

pytestmark = pytest.mark.node


@pytest.fixture(scope="module")
def pg(open_space: OpenSpace) -> Postgres:
    made = Postgres(open_space("scale"))
    made.up()
    return made


@promise("3 -> 5 -> 2 -> 3: slots come with the standbys and go with them, the data stays", on="postgres, CoreDNS")
def test_slots_follow_the_number_of_pods(pg: Postgres) -> None:
    for replicas in (5, 2, 3):
        pg.scale(replicas)
        standbys = range(1, replicas)
        pg.streams(0, standbys)
        assert pg.slots(0) == [f"pg_{ordinal}" for ordinal in standbys]
        pg.sql(0, f"CREATE TABLE IF NOT EXISTS steps (n int); INSERT INTO steps VALUES ({replicas})")
        for ordinal in standbys:
            pg.arrived(ordinal, f"SELECT count(*) > 0 FROM steps WHERE n = {replicas}", "t")


@promise("replicas 1 and 0 keep the data of all; 3 brings the standbys back", on="postgres")
def test_one_and_none_and_back(pg: Postgres) -> None:
    pg.sql(0, "CREATE TABLE IF NOT EXISTS few (n int); TRUNCATE few; INSERT INTO few VALUES (1)")
    pg.scale(1)
    assert pg.slots(0) == []
    assert pg.ask("postgres-rw", "UPDATE few SET n = 2; SELECT n FROM few").out == "2\n"
    pg.scale(0)
    assert pg.revisions() == {} and len(pg.space.claims()) >= 3
    pg.scale(3)
    pg.streams(0, [1, 2])
    assert [pg.sql(ordinal, "SELECT n FROM few") for ordinal in range(3)] == ["2"] * 3
