"""Records, ports, locks and paths: without any component."""

from __future__ import annotations

import json
import os
import signal
import socket
import stat
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from berth import controlplane
from berth.controlplane import engine, kubeconfig, ports, processes
from berth.controlplane.components import COMPONENTS, PROGRAMS, Ports, command, environment
from berth.controlplane.locks import exclusive
from berth.controlplane.paths import Layout, write_private
from berth.core.errors import InputError, LocalError, TimedOutError

pytestmark = pytest.mark.unit

SLEEPER = [sys.executable, "-c", "import time; print('up', flush=True); time.sleep(600)"]


@pytest.fixture
def layout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Layout:
    monkeypatch.setenv("BERTH_STATE_DIR", str(tmp_path))
    made = Layout.of("pure")
    made.create()
    return made


def spawn(layout: Layout, argv: list[str]) -> processes.Record:
    return processes.spawn(argv, log=layout.log("etcd"), record=layout.pid("etcd"), cwd=layout.root)


def until(path: Path, text: str) -> None:
    deadline = time.monotonic() + 10
    while text not in path.read_text():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_a_spawned_process_is_found_again_and_ended(layout: Layout) -> None:
    made = spawn(layout, SLEEPER)
    found = processes.read(layout.pid("etcd"))
    assert found == made
    assert found is not None and found.alive()
    assert os.getsid(made.pid) == made.pid
    assert stat.S_IMODE(layout.log("etcd").stat().st_mode) == 0o600
    assert processes.end([made], grace=5.0)
    assert not made.alive()


def test_a_process_that_ignores_the_request_is_killed(layout: Layout) -> None:
    stubborn = (
        "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('up', flush=True); time.sleep(600)"
    )
    made = spawn(layout, [sys.executable, "-c", stubborn])
    until(layout.log("etcd"), "up")
    assert not processes.end([made], grace=0.1)
    assert not made.alive()


def test_a_child_that_ended_is_not_alive(layout: Layout) -> None:
    made = spawn(layout, [sys.executable, "-c", ""])
    deadline = time.monotonic() + 10
    while made.alive():
        assert time.monotonic() < deadline
        time.sleep(0.01)


@pytest.mark.parametrize(
    "change",
    [{"start_time": "1"}, {"boot": "an earlier one"}, {"start_time": ""}],
    ids=["number used again", "after a reboot", "never seen"],
)
def test_a_record_names_one_process_only(layout: Layout, change: dict[str, str]) -> None:
    bystander = subprocess.Popen(SLEEPER, stdout=subprocess.DEVNULL)
    try:
        data = {
            "pid": bystander.pid,
            "start_time": processes.start_time(bystander.pid),
            "boot": processes.boot_id(),
            "began": 0.0,
        }
        write_private(layout.pid("etcd"), json.dumps(data | change))
        record = processes.read(layout.pid("etcd"))
        assert record is not None
        assert not record.alive()
        record.signal(signal.SIGKILL)
        assert processes.end([record], grace=0.1)
        assert bystander.poll() is None
    finally:
        bystander.kill()
        bystander.wait()


@pytest.mark.parametrize("text", ["", "{", "[]", '{"pid": "x"}', "null"])
def test_a_record_that_was_cut_short_is_none(layout: Layout, text: str) -> None:
    layout.pid("etcd").write_text(text)
    assert processes.read(layout.pid("etcd")) is None


def test_an_editor_of_our_files_is_no_component(layout: Layout) -> None:
    bystander = subprocess.Popen([*SLEEPER, str(layout.pki / "admin.key")], stdout=subprocess.DEVNULL)
    try:
        assert processes.of_directory(layout.root) == []
    finally:
        bystander.kill()
        bystander.wait()


def test_tail_gives_the_last_lines(tmp_path: Path) -> None:
    log = tmp_path / "log"
    log.write_text("\n".join(f"line {number}" for number in range(20000)))
    assert processes.tail(log, 2) == ["line 19998", "line 19999"]
    assert processes.tail(tmp_path / "absent") == []


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
        write_private(tmp_path / "file", "text")
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "file").stat().st_mode) == 0o600
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


@pytest.mark.parametrize("name", ["", "Default", "a/b", "..", "-a", "a" * 33, "a\n"])
def test_a_name_that_is_no_label_is_refused(name: str) -> None:
    with pytest.raises(InputError, match="cannot name a control plane"):
        Layout.of(name)


def test_a_plane_that_never_was_has_no_components(layout: Layout) -> None:
    found = controlplane.status("never")
    assert not found.running
    assert found.components == ()
    assert found.since is None
    assert controlplane.kubeconfig_path("never") == found.kubeconfig
    assert not controlplane.stop("never").running
    controlplane.delete("never")


def test_the_administrators_kubeconfig_is_private_and_named(layout: Layout) -> None:
    for name in ("admin.crt", "admin.key", "ca.crt"):
        (layout.pki / name).write_text(name)
    kubeconfig.write_admin(layout, "https://127.0.0.1:1")
    assert stat.S_IMODE(layout.kubeconfig.stat().st_mode) == 0o600
    assert "current-context: berth-local-pure" in layout.kubeconfig.read_text()
    default = Layout("default", layout.root)
    kubeconfig.write_admin(default, "https://127.0.0.1:1")
    assert "current-context: berth-local\n" in layout.kubeconfig.read_text()


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


def test_a_component_that_dies_is_an_error_with_its_last_words(layout: Layout, tmp_path: Path) -> None:
    programs = tmp_path / "programs"
    programs.mkdir()
    for name in PROGRAMS:
        (programs / name).write_text(f"#!/bin/sh\necho last words of {name}\nexit 1\n")
        (programs / name).chmod(0o755)
    with pytest.raises(LocalError) as raised:
        engine.start("pure", binaries=programs, report=print)
    text = str(raised.value)
    assert "ended while the control plane was starting" in text
    assert "last words of" in text
    assert str(layout.root / "logs") in text


def test_no_component_is_given_a_proxy_or_a_secret(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTPS_PROXY", "http://proxy.example.com")
    monkeypatch.setenv("SOME_TOKEN", "secret")
    for component in COMPONENTS:
        assert not {"HTTPS_PROXY", "SOME_TOKEN"} & environment(component).keys()


def test_command_lines_listen_on_the_loopback_interface_only(layout: Layout) -> None:
    for component in COMPONENTS:
        line = " ".join(command(component, layout, Ports(1, 2, 3, 4), Path("/programs")))
        assert "0.0.0.0" not in line
    assert "--anonymous-auth=false" in command("kube-apiserver", layout, Ports(1, 2, 3, 4), Path("/programs"))
