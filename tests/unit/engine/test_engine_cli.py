"""The tasks of this area: what they print, and their exit codes."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from invoke.config import Config
from invoke.context import Context

from berth.cli.profiles import list_, new, show
from berth.cli.render import render

pytestmark = pytest.mark.unit

PROFILE = """name: web
description: a test
version: "1.0.0"
schema: {properties: {replicas: {type: integer, maximum: 9, description: How many}}}
values: {replicas: 1}
environments: {dev: {replicas: 2}}
"""
TEMPLATE = (
    "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: {{ named('c') }}}\ndata: {count: '{{ values.replicas }}'}\n"
)
Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    (tmp_path / "profiles").mkdir()
    (tmp_path / "templates/web").mkdir(parents=True)
    (tmp_path / "profiles/web.yaml").write_text(PROFILE)
    (tmp_path / "templates/web/a.yaml").write_text(TEMPLATE)
    monkeypatch.chdir(tmp_path)
    everything: dict[str, Any] = {"profile": [], "name": None, "namespace": None, "env": None, "values": [], "set": []}
    everything |= {"site": None, "limit": [], "target": []}

    def call(task: Any, settings: dict[str, str] | None = None, **flags: Any) -> tuple[int, str, str]:
        context = Context(Config(overrides={"berth": settings or {}}))
        code = 0
        try:
            task(context, **flags)
        except SystemExit as ended:
            code = int(ended.code or 0)
        said = capsys.readouterr()
        return code, said.out, said.err

    def with_defaults(task: Any, settings: dict[str, str] | None = None, **flags: Any) -> tuple[int, str, str]:
        defaults = {**everything, "output_dir": None, "output": "yaml"} if task is render else {}
        return call(task, settings, **{**defaults, **flags})

    return with_defaults


def test_render_prints_yaml(run: Run) -> None:
    code, out, err = run(render, profile=["web"], set=["replicas=3"], env="dev", namespace="shop")
    assert (code, err) == (0, "")
    assert yaml.safe_load(out.removeprefix("---\n"))["data"] == {"count": "3"}
    assert "namespace: shop" in out


def test_invoke_yaml_gives_defaults(run: Run) -> None:
    _, out, _ = run(render, {"namespace": "theirs", "env": "dev"}, profile=["web"])
    body = yaml.safe_load(out.removeprefix("---\n"))
    assert (body["metadata"]["namespace"], body["data"]) == ("theirs", {"count": "2"})


def test_render_prints_json(run: Run) -> None:
    _, out, _ = run(render, profile=["web"], output="json", name="mine")
    assert [item["metadata"]["name"] for item in json.loads(out)["items"]] == ["mine-c"]


def test_render_writes_files(run: Run, tmp_path: Path) -> None:
    code, out, err = run(render, profile=["web"], output_dir="out")
    assert (code, out, err) == (0, "", "1 file in out\n")
    assert (tmp_path / "out/001-configmap-c.yaml").is_file()


BAD: list[tuple[dict[str, Any], str]] = [
    ({}, "which profile?"),
    ({"profile": ["wep"]}, "there is no profile 'wep'\n  try: did you mean 'web'?"),
    ({"profile": ["web"], "env": "prod"}, "the profile web has no environment 'prod'\n  at profiles/web.yaml:1:1"),
    ({"profile": ["web"], "set": ["replicas=ten"]}, "replicas: expected an integer up to 9, got 'ten'\n  at --set #1"),
    (
        {"profile": ["web"], "values": ["nope.yaml"]},
        "this file cannot be read: No such file or directory\n  at nope.yaml",
    ),
    ({"profile": ["web"], "output": "xml"}, "--output xml is not known"),
    ({"profile": ["web"], "output": "json", "output_dir": "x"}, "--output-dir writes YAML"),
    ({"profile": ["web", "nginx"], "name": "x"}, "--name is for one profile"),
    ({"profile": ["web"], "name": "X"}, "'X' is no name for a release"),
]


@pytest.mark.parametrize("flags,said", BAD)
def test_bad_input_ends_with_2_and_words(run: Run, flags: dict[str, Any], said: str) -> None:
    code, out, err = run(render, **flags)
    assert (code, out) == (2, "")
    assert err.startswith(f"error: {said}")


def test_profiles_lists(run: Run) -> None:
    code, out, _ = run(list_, output="text")
    lines = out.splitlines()
    assert code == 0
    assert lines[0].split() == ["NAME", "VERSION", "SOURCE", "ENVIRONMENTS", "REQUIRES", "DESCRIPTION"]
    assert lines[-2].split() == ["web", "1.0.0", "project", "dev", "-", "a", "test"]
    assert "nginx" in out and "built in" in out and "stateful" not in out
    _, out, _ = run(list_, output="json")
    assert {"web", "nginx"} <= {entry["name"] for entry in json.loads(out)}


def test_a_broken_profile_is_listed_and_reported(run: Run, tmp_path: Path) -> None:
    (tmp_path / "profiles/bad.yaml").write_text("name: bad\n")
    code, out, err = run(list_, output="text")
    assert code == 2
    assert "broken, see below" in out and "error: description: a value is required\n  at profiles/bad.yaml:1:1" in err


def test_show_prints_values_json_and_schema(run: Run) -> None:
    flags: dict[str, Any] = {"profile": "web", "env": "dev", "values": [], "set": []}
    code, out, _ = run(show, **flags, output="text")
    assert code == 0
    assert out.splitlines()[-2:] == [
        "replicas  2  environment dev of web (profiles/web.yaml:6)",
        "    How many (an integer up to 9); default 1",
    ]
    _, out, _ = run(show, **flags, output="json")
    assert json.loads(out)["values"][0]["value"] == 2
    _, out, _ = run(show, **flags, output="schema")
    assert json.loads(out)["properties"]["replicas"]["maximum"] == 9
    assert run(show, **{**flags, "profile": None}, output="text")[0] == 2


def test_new_writes_a_profile_that_renders(run: Run) -> None:
    code, out, _ = run(new, name="redis", dir=None)
    assert (code, out.splitlines()[0]) == (0, "wrote profiles/redis.yaml")
    assert run(render, profile=["redis"])[0] == 0
    assert run(new, name="redis", dir=None)[0] == 2
    assert run(new, name=None, dir=None)[0] == 2
