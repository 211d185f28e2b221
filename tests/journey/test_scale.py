"""`invoke scale` as a person meets it: what it prints, how it ends, what it says of a typing error."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.journey.conftest import Invoke

pytestmark = pytest.mark.journey


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ([], ["how many pods?", "--replicas 3"]),
        (["--replicas", "-1", "--name", "x"], ["--replicas -1 is no number of pods", "0 or more"]),
        (["--replicas", "three", "--name", "x"], ["--replicas three is no number of pods"]),
        (["--replicas", "1.5", "--name", "x"], ["--replicas 1.5 is no number of pods"]),
        (["--replicas", "²", "--name", "x"], ["is no number of pods"]),
        (["--replicas", "3"], ["which release?", "--name NAME, or --profile NAME"]),
        (["--replicas", "3", "--name", "x", "--profile", "nginx"], ["which release?"]),
        (["--replicas", "3", "--name", "x", "--output", "yaml"], ["--output yaml"]),
    ],
)
def test_what_is_wrong_is_said_before_a_cluster_is_looked_for(
    invoke: Invoke, arguments: list[str], said: list[str]
) -> None:
    done = invoke("scale", *arguments)
    assert done.code == 2 and all(text in done.err for text in said), done.err
    assert "starting" not in done.err


def test_a_release_is_scaled_by_its_profile_or_its_name(invoke_on: Invoke, space: str, plane: Path) -> None:
    here = ("--namespace", space)
    up = ("up", "--profile", "nginx", "--env", "dev", "--name", "shop", "--set", "labels.team=sea")
    assert invoke_on(*up, *here).code == 0
    done = invoke_on("scale", "--name", "shpo", "--replicas", "3", *here)
    assert done.code == 2 and "no release shpo" in done.err and "did you mean 'shop'?" in done.err
    done = invoke_on("scale", "--profile", "nginx", "--replicas", "3", "--check", *here)
    assert done.code == 0 and "spec.replicas: 2 -> 3" in done.out and "team" not in done.out
    done = invoke_on("scale", "--profile", "nginx", "--replicas", "3", "--output", "json", *here)
    events = [json.loads(line) for line in done.out.splitlines()]
    assert done.code == 0 and events[-1]["event"] == "ReleaseDone" and "3 ready" in events[-1]["verdict"]
    done = invoke_on("scale", "--name", "shop", "--replicas", "3", *here)
    assert done.code == 0 and "StatefulSet/shop-web has 3 pods already; nothing to do" in done.out
    done = invoke_on("scale", "--name", "shop", "--replicas", "3", "--discard-claims", "www-shop-web-0", *here)
    assert done.code == 2 and "no claim is discarded" in done.err
    done = invoke_on("scale", "--name", "shop", "--replicas", "1", *here)
    assert done.code == 0 and "www-shop-web-2 (scaled away)" in done.out and "kept: the claim stays" in done.out
    assert "put `replicas: 1` there" in done.out
    assert invoke_on("teardown", "--name", "shop", "--data", "keep", *here).code == 0
    done = invoke_on("scale", "--name", "shop", "--replicas", "1", *here)
    assert done.code == 1 and "was taken down" in done.err
