"""When a ZooKeeper member counts as ready, with an ensemble that a table plays."""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

pytestmark = pytest.mark.unit

Render = Callable[..., Any]
#: Runs ready.sh, with what each host answers to each word, and the seconds since the start.
Ready = Callable[..., subprocess.CompletedProcess[str]]

_SERVES = {"ruok": "imok", "srvr": "Mode: follower", "mntr": "zk_server_state\tfollower\nzk_quorum_size\t3"}
_LOOKS = {"ruok": "imok", "srvr": "This ZooKeeper instance is not currently serving requests", "mntr": "none"}


@pytest.fixture
def ready(render: Render, tmp_path: Path) -> Ready:
    def run(
        answers: dict[str, dict[str, str]], age: int = 60, policy: str = "Parallel", names: tuple[str, ...] = ("zk",)
    ) -> subprocess.CompletedProcess[str]:
        out = render("zookeeper", None, f"podManagementPolicy={policy}", "replicas=4", "allowEven=true")
        for name, text in out.one("ConfigMap")["data"].items():
            moved = text.replace("/scripts/", f"{tmp_path}/").replace("/conf/", f"{tmp_path}/")
            (tmp_path / name).write_text(moved, encoding="utf-8")
        config, table = tmp_path / "zoo.cfg", tmp_path / "table"
        config.touch()
        os.utime(config, (time.time() - age, time.time() - age))
        table.mkdir()
        for host, words in answers.items():
            for word, text in words.items():
                (table / f"{host}-{word}").write_text(text + "\n", encoding="utf-8")
        _program(tmp_path / "nc", f'host=${{@: -2:1}}; cat "{table}/${{host%%.*}}-$(cat)" 2> /dev/null')
        _program(tmp_path / "getent", f'case "{" ".join(names)}" in *${{2%%.*}}*) exit 0;; esac; exit 2')
        environment = {"PATH": f"{tmp_path}:{os.environ['PATH']}", "ZOO_SERVERS": str(out.env()["ZOO_SERVERS"])}
        return subprocess.run(
            ["bash", str(tmp_path / "ready.sh")], env=environment, capture_output=True, text=True, timeout=30
        )

    return run


def _program(path: Path, script: str) -> None:
    path.write_text(f"#!/bin/bash\n{script}\n", encoding="utf-8")
    path.chmod(0o755)


def test_a_member_of_the_quorum_is_ready(ready: Ready) -> None:
    """And it says what it is there."""
    done = ready({"localhost": _SERVES})
    assert (done.returncode, done.stdout) == (0, "follower\n")


def test_without_a_quorum_it_says_what_is_missing(ready: Ready) -> None:
    """How many are needed, and who is alive."""
    done = ready({"localhost": _LOOKS, "zookeeper-0": _LOOKS, "zookeeper-2": _LOOKS})
    assert done.returncode == 1
    assert "for which 3 of 4 members are needed; alive: zookeeper-0 zookeeper-2" in done.stderr


@pytest.mark.parametrize(("size", "age", "code"), [("3", 60, 0), ("3", 5, 1), ("4", 60, 1)])
def test_it_waits_for_members_of_another_ensemble(ready: Ready, size: str, age: int, code: int) -> None:
    """They serve as three, and this one knows four: it is ready after a while, else they would never be restarted."""
    others = {**_SERVES, "mntr": f"zk_quorum_size\t{size}"}
    done = ready({"localhost": _LOOKS, "zookeeper-3": _LOOKS, "zookeeper-0": others, "zookeeper-1": others}, age)
    assert done.returncode == code
    assert ("waits for the members that serve as an ensemble of 3, and not of 4 yet" in done.stdout) is (code == 0)


def test_one_that_does_not_answer_is_not_ready(ready: Ready) -> None:
    """Whatever the others are."""
    assert ready({"zookeeper-0": _SERVES}).returncode == 1


@pytest.mark.parametrize(("policy", "code"), [("OrderedReady", 0), ("Parallel", 1)])
def test_one_after_the_other(ready: Ready, policy: str, code: int) -> None:
    """A member that answers is ready while another one does not exist, where they start one by one."""
    assert ready({"localhost": _LOOKS}, policy=policy, names=("zookeeper-0",)).returncode == code


def test_a_whole_ensemble_needs_its_quorum_under_either_policy(ready: Ready) -> None:
    """No member is missing, so that none is ready without the others."""
    names = tuple(f"zookeeper-{member}" for member in range(4))
    assert ready({"localhost": _LOOKS}, policy="OrderedReady", names=names).returncode == 1
