"""A profile that takes its objects from a chart, with the real helm: rendered, refused, and through its whole life."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from berth.actions.prepare import Request, prepare
from berth.cluster.kube import Kube
from berth.controlplane import binaries
from berth.library import open_library
from tests import helmchart as sample
from tests.contract.support import PROFILES, ROOT, claims, leftovers, pods
from tests.journey.conftest import Invoke, _runner, environment
from tests.unit.engine.test_helmchart_yaml import SCALARS

# Helm is built beside the control plane's programs, so that only runs that have those have it.
pytestmark = [pytest.mark.journey, pytest.mark.controlplane]


@pytest.fixture(scope="session")
def helm() -> Path:
    return binaries.program("helm", report=print)


def berth(project: Path, helm: Path, home: Path, kubeconfig: Path | None = None) -> Invoke:
    found = environment(home, kubeconfig)
    return _runner(sample.write_project(project), found | {"PATH": f"{helm.parent}{os.pathsep}{found['PATH']}"})


@pytest.fixture
def invoke(project: Path, helm: Path, tmp_path_factory: pytest.TempPathFactory) -> Invoke:
    return berth(project, helm, tmp_path_factory.mktemp("home"))


@pytest.fixture
def invoke_on(project: Path, helm: Path, plane: Path, tmp_path_factory: pytest.TempPathFactory) -> Invoke:
    return berth(project, helm, tmp_path_factory.mktemp("home"), plane)


def test_what_a_chart_renders_and_what_it_refuses(invoke: Invoke, project: Path) -> None:
    done = invoke("render", "--profile", "thing", "--set", "image.tag=1.10", "--output", "json")
    assert done.code == 0, done.err
    items: dict[str, Any] = {item["kind"]: item for item in json.loads(done.out)["items"]}
    assert set(items) == {"Secret", "ConfigMap", "Service", "StatefulSet"}
    container = items["StatefulSet"]["spec"]["template"]["spec"]["containers"][0]
    assert container["image"] == "nginx:1.10" and items["StatefulSet"]["spec"]["replicas"] == 2
    assert items["Secret"]["metadata"]["annotations"]["berth.dev/generated-keys"] == "password"

    shown = invoke("profiles.show", "--profile", "thing").out
    assert "chart: charts/thing" in shown and "chart thing 1.2.3 (charts/thing/values.yaml:4)" in shown

    told = json.loads(invoke("profiles.show", "--profile", "thing", "--output", "json").out)
    assert told["chart"] == "charts/thing"

    typo = invoke("render", "--profile", "thing", "--set", "greting=x")
    assert typo.code == 2 and "did you mean 'greeting'?" in typo.err
    lint = invoke("lint", "--profile", "thing")
    assert lint.code == 2 and "at charts/thing/templates/statefulset.yaml  StatefulSet/thing" in lint.out

    more = project / "charts" / "thing" / "templates" / "more.yaml"
    more.write_text('metadata:\n  name: {{ include "no.such" . }}\n')
    broken = invoke("plan", "--profile", "thing")
    assert broken.code == 2 and "at charts/thing/templates/more.yaml:2:11" in broken.err, broken.err
    more.write_text("apiVersion: v1\nkind: ConfigMap\nmetadata: {name: odd}\ndata: {a: {{ randAlphaNum 9 }}}\n")
    restless = invoke("up", "--profile", "thing")
    assert restless.code == 2 and "ConfigMap/odd differs each time the chart renders it: data.a" in restless.err


@pytest.mark.parametrize("profile", PROFILES)
def test_a_chart_that_berth_wrote_gives_the_objects_that_it_was_written_from(
    profile: str, helm: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", f"{helm.parent}{os.pathsep}{os.environ['PATH']}")
    shutil.copytree(ROOT / "charts" / profile, tmp_path / "charts" / profile)
    (tmp_path / "profiles").mkdir()
    head = f'name: {profile}\ndescription: a test\nversion: "1.0.0"\nchart: {{path: charts/{profile}}}\n'
    (tmp_path / "profiles" / f"{profile}.yaml").write_text(head)
    prod = (str(tmp_path / "charts" / profile / "values-prod.yaml"),)
    asked = [
        (Request(profile, namespace="ns"), Request(profile, namespace="ns")),
        (Request(profile, "shop", "ns", "prod"), Request(profile, "shop", "ns", None, prod)),
    ]
    for one, other in asked:
        (ours,) = prepare(open_library(ROOT), [one])
        (theirs,) = prepare(open_library(tmp_path), [other])
        assert [(m.ref, m.body, m.generated) for m in ours.manifests] == [
            (m.ref, m.body, m.generated) for m in theirs.manifests
        ]


def test_yaml_is_read_as_helm_reads_it(helm: Path, tmp_path: Path) -> None:
    (tmp_path / "templates").mkdir()
    (tmp_path / "Chart.yaml").write_text("apiVersion: v2\nname: yaml\nversion: 1.0.0\n")
    each = '{{ printf "a: %s" . | fromYaml | toJson }}'
    (tmp_path / "templates" / "a.yaml").write_text(f"{{{{ range .Values.texts }}}}\n#={each}\n{{{{ end }}}}\nkind: A\n")
    told = json.dumps({"texts": list(SCALARS)})
    command = [str(helm), "template", "x", str(tmp_path), "--values", "-"]
    done = subprocess.run(command, input=told, capture_output=True, text=True, check=True)
    read = [json.loads(line[2:])["a"] for line in done.stdout.splitlines() if line.startswith("#=")]
    assert dict(zip(SCALARS, read, strict=True)) == SCALARS


def test_the_whole_life_of_a_release_of_a_chart(invoke_on: Invoke, kube: Kube, space: str) -> None:
    here = ("--namespace", space)
    which = ("--name", "thing", *here)
    plan = invoke_on("plan", "--profile", "thing", *here)
    assert plan.code == 0 and "+ StatefulSet/thing" in plan.out, plan.err
    up = invoke_on("up", "--profile", "thing", *here)
    assert up.code == 0 and "thing is current: 2 ready" in up.out, up.out + up.err
    again = invoke_on("up", "--profile", "thing", *here)
    assert again.code == 0 and "changed=0" in again.out
    scaled = invoke_on("scale", *which, "--replicas", "3")
    assert scaled.code == 0 and len(pods(kube, space)) == 3, scaled.err
    rolled = invoke_on("rollout", *which, "--image", "nginx:1.30")
    assert rolled.code == 0, rolled.err
    images = {pod["spec"]["containers"][0]["image"] for pod in pods(kube, space).values()}
    assert images == {"nginx:1.30"} and "1 of 1 releases current" in invoke_on("status", *which).out
    kept = invoke_on("teardown", *which)
    assert kept.code == 0 and "it opens what the claims hold" in kept.out, kept.out + kept.err
    assert sorted(claims(kube, space)) == [f"data-thing-{ordinal}" for ordinal in range(3)]
    gone = invoke_on("teardown", *which, "--data", "delete")
    assert gone.code == 0 and not leftovers(kube, space), gone.out
