"""`rollout` in real containers: the engine's own word decides whether the next ordinal goes."""

from __future__ import annotations

import pytest

from tests.node.conftest import OpenSpace
from tests.node.support import Space, promise

pytestmark = [pytest.mark.node, pytest.mark.slow]

#: The web servers of nginx, which are not ready while a file in their volume says so.
PROFILE = r"""
name: shop
description: The web servers of a shop
version: "1.0.0"
extends: nginx
templates: ["nginx/*.yaml"]
operations:
  ready:
    command: [sh, -c, 'cd /usr/share/nginx/html; test ! -e sick || { echo "sick: $(cat sick)" >&2; exit 4; }']
  role: {command: [sh, -c, '[ "$HOSTNAME" = web-2 ] && echo primary || echo standby'], container: nginx}
rollout: {last: primary}
"""
PAGES = "/usr/share/nginx/html"


@pytest.fixture(scope="module")
def space(open_space: OpenSpace) -> Space:
    opened = open_space("roll")
    (opened.home / "profiles").mkdir()
    (opened.home / "profiles/shop.yaml").write_text(PROFILE)
    opened.up("shop", "--set", "minReadySeconds=0", "--set", "replicas=3")
    opened.shell("web-2", f"echo kept > {PAGES}/kept")
    return opened


def uids(space: Space) -> list[str]:
    return [space.pod(f"web-{ordinal}")["metadata"]["uid"] for ordinal in range(3)]


@promise("A canary whose operation `ready` fails holds the rollout, and no other pod is touched", on="nginx, exec")
def test_the_engine_holds_a_rollout(space: Space) -> None:
    before = uids(space)
    space.shell("web-2", f"echo fever > {PAGES}/sick")
    grace = ("--set", "terminationGracePeriodSeconds=31")
    held = space.berth("rollout", "--profile", "shop", *grace, "--canary", "1", "--patience", "5s", code=1)
    assert "operation ready: failed in web-2: exit code 4" in held.out and "| sick: fever" in held.out
    assert "the rollout of shop is held: 1 of 3 pods are of the newest revision, partition 2" in held.err
    after = uids(space)
    assert after[:2] == before[:2] and after[2] != before[2]
    assert space.shell("web-2", f"cat {PAGES}/kept") == "kept"

    space.shell("web-2", f"rm {PAGES}/sick")
    done = space.berth("rollout.promote", "--profile", "shop", "--soak", "2s")
    passed = [line for line in done.out.splitlines() if "operation ready: passed on 3 pods of web" in line]
    # Before the first, and after the soak of each of the three steps.
    assert len(passed) >= 5
    assert [line.split("partition ")[1] for line in done.out.splitlines() if "(partition" in line] == ["1)", "0)"]
    assert not set(uids(space)) & set(before)


@promise("A canary with an image that does not exist goes back by itself with --auto-undo, its claim kept", on="nginx")
def test_a_canary_goes_back(space: Space) -> None:
    before = uids(space)
    arguments = ("--profile", "shop", "--set", "image.tag=nope", "--auto-undo", "--patience", "5s")
    failed = space.berth("rollout", *arguments, code=1)
    assert "release shop went back to what it was before" in failed.err
    assert "deleted    Pod/web-2" in failed.out and "operation ready: passed on 3 pods of web" in failed.out
    after = uids(space)
    assert after[:2] == before[:2] and after[2] != before[2]
    assert space.shell("web-2", f"cat {PAGES}/kept") == "kept"


@promise("`rollout.restart` takes the pod that calls itself the primary last", on="nginx, exec")
def test_the_primary_restarts_last(space: Space) -> None:
    done = space.berth("rollout.restart", "--profile", "shop")
    restarted = [line.split("Pod/")[1].split()[0] for line in done.out.splitlines() if "deleted    Pod/" in line]
    assert restarted == ["web-1", "web-0", "web-2"]
