"""The process of a rehearsal: start, stop, state, ports, idleness, and everything that can be wrong with them."""

from __future__ import annotations

import json
import os
import signal
import socket
import sqlite3
import stat
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import dns.message
import dns.query
import pytest

from berth import rehearsal
from berth.cluster.kube import Kube
from berth.cluster.target import resolve
from berth.core.errors import BerthError, DeniedError, InputError, LocalError
from berth.core.objects import Json, ObjectRef
from berth.local import processes
from berth.rehearsal import Wishes
from berth.rehearsal.paths import Layout
from tests.rehearsal.conftest import client

pytestmark = [pytest.mark.rehearsal, pytest.mark.usefixtures("state_home")]

CONFIG = ObjectRef("", "ConfigMap", "default", "kept")


def config_map(name: str = "kept") -> Json:
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": name, "namespace": "default"},
        "data": {"a": "b"},
    }


def eventually(check: Callable[[], object], seconds: float = 10.0) -> None:
    deadline = time.monotonic() + seconds
    while not check():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_it_starts_tells_where_and_ends() -> None:
    before = rehearsal.status()
    assert (before.running, before.pid, before.server, before.since) == (False, None, "", None)
    found = rehearsal.start()
    assert found == rehearsal.status() and found.running and found.since is not None
    assert found.server.startswith("https://127.0.0.1:") and found.dns.startswith("127.0.0.1:")
    assert found.version.startswith("v1.")
    kube = client()
    assert kube.version()["gitVersion"].startswith(found.version)
    kube.close()
    again = rehearsal.start()
    assert again == found
    after = rehearsal.stop()
    assert (after.running, after.pid, after.server) == (False, None, found.server)
    assert not rehearsal.stop().running


def test_nobody_else_can_read_its_files(state_home: Path) -> None:
    rehearsal.start()
    directory = state_home / "default"
    assert stat.S_IMODE(directory.stat().st_mode) == 0o700
    for path in directory.iterdir():
        assert stat.S_IMODE(path.stat().st_mode) == 0o600, path


def test_the_kubeconfig_is_whole_and_named_for_its_rehearsal() -> None:
    assert rehearsal.start("one").kubeconfig == rehearsal.kubeconfig_path("one")
    body = json.loads(rehearsal.kubeconfig_path("one").read_text())
    assert body["current-context"] == "berth-rehearsal-one"
    assert rehearsal.context() == "berth-rehearsal"
    assert len(body["users"][0]["user"]["token"]) >= 32


def test_what_is_in_it_survives_a_stop_and_the_address_stays() -> None:
    first = rehearsal.start()
    kube = client()
    kube.create(config_map())
    kube.close()
    kubeconfig = first.kubeconfig.read_text()
    rehearsal.stop()
    second = rehearsal.start()
    assert (second.server, second.dns) == (first.server, first.dns)
    assert second.kubeconfig.read_text() == kubeconfig
    kube = client()
    found = kube.get(CONFIG)
    kube.close()
    assert found is not None and found["data"] == {"a": "b"}


def test_delete_leaves_nothing(state_home: Path) -> None:
    rehearsal.start()
    said: list[str] = []
    rehearsal.delete(report=said.append)
    assert not (state_home / "default").exists() and said == ["rehearsal default is deleted"]
    assert not list(state_home.glob(".default*"))
    rehearsal.delete()


def test_a_wrong_token_is_refused() -> None:
    found = rehearsal.start()
    body = json.loads(found.kubeconfig.read_text())
    for user in ({"token": "wrong"}, {}):
        body["users"][0]["user"] = user
        wrong = found.state_dir / "wrong"
        wrong.write_text(json.dumps(body))
        kube = resolve(None, str(wrong), {}).connect()
        with pytest.raises(DeniedError):
            kube.get(CONFIG)
        kube.close()


def test_wishes_are_kept_and_change_a_running_one_with_what_it_holds() -> None:
    first = rehearsal.start(wishes=Wishes(pace="10", seed=7))
    assert (first.pace, first.seed) == ("10x", 7)
    kube = client()
    kube.create(config_map())
    kube.close()
    said: list[str] = []
    second = rehearsal.start(wishes=Wishes(pace="instant"), report=said.append)
    assert (second.pace, second.seed) == ("instant", 7) and second.pid != first.pid
    assert said == ["rehearsal default is started anew with what it holds"]
    assert rehearsal.start(wishes=Wishes(pace="instant", seed=7)).pid == second.pid
    kube = client()
    assert kube.get(CONFIG) is not None
    kube.close()


def test_a_scenario_says_pace_and_seed_unless_the_start_does(tmp_path: Path) -> None:
    file = tmp_path / "calm.yaml"
    file.write_text('name: calm\npace: 20x\nseed: 5\nbegin: "2030-01-01T00:00:00Z"\n')
    found = rehearsal.start(wishes=Wishes(scenario=str(file)))
    assert (found.pace, found.scenario) == ("20x", str(file))
    kube = client()
    assert kube.create(config_map())["metadata"]["creationTimestamp"].startswith("2030-01-01T")
    kube.close()
    assert rehearsal.start(wishes=Wishes(pace="real")).pace == "real"
    kube = client()
    assert kube.create(config_map("later"))["metadata"]["creationTimestamp"].startswith("2030-01-01T")
    kube.close()
    assert rehearsal.start(wishes=Wishes(scenario="none")).scenario == ""


def test_another_scenario_takes_effect_on_what_is_there() -> None:
    rehearsal.start(wishes=Wishes(pace="instant"))
    kube = client()
    kube.create(stateful_set("calm", replicas=2))
    eventually(lambda: len(kube.list("", "Pod", "default").items) == 2)
    kube.close()
    rehearsal.start(wishes=Wishes(scenario="image-pull"))
    kube = client()
    kube.create(stateful_set("troubled", replicas=2))

    def reasons() -> set[str]:
        pod = kube.get(ObjectRef("", "Pod", "default", "troubled-1")) or {}
        states = [one["state"] for one in pod.get("status", {}).get("containerStatuses", ())]
        return {state["waiting"]["reason"] for state in states if "waiting" in state}

    eventually(lambda: reasons() & {"ErrImagePull", "ImagePullBackOff"})
    kube.close()


def test_time_does_not_go_back_with_a_new_process() -> None:
    found = rehearsal.start(wishes=Wishes(pace="10000x"))
    kube = client()
    time.sleep(0.5)
    first = kube.create(config_map())["metadata"]["creationTimestamp"]
    kube.close()
    assert found.pid is not None
    kill(found.pid)
    rehearsal.start(wishes=Wishes(pace="real"))
    kube = client()
    assert kube.create(config_map("later"))["metadata"]["creationTimestamp"] >= first
    kube.close()


def test_wrong_wishes_start_and_end_nothing(state_home: Path) -> None:
    wrong = (
        (Wishes(pace="fast"), "no pace 'fast'"),
        (Wishes(port=70000), "70000 is no port"),
        (Wishes(scenario="nowhere.yaml"), "nowhere.yaml"),
    )
    for wishes, said in wrong:
        with pytest.raises(InputError, match=said):
            rehearsal.start(wishes=wishes)
    assert not (state_home / "default").exists()
    running = rehearsal.start()
    for wishes, said in wrong:
        with pytest.raises(InputError, match=said):
            rehearsal.start(wishes=wishes)
    assert rehearsal.status() == running


def test_a_name_that_is_no_label_is_refused() -> None:
    with pytest.raises(InputError, match="cannot name a rehearsal"):
        rehearsal.start("../up")


def test_a_port_that_is_taken_meanwhile_is_exchanged() -> None:
    first = rehearsal.start()
    rehearsal.stop()
    port = int(first.server.rpartition(":")[2])
    with socket.socket() as taken:
        taken.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        taken.bind(("127.0.0.1", port))
        taken.listen()
        second = rehearsal.start()
        assert second.server != first.server
        kube = client()
        assert kube.version()
        kube.close()


def test_a_port_that_was_asked_for_and_is_taken_is_an_error() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(LocalError, match=f"port {port} is taken"):
            rehearsal.start(wishes=Wishes(port=port))
    assert not rehearsal.status().running
    assert rehearsal.start(wishes=Wishes(port=port)).server == f"https://127.0.0.1:{port}"


def _foreign(path: Path) -> None:
    database = sqlite3.connect(path)
    database.execute("CREATE TABLE theirs (a)")
    database.close()


def _damaged(path: Path) -> None:
    rehearsal.start()
    kube = client()
    for number in range(50):
        kube.create(config_map(f"c{number}"))
    kube.close()
    rehearsal.stop()
    data = bytearray(path.read_bytes())
    data[4096:12288] = os.urandom(8192)
    path.write_bytes(data)


@pytest.mark.parametrize(
    "spoil",
    [
        lambda path: path.write_text("no database at all, but long enough to be taken for one " * 40),
        lambda path: path.write_text("x"),
        lambda path: path.mkdir(),
        _foreign,
        _damaged,
    ],
    ids=["text", "short", "directory", "foreign", "damaged"],
)
def test_a_state_that_cannot_be_read_is_named_and_left_alone(spoil: Callable[[Path], None], state_home: Path) -> None:
    path = state_home / "default" / "state.sqlite"
    path.parent.mkdir(parents=True)
    spoil(path)
    before = path.read_bytes() if path.is_file() else b""
    with pytest.raises(LocalError) as raised:
        rehearsal.start()
    text = str(raised.value)
    assert str(path) in text and "cluster.delete --engine rehearsal" in text
    assert (path.read_bytes() if path.is_file() else b"") == before
    assert not rehearsal.status().running
    rehearsal.delete()
    assert not path.parent.exists()


def test_two_servers_never_share_one_state() -> None:
    found = rehearsal.start()
    command = [sys.executable, "-m", "berth.rehearsal.daemon", "default", str(found.state_dir)]
    second = subprocess.run(command, capture_output=True, text=True, timeout=30, check=False)
    assert second.returncode == 1
    assert "another server has the state of rehearsal default" in second.stderr and str(found.pid) in second.stderr
    kube = client()
    assert kube.version()
    kube.close()
    assert rehearsal.status() == found


def test_starts_at_the_same_time_make_one_server() -> None:
    found: list[rehearsal.Status] = []
    threads = [threading.Thread(target=lambda: found.append(rehearsal.start())) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 4 and len({one.pid for one in found}) == 1


def test_a_server_without_a_record_is_replaced() -> None:
    first = rehearsal.start()
    Layout.of("default").record.unlink()
    assert not rehearsal.status().running
    second = rehearsal.start()
    assert second.running and second.pid != first.pid
    assert first.pid is not None and processes.start_time(first.pid) == ""


def test_it_ends_by_itself_when_idle_and_comes_back_with_what_it_held() -> None:
    rehearsal.start(wishes=Wishes(idle=0.6))
    kube = client()
    kube.create(config_map())
    kube.close()
    eventually(lambda: not rehearsal.status().running)
    assert "nobody asked for anything" in Layout.of("default").log.read_text()
    rehearsal.start()
    kube = client()
    assert kube.get(CONFIG) is not None
    kube.close()


def test_requests_and_starts_keep_it_from_ending() -> None:
    first = rehearsal.start(wishes=Wishes(idle=0.8))
    kube = client()
    until = time.monotonic() + 1.6
    while time.monotonic() < until:
        kube.get(CONFIG)
        time.sleep(0.1)
    kube.close()
    until = time.monotonic() + 1.6
    while time.monotonic() < until:
        assert rehearsal.start().pid == first.pid
        time.sleep(0.1)


def test_an_end_on_request_is_clean() -> None:
    found = rehearsal.start()
    assert found.pid is not None
    os.kill(found.pid, signal.SIGTERM)
    eventually(lambda: rehearsal.status().pid is None)
    layout = Layout.of("default")
    assert not layout.up.exists() and layout.log.read_text() == ""


def test_it_ends_when_its_directory_is_taken_away(state_home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = rehearsal.start()
    (state_home / "default").rename(state_home / "elsewhere")
    second = rehearsal.start()
    assert second.running and second.pid != first.pid


def test_the_dns_port_answers() -> None:
    found = rehearsal.start()
    host, _, port = found.dns.rpartition(":")
    question = dns.message.make_query("kubernetes.default.svc.cluster.local.", "A")
    reply = dns.query.udp(question, host, port=int(port), timeout=5)
    kube = client()
    service = kube.get(ObjectRef("", "Service", "default", "kubernetes"))
    kube.close()
    assert service is not None
    assert [item.to_text() for item in reply.answer[0]] == [service["spec"]["clusterIP"]]


def kill(pid: int) -> None:
    os.kill(pid, signal.SIGKILL)
    eventually(lambda: processes.start_time(pid) == "")


@pytest.mark.parametrize("moments", [(0.02, 0.29, 0.56), (0.11, 0.2, 0.38, 0.47)], ids=["one", "other"])
def test_a_kill_at_any_moment_loses_nothing_that_was_acknowledged(moments: tuple[float, ...]) -> None:
    """The moments lie between the first and some hundredth write; what comes back is the next to be killed."""
    acknowledged: list[str] = []
    found = rehearsal.start()
    for turn, moment in enumerate(moments):
        assert found.pid is not None
        writer = threading.Thread(target=_write, args=(f"t{turn}", acknowledged))
        writer.start()
        time.sleep(moment)
        kill(found.pid)
        writer.join()
        found = rehearsal.start()
        kube = client()
        held = {body["metadata"]["name"] for body in kube.list("", "ConfigMap", "default").items}
        kube.close()
        assert set(acknowledged) <= held
    assert acknowledged


def test_what_was_seen_of_the_controllers_work_is_there_after_a_kill() -> None:
    """Pods and claims that a client has listed, and the version of the list, are not undone."""
    found = rehearsal.start(wishes=Wishes(pace="instant"))
    for turn in range(3):
        assert found.pid is not None
        kube = client()
        kube.create(stateful_set(f"s{turn}", replicas=20))
        until, seen, version = time.monotonic() + 0.1 + 0.15 * turn, set[str](), 0
        while time.monotonic() < until:
            for kind in ("Pod", "PersistentVolumeClaim"):
                listed = kube.list("", kind, "default")
                seen |= {body["metadata"]["uid"] for body in listed.items}
                version = max(version, int(listed.resource_version))
        kube.close()
        kill(found.pid)
        found = rehearsal.start()
        kube = client()
        lists = [kube.list("", kind, "default") for kind in ("Pod", "PersistentVolumeClaim")]
        kube.close()
        assert seen <= {body["metadata"]["uid"] for listed in lists for body in listed.items}
        assert int(lists[0].resource_version) >= version
    assert seen


def stateful_set(name: str, replicas: int) -> Json:
    labels = {"app": name}
    claim = {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}}
    return {
        "apiVersion": "apps/v1",
        "kind": "StatefulSet",
        "metadata": {"name": name, "namespace": "default"},
        "spec": {
            "serviceName": name,
            "replicas": replicas,
            "podManagementPolicy": "Parallel",
            "selector": {"matchLabels": labels},
            "template": {"metadata": {"labels": labels}, "spec": {"containers": [{"name": "a", "image": "b:1"}]}},
            "volumeClaimTemplates": [{"metadata": {"name": "data"}, "spec": claim}],
        },
    }


def _write(prefix: str, acknowledged: list[str]) -> None:
    kube: Kube = client().hasty(0.3)
    try:
        for number in range(10_000):
            kube.create(config_map(f"{prefix}-{number}"))
            acknowledged.append(f"{prefix}-{number}")
    except BerthError:
        pass
    finally:
        kube.close()
