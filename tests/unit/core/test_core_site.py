"""The site file: what it says, and everything that may be wrong with it, with the line and what to try."""

from __future__ import annotations

import json

import jsonschema_rs
import pytest

from berth.core.errors import InputError, Problem
from berth.core.site import SITE_SCHEMA, Site, read_site

pytestmark = pytest.mark.unit

TWO = """
targets:
  east: {context: a}
  west: {context: b}
"""


def site(text: str) -> Site:
    """A site of that text, whose first line is line 2."""
    return read_site(f"name: shop\n{text.lstrip()}", "site.yaml")


def wrong(text: str) -> list[Problem]:
    """Every problem of a site."""
    with pytest.raises(InputError) as caught:
        site(text)
    return list(caught.value.problems)


def said(text: str) -> list[str]:
    """Every problem of a site as a user reads it."""
    return [str(problem) for problem in wrong(text)]


# What it says


def test_a_site_of_one_line() -> None:
    (release,) = site("releases: [{profile: nginx}]").releases
    assert (release.name, release.namespace, release.environment) == ("nginx", "default", None)
    assert (release.targets, release.needs, release.value_files, release.values.data) == ((), (), (), {})
    assert str(release.position) == "site.yaml:2:12"


def test_targets_of_a_release_are_in_the_order_of_the_file_and_each_once() -> None:
    text = f"{TWO}groups: {{all: {{targets: [west, east]}}}}\nreleases: [{{profile: nginx, target: [west, all]}}]"
    assert site(text).releases[0].targets == ("east", "west")


def test_a_need_is_in_the_same_namespace_unless_it_says_another() -> None:
    text = """
releases:
  - {profile: nginx, namespace: web, needs: [cache, data/postgres]}
  - {profile: httpd, namespace: web, name: cache}
  - {profile: postgres, namespace: data}
"""
    assert site(text).releases[0].needs == (("web", "cache"), ("data", "postgres"))


def test_one_name_in_two_namespaces_or_on_two_targets_is_two_releases() -> None:
    text = f"""{TWO}
releases:
  - {{profile: nginx, target: east}}
  - {{profile: nginx, target: west}}
  - {{profile: nginx, target: west, namespace: other}}
"""
    assert len(site(text).releases) == 3


def test_targets_of_names_and_groups() -> None:
    found = site(f"{TWO}groups: {{all: {{targets: [east, west]}}}}\nreleases: [{{profile: nginx}}]")
    assert found.targets_of(["west"]) == ("west",) and found.targets_of(["west", "all"]) == ("east", "west")
    with pytest.raises(InputError, match=r"no target or group 'wset'(.|\n)*did you mean 'west'"):
        found.targets_of(["wset"])


def test_the_schema_is_one_that_editors_can_use() -> None:
    jsonschema_rs.meta.validate(SITE_SCHEMA)
    assert json.loads(json.dumps(SITE_SCHEMA)) == SITE_SCHEMA
    described = [
        *SITE_SCHEMA["properties"].values(),
        *SITE_SCHEMA["properties"]["releases"]["items"]["properties"].values(),
    ]
    assert all(part.get("description") for part in described)


# What may be wrong


@pytest.mark.parametrize(
    ("text", "first"),
    [
        ("", "releases: a value is required\n  at site.yaml:1:1"),
        ("releases: []", "releases: "),
        ("releases: [{name: web}]", "releases[0].profile: a value is required\n  at site.yaml:2:12"),
        (
            "releases: [{profile: nginx, nmae: web}]",
            "releases[0].nmae: there is no such value\n  at site.yaml:2:29\n  try: did you mean 'name'?",
        ),
        ("releases: [{profile: Web}]", "releases[0].profile: expected text that matches"),
        ("releases: [{profile: nginx, needs: ['a/b/c']}]", "releases[0].needs[0]: expected text that matches"),
        ("releases: [{profile: nginx, target: []}]", "releases[0].target: "),
        ("releases: [{profile: nginx, replicas: 3}]", "releases[0].replicas: there is no such value"),
        ("targets: {a: {}}\nreleases: [{profile: nginx}]", "targets.a.context: a value is required\n  at site.yaml:2:"),
        ("targets: {a: {context: x, order: -1}}\nreleases: [{profile: nginx}]", "targets.a.order: "),
        ("targets: {a_b: {context: x}}\nreleases: [{profile: nginx}]", "targets"),
        ("groups: {all: {targets: []}}\nreleases: [{profile: nginx}]", "groups.all.targets: "),
        ("groups: {all: [a]}\nreleases: [{profile: nginx}]", "groups.all: "),
        ("prune: true\nreleases: [{profile: nginx}]", "prune: there is no such value"),
    ],
)
def test_what_the_schema_refuses(text: str, first: str) -> None:
    assert said(text)[0].startswith(first)


def test_yaml_is_read_strictly() -> None:
    problems = said("releases: &all [{profile: nginx}]\nname: shop\ntargets: *all")
    assert [text.split("\n")[0] for text in problems] == [
        "anchors (&) are not allowed",
        "the key 'name' is there twice, first in line 1",
        "aliases (*) are not allowed",
    ]
    assert all("at site.yaml:" in text for text in problems)


@pytest.mark.parametrize("text", ["[]", "shop", "- name: shop"])
def test_a_file_that_is_no_mapping(text: str) -> None:
    with pytest.raises(InputError, match="a site file is a mapping"):
        read_site(text, "site.yaml")


def test_a_secret_in_a_broken_file_is_not_shown() -> None:
    assert not any("hunter2" in text for text in said("releases: [{profile: nginx, values: {password: hunter2 : x}}]"))


def test_two_releases_with_one_name() -> None:
    text = "releases:\n  - {profile: nginx, name: web}\n  - {profile: httpd, name: web}"
    assert said(text) == [
        "two releases are named web in default\n  at site.yaml:4:5\n  because the other one is at site.yaml:3:5\n"
        "  try: give one of them another name or namespace"
    ]


def test_two_releases_with_one_name_where_their_targets_overlap() -> None:
    text = f"{TWO}releases:\n  - {{profile: nginx, target: [east, west]}}\n  - {{profile: nginx, target: west}}"
    (problem,) = wrong(text)
    assert problem.what == "two releases are named nginx in default on west" and problem.where == "site.yaml:7:5"


@pytest.mark.parametrize(
    ("word", "hint"),
    [("eas", "did you mean 'east'?"), ("al", "did you mean 'all'?"), ("x", "one of: all, east, west")],
)
def test_an_unknown_target_or_group(word: str, hint: str) -> None:
    text = f"{TWO}groups: {{all: {{targets: [east]}}}}\nreleases: [{{profile: nginx, target: [east, {word}]}}]"
    (problem,) = wrong(text)
    assert problem.what == f"release nginx: there is no target or group {word!r}"
    assert (problem.where, problem.hint) == ("site.yaml:6:44", hint)


def test_an_unknown_target_hides_no_need_and_makes_up_none() -> None:
    text = f"""{TWO}
releases:
  - {{profile: nginx, target: esat, needs: [postgres, cache]}}
  - {{profile: postgres, target: east, needs: [nginx]}}
"""
    assert [problem.what for problem in wrong(text)] == [
        "release nginx: there is no target or group 'esat'",
        "release nginx needs default/cache, which the site has not",
    ]


def test_a_target_where_there_are_none() -> None:
    (problem,) = wrong("releases: [{profile: nginx, target: east}]")
    assert problem.hint == "name clusters under targets"


def test_a_group_of_a_target_that_is_not_there() -> None:
    (problem,) = wrong(f"{TWO}groups: {{all: {{targets: [east, wets]}}}}\nreleases: [{{profile: nginx}}]")
    assert (problem.what, problem.where) == ("group all: there is no target 'wets'", "site.yaml:5:32")
    assert problem.hint == "did you mean 'west'?"


def test_a_name_is_a_target_or_a_group() -> None:
    (problem,) = wrong(f"{TWO}groups: {{east: {{targets: [west]}}}}\nreleases: [{{profile: nginx}}]")
    assert (problem.what, problem.where) == ("east is a target and a group", "site.yaml:5:10")


def test_two_targets_of_one_context_are_one_cluster() -> None:
    targets = "targets:\n  a: {context: x}\n  b: {context: x, kubeconfig: other}\n  c: {context: x}"
    text = f"{targets}\nreleases: [{{profile: nginx}}]"
    (problem,) = wrong(text)
    assert (problem.what, problem.where) == ("targets a and c are one cluster: context x", "site.yaml:5:3")


def test_a_need_that_the_site_has_not() -> None:
    text = """
releases:
  - {profile: nginx, needs: [httpd, chache]}
  - {profile: httpd}
  - {profile: httpd, name: cache}
"""
    (problem,) = wrong(text)
    assert problem.what == "release nginx needs default/chache, which the site has not"
    assert (problem.where, problem.hint) == ("site.yaml:3:37", "did you mean 'default/cache'?")


def test_a_need_in_another_namespace_is_not_found_by_its_name_alone() -> None:
    (problem,) = wrong("releases: [{profile: nginx, needs: [postgres]}, {profile: postgres, namespace: data}]")
    assert problem.what == "release nginx needs default/postgres, which the site has not"


def test_a_need_that_is_on_another_target() -> None:
    text = f"""{TWO}releases:
  - {{profile: nginx, target: [east, west], needs: [httpd]}}
  - {{profile: httpd, target: east}}
"""
    (problem,) = wrong(text)
    assert problem.what == "release nginx needs default/httpd, which is not on west"
    assert (problem.where, problem.hint) == ("site.yaml:6:52", "let both name the same targets")
    text = f"{TWO}releases: [{{profile: nginx, needs: [httpd]}}, {{profile: httpd, target: east}}]"
    assert wrong(text)[0].what == "release nginx needs default/httpd, which is not on the target of the run"


def test_a_release_that_needs_itself() -> None:
    (problem,) = wrong("releases: [{profile: nginx, needs: [nginx]}]")
    assert problem.what.endswith("in a circle: default/nginx (site.yaml:2:12) -> default/nginx (site.yaml:2:12)")


def test_a_circle_names_its_edges() -> None:
    text = """
releases:
  - {profile: a, needs: [b]}
  - {profile: b, needs: [c]}
  - {profile: c, needs: [a]}
  - {profile: d}
"""
    (problem,) = wrong(text)
    edges = " -> ".join(
        f"default/{name} (site.yaml:{line}:5)" for name, line in (("a", 3), ("b", 4), ("c", 5), ("a", 3))
    )
    assert problem.what.endswith(edges) and problem.hint == "take one of these needs away"


def test_all_problems_at_once() -> None:
    text = f"""{TWO}
groups: {{all: {{targets: [est]}}, west: {{targets: [east]}}}}
releases:
  - {{profile: nginx, target: nowhere}}
  - {{profile: httpd, needs: [x]}}
  - {{profile: httpd, needs: [y/z]}}
"""
    assert [problem.where for problem in wrong(text)] == [
        "site.yaml:6:26",  # est
        "site.yaml:6:33",  # west is both
        "site.yaml:8:22",  # nowhere
        "site.yaml:10:5",  # httpd twice
        "site.yaml:9:30",  # x
        "site.yaml:10:30",  # y/z
    ]
