"""Render, list, show and create: what they print and write."""

from __future__ import annotations

import errno
import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from berth.actions import profiles as actions
from berth.actions.prepare import Request, prepare
from berth.actions.render import LISTING, as_json, as_yaml, write
from berth.cli.profiles import aligned, described
from berth.core.errors import InputError, LocalError, ProfileError
from berth.core.masking import HIDDEN, masked
from berth.core.render import Release
from berth.core.strictyaml import read_all
from berth.library import PROJECT, Library, Root, open_library

pytestmark = pytest.mark.unit

#: Templates are compiled once for all tests.
BUILT_IN = open_library()

PROFILE = """name: web
description: a test
version: "1.0.0"
schema:
  properties:
    replicas: {type: integer, minimum: 0, maximum: 9, description: How many pods}
    image: {type: object, properties: {tag: {type: string, description: The version}}}
    labels: {type: object, additionalProperties: {type: string}, description: More labels}
    password: {type: string, x-secret: true, description: The password}
    token: {type: [string, "null"], x-secret: true, description: A token}
    size: {type: string}
values:
  replicas: 1
  image: {tag: "1"}
  labels: {}
  password: hunter2hunter2
environments:
  dev:
    replicas: 0
"""
TEMPLATE = """apiVersion: v1
kind: Secret
metadata: {name: s}
stringData:
  password: {{ values.password }}
  made: {{ generate(20) }}
---
apiVersion: v1
kind: ConfigMap
metadata: {name: c}
data:
  conf: |
    replicas={{ values.replicas }}
    tag={{ values.image.tag }}
  tag: {{ values.image.tag }}
  leak: "password={{ values.password }}"
"""


@pytest.fixture
def library(tmp_path: Path) -> Library:
    (tmp_path / "profiles").mkdir()
    (tmp_path / "templates/web").mkdir(parents=True)
    (tmp_path / "profiles/web.yaml").write_text(PROFILE)
    (tmp_path / "templates/web/a.yaml").write_text(TEMPLATE)
    return Library((Root(tmp_path, PROJECT),))


@pytest.fixture
def releases(library: Library) -> tuple[Release, ...]:
    return prepare(library, [Request("web", namespace="shop")])


# render


def test_secret_text_is_hidden_and_it_is_said(releases: tuple[Release, ...]) -> None:
    text = as_yaml(releases)
    assert "hunter2" not in text and "aHVudGVyMm" not in text
    secret, config = yaml.safe_load_all(text)
    assert secret["data"] == {"password": HIDDEN}
    assert config["data"]["leak"] == HIDDEN
    assert text.startswith("---\n# Secret text reads (hidden) here, which no API server accepts; berth up applies")
    assert "# berth up makes these keys once: made\n" in text


def test_nothing_is_said_where_nothing_is_hidden() -> None:
    text = as_yaml(prepare(open_library(), [Request("nginx")]))
    assert "#" not in text.split("---")[1].split("apiVersion")[0]


def test_masking_leaves_the_manifest_alone(releases: tuple[Release, ...]) -> None:
    (manifest,) = (each for each in releases[0].manifests if each.body["kind"] == "ConfigMap")
    before = json.dumps(manifest.body)
    masked(manifest, releases[0].values.secret_paths)
    assert json.dumps(manifest.body) == before


@pytest.mark.parametrize("profile", ["nginx", "httpd", "postgres", "zookeeper", "cassandra"])
@pytest.mark.parametrize("environment", [None, "dev", "staging", "prod"])
def test_what_is_printed_reads_back_the_same(profile: str, environment: str | None) -> None:
    releases = prepare(BUILT_IN, [Request(profile, environment=environment)])
    (release,) = releases
    expected = [masked(manifest, release.values.secret_paths) for manifest in release.manifests]
    text = as_yaml(releases)
    assert [document.data for document in read_all(text, "x")] == expected
    assert list(yaml.safe_load_all(text)) == expected
    assert json.loads(as_json(releases))["items"] == expected
    assert as_yaml(prepare(BUILT_IN, [Request(profile, environment=environment)])) == text


def test_one_file_an_object_in_apply_order(releases: tuple[Release, ...], tmp_path: Path) -> None:
    files = write(releases, tmp_path / "out" / "deep")
    assert [path.name for path in files] == ["001-secret-s.yaml", "002-configmap-c.yaml"]
    assert "".join(path.read_text() for path in files) == as_yaml(releases)
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["deep"]


def test_a_second_render_replaces_and_removes(library: Library, tmp_path: Path) -> None:
    out = tmp_path / "out"
    write(prepare(library, [Request("web")]), out)
    (tmp_path / "templates/web/a.yaml").write_text(TEMPLATE.partition("---\n")[2])
    fresh = Library((Root(tmp_path, PROJECT),))
    write(prepare(fresh, [Request("web", namespace="other")]), out)
    assert sorted(path.name for path in out.iterdir()) == [LISTING, "001-configmap-c.yaml"]
    assert "namespace: other" in (out / "001-configmap-c.yaml").read_text()


def test_a_directory_with_other_files_is_refused(releases: tuple[Release, ...], tmp_path: Path) -> None:
    out = tmp_path / "out"
    out.mkdir()
    (out / "mine.txt").write_text("keep")
    with pytest.raises(InputError, match=r"holds files that berth render did not write: mine\.txt"):
        write(releases, out)
    assert [path.name for path in out.iterdir()] == ["mine.txt"]


def test_a_listing_cannot_name_files_elsewhere(releases: tuple[Release, ...], tmp_path: Path) -> None:
    out = tmp_path / "out"
    out.mkdir()
    precious = tmp_path / "precious"
    precious.write_text("keep")
    # Nothing of this machine's own: a mistake would delete it.
    (out / LISTING).write_text(f"# header\n../precious\n..\n.\n{precious}\n")
    write(releases, out)
    assert (tmp_path / "precious").read_text() == "keep"


def test_a_file_is_no_directory(releases: tuple[Release, ...], tmp_path: Path) -> None:
    (tmp_path / "out").write_text("x")
    with pytest.raises(InputError, match="is a file, not a directory"):
        write(releases, tmp_path / "out")


@pytest.mark.parametrize("fails_at", [0, 1, 2])
def test_a_full_disk_leaves_everything_as_it_was(
    releases: tuple[Release, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fails_at: int
) -> None:
    out = tmp_path / "out"
    write(releases, out)
    before = {path.name: path.read_text() for path in out.iterdir()}
    count = 0
    real = Path.write_text

    def full(self: Path, *args: Any, **kwargs: Any) -> int:
        nonlocal count
        count += 1
        if count > fails_at:
            raise OSError(errno.ENOSPC, "No space left on device")
        return real(self, *args, **kwargs)

    monkeypatch.setattr(Path, "write_text", full)
    with pytest.raises(LocalError, match=r"cannot write to .*: No space left on device") as caught:
        write(releases, out)
    assert caught.value.problems[0].hint == "free some space; nothing was changed"
    assert {path.name: path.read_text() for path in out.iterdir()} == before
    assert sorted(path.name for path in tmp_path.iterdir()) == ["out", "profiles", "templates"]


@pytest.fixture
def nobody(releases: tuple[Release, ...]) -> Iterator[None]:
    """Without the rights of root, which may write anywhere; the releases were read before."""
    before = os.geteuid()
    if before == 0:
        os.seteuid(65534)
    yield
    os.seteuid(before)


@pytest.mark.usefixtures("nobody")
def test_a_directory_that_cannot_be_written_is_said(releases: tuple[Release, ...]) -> None:
    with pytest.raises(LocalError, match="Permission denied"):
        write(releases, Path("/etc/berth/out"))


def test_a_path_through_a_file_is_said(releases: tuple[Release, ...], tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    with pytest.raises(LocalError, match="cannot write to"):
        write(releases, tmp_path / "file" / "out")


# profiles


def test_the_list_tells_where_profiles_are_from(library: Library, tmp_path: Path) -> None:
    (tmp_path / "profiles/base.yaml").write_text('name: base\ndescription: x\nversion: "1.0.0"\nabstract: true\n')
    (tmp_path / "profiles/bad.yaml").write_text("name: bad\n")
    bad, web = actions.listed(library)
    assert bad.profile is None and "description: a value is required" in bad.to_json()["error"]
    assert web.to_json() == {
        "name": "web",
        "version": "1.0.0",
        "description": "a test",
        "environments": ["dev"],
        "requires": [],
        "extends": [],
        "source": "project",
        "file": str(tmp_path / "profiles/web.yaml"),
    }


def test_every_value_is_shown_with_its_source(library: Library, tmp_path: Path) -> None:
    request = Request("web", environment="dev", sets=("image.tag=2", "labels.x=z"))
    _, entries = actions.show(library, request)
    found = {entry.path: entry for entry in entries}
    assert list(found) == ["replicas", "image.tag", "labels", "password", "token", "size"]
    file = tmp_path / "profiles/web.yaml"
    assert (found["replicas"].value, found["replicas"].default) == (0, 1)
    assert found["replicas"].source == f"environment dev of web ({file}:19)"
    assert (found["image.tag"].value, found["image.tag"].source) == ("2", "--set #1")
    assert (found["labels"].value, found["labels"].default) == ({"x": "z"}, {})
    assert (found["password"].value, found["password"].default) == (HIDDEN, HIDDEN)
    assert (found["token"].value, found["token"].source) == (None, "not set")
    assert found["replicas"].to_json()["source"] == {
        "layer": "environment dev of web",
        "file": str(file),
        "line": 19,
    }
    text = "\n".join(described(entries))
    assert "hunter2" not in text + json.dumps([entry.to_json() for entry in entries])
    assert "    How many pods (an integer from 0 to 9); default 1" in text


@pytest.mark.parametrize("profile", ["nginx", "httpd", "postgres", "zookeeper", "cassandra", "stateful"])
def test_built_in_values_all_have_a_description(profile: str) -> None:
    _, entries = actions.show(BUILT_IN, Request(profile))
    assert not [entry.path for entry in entries if not entry.description]


def test_the_schema_for_editors_is_complete(library: Library) -> None:
    schema = actions.editor_schema(library.load("web"))
    assert schema["$schema"] == "https://json-schema.org/draft/2020-12/schema"
    assert schema["additionalProperties"] is False
    assert schema["properties"]["replicas"]["maximum"] == 9


def test_columns_stand_under_one_another() -> None:
    assert aligned([("A", "B", "C"), ("long", "x", "last")]) == ["A     B  C", "long  x  last"]


@pytest.mark.parametrize("name", ["redis", "a", "my-cache-7"])
def test_a_new_profile_renders_at_once(tmp_path: Path, name: str) -> None:
    (tmp_path / "invoke.yaml").touch()
    files = actions.create(open_library(tmp_path), name, tmp_path)
    assert [path.relative_to(tmp_path).as_posix() for path in files] == [
        f"profiles/{name}.yaml",
        f"templates/{name}/objects.yaml",
        f"templates/{name}/statefulset.yaml",
    ]
    library = open_library(tmp_path)
    assert library.load(name).origin == PROJECT
    for environment in (None, "dev", "staging", "prod"):
        (release,) = prepare(library, [Request(name, environment=environment)])
        kinds = [manifest.body["kind"] for manifest in release.manifests]
        assert kinds[-1] == "StatefulSet" and "Service" in kinds
        assert "PROFILE_NAME" not in as_yaml([release])


def test_a_new_profile_overwrites_nothing(tmp_path: Path) -> None:
    actions.create(open_library(tmp_path), "redis", tmp_path)
    before = (tmp_path / "profiles/redis.yaml").read_text()
    with pytest.raises(InputError, match="is there already; nothing was written"):
        actions.create(open_library(tmp_path), "redis", tmp_path)
    assert (tmp_path / "profiles/redis.yaml").read_text() == before
    (tmp_path / "templates/cache").mkdir()
    with pytest.raises(InputError, match="is there already"):
        actions.create(open_library(tmp_path), "cache", tmp_path)
    with pytest.raises(InputError, match="there is a profile 'nginx' already"):
        actions.create(open_library(tmp_path), "nginx", tmp_path)


@pytest.mark.parametrize("name", ["", "Redis", "../x", "a/b", "-a", "a" * 41, "{{ x }}"])
def test_a_new_profile_needs_a_name(tmp_path: Path, name: str) -> None:
    with pytest.raises(InputError, match="is no name for a profile"):
        actions.create(open_library(tmp_path), name, tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_a_new_profile_that_cannot_be_written_leaves_nothing(tmp_path: Path) -> None:
    (tmp_path / "templates").write_text("a file where a directory should be")
    with pytest.raises(LocalError, match="cannot write"):
        actions.create(open_library(tmp_path), "redis", tmp_path)
    assert not (tmp_path / "profiles/redis.yaml").exists()


def test_an_unknown_profile_cannot_be_shown(library: Library) -> None:
    with pytest.raises(ProfileError, match="did you mean 'web'"):
        actions.show(library, Request("wep"))
