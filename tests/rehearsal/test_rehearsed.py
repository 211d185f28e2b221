"""Rehearsals in this process: what `up` says of every scenario that comes with berth, and what the timeline tells."""

from __future__ import annotations

import gc
import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from berth.cli.program import main
from berth.rehearsal.scenariofile import builtin

pytestmark = pytest.mark.rehearsal


@dataclass(frozen=True, slots=True)
class Told:
    """What a rehearsal ended with, and said: of the action, and of what came of it."""

    code: int
    said: str
    timeline: Any

    @property
    def moments(self) -> list[str]:
        return [f"{moment['kind']}/{moment['name']}: {moment['event']}" for moment in self.timeline["moments"]]

    def has(self, words: str) -> bool:
        return any(words in moment for moment in self.moments)


Rehearse = Callable[..., Told]


@pytest.fixture
def rehearse(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> Rehearse:
    """`berth rehearse --profile nginx WORDS -- ACTION`, where there is no cluster at all."""
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("KUBECONFIG", raising=False)
    monkeypatch.chdir(tmp_path)

    def run(action: str, *words: str, profile: str = "nginx") -> Told:
        command = ["berth", "rehearse", "--profile", profile, *words, "--output", "json", "--", *action.split()]
        monkeypatch.setattr("sys.argv", command)
        try:
            main(command)
            code = 0
        except SystemExit as end:
            code = int(end.code or 0)
        shown = capsys.readouterr()
        return Told(code, shown.err, json.loads(shown.out or "null"))

    return run


def cause(told: Told) -> str:
    """The line in which `up` says what went wrong, behind the last news of the ordinals."""
    lines = told.said.splitlines()
    table = next(number for number, line in enumerate(lines) if line.split()[:2] == ["POD", "STAGE"])
    return next(line.strip() for line in reversed(lines[:table]) if line[:3] != "   " and ": " in line)


@pytest.mark.parametrize(
    ("scenario", "action", "code", "said", "told"),
    [
        (
            "image-pull",
            "up",
            1,
            'ImagePullBackOff: web-1: image nginx:1.29 cannot be pulled: Failed to pull image "nginx:1.29"',
            "Pod/web-1: failing: ImagePullBackOff, nginx:1.29",
        ),
        (
            "crash-after-upgrade",
            "up then up --set image.tag=1.28.1",
            1,
            "CrashLoopBackOff: web-1: container nginx ended with exit code 1",
            "Pod/web-1: restart 3: nginx ended with exit code 1",
        ),
        (
            "claim-pending",
            "up",
            1,
            "Provisioning: claim www-web-1 is not provisioned: failed to provision volume with StorageClass",
            "PersistentVolumeClaim/www-web-1: failed to provision volume",
        ),
        (
            "node-lost",
            "up then up --set image.tag=17.2",
            1,
            "Terminating: postgres-1 is stopping, and its grace period is over",
            "Node/berth-node-2: lost: its kubelet does not answer",
        ),
        (
            "probe-fails",
            "up --timeout 90s",
            4,
            "NotReady: web-0 runs and is not ready yet: Readiness probe failed",
            "Pod/web-0: no longer ready",
        ),
        (
            "quota",
            "up then up --set image.tag=1.28.1",
            1,
            'Quota: web-1 is refused: pods "web-1" is forbidden: exceeded quota',
            "StatefulSet/web: Create Pod web-1 in StatefulSet web failed error",
        ),
    ],
)
def test_failures_are_named(rehearse: Rehearse, scenario: str, action: str, code: int, said: str, told: str) -> None:
    # A web server is back before the node is gone; a database waits for each of its pods for ten seconds.
    profile = "postgres" if scenario == "node-lost" else "nginx"
    done = rehearse(action, "--scenario", scenario, profile=profile)
    assert (done.code, cause(done)[: len(said)]) == (code, said)
    assert done.has(told), done.moments
    assert scenario in done.timeline["title"]


def test_a_crash_shows_the_last_lines_of_the_container(rehearse: Rehearse) -> None:
    done = rehearse("up then up --set image.tag=1.28.1", "--scenario", "crash-after-upgrade")
    assert "    | fatal: the data directory was written by an older release, which this one cannot read" in done.said


def test_a_quota_that_is_there_before_is_said_before_anything_is_written(rehearse: Rehearse) -> None:
    done = rehearse("up", "--scenario", "quota")
    assert done.code == 1
    assert (
        "error: quota rehearsal would be exceeded: pods is limited to 1, 0 is used, and this needs 2 more" in done.said
    )
    assert not done.has("StatefulSet")


def test_a_slow_start_is_waited_for(rehearse: Rehearse) -> None:
    done = rehearse("up", "--scenario", "slow-start")
    assert done.code == 0
    assert "still waiting after 30s without progress: StatefulSet/web" in done.said
    assert "  web-0 is in its init container welcome-page" in done.said
    assert "web is current: 2 ready" in done.said
    assert 280 < done.timeline["seconds"] < 300


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_an_api_under_strain_is_not_noticed(rehearse: Rehearse) -> None:
    done = rehearse("up", "--scenario", "api-faults")
    assert done.code == 0 and "nginx: web is current: 2 ready" in done.said
    assert [one for one in done.moments if "created with" in one] == [
        "Pod/web-0: created with nginx:1.29, revision 75c974858b",
        "Pod/web-1: created with nginx:1.29, revision 75c974858b",
    ]
    gc.collect()  # Connections that were cut are not closed by those who cut them.


def test_a_drain_after_the_action_moves_the_pod(rehearse: Rehearse) -> None:
    done = rehearse("up", "--scenario", "drain")
    assert done.code == 0 and not done.has("cordoned")
    assert "the scenario has more in store: berth-node-1 is drained at 30 s (--watch" in done.said
    longer = rehearse("up", "--scenario", "drain", "--watch", "15m")
    assert "more in store" not in longer.said
    at = longer.moments.index("Node/berth-node-1: cordoned")
    assert longer.moments[at + 1 : at + 3] == ["Pod/web-0: stopping", "Scenario/: berth-node-1 is drained"]
    assert "Pod/web-0: scheduled to berth-node-3" in longer.moments[at:]
    assert longer.moments[-1] == "Scenario/: berth-node-1 takes pods again"


def test_every_scenario_that_comes_with_berth_is_tried_here() -> None:
    text = Path(__file__).read_text(encoding="utf-8")
    assert [name for name in builtin() if f'"{name}"' not in text] == []


@pytest.mark.parametrize("profile", ["nginx", "httpd", "postgres", "zookeeper", "cassandra"])
def test_every_profile_comes_up_and_goes(rehearse: Rehearse, profile: str) -> None:
    again = rehearse("up then plan --exit-code", profile=profile)
    assert again.code == 0 and again.moments == [], "a second time there is nothing to do"
    gone = rehearse("teardown --data delete --volumes delete", profile=profile)
    assert gone.code == 0 and "nothing is left" in gone.said
    stopping = [one for one in gone.moments if one.endswith(": stopping")]
    assert stopping == sorted(stopping, reverse=True), "in reverse order"


def test_the_same_rehearsal_is_the_same_timeline(rehearse: Rehearse) -> None:
    one, two = (rehearse("up then up --set replicas=3", "--env", "dev") for _ in range(2))
    assert one.timeline == two.timeline
    assert one.has("StatefulSet/web: scaled from 2 to 3")


def test_no_time_passes_while_the_action_thinks(rehearse: Rehearse) -> None:
    done = rehearse("up", profile="postgres")
    assert done.timeline["moments"][0]["seconds"] == 0
    assert 30 <= done.timeline["seconds"] < 32, "three pods, of which each must be ready for ten seconds"


def test_secret_values_are_nowhere(rehearse: Rehearse, tmp_path: Path) -> None:
    done = rehearse("up --set labels.team=s3cr3t", "--picture", "a.html", profile="postgres")
    kept = json.dumps(done.timeline) + (tmp_path / "a.html").read_text(encoding="utf-8") + done.said
    assert done.timeline["title"] == "postgres: up --set labels.team=..."
    assert "s3cr3t" not in kept
