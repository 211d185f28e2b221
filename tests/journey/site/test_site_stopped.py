"""Runs over a site that are stopped, or meet another one."""

from __future__ import annotations

import os
import signal
import subprocess
from contextlib import closing

import pytest

from berth.cluster.kube import Kube
from tests.journey.conftest import Result
from tests.journey.site.conftest import Shore, connected, line, recap, there

pytestmark = [pytest.mark.journey, pytest.mark.rehearsal]


SLOW = "targets: {slow: {context: berth-rehearsal-slow}, west: {context: berth-rehearsal-west, order: 1}}"


def until(process: subprocess.Popen[str], *words: str) -> None:
    """Read what it says up to a line that has all the words."""
    assert process.stdout is not None
    for text in process.stdout:
        if all(word in text for word in words):
            return
    pytest.fail("it ended before it said that")


@pytest.mark.parametrize("stop", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_up_says_what_stands_and_goes_on(
    shore: Shore, west: Kube, space: str, stop: signal.Signals
) -> None:
    slowly = [line("web", space, "slow", values={"minReadySeconds": 5}), line("next", space, "slow", needs=["web"])]
    shore.write("\n".join([*slowly, line("later", space, "west")]), head=SLOW)
    process = shore.start("up", "--max-failed", "2")
    until(process, "/web | created", "StatefulSet")
    os.killpg(process.pid, stop)
    out, err = process.communicate(timeout=60)
    result = Result(process.returncode, out, err)
    assert result.code == 130 and "Traceback" not in err, result.err
    assert "warning: stopping: what is under way ends as it stands, nothing else is begun\n" in out
    assert recap(result) == {"slow web": "failed", "slow next": "skipped", "west later": "skipped"}
    assert f"slow {space}/web: interrupted; " in out and "StatefulSet/web-web created" in out
    assert f"skipped: west {space}/later: the run was stopped\n" in out and there(west, space) == []
    with closing(connected(shore.home, "slow")) as slow:
        assert not slow.list("coordination.k8s.io", "Lease", space).items, "the lock was given back"
    again = shore.run("up")
    assert again.code == 0 and recap(again)["west later"] == "changed", again.out


def test_two_runs_at_the_same_time(shore: Shore, space: str) -> None:
    releases = [line("held", space, "slow", values={"minReadySeconds": 60}), line("free", space, "slow")]
    shore.write("\n".join([*releases, line("after", space, "slow", needs=["held"])]), head=SLOW)
    first = shore.start("up", "--limit", "held")
    try:
        until(first, "/held | created", "StatefulSet")
        second = shore.run("up")
        assert second.code != 0
        assert recap(second) == {"slow held": "failed", "slow free": "changed", "slow after": "skipped"}
        locked = next(text for text in second.out.splitlines() if text.startswith("failed: "))
        assert locked.startswith(f"failed: slow {space}/held: ") and "held" in locked.partition(": ")[2], locked
    finally:
        os.killpg(first.pid, signal.SIGINT)
        first.communicate(timeout=60)
    assert first.returncode == 130
