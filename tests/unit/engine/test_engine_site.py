"""From a site file to releases: values in their order, each error with its place, and what of the site is meant."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TypeAlias

import pytest

from berth.actions.sitefile import Placed, limited, load_site, placed
from berth.core.errors import InputError
from berth.core.site import Site, read_site
from berth.library import Library, open_library

pytestmark = pytest.mark.unit

ROOT = Path(__file__).resolve().parents[3]

#: Writes a site file, whose first line is line 2, and reads it.
Load: TypeAlias = Callable[[str], Site]

TWO = """
targets:
  east: {context: a}
  west: {context: b}
"""


@pytest.fixture(scope="module")
def library() -> Library:
    return open_library(ROOT)


@pytest.fixture
def load(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Load:
    monkeypatch.chdir(tmp_path)

    def made(text: str) -> Site:
        (tmp_path / "site.yaml").write_text(f"name: shop\n{text.lstrip()}")
        return load_site(tmp_path / "site.yaml")

    return made


def refused(library: Library, found: Site) -> list[str]:
    with pytest.raises(InputError) as caught:
        placed(library, found)
    return [str(problem) for problem in caught.value.problems]


def names(found: tuple[Placed, ...]) -> list[str]:
    return [f"{one.target}/{one.release.name}" for one in found]


LAYERS = """
targets:
  east: {context: a, values: {replicas: 3}}
  west: {context: b, values: {replicas: 3, minReadySeconds: 3}}
groups:
  all: {targets: [east, west], values: {replicas: 2, minReadySeconds: 2}}
releases:
  - {profile: nginx, name: plain, target: all}
  - {profile: nginx, name: filed, target: all, valueFiles: [a.yaml, b.yaml]}
  - {profile: nginx, name: valued, target: all, valueFiles: [a.yaml], values: {replicas: 7}}
  - {profile: nginx, name: alone, environment: dev}
"""


def test_values_of_groups_then_targets_then_files_then_the_release(
    load: Load, library: Library, tmp_path: Path
) -> None:
    (tmp_path / "a.yaml").write_text("replicas: 4\n")
    (tmp_path / "b.yaml").write_text("replicas: 5\n")
    made = {
        f"{one.target}/{one.release.name}": (
            one.release.values.data["replicas"],
            one.release.values.data["minReadySeconds"],
        )
        for one in placed(library, load(LAYERS))
    }
    alone = made.pop("/alone")
    assert alone[0] == library.load("nginx").environments["dev"][-1].data.get("replicas", 2)
    assert made == {
        "east/plain": (3, 2),
        "east/filed": (5, 2),
        "east/valued": (7, 2),
        "west/plain": (3, 3),
        "west/filed": (5, 3),
        "west/valued": (7, 3),
    }


def test_a_value_says_where_in_the_site_it_is_from(load: Load, library: Library) -> None:
    release = placed(library, load("releases:\n  - {profile: nginx, values: {replicas: 5}}"))[0].release
    source = release.values.source_of("replicas")
    assert source is not None and (source.layer, str(source.position)) == ("release nginx", "site.yaml:3:31")


def test_values_that_a_profile_has_not_are_told_with_their_place(load: Load, library: Library) -> None:
    text = """
targets: {east: {context: a, values: {replicsa: 2}}}
groups: {all: {targets: [east], values: {replicas: many}}}
releases:
  - {profile: nginx, target: east, values: {minReadySecond: 1}}
"""
    said = refused(library, load(text))
    assert sorted(line for one in said for line in one.split("\n") if line.startswith("  at")) == [
        "  at site.yaml:2:39",
        "  at site.yaml:3:42",
        "  at site.yaml:5:45",
    ]
    assert all("release nginx asks for it (site.yaml:5:5)" in one for one in said)


def test_an_unknown_profile_and_environment_are_told_with_the_release(load: Load, library: Library) -> None:
    said = refused(
        library, load("releases:\n  - {profile: ngnix}\n  - {profile: httpd, environment: prd}\n  - {profile: nginx}")
    )
    assert len(said) == 2
    assert "'ngnix'" in said[0] and "release ngnix asks for it (site.yaml:3:5)" in said[0] and "nginx" in said[0]
    assert "prd" in said[1] and "release httpd asks for it (site.yaml:4:5)" in said[1] and "prod" in said[1]


def test_a_values_file_that_is_not_there(load: Load, library: Library) -> None:
    (said,) = refused(library, load("releases: [{profile: nginx, valueFiles: [gone.yaml]}]"))
    assert "gone.yaml" in said


def test_a_broken_profile_spoils_the_others_not(load: Load, library: Library) -> None:
    """Each problem once, also where the release is on two targets."""
    said = refused(library, load(f"{TWO}releases: [{{profile: gone, target: [east, west]}}, {{profile: nginx}}]"))
    assert len(said) == 1


def test_needs_come_first_on_each_target_and_targets_by_their_order(load: Load, library: Library) -> None:
    text = """
targets: {late: {context: a, order: 2}, early: {context: b, order: 1}, also: {context: c, order: 1}}
releases:
  - {profile: nginx, target: [late, early, also], needs: [httpd]}
  - {profile: httpd, target: [late, early, also]}
  - {profile: nginx, name: own}
"""
    found = placed(library, load(text))
    assert names(found) == [
        "/own",
        "early/httpd",
        "early/nginx",
        "also/httpd",
        "also/nginx",
        "late/httpd",
        "late/nginx",
    ]
    assert found[2].needs == (("default", "httpd"),) and [one.name for one in found[2].before] == ["httpd"]


REQUIRING = """
name: app
description: an app
version: 1.0.0
extends: nginx
requires: [httpd]
templates: [nginx/*.yaml]
"""


def requiring(tmp_path: Path) -> Library:
    (tmp_path / "profiles").mkdir()
    (tmp_path / "profiles" / "app.yaml").write_text(REQUIRING)
    return open_library(tmp_path)


def test_what_a_profile_requires_is_added_and_of_the_site(load: Load, tmp_path: Path) -> None:
    found = placed(requiring(tmp_path), load("releases: [{profile: app, namespace: web}]"))
    assert names(found) == ["/httpd", "/app"] and found[1].needs == (("web", "httpd"),)
    assert {one.release.site for one in found} == {"shop"} and found[0].release.namespace == "web"


def test_what_a_profile_requires_is_that_of_the_site_where_it_has_it(load: Load, tmp_path: Path) -> None:
    library = requiring(tmp_path)
    site = load("releases: [{profile: app}, {profile: httpd, values: {replicas: 5}}, {profile: zookeeper}]")
    found = placed(library, site)
    assert names(found) == ["/httpd", "/zookeeper", "/app"]
    assert found[0].release.values.data["replicas"] == 5
    assert names(placed(library, site, ["app"])) == ["/app"]


LIMITED = """
targets: {east: {context: a}, west: {context: b}, spare: {context: c}}
groups: {both: {targets: [east, west]}}
releases:
  - {profile: nginx, target: both}
  - {profile: httpd, target: east}
  - {profile: httpd, target: west, namespace: other}
  - {profile: postgres, name: east, namespace: data}
"""
SITE = read_site(f"name: shop\n{LIMITED}", "site.yaml")


@pytest.mark.parametrize(
    ("limit", "only", "releases", "targets"),
    [
        ((), (), ["default/nginx", "default/httpd", "other/httpd", "data/east"], ["", "east", "west", "spare"]),
        (("nginx",), (), ["default/nginx"], ["east", "west"]),
        (("httpd",), (), ["default/httpd", "other/httpd"], ["east", "west"]),
        (("other/httpd",), (), ["other/httpd"], ["west"]),
        (("west",), (), ["default/nginx", "other/httpd"], ["west"]),
        (("both",), (), ["default/nginx", "default/httpd", "other/httpd"], ["east", "west"]),
        (("nginx", "west"), (), ["default/nginx"], ["west"]),
        (("nginx",), ("west",), ["default/nginx"], ["west"]),
        (("both",), ("west",), ["default/nginx", "other/httpd"], ["west"]),
        ((), ("east",), ["default/nginx", "default/httpd"], ["east"]),
        (("data/east",), (), ["data/east"], [""]),
        (("nginx", "data/east"), (), ["default/nginx", "data/east"], ["", "east", "west"]),
    ],
)
def test_limit_and_target(
    limit: tuple[str, ...], only: tuple[str, ...], releases: list[str], targets: list[str]
) -> None:
    chosen, places = limited(SITE, limit, only)
    assert (["/".join(one.key) for one in chosen], places) == (releases, targets)


@pytest.mark.parametrize(
    ("limit", "only", "what"),
    [
        (("ngnix",), (), r"no release, target or group 'ngnix'(.|\n)*did you mean 'nginx'"),
        ((), ("nginx",), r"no target or group 'nginx'"),
        (("east",), (), r"--limit east may be a release or a target(.|\n)*--limit data/east, or --target east"),
        (("httpd",), ("spare",), r"no release of the site is both"),
        ((), ("spare",), r"no release of the site"),
    ],
)
def test_what_limit_and_target_cannot_mean(limit: tuple[str, ...], only: tuple[str, ...], what: str) -> None:
    with pytest.raises(InputError, match=what):
        limited(SITE, limit, only)
