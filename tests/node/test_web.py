"""nginx in real containers."""

from __future__ import annotations

import pytest

from tests.node.conftest import OpenSpace
from tests.node.support import Space

pytestmark = pytest.mark.node


@pytest.fixture(scope="module")
def space(open_space: OpenSpace) -> Space:
    opened = open_space("nginx")
    opened.up("nginx")
    return opened


def test_a_pod_answers_under_its_own_name(space: Space) -> None:
    look = space.client()
    assert "web-0" in look("wget -qO- web-0.nginx")


def test_a_stop_is_clean(space: Space) -> None:
    ended = space.stopped("web-1", "nginx", lambda: space.kubectl("delete", "pod", "web-1", "--wait=false"))
    assert ended["exitCode"] == 0
