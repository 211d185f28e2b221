"""`verify` as a user meets it: what it prints, for people and for machines, and how it ends."""

from __future__ import annotations

import json
from pathlib import Path
from uuid import uuid4

import pytest

from tests.journey.conftest import Invoke

pytestmark = pytest.mark.journey

REHEARSE = ("rehearse", "--profile", "nginx", "--env", "dev")

WRONG = """
name: wrong
pods:
  - match: {ordinals: 1}
    exec:
      - {command: "hostname", stdout: "web\\u001b[2J-7\\n"}
      - {command: "getent hosts web-0*", stdout: "10.9.9.9   web-0\\n"}
      - {command: "cat*", stdout: "something else"}
      - {command: "*"}
  - exec:
      - {command: "hostname", exit: 127}
      - {command: "cat /etc/hostname", stdout: "web-0\\n"}
      - {command: "getent*", exit: 127}
"""
NO_SHELL = """
name: no-shell
pods:
  - exec:
      - {command: "sh*", stderr: "sh: can't create /usr/share/nginx/html/.berth-verify: Read-only file system", exit: 2}
      - {command: "*", exit: 127}
"""


def scenario(project: Path, text: str) -> tuple[str, ...]:
    """Arguments that rehearse on nginx what a scenario says."""
    (project / "scenario.yaml").write_text(text)
    return (*REHEARSE, "--scenario", "scenario.yaml", "--", "verify")


def test_what_containers_say_counts(invoke: Invoke, project: Path) -> None:
    done = invoke(*scenario(project, WRONG), "--disruptive")
    assert done.code == 1, done.out + done.err
    lines = done.out.splitlines()
    assert "web-1 is deleted, the highest ordinal of web, and comes back; its claims stay" in lines
    told = {line.split()[1]: line for line in lines if line.startswith("  web  ")}
    assert told["names"] == "  web  names     failed     web-1: its container calls itself 'web\\\\x1b[2J-7'"
    assert told["dns"] == "  web  dns       failed     in web-1 web-0.nginx.default.svc leads to 10.9.9.9"
    assert told["claims"].startswith("  web  claims    failed     the marker that was written to www-web-1 before")
    assert "verify: 1 proved, 1 not shown, 3 failed" in lines and "\x1b" not in done.out


def test_where_nothing_can_be_written_identity_tells(invoke: Invoke, project: Path) -> None:
    done = invoke(*scenario(project, NO_SHELL), "--disruptive")
    assert done.code == 0, done.out + done.err
    assert "spec.hostname only" in done.out and "web-0 could not be asked (exit code 127)" in done.out
    assert "nothing was looked up in a pod" in done.out and "it has no getent" in done.out
    assert "no marker could be written (exit code 2: sh: can't create" in done.out
    assert "verify: 4 proved, 1 not shown, 0 failed" in done.out


def test_a_machine_gets_the_same(invoke: Invoke) -> None:
    done = invoke(*REHEARSE, "--", "verify", "--disruptive", "--output", "json")
    assert done.code == 0
    found = json.loads(done.out.splitlines()[0])
    assert [found[key] for key in ("release", "namespace", "profile")] == ["nginx", "default", "nginx"]
    assert [found[key] for key in ("proved", "not_shown", "failed")] == [4, 1, 0]
    assert [(one["set"], one["guarantee"], one["outcome"]) for one in found["checks"]] == [
        ("web", "names", "proved"),
        ("web", "dns", "proved"),
        ("web", "creation", "proved"),
        ("web", "deletion", "not shown"),
        ("web", "claims", "proved"),
    ]
    assert "web-1 is deleted" in done.err


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        ((), 2, "which release?"),
        (("--profile", "nginx", "--name", "web"), 2, "which release?"),
        (("--name", "web", "--output", "yaml"), 2, "--output yaml is not known"),
        (("--name", "web", "--timeout", "soon"), 2, "'soon' is not a duration"),
        (("--name", "web", "--context", "nope"), 3, "there is no context 'nope'"),
    ],
)
def test_bad_input(invoke: Invoke, words: tuple[str, ...], code: int, said: str) -> None:
    done = invoke("verify", *words)
    assert done.code == code and said in done.err and done.out == "", done.err


def test_on_a_cluster_that_runs_no_containers(invoke_on: Invoke) -> None:
    """On the simulated cluster and on the control plane, and in words of either."""
    where = ("--namespace", f"t-{uuid4().hex[:8]}")
    try:
        up = invoke_on("up", "--profile", "nginx", "--env", "dev", "--set", "minReadySeconds=0", *where)
        assert up.code == 0, up.err
        done = invoke_on("verify", "--profile", "nginx", *where)
        assert done.code == 0, done.out + done.err
        lines = done.out.splitlines()
        assert lines[0].startswith("target: ") and lines[1].startswith("release nginx in ")
        assert lines[-1] == "verify: 3 proved, 2 not shown, 0 failed" and len(lines) == 8
        assert "no containers run here" in lines[2] and lines[2].endswith("spec.hostname only")
        found = json.loads(invoke_on("verify", "--profile", "nginx", "--output", "json", *where).out)
        assert [one["evidence"] for one in found["checks"]] == [line.split(maxsplit=3)[3] for line in lines[2:5]] + [
            line.split(maxsplit=4)[4] for line in lines[5:7]
        ]
        none = invoke_on("verify", "--name", "nginxx", *where)
        assert none.code == 2 and "there is no release nginxx in " in none.err and "did you mean 'nginx'?" in none.err
    finally:
        invoke_on("teardown", "--profile", "nginx", "--data", "delete", *where)
    gone = invoke_on("verify", "--profile", "nginx", *where)
    assert gone.code == 2 and "there is no release of the profile nginx" in gone.err
