"""Finding profiles and templates on disk, and turning requests into releases."""

from __future__ import annotations

from pathlib import Path

import pytest

from berth.actions.prepare import Request, prepare, with_requirements
from berth.core.errors import InputError, ProfileError, TemplateError, ValuesError
from berth.library import BUILT_IN, PROJECT, Library, Root, built_in_root, find_project, open_library

pytestmark = pytest.mark.unit

HEAD = 'description: a test\nversion: "1.0.0"\n'
OBJECT = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: {{ named('%s') }}}\n"


def write(root: Path, **files: str) -> None:
    """Files by path; ``__`` stands for a slash."""
    for name, text in files.items():
        folder, _, rest = name.partition("__")
        path = root / folder / f"{rest.replace('__', '/')}.yaml"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)


def add(root: Path, name: str, extra: str = "") -> None:
    write(root, **{f"profiles__{name}": f"name: {name}\n{HEAD}{extra}", f"templates__{name}__a": OBJECT % name})


@pytest.fixture
def roots(tmp_path: Path) -> tuple[Path, Path]:
    mine, theirs = tmp_path / "mine", tmp_path / "theirs"
    for name in ("web", "db"):
        add(theirs, name)
    (mine / "profiles").mkdir(parents=True)
    return mine, theirs


@pytest.fixture
def library(roots: tuple[Path, Path]) -> Library:
    return Library((Root(roots[0], PROJECT), Root(roots[1], BUILT_IN)))


def names_of(library: Library, profile: str) -> list[str]:
    (release,) = prepare(library, [Request(profile)])
    return [manifest.body["metadata"]["name"] for manifest in release.manifests]


# The library


def test_the_built_in_profiles_are_found_from_anywhere(tmp_path: Path) -> None:
    library = open_library(tmp_path)
    assert {"nginx", "httpd", "postgres", "zookeeper", "cassandra"} <= set(library.names())
    assert library.load("nginx").origin == BUILT_IN
    assert "stateful" in library.all_names() and "stateful" not in library.names()


@pytest.mark.parametrize("marker", ["profiles/", "tasks.py", "invoke.yaml", "site.yaml"])
def test_the_project_is_the_nearest_directory_that_looks_like_one(tmp_path: Path, marker: str) -> None:
    inner = tmp_path / "a" / "b"
    inner.mkdir(parents=True)
    if marker.endswith("/"):
        (tmp_path / "a" / marker).mkdir()
    else:
        (tmp_path / "a" / marker).touch()
    assert find_project(inner) == tmp_path / "a"


def test_the_checkout_is_no_project_of_its_own() -> None:
    assert [root.origin for root in open_library(built_in_root()).roots] == [BUILT_IN]


def test_the_projects_profile_wins_and_may_use_the_other(roots: tuple[Path, Path], library: Library) -> None:
    mine, _ = roots
    add(mine, "web")
    write(mine, templates__web__a=OBJECT % "mine" + "---\n{% include 'builtin:web/a.yaml' %}\n")
    assert library.load("web").origin == PROJECT
    assert names_of(library, "web") == ["mine", "web"]


def test_a_shadowed_profiles_templates_do_not_come_along(roots: tuple[Path, Path], library: Library) -> None:
    mine, theirs = roots
    write(theirs, templates__web__more=OBJECT % "more")
    add(mine, "web")
    assert names_of(library, "web") == ["web"]


def test_a_project_may_replace_one_template_of_a_built_in_profile(roots: tuple[Path, Path], library: Library) -> None:
    mine, theirs = roots
    write(theirs, templates__web__b=OBJECT % "b")
    write(mine, templates__web__b=OBJECT % "replaced")
    assert names_of(library, "web") == ["replaced", "web"]


def test_a_profile_may_render_the_templates_of_another(roots: tuple[Path, Path], library: Library) -> None:
    write(roots[0], profiles__mine=f"name: mine\n{HEAD}templates: [web/*.yaml, db/*.yaml]\n")
    (release,) = prepare(library, [Request("mine", name="one")])
    assert [manifest.body["metadata"]["name"] for manifest in release.manifests] == ["one-db", "one-web"]


def test_the_schema_may_lie_beside_the_templates(roots: tuple[Path, Path], library: Library) -> None:
    add(roots[0], "web", "values: {a: x}\n")
    (roots[0] / "templates/web/values.schema.json").write_text('{"properties": {"a": {"type": "integer"}}}')
    with pytest.raises(ValuesError, match="a: expected an integer, got 'x'"):
        prepare(library, [Request("web")])


@pytest.mark.parametrize(
    "name", ["", "../web", "/etc/passwd", "web.yaml", "Web", "a/b", "-a", "a" * 64, "we\nb", "a\x00"]
)
def test_a_path_is_no_name(library: Library, name: str) -> None:
    with pytest.raises(ProfileError, match="is no name of a profile"):
        library.load(name)


def test_an_unknown_profile_gets_a_suggestion(library: Library) -> None:
    with pytest.raises(ProfileError) as caught:
        library.load("wbe")
    assert str(caught.value) == "there is no profile 'wbe'\n  try: did you mean 'web'?"


def test_a_yml_file_is_recognized(roots: tuple[Path, Path], library: Library) -> None:
    (roots[0] / "profiles/cache.yml").write_text("name: cache\n")
    with pytest.raises(ProfileError, match=r"rename .*cache\.yml to cache\.yaml"):
        library.load("cache")


def test_links_may_not_leave_the_root(roots: tuple[Path, Path], library: Library, tmp_path: Path) -> None:
    mine, _ = roots
    outside = tmp_path / "outside.yaml"
    outside.write_text(f"name: link\n{HEAD}")
    (mine / "profiles/link.yaml").symlink_to(outside)
    with pytest.raises(ProfileError, match="is a link that leads out of"):
        library.load("link")
    add(mine, "own")
    (mine / "templates/own/b.yaml").symlink_to("/etc/hostname")
    with pytest.raises(TemplateError, match="is a link that leads out of"):
        prepare(library, [Request("own")])


def test_links_inside_the_root_are_fine(roots: tuple[Path, Path], library: Library) -> None:
    add(roots[0], "own")
    (roots[0] / "templates/own/a.yaml").rename(roots[0] / "templates/real.yaml")
    (roots[0] / "templates/own/a.yaml").symlink_to("../real.yaml")
    assert names_of(library, "own") == ["own"]


def test_a_linked_root_is_fine(roots: tuple[Path, Path], tmp_path: Path) -> None:
    add(roots[0], "own")
    (tmp_path / "link").symlink_to(roots[0])
    assert names_of(Library((Root(tmp_path / "link", PROJECT),)), "own") == ["own"]


def test_what_cannot_be_read_is_said(roots: tuple[Path, Path], library: Library) -> None:
    mine, _ = roots
    (mine / "profiles/latin.yaml").write_bytes(f"name: latin\n{HEAD}".encode() + b"# \xe9\n")
    with pytest.raises(ProfileError, match="not UTF-8 text"):
        library.load("latin")
    (mine / "profiles/gone.yaml").symlink_to("nowhere.yaml")
    with pytest.raises(ProfileError, match="cannot be read: No such file"):
        library.load("gone")
    add(mine, "own")
    (mine / "templates/own/a.yaml").write_bytes(b"a: \xff\n")
    with pytest.raises(TemplateError, match="not UTF-8 text"):
        prepare(library, [Request("own")])


def test_a_byte_order_mark_is_no_part_of_the_text(roots: tuple[Path, Path], library: Library) -> None:
    (roots[0] / "profiles/bom.yaml").write_bytes(b"\xef\xbb\xbf" + f"name: bom\n{HEAD}".encode())
    assert library.load("bom").name == "bom"


def test_a_broken_profile_is_listed_so_that_somebody_sees_it(roots: tuple[Path, Path], library: Library) -> None:
    write(roots[0], profiles__broken="name: [\n", profiles__base=f"name: base\n{HEAD}abstract: true\n")
    assert library.names() == ["broken", "db", "web"]
    assert library.all_names() == ["base", "broken", "db", "web"]


# Requests


def test_required_profiles_come_first(roots: tuple[Path, Path], library: Library) -> None:
    add(roots[0], "app", "requires: [mid, db]\nenvironments: {dev: {}}\n")
    add(roots[0], "mid", "requires: [db]\n")
    releases = prepare(library, [Request("app", name="one", namespace="shop", environment="dev")])
    assert [(release.name, release.namespace, release.environment) for release in releases] == [
        ("db", "shop", None),
        ("mid", "shop", None),
        ("one", "shop", "dev"),
    ]


def test_a_requirement_that_is_asked_for_keeps_its_own_request(roots: tuple[Path, Path], library: Library) -> None:
    add(roots[0], "app", "requires: [db]\n")
    add(roots[0], "db", "schema: {properties: {a: {type: integer}}}\n")
    releases = prepare(library, [Request("app"), Request("db", sets=("a=3",))])
    assert [(release.name, release.values.data) for release in releases] == [("db", {"a": 3}), ("app", {})]


def test_the_order_of_independent_requests_is_kept(library: Library) -> None:
    requests = [Request("web"), Request("db"), Request("web", name="second")]
    assert [request.release for request in with_requirements(library, requests)] == ["web", "db", "second"]


def test_a_circle_of_requirements_names_its_edges(roots: tuple[Path, Path], library: Library) -> None:
    add(roots[0], "a", "requires: [b]\n")
    add(roots[0], "b", "requires: [web, a]\n")
    with pytest.raises(ProfileError) as caught:
        prepare(library, [Request("a")])
    said = caught.value.problems[0].what
    assert said.startswith("these profiles require one another in a circle: a requires b (")
    assert "profiles/a.yaml:4:12), b requires a (" in said and said.endswith("profiles/b.yaml:4:17)")


def test_an_unknown_requirement_is_reported_where_it_is_named(roots: tuple[Path, Path], library: Library) -> None:
    add(roots[0], "a", "requires:\n  - wbe\n")
    with pytest.raises(ProfileError) as caught:
        prepare(library, [Request("a")])
    (problem,) = caught.value.problems
    assert problem.what == "a requires 'wbe': there is no profile 'wbe'"
    assert problem.where.endswith("profiles/a.yaml:5:5")
    assert problem.hint == "did you mean 'web'?"


def test_an_abstract_profile_cannot_be_installed(roots: tuple[Path, Path], library: Library) -> None:
    add(roots[0], "base", "abstract: true\n")
    with pytest.raises(ProfileError, match="only there to be extended"):
        prepare(library, [Request("base")])


@pytest.mark.parametrize(
    "request_,what",
    [
        (Request("web", name="Web"), "'Web' is no name for a release"),
        (Request("web", name=""), "'' is no name for a release"),
        (Request("web", name="a" * 41), "has 41 characters; 40 are possible"),
        (Request("web", name="../x"), "is no name for a release"),
        (Request("web", namespace="a b"), "'a b' is no name for a namespace"),
        (Request("web", namespace="a" * 64), "is no name for a namespace"),
        (Request("web", environment="dev"), "the profile web has no environment 'dev'"),
        (Request("web", value_files=("nowhere.yaml",)), "cannot be read: No such file or directory"),
        (Request("web", value_files=("/",)), "cannot be read: Is a directory"),
        (Request("web", sets=("a=1",)), "a: there is no such value"),
    ],
)
def test_wrong_requests_are_refused(library: Library, request_: Request, what: str) -> None:
    with pytest.raises(InputError, match=what.replace("(", r"\(")):
        prepare(library, [request_])


def test_problems_of_all_releases_come_at_once(library: Library) -> None:
    with pytest.raises(ValuesError) as caught:
        prepare(library, [Request("web", sets=("a=1",)), Request("db", sets=("b=1",))])
    assert [problem.what for problem in caught.value.problems] == [
        "a: there is no such value",
        "b: there is no such value",
    ]


def test_two_releases_cannot_have_one_name(library: Library) -> None:
    with pytest.raises(InputError, match="two releases are named x in default"):
        prepare(library, [Request("web", name="x"), Request("db", name="x")])
    prepare(library, [Request("web", name="x"), Request("db", name="x", namespace="other")])


def test_two_releases_cannot_render_one_object(roots: tuple[Path, Path], library: Library) -> None:
    add(roots[0], "thief")
    write(roots[0], templates__thief__a="apiVersion: v1\nkind: ConfigMap\nmetadata: {name: web}\n")
    with pytest.raises(TemplateError, match="the releases web and thief both render ConfigMap/web in default"):
        prepare(library, [Request("web"), Request("thief")])


def test_values_files_are_read_in_order(roots: tuple[Path, Path], library: Library, tmp_path: Path) -> None:
    add(roots[0], "web", "schema: {properties: {a: {type: integer}}}\n")
    paths = []
    for number in (1, 2):
        path = tmp_path / f"{number}.yaml"
        path.write_text(f"a: {number}\n")
        paths.append(str(path))
    (release,) = prepare(library, [Request("web", value_files=tuple(paths))])
    assert release.values.data == {"a": 2}
    assert str(release.values.source_of("a")) == f"{paths[1]}:1"
