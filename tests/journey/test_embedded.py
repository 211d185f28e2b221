"""A machine without any cluster: berth starts a rehearsal by itself, says so, and finds it again."""

from __future__ import annotations

import json
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import dns.message
import dns.query
import pytest

from berth.local import processes
from tests.journey.conftest import Invoke, Result, environment

pytestmark = pytest.mark.rehearsal

TARGET = "target: rehearsal cluster (simulated; nothing runs in it)"


class Machine:
    """A home directory without a kubeconfig, and `invoke` in a project."""

    def __init__(self, project: Path, home: Path) -> None:
        self.project, self.home = project, home

    def invoke(self, *arguments: str, kubeconfig: Path | None = None, **extra: str) -> Result:
        done = subprocess.run(
            [sys.executable, "-m", "invoke", *arguments],
            cwd=self.project,
            env=environment(self.home, kubeconfig) | extra,
            input="",
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        assert "Traceback" not in done.stderr + done.stdout, done.stderr
        return Result(done.returncode, done.stdout, done.stderr)

    def status(self, name: str = "default") -> dict[str, object]:
        done = self.invoke("cluster.status", "--output", "json", "--name", name)
        found: dict[str, object] = json.loads(done.out)
        assert (done.code == 0) == found["running"]
        return found


@pytest.fixture
def machine(project: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Machine]:
    made = Machine(project, tmp_path_factory.mktemp("home"))
    yield made
    for directory in (made.home / ".local/state/berth/rehearsal").glob("[a-z0-9]*/"):
        made.invoke("cluster.delete", "--yes", "--name", directory.name)


def test_up_where_nothing_is_configured(machine: Machine) -> None:
    done = machine.invoke("up", "--profile", "nginx", "--env", "dev")
    assert done.code == 0, done.err
    assert "no cluster is configured" in done.err.splitlines()[0]
    lines = done.out.splitlines()
    assert (lines[0], lines[-1]) == (TARGET, TARGET)
    assert any("web is current" in line for line in lines)
    again = machine.invoke("up", "--profile", "nginx", "--env", "dev")
    assert (again.code, again.err) == (0, "") and "changed=0" in again.out
    gone = machine.invoke("teardown", "--profile", "nginx", "--data", "delete")
    assert gone.code == 0 and "nothing is left" in gone.out


@pytest.mark.parametrize("command", [("plan", "--profile", "nginx"), ("teardown", "--profile", "nginx")])
def test_plan_and_teardown_start_it_too(machine: Machine, command: tuple[str, ...]) -> None:
    done = machine.invoke(*command)
    assert "no cluster is configured" in done.err
    assert done.code == (0 if command[0] == "plan" else 2), done.err
    assert machine.status()["running"]


def test_nothing_is_started_for_a_typing_error(machine: Machine) -> None:
    done = machine.invoke("up", "--profile", "nginks")
    assert done.code == 2 and "nginx" in done.err
    assert not machine.status()["running"]


def test_the_events_name_the_target(machine: Machine) -> None:
    done = machine.invoke("up", "--profile", "nginx", "--env", "dev", "--output", "json")
    events = [json.loads(line) for line in done.out.splitlines()]
    assert events[0]["target"] == TARGET.removeprefix("target: ")


def test_one_that_was_stopped_is_started_again_with_what_it_held(machine: Machine) -> None:
    assert machine.invoke("up", "--profile", "nginx", "--env", "dev").code == 0
    assert machine.invoke("cluster.stop").out == "rehearsal default is stopped\n"
    assert machine.invoke("cluster.stop").out == "rehearsal default was not running\n"
    done = machine.invoke("plan", "--profile", "nginx", "--env", "dev")
    assert "0 to create" in done.out and TARGET in done.out


def test_a_kubeconfig_of_the_users_own_is_never_passed_over(machine: Machine) -> None:
    config = machine.home / ".kube" / "config"
    config.parent.mkdir()
    config.write_text(
        "apiVersion: v1\nkind: Config\ncurrent-context: far\n"
        "clusters: [{name: far, cluster: {server: 'https://127.0.0.1:1'}}]\n"
        "users: [{name: me, user: {token: x}}]\ncontexts: [{name: far, context: {cluster: far, user: me}}]\n"
    )
    done = machine.invoke("up", "--profile", "nginx", "--env", "dev")
    assert done.code == 3 and "https://127.0.0.1:1" in done.err
    assert not machine.status()["running"]
    chosen = machine.invoke("plan", "--profile", "nginx", "--context", "berth-rehearsal")
    assert chosen.code == 0 and TARGET in chosen.out and "no cluster is configured" not in chosen.err


def test_clusters_of_this_machine_by_name(machine: Machine) -> None:
    done = machine.invoke("plan", "--profile", "nginx", "--context", "berth-rehearsal-two")
    assert "target: rehearsal cluster two (simulated; nothing runs in it)" in done.out
    assert machine.status("two")["running"] and not machine.status()["running"]
    done = machine.invoke("plan", "--profile", "nginx", "--context", "berth-local")
    assert done.code == 3 and "cluster.start --engine kubernetes" in done.err


def test_its_own_kubeconfig_starts_it_again(machine: Machine) -> None:
    line = machine.invoke("cluster.env").out.strip()
    path = Path(line.removeprefix("export KUBECONFIG="))
    assert path.is_file() and machine.status()["running"]
    machine.invoke("cluster.stop")
    done = machine.invoke("plan", "--profile", "nginx", kubeconfig=path)
    assert done.code == 0 and TARGET in done.out
    # Also where its port was taken meanwhile.
    server = str(machine.status()["server"])
    machine.invoke("cluster.stop")
    with socket.socket() as taken:
        taken.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        taken.bind(("127.0.0.1", int(server.rpartition(":")[2])))
        taken.listen()
        assert machine.invoke("plan", "--profile", "nginx", kubeconfig=path).code == 0
        assert machine.status()["server"] != server


def test_start_and_status_say_what_it_is(machine: Machine) -> None:
    done = machine.invoke("cluster.start", "--pace", "10", "--seed", "3", "--idle", "30m")
    assert done.code == 0, done.err
    assert done.out.splitlines()[-1].startswith("kubectl finds it after: export KUBECONFIG=")
    shown = machine.invoke("cluster.status").out
    assert "rehearsal default: running" in shown
    assert "pace 10x, seed 3; ends after 30m00s without a request" in shown
    assert machine.status()["idle"] == 1800


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["cluster.start", "--pace", "fast"], "no pace 'fast'"),
        (["cluster.start", "--seed", "x"], "--seed x"),
        (["cluster.start", "--idle", "soon"], "'soon' is not a duration"),
        (["cluster.start", "--port", "0"], "--port 0"),
        (["cluster.start", "--scenario", "nowhere.yaml"], "nowhere.yaml"),
        (["cluster.start", "--binaries", "x"], "add --engine kubernetes"),
        (["cluster.start", "--engine", "kubernetes", "--pace", "real"], "add --engine rehearsal"),
        (["cluster.start", "--engine", "minikube"], "rehearsal, kubernetes"),
        (["cluster.start", "--name", "No/"], "cannot name a rehearsal"),
        (["dns", "nginx", "--type", "ANY"], "--type ANY"),
    ],
)
def test_wrong_options_start_nothing(invoke: Invoke, arguments: list[str], said: str) -> None:
    done = invoke(*arguments)
    assert done.code == 2 and said in done.err, done.err
    assert invoke("cluster.status").code == 1


def test_delete_asks_for_a_yes(machine: Machine) -> None:
    machine.invoke("cluster.start")
    refused = machine.invoke("cluster.delete")
    assert refused.code == 2 and "--yes" in refused.err
    assert machine.status()["running"]
    assert machine.invoke("cluster.delete", "--yes").code == 0
    assert machine.invoke("cluster.delete", "--yes").out == "there is no rehearsal default\n"


def test_names_resolve(machine: Machine) -> None:
    assert machine.invoke("up", "--profile", "nginx", "--env", "dev").code == 0
    done = machine.invoke("dns", "web-0.nginx")
    assert done.code == 0, done.err
    first, record = done.out.splitlines()
    name, ttl, kind, address = record.split()
    assert (first, name, ttl, kind) == (TARGET, "web-0.nginx.default.svc.cluster.local.", "5", "A")
    located = json.loads(machine.invoke("dns", "_web._tcp.nginx", "--type", "srv", "--output", "json").out)
    assert {one["data"].split()[-1].split(".")[0] for one in located["records"]} == {"web-0", "web-1"}
    host, _, port = str(machine.status()["dns"]).rpartition(":")
    reply = dns.query.udp(dns.message.make_query(name, "A"), host, port=int(port), timeout=5)
    assert [item.to_text() for item in reply.answer[0]] == [address]
    missing = machine.invoke("dns", "web-9.nginx")
    assert missing.code == 1
    assert "there is no name web-9.nginx.default.svc.cluster.local." in missing.err
    assert "Service/nginx has 2 ready endpoints: web-0, web-1" in missing.err


def test_no_process_is_left_without_a_state_directory(machine: Machine) -> None:
    machine.invoke("cluster.start")
    pid = machine.status()["pid"]
    assert isinstance(pid, int) and processes.start_time(pid)
    machine.invoke("cluster.delete", "--yes")
    assert not processes.start_time(pid)
