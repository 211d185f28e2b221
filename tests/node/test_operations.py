"""Operations in real containers: what a profile's author gets without Python, and what becomes of what goes wrong."""

from __future__ import annotations

import json
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from berth.cluster.exec import HEAD, TAIL, ExecError, ExecTimedOut, execute
from berth.cluster.refusals import InvalidError, MissingError
from tests.node.conftest import OpenSpace
from tests.node.support import Space, promise, until

pytestmark = pytest.mark.node

ROOT = Path(__file__).resolve().parents[2]

#: A profile of somebody's own: the web servers of nginx, and operations that do what these tests need.
PROFILE = r"""
name: shop
description: The web servers of a shop
version: "1.0.0"
extends: nginx
templates: ["nginx/*.yaml"]
operations:
  ready:
    command: [sh, -c, 'cd /usr/share/nginx/html; test ! -e sick || { echo "sick: $(cat sick)" >&2; exit 4; }']
  role: {command: [sh, -c, '[ "$HOSTNAME" = web-1 ] && echo primary || echo standby'], container: nginx}
  whoami: {command: [hostname], container: nginx}
  promote: {command: [sh, -c, 'echo $HOSTNAME takes over'], container: nginx, pods: one}
  vacuum: {command: [sh, -c, 'echo cleaned on $HOSTNAME'], container: nginx, pods: primary}
  refuse: {command: [sh, -c, 'echo seen; echo "not now" >&2; exit 7'], container: nginx}
  missing: {command: [no-such-program], container: nginx}
  slow: {command: [sh, -c, 'echo begun; sleep 6; touch /tmp/slow'], container: nginx, timeout: 2s}
  long: {command: [sleep, "60"], container: nginx, timeout: 90s}
"""


@pytest.fixture(scope="module")
def space(open_space: OpenSpace) -> Space:
    opened = open_space("ops")
    (opened.home / "profiles").mkdir()
    (opened.home / "profiles/shop.yaml").write_text(PROFILE)
    done = opened.up("shop", "--set", "minReadySeconds=0")
    assert "  operation ready: passed on 2 pods of web\n" in done.out and "not run" not in done.out
    return opened


def operate(space: Space, operation: str, *arguments: str, code: int = 0) -> list[str]:
    """The lines that `operate` prints behind the target."""
    done = space.berth("operate", "--profile", "shop", "--operation", operation, *arguments, code=code)
    return done.out.splitlines()[1:]


@promise(
    "A profile's author adds an operation in YAML alone, and `operate` runs it in every pod",
    on="kubelet, containerd, nginx",
)
def test_an_operation_of_ones_own(space: Space) -> None:
    assert operate(space, "whoami") == ["web-0  whoami  passed  web-0", "web-1  whoami  passed  web-1"]
    assert operate(space, "whoami", "--ordinal", "1") == ["web-1  whoami  passed  web-1"]
    assert operate(space, "ready") == ["web-0  ready  passed", "web-1  ready  passed"]


@promise(
    "An operation of the primary runs where `role` says primary, one of one pod where the user says",
    on="kubelet, containerd, nginx",
)
def test_in_which_pods_an_operation_runs(space: Space) -> None:
    assert operate(space, "vacuum") == ["web-1  vacuum  passed  cleaned on web-1"]
    assert operate(space, "promote", "--ordinal", "0") == ["web-0  promote  passed  web-0 takes over"]
    for arguments in ((), ("--ordinal", "0", "--ordinal", "1")):
        done = space.berth("operate", "--profile", "shop", "--operation", "promote", *arguments, code=2)
        assert "runs in a pod that you name" in done.err and "one of 0, 1" in done.err


@promise(
    "A command's exit code, both outputs and a missing program are told, and the exit code is 1",
    on="kubelet, containerd, nginx",
)
def test_how_a_command_ends(space: Space) -> None:
    said = ["refuse  failed  exit code 7", "  | seen", "  | not now"]
    assert operate(space, "refuse", code=1) == [f"web-0  {said[0]}", *said[1:], f"web-1  {said[0]}", *said[1:]]
    (line,) = operate(space, "missing", "--ordinal", "0", code=1)
    assert line.startswith("web-0  missing  failed  ") and "no-such-program" in line
    done = space.berth("operate", "--name", "shop", "--operation", "refuse", "--output", "json", code=1)
    found = json.loads(done.out)["results"]
    assert [(one["pod"], one["outcome"], one["code"]) for one in found] == [
        ("web-0", "failed", 7),
        ("web-1", "failed", 7),
    ]


@promise(
    "An operation that takes too long is given up, and what it does in the container goes on",
    on="kubelet, containerd, nginx",
)
def test_a_timeout(space: Space) -> None:
    assert operate(space, "slow", "--ordinal", "0", code=1) == [
        "web-0  slow  timed out  it did not end in 2.0s",
        "  | begun",
    ]
    until(lambda: space.shell("web-0", "ls /tmp/slow 2>/dev/null || true") or None, 60)


@promise("Ctrl-C ends the waiting for an operation", on="kubelet, containerd, nginx")
def test_an_interruption(space: Space) -> None:
    command = [sys.executable, "-m", "berth", "operate", "--profile", "shop", "--operation", "long"]
    with subprocess.Popen(
        [*command, "--namespace", space.name],
        cwd=space.home,
        env=space.environment() | {"PYTHONUNBUFFERED": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as running:
        assert running.stdout is not None and "target: " in running.stdout.readline()
        running.send_signal(signal.SIGINT)
        _, err = running.communicate(timeout=30)
    assert running.returncode == 130 and "goes on there" in err


@promise("A long output is cut in its middle, whatever bytes are in it", on="kubelet, containerd, nginx")
def test_a_long_output(space: Space) -> None:
    script = r"printf '\377'; head -c 3000000 /dev/zero | tr '\0' x; echo END; head -c 200000 /dev/zero >&2"
    done = execute(space.kube, space.name, "web-0", "nginx", ["sh", "-c", script], 60)
    assert done.code == 0
    assert done.out.startswith("\ufffdxxx") and done.out.endswith("xEND\n") and "bytes left out" in done.out
    assert max(len(done.out), len(done.err)) < HEAD + TAIL + 100


@promise("What is not there is named: the pod, the container, the program", on="kubelet, containerd, nginx")
def test_what_is_not_there(space: Space) -> None:
    for pod, container, command, error, words in (
        ("web-9", "nginx", "true", MissingError, 'pods "web-9" not found'),
        ("web-0", "nobody", "true", InvalidError, "container nobody is not valid for pod web-0"),
        ("web-0", "welcome-page", "true", ExecError, "welcome-page"),
        ("web-0", "nginx", "no-such-program", ExecError, "no-such-program"),
    ):
        with pytest.raises(error, match=re.escape(words)):
            execute(space.kube, space.name, pod, container, [command], 20)
    with pytest.raises(ExecTimedOut) as caught:
        execute(space.kube, space.name, "web-0", "nginx", ["sh", "-c", "echo so far; sleep 9"], 1.5)
    assert caught.value.out == "so far\n"


@promise(
    "`up` fails, with the pod and its output, where the engine says that it is not ready, and takes it up again",
    on="kubelet, containerd, nginx",
)
def test_the_gate_of_up(space: Space) -> None:
    sick = "/usr/share/nginx/html/sick"
    change = ("--set", "minReadySeconds=0", "--set", "service.annotations.test=gate")
    space.shell("web-1", f"echo 'no heart beat' > {sick}")
    try:
        failed = space.up("shop", *change, "--patience", "4s", code=1)
        assert "  operation ready: failed in web-1: exit code 4\n    | sick: no heart beat\n" in failed.out
        assert "error: the operation ready failed in web-1: exit code 4\n  because sick: no heart beat\n" in failed.err
        assert "shop: failed\n" in failed.out
    finally:
        space.shell("web-1", f"rm {sick}")
    again = space.up("shop", *change)
    assert "  operation ready: passed on 2 pods of web\n" in again.out
    assert "operation" not in space.up("shop", *change).out, "an unchanged run asks nobody"


@promise(
    "Without the permission for pods/exec `up` says what it could not ask, and `operate` names the permission",
    on="API server, RBAC",
)
def test_without_permission(space: Space, tmp_path: Path) -> None:
    text = (ROOT / "docs/reference/rbac.md").read_text()
    blocks = [body for block in re.findall(r"```yaml\n(.*?)```", text, re.S) for body in yaml.safe_load_all(block)]
    role = next(body for body in blocks if body["kind"] == "Role")
    for rule in role["rules"]:
        rule["resources"] = [name for name in rule["resources"] if name != "pods/exec"]
    role["rules"] = [rule for rule in role["rules"] if rule["resources"]]
    role["metadata"]["namespace"] = space.name
    space.kube.apply(role)
    binding = {
        "apiVersion": "rbac.authorization.k8s.io/v1",
        "kind": "RoleBinding",
        "metadata": {"name": "team", "namespace": space.name},
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": "berth"},
        "subjects": [{"apiGroup": "rbac.authorization.k8s.io", "kind": "User", "name": f"team-{space.name}"}],
    }
    space.kube.apply(binding)
    config = yaml.safe_load(space.kubeconfig.read_text())
    for user in config["users"]:
        user["user"]["as"] = f"team-{space.name}"
    path = tmp_path / "kubeconfig"
    path.write_text(yaml.safe_dump(config))
    path.chmod(0o600)
    as_team = ("--kubeconfig", str(path))
    done = space.up("shop", "--set", "minReadySeconds=0", "--set", "service.annotations.test=team", *as_team)
    assert "  operation ready: not run on web: not allowed to " in done.out and "pods/exec" in done.out
    assert "web is current: 2 ready; operation ready was not run\n" in done.out
    denied = space.berth("operate", "--profile", "shop", "--operation", "ready", *as_team, code=3)
    assert "pods/exec" in denied.err and "ask for a role with the verb" in denied.err
