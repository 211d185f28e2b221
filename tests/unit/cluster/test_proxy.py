from __future__ import annotations

import pytest

from berth.cluster.proxy import environment_proxy

pytestmark = pytest.mark.unit


@pytest.mark.parametrize(
    ("server", "no_proxy", "used"),
    [
        ("https://api.example:6443", "", True),
        ("https://api.example:6443", "*", False),
        ("https://api.example:6443", "api.example", False),
        ("https://api.example:6443", "example", False),
        ("https://api.example:6443", ".example", False),
        ("https://example:6443", ".example", True),
        ("https://example:6443", "example:6443", False),
        ("https://example:6443", "example:443", True),
        ("https://10.1.2.3", "10.0.0.0/8, other", False),
        ("https://11.1.2.3", "10.0.0.0/8", True),
        ("https://127.0.0.1:6443", "", False),
        ("https://localhost:6443", "", False),
        ("http://api.example", "", False),
    ],
)
def test_no_proxy(server: str, no_proxy: str, used: bool) -> None:
    environ = {"https_proxy": "http://proxy.example:3128", "NO_PROXY": no_proxy}
    assert bool(environment_proxy(server, environ)) is used
