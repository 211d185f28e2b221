"""`invoke status` and `invoke diagnose` as people and scripts use them."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pexpect
import pytest

from berth.cluster.kube import Kube
from berth.core.objects import ObjectRef
from tests.journey.conftest import Invoke, environment

pytestmark = pytest.mark.journey

QUICK = ("--set", "minReadySeconds=0", "--set", "replicas=1")
WRONG = [
    (["--output", "yaml"], ["--output yaml is not known", "text, json"]),
    (["--all", "--name", "x"], ["--all means every release"]),
]


@pytest.mark.parametrize("task", ["status", "diagnose"])
@pytest.mark.parametrize(("arguments", "said"), WRONG, ids=["output", "all and a name"])
def test_bad_input_without_a_cluster(invoke: Invoke, task: str, arguments: list[str], said: list[str]) -> None:
    result = invoke(task, *arguments)
    assert result.code == 2 and not result.out
    assert all(part in result.err for part in said), result.err
    assert "no cluster is configured" not in result.err


@pytest.mark.parametrize("task", ["status", "diagnose"])
def test_no_target(invoke: Invoke, project: Path, task: str) -> None:
    result = invoke(task, "--kubeconfig", str(project / "nope"))
    assert result.code == 3 and "nope" in result.err


def test_a_release_from_beginning_to_end(invoke_on: Invoke, kube: Kube, space: str) -> None:
    here = ("--namespace", space)
    for task in ("status", "diagnose"):
        empty = invoke_on(task, *here)
        assert (empty.code, empty.out.splitlines()[1:]) == (0, [f"no releases in {space}"])
        unknown = invoke_on(task, *here, "--name", "shop")
        assert unknown.code == 2 and f"no release shop in {space}" in unknown.err and "invoke up" in unknown.err
    assert invoke_on("up", "--profile", "nginx", "--name", "shop", *here, *QUICK).code == 0
    for task in ("status", "diagnose"):
        typo = invoke_on(task, *here, "--name", "shpo")
        assert typo.code == 2 and "did you mean 'shop'?" in typo.err
        fine = invoke_on(task, *here, "--profile", "nginx")
        assert fine.code == 0 and fine.out.endswith("1 of 1 releases current\n")

    told = json.loads(invoke_on("status", *here, "--output", "json").out)["releases"][0]
    assert (told["release"], told["verdict"]["status"], len(told["sets"][0]["ordinals"])) == ("shop", "current", 1)
    kube.delete(ObjectRef("", "Service", space, "shop-nginx"))
    kube.delete(ObjectRef("", "Service", space, "nginx"))
    broken = invoke_on("status", *here)
    assert broken.code == 1 and "not there: Service/" in broken.out
    why = invoke_on("diagnose", *here, "--output", "json")
    assert why.code == 1 and json.loads(why.out)["releases"][0]["causes"][0]["reason"] == "Missing"

    assert invoke_on("teardown", "--name", "shop", *here).code == 0
    down = invoke_on("status", *here)
    assert (down.code, down.out.splitlines()[-1]) == (0, "0 of 0 releases current; 1 taken down")
    assert invoke_on("status", *here, "--name", "shop").code == 1


def test_watching_shows_changes_until_ctrl_c(
    project: Path, plane: Path, kube: Kube, space: str, invoke_on: Invoke, tmp_path: Path
) -> None:
    assert invoke_on("up", "--profile", "nginx", "--namespace", space, *QUICK).code == 0
    command = [sys.executable, "-m", "invoke", "status", "--namespace", space, "--watch", "--output", "json"]
    with subprocess.Popen(
        command,
        cwd=project,
        env=environment(tmp_path, plane),
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
    ) as watching:
        try:
            assert watching.stdout is not None
            assert json.loads(watching.stdout.readline())["releases"][0]["verdict"]["status"] == "current"
            kube.patch(ObjectRef("apps", "StatefulSet", space, "web"), {"spec": {"replicas": 2}}, field_manager="ann")
            while json.loads(watching.stdout.readline())["releases"][0]["sets"][0]["ready"] != 2:
                pass
            os.killpg(watching.pid, signal.SIGINT)
            watching.stdout.read()
            assert watching.wait(30) in (0, 1)
        finally:
            watching.kill()


def test_on_a_terminal_it_is_a_table(project: Path, plane: Path, space: str, invoke_on: Invoke, tmp_path: Path) -> None:
    assert invoke_on("up", "--profile", "nginx", "--namespace", space, *QUICK).code == 0
    command = ["-m", "invoke", "status", "--namespace", space, "--watch"]
    env = {**environment(tmp_path, plane), "TERM": "xterm-256color"}
    child = pexpect.spawn(
        sys.executable, command, cwd=str(project), env=env, encoding="utf-8", timeout=60, dimensions=(40, 200)
    )
    child.expect("REVISION")
    child.expect("web-0")
    child.sendintr()
    child.expect(pexpect.EOF)
    child.close()
    assert child.exitstatus == 0
