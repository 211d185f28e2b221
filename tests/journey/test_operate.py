"""Operations as a user meets them where no containers run: as said by a scenario, or not at all."""

from __future__ import annotations

import json
from pathlib import Path
from uuid import uuid4

import pytest

from tests.journey.conftest import Invoke

pytestmark = pytest.mark.journey

REHEARSE = ("rehearse", "--profile", "nginx", "--env", "dev")

PASSES = """
name: passes
pods:
  - match: {set: web}
    exec: [{command: "*nginx -t -q*", stdout: "fine\\n"}]
"""
FAILS = """
name: fails
pods:
  - match: {set: web, ordinals: 1}
    exec: [{command: "*", stdout: "half\\n", stderr: "nginx: [emerg] no\\u001b[2J port\\n", exit: 3}]
  - exec: [{command: "*"}]
"""
RECOVERS = """
name: recovers
pods:
  - match: {set: web, ordinals: 1}
    until: 40s
    exec: [{command: "*", exit: 1}]
  - exec: [{command: "*"}]
"""
PARTLY = """
name: partly
pods:
  - match: {ordinals: 1}
    exec: [{command: "*", stdout: "primary\\n"}]
"""


PRIMARIES = """
name: primaries
pods:
  - match: {{set: postgres, ordinals: "{0}"}}
    exec: [{{command: "*role.sh*", stdout: "primary\n"}}]
  - exec:
      - {{command: "*role.sh*", stdout: "standby\n"}}
      - {{command: "*"}}
"""


def scenario(project: Path, text: str) -> tuple[str, ...]:
    """Arguments that rehearse on nginx what a scenario says."""
    (project / "scenario.yaml").write_text(text)
    return (*REHEARSE, "--scenario", "scenario.yaml", "--")


def test_what_was_not_run_is_said_and_is_no_failure(invoke: Invoke) -> None:
    done = invoke(*REHEARSE, "--", "up")
    assert done.code == 0
    assert "  operation ready: not run on web: nothing runs in a rehearsal\n" in done.out
    assert "nginx: web is current: 2 ready; operation ready was not run\n" in done.out
    again = invoke(*REHEARSE, "--", "up", "then", "up")
    assert again.code == 0 and "operation" not in again.out, "an unchanged run asks nobody"


def test_the_scenario_s_answer_counts(invoke: Invoke, project: Path) -> None:
    done = invoke(*scenario(project, PASSES), "up")
    assert done.code == 0
    assert "  operation ready: passed on 2 pods of web\n" in done.out
    assert "was not run" not in done.out


def test_up_fails_where_an_engine_does_not_become_ready(invoke: Invoke, project: Path) -> None:
    done = invoke(*scenario(project, FAILS), "up", "--patience", "2m")
    assert done.code == 1
    lines = done.out.splitlines()
    start = lines.index("  operation ready: failed in web-1: exit code 3")
    assert lines[start + 1 : start + 3] == ["    | half", "    | nginx: [emerg] no\\x1b[2J port"]
    assert "still waiting after 30s without progress: operation ready of web" in done.out
    assert "nginx: failed" in done.out
    assert "error: the operation ready failed in web-1: exit code 3\n  because nginx: [emerg] no" in done.err
    assert "--patience 5m waits longer" in done.err and "\x1b" not in done.err


def test_up_waits_for_an_engine_that_becomes_ready(invoke: Invoke, project: Path) -> None:
    done = invoke(*scenario(project, RECOVERS), "up")
    assert done.code == 0 and "  operation ready: passed on 2 pods of web\n" in done.out
    recap = next(line for line in done.out.splitlines() if line.startswith("recap: "))
    assert 40 <= int(recap.rpartition(" ")[2].removesuffix("s")) < 50, "seconds of the cluster's time"


def test_a_scenario_may_answer_for_some_pods_only(invoke: Invoke, project: Path) -> None:
    done = invoke(*scenario(project, PARTLY), "up")
    assert done.code == 0 and "passed on 1 pod of web" in done.out
    assert "  operation ready: not run on web: nothing runs in a rehearsal: the scenario has no answer for" in done.out


def test_operate_in_a_rehearsal(invoke: Invoke, project: Path) -> None:
    operate = ("operate", "--operation", "ready")
    done = invoke(*REHEARSE, "--", *operate)
    assert done.code == 1
    assert (
        "web-0  ready  not run  nothing runs in a rehearsal\n" in done.out
        and "web-1" not in done.out.split("timeline")[0]
    )
    done = invoke(*scenario(project, PASSES), *operate)
    assert done.code == 0 and "web-0  ready  passed  fine\nweb-1  ready  passed  fine\n" in done.out


@pytest.mark.parametrize(
    ("primaries", "code", "said"),
    [
        ("1", 0, "postgres-1  afterScaleDown  passed\n"),
        (
            "0, 2",
            1,
            "postgres-0 and postgres-2 call themselves that\n  because the operation role says postgres-0: primary",
        ),
        (
            "7",
            1,
            "no pod calls itself that\n  because the operation role says postgres-0: standby; postgres-1: standby",
        ),
    ],
)
def test_the_primary_is_the_pod_that_says_so(
    invoke: Invoke, project: Path, primaries: str, code: int, said: str
) -> None:
    (project / "scenario.yaml").write_text(PRIMARIES.format(primaries))
    rehearse = ("rehearse", "--profile", "postgres", "--env", "dev", "--scenario", "scenario.yaml", "--")
    done = invoke(*rehearse, "operate", "--operation", "afterScaleDown")
    assert done.code == code and said in done.out + done.err, done.out + done.err


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        ((), 2, "which release?"),
        (("--profile", "nginxx"), 2, "did you mean 'nginx'?"),
        (("--profile", "nginx", "--operation", "raedy"), 2, "did you mean 'ready'?"),
        (("--profile", "nginx", "--operation", "ready", "--ordinal", "-1"), 2, "--ordinal -1 is not an ordinal"),
        (("--profile", "nginx", "--output", "yaml"), 2, "--output yaml is not known"),
        (("--profile", "nginx", "--operation", "ready", "--context", "nope"), 3, "there is no context 'nope'"),
    ],
)
def test_bad_input(invoke: Invoke, words: tuple[str, ...], code: int, said: str) -> None:
    done = invoke("operate", *words)
    assert (done.code, done.out) == (code, "") and said in done.err, done.err


def test_what_a_profile_declares_is_listed_without_a_cluster(invoke: Invoke) -> None:
    done = invoke("operate", "--profile", "cassandra")
    assert done.code == 0 and done.err == ""
    assert [line.split()[:2] for line in done.out.splitlines()][1:3] == [["ready", "each"], ["role", "each"]]
    listed = json.loads(invoke("operate", "--profile", "cassandra", "--output", "json").out)
    assert {"name": "beforeScaleDown", "pods": "condemned", "step": 1, "claims": "unusable"}.items() <= {
        key: value for entry in listed if entry["name"] == "beforeScaleDown" for key, value in entry.items()
    }.items()


def test_on_a_cluster_that_runs_no_containers(invoke_on: Invoke) -> None:
    """On the simulated cluster and on the control plane, and in words of either."""
    space, name = f"t-{uuid4().hex[:8]}", "nginx"
    where = ("--namespace", space)
    try:
        up = invoke_on("up", "--profile", "nginx", "--env", "dev", "--set", "minReadySeconds=0", *where)
        assert up.code == 0, up.err
        assert "operation ready: not run on web: " in up.out and "operation ready was not run" in up.out
        assert "passed" not in up.out
        run = invoke_on("operate", "--profile", name, "--operation", "ready", *where)
        assert run.code == 1 and "web-0  ready  not run  " in run.out and "passed" not in run.out
        found = json.loads(
            invoke_on(
                "operate", "--name", name, "--operation", "ready", "--ordinal", "1", "--output", "json", *where
            ).out
        )
        ((pod, outcome, code),) = [(one["pod"], one["outcome"], one["code"]) for one in found["results"]]
        assert (pod, outcome, code) == ("web-1", "not run", None)
        gone = invoke_on("operate", "--name", name, "--operation", "ready", "--ordinal", "7", *where)
        assert gone.code == 2 and "has no pod of ordinal 7" in gone.err and "it has 0, 1" in gone.err
        none = invoke_on("operate", "--name", "other", "--operation", "ready", *where)
        assert none.code == 2 and "there is no release other" in none.err and "nginx" in none.err
        none = invoke_on("operate", "--profile", "postgres", "--operation", "role", *where)
        assert none.code == 2 and "there is no release of the profile postgres" in none.err
    finally:
        invoke_on("teardown", "--profile", name, "--data", "delete", *where)
