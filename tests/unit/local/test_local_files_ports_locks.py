"""Ports, locks and private files: what several processes of one user meet at."""

from __future__ import annotations

import os
import socket
import stat
import threading
from pathlib import Path

import pytest

from berth.core.errors import InputError, LocalError, TimedOutError
from berth.local import files, ports
from berth.local.locks import exclusive

pytestmark = pytest.mark.unit


def test_free_ports_differ_and_are_free() -> None:
    found = ports.free(8)
    assert len(set(found)) == 8
    assert ports.all_free(found)
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", found[0]))
        taken.listen()
        assert not ports.all_free(found)
        assert ports.listening(found[0])
    assert not ports.listening(found[1])


def test_private_files_are_private_whatever_the_umask(tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        files.write_private(tmp_path / "file", "text")
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "file").stat().st_mode) == 0o600
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


def test_the_second_holder_of_a_lock_waits_and_says_for_whom(tmp_path: Path) -> None:
    said: list[str] = []
    inside, leave = threading.Event(), threading.Event()

    def hold() -> None:
        with exclusive(tmp_path / "lock", doing="first", timeout=5, report=said.append):
            inside.set()
            leave.wait(10)

    holder = threading.Thread(target=hold)
    holder.start()
    assert inside.wait(10)
    with pytest.raises(TimedOutError, match="second") as raised:
        with exclusive(tmp_path / "lock", doing="second", timeout=0.2, report=said.append):
            raise AssertionError("both hold the lock")
    assert str(os.getpid()) in str(raised.value)
    assert any("waiting for process" in line for line in said)
    leave.set()
    holder.join()
    with exclusive(tmp_path / "lock", doing="third", timeout=0.2, report=said.append):
        pass


@pytest.mark.parametrize("name", ["", "Default", "a/b", "..", "-a", "a" * 33, "a\n"])
def test_a_name_that_is_no_label_is_refused(name: str) -> None:
    with pytest.raises(InputError, match="cannot name a rehearsal"):
        files.check_name(name, "rehearsal")


def test_state_lies_where_the_user_says(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BERTH_STATE_DIR", str(tmp_path))
    assert files.state_home("room") == tmp_path / "room"
    monkeypatch.delenv("BERTH_STATE_DIR")
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "xdg"))
    assert files.state_home("room") == tmp_path / "xdg" / "berth" / "room"
    monkeypatch.setenv("XDG_STATE_HOME", "relative")
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    assert files.state_home("room") == tmp_path / "home" / ".local" / "state" / "berth" / "room"


def test_a_user_without_a_home_is_told_what_to_set(monkeypatch: pytest.MonkeyPatch) -> None:
    def homeless() -> Path:
        raise RuntimeError("Could not determine home directory.")

    for variable in ("BERTH_STATE_DIR", "XDG_STATE_HOME"):
        monkeypatch.delenv(variable, raising=False)
    monkeypatch.setattr(Path, "home", homeless)
    with pytest.raises(LocalError, match="no home directory") as caught:
        files.state_home("rehearsal")
    assert "BERTH_STATE_DIR" in str(caught.value)
