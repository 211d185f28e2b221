"""Processes that outlive the program that started them."""

from __future__ import annotations

import json
import os
import signal
import stat
import subprocess
import sys
import time
from pathlib import Path

import pytest

from berth.local import processes
from berth.local.files import write_private

pytestmark = pytest.mark.unit

SLEEPER = [sys.executable, "-c", "import time; print('up', flush=True); time.sleep(600)"]


def spawn(directory: Path, argv: list[str]) -> processes.Record:
    return processes.spawn(argv, log=directory / "one.log", record=directory / "one.json", cwd=directory)


def until(path: Path, text: str) -> None:
    deadline = time.monotonic() + 10
    while text not in path.read_text():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_a_spawned_process_is_found_again_and_ended(tmp_path: Path) -> None:
    made = spawn(tmp_path, SLEEPER)
    found = processes.read(tmp_path / "one.json")
    assert found == made
    assert found is not None and found.alive()
    assert os.getsid(made.pid) == made.pid
    assert stat.S_IMODE((tmp_path / "one.log").stat().st_mode) == 0o600
    assert processes.end([made], grace=5.0)
    assert not made.alive()


def test_a_process_that_ignores_the_request_is_killed(tmp_path: Path) -> None:
    stubborn = (
        "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('up', flush=True); time.sleep(600)"
    )
    made = spawn(tmp_path, [sys.executable, "-c", stubborn])
    until(tmp_path / "one.log", "up")
    assert not processes.end([made], grace=0.1)
    assert not made.alive()


def test_a_child_that_ended_is_not_alive(tmp_path: Path) -> None:
    made = spawn(tmp_path, [sys.executable, "-c", ""])
    deadline = time.monotonic() + 10
    while made.alive():
        assert time.monotonic() < deadline
        time.sleep(0.01)


@pytest.mark.parametrize(
    "change",
    [{"start_time": "1"}, {"boot": "an earlier one"}, {"start_time": ""}],
    ids=["number used again", "after a reboot", "never seen"],
)
def test_a_record_names_one_process_only(tmp_path: Path, change: dict[str, str]) -> None:
    bystander = subprocess.Popen(SLEEPER, stdout=subprocess.DEVNULL)
    try:
        data = {
            "pid": bystander.pid,
            "start_time": processes.start_time(bystander.pid),
            "boot": processes.boot_id(),
            "began": 0.0,
        }
        write_private(tmp_path / "one.json", json.dumps(data | change))
        record = processes.read(tmp_path / "one.json")
        assert record is not None
        assert not record.alive()
        record.signal(signal.SIGKILL)
        assert processes.end([record], grace=0.1)
        assert bystander.poll() is None
    finally:
        bystander.kill()
        bystander.wait()


@pytest.mark.parametrize("text", ["", "{", "[]", '{"pid": "x"}', "null"])
def test_a_record_that_was_cut_short_is_none(tmp_path: Path, text: str) -> None:
    (tmp_path / "one.json").write_text(text)
    assert processes.read(tmp_path / "one.json") is None


def test_tail_gives_the_last_lines(tmp_path: Path) -> None:
    log = tmp_path / "log"
    log.write_text("\n".join(f"line {number}" for number in range(20000)))
    assert processes.tail(log, 2) == ["line 19998", "line 19999"]
    assert processes.tail(tmp_path / "absent") == []
