"""Scaling with operations in real containers: what a profile's author gets without Python."""

from __future__ import annotations

import subprocess
import sys

import pytest

from berth.core.objects import UNUSABLE_ANNOTATION, dig
from tests.node.conftest import OpenSpace
from tests.node.support import Space, promise

pytestmark = pytest.mark.node

#: Web servers of somebody's own that have something to do when one goes or comes; files on their volumes say what.
PROFILE = r"""
name: shelf
description: Web servers that say goodbye
version: "1.0.0"
extends: nginx
templates: ["nginx/*.yaml"]
values: {minReadySeconds: 0, terminationGracePeriodSeconds: 2}
operations:
  beforeScaleDown:
    command:
      - sh
      - -c
      - |
        cd /usr/share/nginx/html
        [ ! -e slow ] || sleep 20
        [ ! -e refuse ] || { echo "still lends $(cat refuse)" >&2; exit 3; }
        echo "$HOSTNAME said goodbye" | tee goodbye
    container: nginx
    timeout: 60s
    pods: condemned
    step: 1
    claims: unusable
    description: Lends its books to the others
  afterScaleDown:
    command: [sh, -c, 'echo one went >> /usr/share/nginx/html/diary']
    container: nginx
    pods: each
  afterScaleUp:
    command: [sh, -c, 'echo one came >> /usr/share/nginx/html/diary']
    container: nginx
    pods: others
    step: 1
"""


@pytest.fixture(scope="module")
def shared(open_space: OpenSpace) -> Space:
    opened = open_space("scale")
    (opened.home / "profiles").mkdir()
    (opened.home / "profiles/shelf.yaml").write_text(PROFILE)
    opened.up("shelf", "--set", "replicas=2")
    return opened


@pytest.fixture
def space(shared: Space) -> Space:
    """Two servers, each with an empty diary, and no claim but theirs."""
    scale(shared, 2, "--force", code=None)
    for name in sorted(shared.claims().keys() - {"www-web-0", "www-web-1"}):
        shared.kubectl("delete", "pvc", name)
    for pod in ("web-0", "web-1"):
        shared.shell(pod, "cd /usr/share/nginx/html; rm -f slow refuse goodbye diary")
    return shared


def scale(space: Space, replicas: int, *arguments: str, code: int | None = 0) -> str:
    patient = ("--patience", "5m")  # New volumes take their time on a busy machine.
    done = space.berth("scale", "--profile", "shelf", "--replicas", str(replicas), *patient, *arguments, code=code)
    return done.text


def diary(space: Space, pod: str) -> list[str]:
    return space.shell(pod, "cat /usr/share/nginx/html/diary 2> /dev/null || true").splitlines()


def uids(space: Space) -> dict[str, str]:
    listed = space.kube.list("", "Pod", space.name).items
    return {pod["metadata"]["name"]: pod["metadata"]["uid"] for pod in listed}


def mark(space: Space, claim: str) -> str:
    return str(dig(space.claims()[claim], "metadata", "annotations", UNUSABLE_ANNOTATION, default=""))


@promise(
    "Scaling goes one ordinal at a time where the profile says so, with its operations run before and after each",
    on="kubelet, containerd, nginx, StatefulSet controller",
)
def test_operations_around_each_step(space: Space) -> None:
    said = scale(space, 4)
    assert said.index("2 -> 3 pods") < said.index("3 -> 4 pods") < said.index("recap:")
    pages = [diary(space, f"web-{ordinal}") for ordinal in range(4)]
    assert pages == [["one came"] * 2, ["one came"] * 2, ["one came"], []], "in all but the new one, each time"
    said = scale(space, 2)
    assert said.count("operation beforeScaleDown: passed on 1 pod of web") == 2
    assert diary(space, "web-0") == ["one came"] * 2 + ["one went"] * 2
    assert sorted(uids(space)) == ["web-0", "web-1"]
    assert "Lends its books" in mark(space, "www-web-2") and mark(space, "www-web-3") and not mark(space, "www-web-1")


@promise(
    "Where beforeScaleDown fails, its output is shown, and set, pods and claims stay as they were",
    on="kubelet, containerd, nginx",
)
def test_a_refusal_leaves_all_as_it_was(space: Space) -> None:
    space.shell("web-1", "echo 12 books > /usr/share/nginx/html/refuse")
    before, body = uids(space), space.get("apps", "StatefulSet", "web")
    said = scale(space, 1, code=1)
    assert "operation beforeScaleDown: failed in web-1: exit code 3" in said and "still lends 12 books" in said
    after = space.get("apps", "StatefulSet", "web")
    assert body and after and after["metadata"]["generation"] == body["metadata"]["generation"]
    assert uids(space) == before and not mark(space, "www-web-1")
    assert "still lends" in space.up("shelf", "--set", "replicas=1", code=1).text, "and up does the same"
    assert uids(space) == before


@promise(
    "A claim that must not come back is refused, can be discarded by its name, or is taken again when told so",
    on="kubelet, containerd, nginx, local-path provisioner",
)
def test_what_must_not_be_used_again(space: Space) -> None:
    scale(space, 3)
    scale(space, 2)
    old = space.claims()["www-web-2"]["spec"]["volumeName"]
    said = scale(space, 3, code=1)
    assert "web-2 would take claim www-web-2, which must not be used again" in said and "--discard-claims" in said
    space.kubectl("annotate", "pvc", "www-web-2", f"{UNUSABLE_ANNOTATION}-")
    assert "web-2 takes claim www-web-2 again" in scale(space, 3)
    assert space.shell("web-2", "cat /usr/share/nginx/html/goodbye") == "web-2 said goodbye"
    scale(space, 2)
    assert "deleted    PersistentVolumeClaim/www-web-2" in scale(space, 3, "--discard-claims", "www-web-2")
    assert space.claims()["www-web-2"]["spec"]["volumeName"] != old
    space.shell("web-2", "test ! -e /usr/share/nginx/html/goodbye")


@promise("Stopped while an operation runs, nothing has changed, and the same command goes on", on="kubelet, nginx")
def test_a_stop_in_the_middle_of_an_operation(space: Space) -> None:
    space.shell("web-1", "touch /usr/share/nginx/html/slow")
    before = uids(space)
    command = [sys.executable, "-m", "berth", "scale", "--profile", "shelf", "--replicas", "1"]
    with subprocess.Popen(
        [*command, "--namespace", space.name],
        cwd=space.home,
        env=space.environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    ) as run:
        assert run.stdout is not None
        said = ""
        for line in run.stdout:
            said += line
            if line.startswith("step 1 of 1"):
                break
        run.terminate()
        said += run.stdout.read()
    assert run.returncode == 130 and "interrupted; nothing was changed" in said, said
    assert uids(space) == before
    space.shell("web-1", "rm /usr/share/nginx/html/slow")
    assert "web is current: 1 ready" in scale(space, 1)
    assert sorted(uids(space)) == ["web-0"]
    space.kubectl("delete", "pvc", "www-web-1")
    scale(space, 2)
