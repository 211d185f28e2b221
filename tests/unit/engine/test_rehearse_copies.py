"""What a rehearsal copies from a live cluster: Secrets without any of their values."""

from __future__ import annotations

import pytest

from berth.cli.rehearse import _emptied

pytestmark = pytest.mark.unit


def test_a_secret_comes_without_values_also_those_that_kubectl_keeps() -> None:
    applied = {
        "kubectl.kubernetes.io/last-applied-configuration": '{"data": {"password": "aHVudGVyMg=="}}',
        "team": "a",
    }
    body = {"kind": "Secret", "metadata": {"name": "s", "annotations": applied}, "data": {"password": "aHVudGVyMg=="}}
    made = _emptied(body)
    assert made["data"] == {"password": ""}
    assert made["metadata"]["annotations"] == {"team": "a"}
    assert "aHVudGVyMg" not in str(made) and body["data"] == {"password": "aHVudGVyMg=="}
