"""nginx in real containers."""

from __future__ import annotations

import pytest

from tests.node.conftest import OpenSpace
from tests.node.support import Space, promise

pytestmark = pytest.mark.node


@pytest.fixture(scope="module")
def space(open_space: OpenSpace) -> Space:
    opened = open_space("nginx")
    opened.up("nginx")
    return opened


@promise("`web-0.nginx` answers on port 80 with the pod's own page", on="nginx, CoreDNS")
def test_a_pod_answers_under_its_own_name(space: Space) -> None:
    look = space.client()
    assert "web-0" in look("wget -qO- web-0.nginx")


@promise("A stop is clean: exit code 0 within the grace period", on="nginx, kubelet")
def test_a_stop_is_clean(space: Space) -> None:
    ended = space.stopped("web-1", "nginx", lambda: space.kubectl("delete", "pod", "web-1", "--wait=false"))
    assert ended["exitCode"] == 0
