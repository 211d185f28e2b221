"""Which container and which ports are meant, and which lines of a log have come already."""

from __future__ import annotations

import pytest

from berth.core.errors import InputError
from berth.core.loglines import Seen
from berth.core.objects import Json
from berth.core.reach import Ports, check_ports, container_of, ports_of

pytestmark = pytest.mark.unit


def pod(*containers: str, main: str = "", init: tuple[str, ...] = ()) -> Json:
    annotations = {"kubectl.kubernetes.io/default-container": main} if main else {}
    ports = [
        {"name": "sql", "containerPort": 5432},
        {"name": "sql-udp", "containerPort": 53, "protocol": "UDP"},
        {"containerPort": 9},
    ]
    return {
        "metadata": {"name": "db-0", "annotations": annotations},
        "spec": {
            "containers": [{"name": name, "ports": ports} for name in containers],
            "initContainers": [{"name": name} for name in init],
        },
    }


@pytest.mark.parametrize(
    ("found", "wanted", "name"),
    [
        (pod("db"), "", "db"),
        (pod("db", "exporter"), "", "db"),
        (pod("exporter", "db", main="db"), "", "db"),
        (pod("exporter", "db", main="gone"), "", "exporter"),
        (pod("db", "exporter", main="db"), "exporter", "exporter"),
        (pod("db", init=("prepare",)), "prepare", "prepare"),
    ],
)
def test_which_container(found: Json, wanted: str, name: str) -> None:
    assert container_of(found, wanted) == name


def test_an_unknown_container_is_refused_with_those_that_are_there() -> None:
    with pytest.raises(InputError, match="db-0 has no container 'exprter': it has db, exporter, prepare") as caught:
        container_of(pod("db", "exporter", init=("prepare",)), "exprter")
    assert caught.value.problems[0].hint == "did you mean 'exporter'?"


@pytest.mark.parametrize(
    ("spec", "ports"),
    [
        ("5432", Ports(5432, 5432)),
        ("15432:5432", Ports(15432, 5432)),
        (":5432", Ports(0, 5432)),
        ("0:5432", Ports(0, 5432)),
        ("sql", Ports(5432, 5432)),
        ("1:sql", Ports(1, 5432)),
        (":sql", Ports(0, 5432)),
        ("1:7", Ports(1, 7)),
    ],
)
def test_which_ports(spec: str, ports: Ports) -> None:
    check_ports([spec])
    assert ports_of(spec, pod("db")) == ports


@pytest.mark.parametrize("spec", ["", ":", "1:2:3", "-1", "1:", "a b", "SQL", "127.0.0.1:1:2", "٣"])
def test_what_is_no_pair_of_ports(spec: str) -> None:
    for read in (lambda: check_ports([spec]), lambda: ports_of(spec, pod("db"))):
        with pytest.raises(InputError, match="is no pair of ports") as caught:
            read()
        assert "LOCAL:REMOTE" in caught.value.problems[0].hint


@pytest.mark.parametrize("spec", ["65536", "1:0", "0", "70000:1"])
def test_numbers_that_are_no_ports(spec: str) -> None:
    with pytest.raises(InputError, match="is no port"):
        ports_of(spec, pod("db"))


def test_a_name_that_no_port_has() -> None:
    for name in ("http", "sql-udp"):
        with pytest.raises(InputError, match=f"no port named '{name}'\n  because it names sql \\(5432\\)"):
            ports_of(name, pod("db"))
    with pytest.raises(InputError, match="it names none"):
        ports_of("sql", pod())


def test_no_port_at_all() -> None:
    with pytest.raises(InputError, match="no port is named"):
        check_ports([])


def at(second: int, fraction: str = "5", zone: str = "Z") -> str:
    return f"2026-11-21T10:00:{second:02}.{fraction}{zone}"


@pytest.mark.parametrize("zone", ["Z", "+02:00", "-05:30"])
def test_a_log_that_is_asked_for_again_says_no_line_twice_and_loses_none(zone: str) -> None:
    seen = Seen()
    before = [at(1, "1", zone), at(2, "1", zone), at(2, "2", zone), at(2, "2", zone)]
    assert all(map(seen.new, before))
    assert seen.since == f"2026-11-21T10:00:02{zone}"
    seen.again()
    assert not any(map(seen.new, before[1:]))
    assert seen.new(at(2, "2", zone)), "a third one of the same moment"
    seen.again()
    assert not any(map(seen.new, [*before[1:], at(2, "2", zone)]))
    assert seen.new(at(3, "0", zone)) and seen.since == f"2026-11-21T10:00:03{zone}"
    seen.again()
    assert [seen.new(stamp) for stamp in (at(3, "0", zone), at(3, "1", zone))] == [False, True]


def test_lines_that_came_out_of_order_over_a_second_s_border_do_not_move_it_back() -> None:
    seen = Seen()
    assert all(seen.new(stamp) for stamp in (at(5, "9"), at(6, "0"), at(5, "99")))
    assert seen.since == "2026-11-21T10:00:06Z"
    seen.again()
    assert [seen.new(at(6, "0")), seen.new(at(6, "1"))] == [False, True]


def test_a_log_of_which_nothing_has_come_is_asked_for_as_at_first() -> None:
    seen = Seen()
    seen.again()
    assert seen.since == ""
