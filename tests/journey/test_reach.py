"""logs, shell and port-forward as a user meets them without a cluster that runs containers."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.journey.conftest import Invoke

pytestmark = pytest.mark.journey

REHEARSE = ("rehearse", "--profile", "postgres", "--env", "dev", "--set", "replicas=3", "--scenario", "s.yaml", "--")

SCENARIO = """
name: roles
pods:
  - match: {set: postgres, ordinals: 1}
    exec:
      - {command: "*role.sh*", stdout: "primary\\n"}
      - {command: "*", stdout: "one\\u001b[1m\\n", stderr: "bad\\n", exit: 7}
    logs: ["half \\u001b[2J"]
  - exec: [{command: "*role.sh*", stdout: "standby\\n"}, {command: "*", stdout: "another\\n"}]
    logs: ["a", "b"]
"""


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("logs",), "which release?"),
        (("shell", "--command", "true"), "which release?"),
        (("port-forward", "--port", "80"), "which release?"),
        (("port-forward", "--profile", "nginx"), "no port is named"),
        (("port-forward", "--profile", "nginx", "--port", "80:81:82"), "--port 80:81:82 is no pair of ports"),
        (("port-forward", "--profile", "nginxx", "--port", "80"), "did you mean 'nginx'?"),
        (("logs", "--profile", "nginx", "--ordinal", "1", "--role", "primary"), "--ordinal and --role both name pods"),
        (("logs", "--profile", "nginx", "--ordinal", "x"), "--ordinal x is not an ordinal"),
        (("logs", "--profile", "nginx", "--tail", "-3"), "--tail -3 is no number of lines"),
        (("logs", "--profile", "nginx", "--previous", "--follow"), "a run that is over cannot be followed"),
        (("shell", "--profile", "nginx"), "a shell needs a terminal"),
    ],
)
def test_bad_input(invoke: Invoke, words: tuple[str, ...], said: str) -> None:
    done = invoke(*words)
    assert (done.code, done.out) == (2, "") and said in done.err, done.err


def test_pods_are_found_by_their_roles(invoke: Invoke, project: Path) -> None:
    (project / "s.yaml").write_text(SCENARIO)
    shell = ("shell", "--command", "hostname", "--role")
    done = invoke(*REHEARSE, *shell, "primary")
    assert done.code == 7 and "one\x1b[1m\n" in done.out and "bad\n" in done.err, done.out + done.err
    done = invoke(*REHEARSE, *shell, "standby")
    assert done.code == 0 and "another\n" in done.out
    assert "postgres-0 and postgres-2 call themselves standby; this is postgres-0\n" in done.err
    done = invoke(*REHEARSE, *shell, "leader")
    assert done.code == 1 and "no pod of release postgres calls itself 'leader'" in done.err
    assert "postgres-0: standby; postgres-1: primary; postgres-2: standby" in done.err
    done = invoke(*REHEARSE, "logs", "--tail", "1")
    assert done.code == 0, done.err
    lines = [line for line in done.out.splitlines() if " | " in line]
    assert lines == ["postgres-0 | b", r"postgres-1 | half \x1b[2J", "postgres-2 | b"]
