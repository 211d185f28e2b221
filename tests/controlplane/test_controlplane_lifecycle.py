"""Start, stop, crash and delete of a real plane."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import yaml

from berth import controlplane
from berth.controlplane import binaries, components
from berth.controlplane.paths import Layout
from berth.core.errors import LocalError

if TYPE_CHECKING:
    from tests.controlplane.conftest import Plane

pytestmark = pytest.mark.controlplane

MAPS = "/api/v1/namespaces/default/configmaps"


def pids(plane: Plane) -> dict[str, int | None]:
    return {part.name: part.pid for part in plane.status.components}


def kill(plane: Plane, component: str) -> None:
    pid = pids(plane)[component]
    assert pid is not None
    os.kill(pid, signal.SIGKILL)
    plane.eventually(lambda: not next(part for part in plane.status.components if part.name == component).alive)


def remember(plane: Plane, name: str) -> None:
    client = plane.client()
    client.create(MAPS, {"metadata": {"name": name}})
    client.close()


def remembers(plane: Plane, name: str) -> bool:
    client = plane.client()
    try:
        return bool(client.get(f"{MAPS}/{name}")["metadata"]["name"] == name)
    finally:
        client.close()


def test_status_names_every_component(victim: Plane) -> None:
    status = victim.status
    assert status.running
    assert [part.name for part in status.components] == list(components.COMPONENTS)
    assert status.version.startswith("v1.")
    assert status.since is not None
    assert status.kubeconfig == controlplane.kubeconfig_path(victim.name)
    assert json.dumps(status.to_json())


def test_a_second_start_says_that_it_is_up(victim: Plane) -> None:
    before = pids(victim)
    victim.lines.clear()
    victim.start()
    assert pids(victim) == before
    assert victim.lines == [f"control plane {victim.name} is up: {victim.status.server}"]


def test_the_server_says_its_version(victim: Plane) -> None:
    client = victim.client()
    assert client.get("/version")["gitVersion"] == victim.status.version
    client.close()


def test_the_kubeconfig_is_complete(victim: Plane) -> None:
    config = yaml.safe_load(victim.status.kubeconfig.read_text())
    assert config["current-context"] == f"berth-local-{victim.name}"
    assert config["clusters"][0]["cluster"]["server"] == victim.status.server
    assert not any(isinstance(value, str) and value.startswith("/") for value in config["users"][0]["user"].values())


@pytest.mark.parametrize("component", components.COMPONENTS)
def test_a_killed_component_comes_back(victim: Plane, component: str) -> None:
    remember(victim, f"before-{component}")
    before = pids(victim)
    kill(victim, component)
    assert not victim.status.running
    victim.start()
    after = pids(victim)
    assert victim.status.running
    assert {name for name in after if after[name] != before[name]} == {component}
    assert remembers(victim, f"before-{component}")


def test_all_killed_at_once_come_back_with_their_data(victim: Plane) -> None:
    remember(victim, "before-all")
    for component in components.COMPONENTS:
        kill(victim, component)
    server = victim.status.server
    victim.start()
    assert victim.status.running
    assert victim.status.server == server
    assert remembers(victim, "before-all")


def test_stop_leaves_no_process_and_start_brings_the_data_back(victim: Plane) -> None:
    remember(victim, "before-stop")
    status = controlplane.stop(victim.name)
    assert not status.running
    assert not any(part.alive for part in status.components)
    assert components.running(victim.root) == []
    victim.start()
    assert remembers(victim, "before-stop")


def test_records_of_another_boot_name_nobody(victim: Plane) -> None:
    """As after a reboot: the numbers in the files belong to others now."""
    controlplane.stop(victim.name)
    bystander = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    layout = Layout.of(victim.name)
    record = {"pid": bystander.pid, "start_time": "1", "boot": "an earlier one", "began": 0.0}
    for component in components.COMPONENTS:
        layout.pid(component).write_text(json.dumps(record))
    assert not victim.status.running
    victim.start()
    controlplane.stop(victim.name)
    assert bystander.poll() is None
    bystander.communicate(b"\n", timeout=10)
    victim.start()


def test_concurrent_starts_make_one_plane(victim: Plane) -> None:
    controlplane.stop(victim.name)
    program = f"from berth import controlplane as c; c.start({victim.name!r}, report=print)"
    with ThreadPoolExecutor() as pool:
        runs = [pool.submit(subprocess.run, [sys.executable, "-c", program], capture_output=True) for _ in range(3)]
        done = [run.result() for run in runs]
    assert [each.returncode for each in done] == [0, 0, 0], [each.stderr for each in done]
    assert sum(each.stdout.count(b"started etcd") for each in done) == 1
    assert victim.status.running
    assert len(components.running(victim.root)) == len(components.COMPONENTS)


def test_processes_without_a_record_are_replaced(victim: Plane) -> None:
    """A start that is killed after it made a process and before it wrote which one."""
    layout = Layout.of(victim.name)
    before = pids(victim)
    layout.pid("etcd").unlink()
    layout.pid("kwok").unlink()
    victim.start()
    assert pids(victim)["etcd"] != before["etcd"]
    assert len(components.running(victim.root)) == len(components.COMPONENTS)


def test_a_taken_port_is_exchanged(victim: Plane) -> None:
    controlplane.stop(victim.name)
    layout = Layout.of(victim.name)
    ports = json.loads(layout.settings.read_text())["ports"]
    with socket.socket() as squatter:
        # What the API server's clients left behind does not keep the port from a server.
        squatter.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        squatter.bind(("127.0.0.1", ports["apiserver"]))
        squatter.listen()
        victim.start()
    assert victim.status.server != f"https://127.0.0.1:{ports['apiserver']}"
    assert victim.status.running


def test_a_component_that_dies_is_named_with_its_last_words(victim: Plane, tmp_path: Path) -> None:
    controlplane.stop(victim.name)
    real = binaries.directory(None, report=print)
    for name in components.PROGRAMS:
        (tmp_path / name).symlink_to(real / name)
    (tmp_path / "kube-scheduler").unlink()
    (tmp_path / "kube-scheduler").write_text("#!/bin/sh\necho 'no such luck'\nexit 3\n")
    (tmp_path / "kube-scheduler").chmod(0o755)
    with pytest.raises(LocalError, match="kube-scheduler ended") as raised:
        controlplane.start(victim.name, binaries=tmp_path)
    assert "no such luck" in str(raised.value)
    assert "kube-scheduler.log" in str(raised.value)
    victim.start()
    assert victim.status.running


def test_delete_leaves_nothing(state_home: Path) -> None:
    controlplane.start("short-lived")
    layout = Layout.of("short-lived")
    controlplane.delete("short-lived")
    assert not layout.root.exists()
    assert components.running(layout.root) == []
    assert not controlplane.status("short-lived").components
    controlplane.delete("short-lived")
