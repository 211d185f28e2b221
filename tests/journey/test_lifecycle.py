"""The life of a release as a person lives it: whole commands on the local control plane."""

from __future__ import annotations

import gzip
import json
import os
import signal
import subprocess
import sys
from base64 import b64decode, b64encode
from pathlib import Path

import pexpect
import pytest

from berth.cluster.kube import Kube
from berth.core.objects import ObjectRef
from tests.contract.support import kubernetes_only, leftovers, pods
from tests.journey.conftest import Invoke, environment

pytestmark = pytest.mark.journey

QUICK = ("--set", "minReadySeconds=0")


def test_up_again_down(invoke_on: Invoke, kube: Kube, space: str) -> None:
    here = ("--namespace", space)
    plan = invoke_on("plan", "--profile", "nginx", *here, *QUICK, "--exit-code")
    assert plan.code == 5 and "+ StatefulSet/web" in plan.out and "7 to create" in plan.out
    assert leftovers(kube, space) == []

    fresh = invoke_on("up", "--profile", "nginx", *here, *QUICK)
    assert fresh.code == 0, fresh.err
    lines = fresh.out.splitlines()
    assert lines[0].startswith("target: context") and lines[-1].startswith("target: context")
    assert "recap: nginx  ok=7 changed=7 failed=0 skipped=0" in fresh.out
    assert "nginx: web is current: 2 ready" in fresh.out

    again = invoke_on("up", "--profile", "nginx", *here, *QUICK)
    assert again.code == 0 and "changed=0" in again.out
    assert invoke_on("plan", "--profile", "nginx", *here, *QUICK, "--exit-code").code == 0
    changed = invoke_on("up", "--check", "--profile", "nginx", *here, *QUICK, "--set", "replicas=3")
    assert "spec.replicas: 2 -> 3" in changed.out

    down = invoke_on("teardown", "--profile", "nginx", *here)
    assert down.code == 0 and "kept" in down.out
    assert f"invoke teardown --name nginx --namespace {space} --context " in down.out
    gone = invoke_on("teardown", "--profile", "nginx", *here, "--data", "delete")
    assert gone.code == 0 and "torn down, nothing is left" in gone.out
    assert leftovers(kube, space) == []


def test_json_is_one_object_a_line_and_nothing_else(invoke_on: Invoke, space: str) -> None:
    result = invoke_on("up", "--profile", "nginx", "--namespace", space, *QUICK, "--output", "json")
    events = [json.loads(line) for line in result.out.splitlines()]
    assert [events[0]["event"], events[-1]["event"]] == ["TargetChosen", "ReleaseDone"]
    assert events[-1]["succeeded"] is True and not result.err


def test_the_namespace_is_ours_from_the_first_to_the_last(invoke_on: Invoke, kube: Kube, space: str) -> None:
    new = f"{space}-new"
    assert invoke_on("up", "--profile", "nginx", "--namespace", new, *QUICK).code == 0
    live = kube.get(ObjectRef("", "Namespace", "", new))
    assert live is not None and live["metadata"]["labels"]["app.kubernetes.io/managed-by"] == "berth"
    assert invoke_on("teardown", "--all", "--namespace", new, "--data", "delete").code == 0
    live = kube.get(ObjectRef("", "Namespace", "", new))
    assert live is None or "deletionTimestamp" in live["metadata"]


def test_no_secret_is_printed(invoke_on: Invoke, kube: Kube, space: str) -> None:
    """Not in plans, events, errors or the record."""
    arguments = ("--profile", "postgres", "--namespace", space, *QUICK, "--set", "replicas=1")
    said = [
        invoke_on("up", *arguments, "--output", "json"),
        invoke_on("plan", *arguments, "--set", "settings.work_mem=9MB"),
        invoke_on("render", *arguments),
    ]
    secret = kube.get(ObjectRef("", "Secret", space, "postgres-auth"))
    record = kube.get(ObjectRef("", "Secret", space, "berth.release.postgres"))
    assert secret is not None and record is not None
    made = [b64decode(value).decode() for value in secret["data"].values()]
    assert made and all(len(value) >= 24 for value in made)
    recorded = gzip.decompress(b64decode(next(iter(record["data"].values())))).decode()
    for text in [recorded, *(part for result in said for part in (result.out, result.err))]:
        assert not any(value in text or b64encode(value.encode()).decode() in text for value in made)


def start(project: Path, plane: Path, home: Path, *arguments: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "invoke", *arguments],
        cwd=project,
        env={**environment(home, plane), "PYTHONUNBUFFERED": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )


@kubernetes_only  # At the instant pace there is no time to press a key.
@pytest.mark.parametrize("after", ["created", "claim", "ready"])
def test_ctrl_c_stops_cleanly(
    project: Path, plane: Path, tmp_path_factory: pytest.TempPathFactory, kube: Kube, space: str, after: str
) -> None:
    slow = ("up", "--profile", "nginx", "--namespace", space, "--set", "minReadySeconds=2")
    process = start(project, plane, tmp_path_factory.mktemp("home"), *slow)
    assert process.stdout is not None
    for line in process.stdout:
        if after in line.split():
            os.killpg(process.pid, signal.SIGINT)
            break
    out, err = process.communicate(timeout=60)
    assert process.returncode == 130, err
    assert "interrupted" in err and "created" in err and "run the same command again" in err
    assert "Traceback" not in err and "target: " in out.splitlines()[-1]
    assert not kube.list("coordination.k8s.io", "Lease", space).items


@pytest.mark.parametrize("after", ["target:", "phase", "created", "claim", "ready"])
def test_sigkill_and_then_a_run_that_converges(
    invoke_on: Invoke, project: Path, plane: Path, tmp_path_factory: pytest.TempPathFactory, kube: Kube, space: str,
    after: str,
) -> None:  # fmt: skip
    arguments = ("up", "--profile", "nginx", "--namespace", space, *QUICK)
    process = start(project, plane, tmp_path_factory.mktemp("home"), *arguments)
    assert process.stdout is not None
    for line in process.stdout:
        if after in line.split():
            os.killpg(process.pid, signal.SIGKILL)
            break
    process.communicate(timeout=60)
    again = invoke_on(*arguments)
    assert again.code == 0, again.err
    assert set(pods(kube, space)) == {"web-0", "web-1"}
    assert invoke_on("teardown", "--profile", "nginx", "--namespace", space, "--data", "delete").code == 0
    assert leftovers(kube, space) == []


def test_a_terminal_is_asked_what_becomes_of_the_data(
    invoke_on: Invoke, project: Path, plane: Path, tmp_path_factory: pytest.TempPathFactory, kube: Kube, space: str
) -> None:
    assert invoke_on("up", "--profile", "nginx", "--namespace", space, *QUICK).code == 0
    environ = environment(tmp_path_factory.mktemp("home"), plane)
    arguments = ["-m", "invoke", "teardown", "--profile", "nginx", "--namespace", space]

    def session() -> pexpect.spawn[str]:
        return pexpect.spawn(
            sys.executable, arguments, cwd=str(project), env=environ, encoding="utf-8", timeout=60, dimensions=(40, 160)
        )

    child = session()
    child.expect("www-web-0")
    child.expect(r"keep it, or delete it for good\? \[keep/delete\]")
    child.sendline("perhaps")
    child.expect("nothing was done")
    child.expect(pexpect.EOF)
    assert set(pods(kube, space)) == {"web-0", "web-1"}

    child = session()
    child.expect(r"\[keep/delete\]")
    child.sendline("delete")
    child.expect("torn down, nothing is left")
    child.expect(pexpect.EOF)
    child.close()
    assert child.exitstatus == 0
    assert leftovers(kube, space) == []


def test_with_nothing_named_the_releases_are_listed_and_one_is_asked_for(
    invoke_on: Invoke, project: Path, plane: Path, tmp_path_factory: pytest.TempPathFactory, kube: Kube, space: str
) -> None:
    for name in ("one", "two"):
        arguments = ("--profile", "nginx", "--name", name, "--namespace", space, *QUICK, "--set", "replicas=1")
        assert invoke_on("up", *arguments).code == 0
    unasked = invoke_on("teardown")
    assert unasked.code == 2 and f"{space}/one" in unasked.err and f"{space}/two" in unasked.err
    several = invoke_on("teardown", "--profile", "nginx", "--namespace", space)
    assert several.code == 2 and "several releases" in several.err
    assert set(pods(kube, space)) == {"one-web-0", "two-web-0"}

    environ = environment(tmp_path_factory.mktemp("home"), plane)
    child = pexpect.spawn(
        sys.executable, ["-m", "invoke", "teardown", "--data", "delete"], cwd=str(project), env=environ,
        encoding="utf-8", timeout=60, dimensions=(60, 160),
    )  # fmt: skip
    child.expect(f"{space}/two")
    child.expect("which one is to be taken down")
    child.sendline(f"{space}/one")
    child.expect("torn down, nothing is left")
    child.expect(pexpect.EOF)
    assert set(pods(kube, space)) == {"two-web-0"}
