"""What is asked on a terminal, and what the answer does."""

from __future__ import annotations

import os
import select
import subprocess
import sys
import time
from pathlib import Path

import pytest

from berth.cluster.kube import Kube
from tests.contract.support import rehearsal_only
from tests.journey.conftest import environment

pytestmark = pytest.mark.journey

QUESTION = "delete it once the change is applied? its claims stay [yes/no]"


def on_terminal(arguments: list[str], environ: dict[str, str], cwd: Path, answer: str) -> tuple[int, str]:
    """Run `berth` on a terminal of its own, and answer its first question; exit code, and all that was shown."""
    ours, theirs = os.openpty()
    command = [sys.executable, "-m", "berth", *arguments]
    process = subprocess.Popen(
        command, cwd=cwd, env=environ | {"TERM": "xterm"}, stdin=theirs, stdout=theirs, stderr=theirs
    )
    os.close(theirs)
    shown, answered, deadline = b"", False, time.monotonic() + 120
    while time.monotonic() < deadline:
        if select.select([ours], [], [], 1)[0]:
            try:
                data = os.read(ours, 65536)
            except OSError:  # Linux says EIO once the other side is closed.
                break
            shown += data
        if not answered and b"[yes/no]" in shown:
            os.write(ours, f"{answer}\n".encode())
            answered = True
    os.close(ours)
    return process.wait(timeout=60), shown.decode("utf-8", "replace")


@rehearsal_only
@pytest.mark.parametrize(("answer", "code"), [("yes", 0), ("no", 1)])
def test_whether_a_pod_that_blocks_its_own_fix_may_be_deleted(
    rehearsed: Path, kube: Kube, space: str, tmp_path: Path, answer: str, code: int
) -> None:
    environ = environment(tmp_path, rehearsed)
    fixed = ["up", "--profile", "nginx", "--env", "dev", "--namespace", space, "--patience", "2s"]
    broken = [sys.executable, "-m", "berth", *fixed, "--set", "image.tag=nope"]
    assert subprocess.run(broken, cwd=tmp_path, env=environ, capture_output=True, check=False).returncode == 1
    ended, shown = on_terminal(fixed, environ, tmp_path, answer)
    assert ended == code and shown.count(QUESTION) == 1, shown
    # Nothing moves on the screen while the question stands.
    assert "\x1b" not in shown.partition(QUESTION)[2].partition("\r\n")[0], shown
    assert ("deleted    Pod/web-0" in shown) is (answer == "yes")
