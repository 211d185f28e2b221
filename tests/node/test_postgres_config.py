"""postgres in real containers: settings that change, settings that are wrong, passwords and versions."""

from __future__ import annotations

import string

import pytest

from tests.node.conftest import OpenSpace
from tests.node.postgres import Postgres
from tests.node.support import promise, until

pytestmark = [pytest.mark.node, pytest.mark.slow]

#: Every printable character that a line can hold, a blank at both ends too.
PRINTABLE = " " + "".join(one for one in string.printable if one.isprintable()) + " "


@pytest.fixture(scope="module")
def pg(open_space: OpenSpace) -> Postgres:
    made = Postgres(open_space("settings"), secret="mine")
    secret = {"password": PRINTABLE, "replication-password": PRINTABLE[::-1]}
    made.space.kube.create(
        {
            "apiVersion": "v1",
            "kind": "Secret",
            "metadata": {"name": "mine", "namespace": made.space.name},
            "stringData": secret,
        }
    )
    made.values |= {"auth.existingSecret": "mine"}
    made.up()
    return made


@promise("A password of yours with every printable character works for clients and for replication", on="postgres")
def test_a_password_may_have_every_printable_character(pg: Postgres) -> None:
    assert pg.ask("postgres-rw", "SELECT 'in'").out == "in\n"
    assert pg.ask("postgres-rw", "SELECT 'in'", password="almost", code=None).code == 2
    pg.streams(0, [1, 2])
    assert pg.space.get("", "Secret", "postgres-auth") is None


@promise(
    "max_connections goes up and down by a value; a standby keeps what its primary has until that has less",
    on="postgres",
)
def test_max_connections_goes_up_and_down(pg: Postgres) -> None:
    assert _connections(pg) == ["100"] * 3
    pg.up({"settings.max_connections": "150"})
    assert _connections(pg) == ["150"] * 3
    pg.streams(0, [1, 2])

    pg.up({"settings.max_connections": "60"})
    assert _connections(pg) == ["60", "150", "150"]
    pg.streams(0, [1, 2])
    assert "keeping max_connections = 150, which the primary has" in pg.prepare_log(1)

    for ordinal in (1, 2):
        pg.space.delete_pod(f"postgres-{ordinal}")
    assert _connections(pg) == ["60"] * 3
    pg.up({"settings.max_connections": "100"})
    assert _connections(pg) == ["100"] * 3
    pg.streams(0, [1, 2])


def _connections(pg: Postgres) -> list[str]:
    return [pg.sql(ordinal, "SHOW max_connections") for ordinal in range(3)]


@promise(
    "A bad setting fails the highest ordinal only, with its log line, and rolls no further", on="postgres, kubelet"
)
@pytest.mark.parametrize(
    ("setting", "value", "line"),
    [
        pytest.param("work_mem", "abc", 'invalid value for parameter "work_mem": "abc"', id="no-number"),
        pytest.param("shared_buffers", "900GB", "could not map anonymous shared memory", id="more-than-there-is"),
    ],
)
def test_a_bad_setting_stops_at_the_first_pod(pg: Postgres, setting: str, value: str, line: str) -> None:
    before = pg.revisions()
    failed = pg.up({f"settings.{setting}": value}, code=1, patience="10s")
    assert line in failed.text
    after = pg.revisions()
    assert after[2] != before[2] and (after[0], after[1]) == (before[0], before[1])
    assert pg.ask("postgres-rw", "SELECT 'still'", password="wrong", code=None).code == 2  # It answers.
    _heal(pg)


def _heal(pg: Postgres, *options: str) -> None:
    """The way back: the right values; a pod that blocks its own fix, where there is one, is deleted."""
    pg.up(None, "--unstick", *options)
    pg.whole()


@promise(
    "16 -> 17 is refused before anything is changed; where somebody else does it, the highest ordinal refuses, the "
    "others serve on, and `up` heals it",
    on="postgres",
)
def test_another_major_version_is_refused(open_space: OpenSpace) -> None:
    pg = Postgres(open_space("major"))
    pg.values |= {"image.tag": "16", "replicas": "2"}
    pg.up()
    pg.sql(0, "CREATE TABLE old (n int); INSERT INTO old VALUES (16)")
    before = pg.revisions()
    refused = pg.up({"image.tag": "17"}, code=1)
    assert "postgres cannot go from version 16 to 17 in place" in refused.err and pg.revisions() == before

    image = pg.space.pod("postgres-0")["spec"]["containers"][0]["image"]
    newer = image.replace(":16", ":17")
    assert newer != image
    pg.space.kubectl("set", "image", "statefulset/postgres", f"prepare={newer}", f"postgres={newer}")
    until(lambda: "initialized by PostgreSQL version 16" in _server_log(pg, 1) or None)
    assert pg.sql(0, "SHOW server_version_num").startswith("16")
    assert pg.ask("postgres-rw", "SELECT n FROM old").out == "16\n"
    _heal(pg, "--force-conflicts")
    pg.streams(0, [1])
    assert pg.sql(1, "SELECT n FROM old") == "16"


def _server_log(pg: Postgres, ordinal: int) -> str:
    """What the server of a pod said in its last two runs."""
    pod = f"postgres-{ordinal}"
    runs = [pg.space.kubectl("logs", pod, "-c", "postgres", *which, code=None) for which in ((), ("--previous",))]
    return "".join(run.out for run in runs)


def _failed_twice(pg: Postgres) -> bool:
    """Whether the second start ended as the first: it did not take what the first one left for a database."""
    (status,) = pg.space.pod("postgres-0")["status"].get("containerStatuses") or [{}]
    said = pg.space.kubectl("logs", "postgres-0", "--previous", code=None).out
    return status.get("restartCount", 0) >= 2 and "division by zero" in said


@promise("A failing script of the first boot leaves no half-made database behind", on="postgres")
def test_a_failing_first_boot_begins_anew(open_space: OpenSpace) -> None:
    pg = Postgres(open_space("first-boot"))
    pg.values |= {"replicas": "1"}
    values = pg.space.home / "scripts.yaml"
    values.write_text("initScripts: {10-shop.sql: 'CREATE TABLE shop (n int); SELECT 1/0;'}\n", encoding="utf-8")
    pg.up(None, "--values", str(values), code=1, patience="20s")
    until(lambda: True if _failed_twice(pg) else None)
    values.write_text("initScripts: {10-shop.sql: 'CREATE TABLE shop (n int);'}\n", encoding="utf-8")
    _heal(pg, "--values", str(values))
    assert pg.ask("postgres-rw", "SELECT count(*) FROM shop").out == "0\n"
    assert pg.sql(0, "SELECT rolname FROM pg_roles WHERE rolname = 'replicator'") == "replicator"
