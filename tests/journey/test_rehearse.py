"""`invoke rehearse` as a user types it: what it prints where, its exit codes, and that nothing is left of it."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree

import pytest
import yaml

from tests.contract.support import kubernetes_only
from tests.journey.conftest import Invoke, environment

pytestmark = pytest.mark.journey

TARGET = "target: throw-away rehearsal cluster (simulated; nothing runs in it)"
NGINX = ("rehearse", "--profile", "nginx", "--env", "dev")


@pytest.fixture(autouse=True)
def temporary(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where commands put what they need for a while; of the test's own, so that what is left can be seen."""
    made = tmp_path_factory.mktemp("temporary")
    monkeypatch.setenv("TMPDIR", str(made))
    return made


def test_text(invoke: Invoke, project: Path, temporary: Path) -> None:
    done = invoke(*NGINX, "--picture", "seen.svg", "--", "up", "--set", "replicas=3")
    assert (done.code, done.err) == (0, "picture: seen.svg\n")
    lines = done.out.splitlines()
    end = lines.index("timeline of nginx: up --set replicas=3: 2.1 s of the cluster's time")
    assert (lines[0], lines[end - 2]) == (TARGET, TARGET)
    assert lines[end + 1].endswith("set web          created, 3 pods") and lines[-1].endswith("complete: 3 pods")
    picture = ElementTree.parse(project / "seen.svg").getroot()
    assert picture.tag == "{http://www.w3.org/2000/svg}svg"
    assert not list(temporary.iterdir())
    assert invoke("cluster.status").code == 1, "no rehearsal of the user's was started"


def test_json_alone_on_standard_output(invoke: Invoke) -> None:
    done = invoke(*NGINX, "--output", "json", "--", "up", "then", "teardown", "--data", "delete")
    assert done.code == 0
    timeline = json.loads(done.out)
    assert timeline["title"] == "nginx: teardown --data delete"
    assert {"event": "deleted, and the data with it"}.items() <= timeline["moments"][-1].items()
    assert TARGET in done.err and "first: up" in done.err


def test_words_keep_their_quotes(invoke: Invoke) -> None:
    done = invoke(*NGINX, "--", "up", "--set", "labels.team=a b")
    assert done.code == 2 and "a b" in done.err


def test_the_exit_code_is_that_of_the_last_action(invoke: Invoke) -> None:
    assert invoke(*NGINX, "--", "plan", "--exit-code").code == 5
    failed = invoke(*NGINX, "--scenario", "image-pull", "--", "up", "--patience", "5s")
    assert failed.code == 1 and "failing: ImagePullBackOff, nginx:1.29" in failed.out
    assert invoke(*NGINX, "--scenario", "probe-fails", "--", "up", "--timeout", "20s", "--set", "replicas=5").code in (
        0,
        4,
    )


def test_a_rollout_of_a_release_with_a_name_of_its_own(invoke: Invoke) -> None:
    words = ("--set", "replicas=3", "--name", "shop", "--", "rollout", "--image", "nginx:nope", "--auto-undo")
    done = invoke(*NGINX, *words, "--patience", "5s")
    assert done.code == 1 and "release shop went back to what it was before" in done.err
    made = [line.split("created with ")[1] for line in done.out.splitlines() if "created with" in line]
    assert [one.split(",")[0] for one in made] == ["nginx:nope", "nginx:1.29"]
    assert invoke(*NGINX, "--", "rollout.status").code == 0


def test_a_preparation_that_fails_says_so(invoke: Invoke) -> None:
    done = invoke(*NGINX, "--", "up", "--set", "minReadySeconds=60", "--timeout", "9s", "then", "teardown")
    assert done.code == 1 and done.out == ""
    assert (
        "the rehearsal did not come to its action: up --set minReadySeconds=60 --timeout 9s ended with exit code 4"
        in done.err
    )


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ([], "there is no action to rehearse"),
        (["--"], "there is no action to rehearse"),
        (["--", "up", "then"], "there is an action missing beside 'then'"),
        (["--", "upp"], "'upp' is no action that can be rehearsed"),
        (
            ["--", "lint"],
            "one of: diagnose, drain-check, drift, history, logs, operate, plan, port-forward, "
            "restart, rollback, rollout",
        ),
        (["--", "up", "--context", "x"], "up --context makes no sense in a rehearsal"),
        (["--", "up", "--kubeconfig=x"], "up --kubeconfig makes no sense in a rehearsal"),
        (["--", "up", "--bogus"], "No idea what '--bogus' is"),
        (["--", "up", "--set", "bogus=1"], "bogus: there is no such value"),
        (["--scenario", "imagepull", "--", "up"], "did you mean 'image-pull'?"),
        (["--scenario", "none.yaml", "--", "up"], "there is no scenario 'none.yaml'"),
        (["--pace", "fast", "--", "up"], "there is no pace 'fast'"),
        (["--seed", "x", "--", "up"], "--seed x is no whole number"),
        (["--watch", "soon", "--", "up"], "'soon' is not a duration"),
        (["--output", "yaml", "--", "up"], "--output yaml is not known"),
        (["--picture", "a.png", "--", "up"], "end it in .svg or .html"),
        (["--picture", "nowhere/a.svg", "--", "up"], "the picture's directory does not exist"),
        (["--picture", "dir.svg", "--", "up"], "the picture cannot be written"),
    ],
)
def test_bad_input(invoke: Invoke, project: Path, words: list[str], said: str) -> None:
    (project / "dir.svg").mkdir()
    done = invoke(*NGINX, *words)
    assert (done.code, done.out) == (2, "") and said in done.err, done.err


def test_a_context_that_is_not_there(invoke: Invoke) -> None:
    done = invoke(*NGINX, "--from-context", "nope", "--", "plan")
    assert done.code == 3 and "there is no context 'nope'" in done.err


def test_a_scenario_of_ones_own(invoke: Invoke, project: Path) -> None:
    (project / "slow.yaml").write_text("name: slow\npods: [{start: 20s}]\n")
    done = invoke(*NGINX, "--scenario", "slow.yaml", "--output", "json", "--", "up")
    assert done.code == 0 and json.loads(done.out)["seconds"] > 40
    (project / "wrong.yaml").write_text("name: wrong\npodz: []\n")
    wrong = invoke(*NGINX, "--scenario", "wrong.yaml", "--", "up")
    assert wrong.code == 2 and "wrong.yaml:2" in wrong.err


def test_a_hint_names_a_command_that_works(invoke: Invoke) -> None:
    done = invoke(*NGINX, "--", "teardown")
    hint = next(line for line in done.out.splitlines() if "this deletes it: " in line)
    words = hint.partition("this deletes it: invoke ")[2].split()
    assert words == [*NGINX[:3], "--env", "dev", "--", "teardown", "--data", "delete"]
    assert "nothing is left" in invoke(*words).out


@pytest.mark.parametrize("stop", [signal.SIGINT, signal.SIGTERM])
def test_interrupted(
    project: Path, temporary: Path, tmp_path_factory: pytest.TempPathFactory, stop: signal.Signals
) -> None:
    process = subprocess.Popen(
        [sys.executable, "-m", "invoke", *NGINX, "--scenario", "slow-start", "--pace", "real", "--", "up"],
        cwd=project,
        env=environment(tmp_path_factory.mktemp("home")) | {"PYTHONUNBUFFERED": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    for line in process.stdout:
        if "web-1" in line and "waiting" in line:
            break
    process.send_signal(stop)
    out, err = process.communicate(timeout=30)
    assert process.returncode == 130, err
    assert "interrupted" in err and "timeline of nginx: up (slow-start)" in out
    assert not list(temporary.iterdir())


@pytest.mark.rehearsal
def test_from_another_rehearsal(invoke: Invoke) -> None:
    try:
        invoke("cluster.start", "--pace", "instant")
        assert invoke("up", "--profile", "nginx", "--env", "dev").code == 0
        done = invoke(
            *NGINX, "--from-context", "berth-rehearsal", "--output", "json", "--", "up", "--set", "replicas=3"
        )
        assert done.code == 0, done.err
        assert "nothing is written there" in done.err
        moments = [moment["event"] for moment in json.loads(done.out)["moments"]]
        assert moments[0] == "scaled from 2 to 3" and "complete: 3 pods" in moments
        again = invoke("plan", "--profile", "nginx", "--env", "dev", "--exit-code")
        assert again.code == 0, "the cluster that was copied is as it was"
    finally:
        invoke("cluster.delete", "--yes")


@kubernetes_only
def test_from_a_live_cluster(invoke: Invoke, invoke_on: Invoke, plane: Path, space: str) -> None:
    where = ("--profile", "postgres", "--env", "dev", "--namespace", space)
    assert invoke_on("up", *where, timeout=300).code == 0
    context = yaml.safe_load(plane.read_text(encoding="utf-8"))["current-context"]
    live = ("rehearse", "--from-context", context, "--kubeconfig", str(plane), *where)
    done = invoke(*live, "--output", "json", "--", "teardown", "--data", "delete")
    assert done.code == 0, done.err
    gone = [moment["name"] for moment in json.loads(done.out)["moments"] if moment["event"].startswith("deleted, and")]
    # Others' objects may be on their way in the same cluster; then names carry their namespace.
    ours = [name.removeprefix(f"{space}/") for name in gone if name.rpartition("/")[0] in ("", space)]
    assert sorted(ours) == [f"data-postgres-{ordinal}" for ordinal in range(3)]
    assert invoke_on("plan", *where, "--exit-code").code == 0, "the live cluster is as it was"
    assert invoke_on("teardown", *where[:2], *where[4:], "--data", "delete", timeout=300).code == 0
