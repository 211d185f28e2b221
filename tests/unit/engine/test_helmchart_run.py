"""Finding a chart, reading it, and running helm: a stand-in for helm says what it is told to say."""

from __future__ import annotations

import io
import os
import tarfile
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path

import pytest

from berth.actions import helm as programs
from berth.actions import helmchart
from berth.actions.prepare import Request, prepare
from berth.actions.profiles import show
from berth.core.errors import BerthError, InputError, LocalError, ProfileError, TemplateError
from berth.core.lint.model import DEFAULT_KUBERNETES, format_version
from berth.core.render import Release
from berth.library import open_library
from tests import helmchart as sample

pytestmark = pytest.mark.unit

OBJECT = "---\n# Source: thing/templates/objects.yaml\napiVersion: v1\nkind: ConfigMap\nmetadata: {name: c}\n"


class Helm:
    """A program named helm that notes how it was called, prints a text and ends with a code."""

    def __init__(self, directory: Path) -> None:
        self.notes = directory / "notes"
        self.program = directory / "bin" / "helm"
        self.notes.mkdir()
        self.program.parent.mkdir()

    def says(self, text: str = OBJECT, error: str = "", code: int = 0, instead: str = "") -> None:
        (self.notes / "out").write_text(text)
        (self.notes / "err").write_text(error)
        note = f'n="{self.notes}"; echo . >> "$n/calls"; printf "%s\\n" "$@" > "$n/arguments"; env > "$n/environment"'
        run = f'cat > "$n/stdin"; {instead}\ncat "$n/out"; cat "$n/err" >&2; exit {code}'
        self.program.write_text(f"#!/bin/sh\n{note}\n{run}\n")
        self.program.chmod(0o755)

    def noted(self, what: str) -> list[str]:
        return (self.notes / what).read_text().splitlines()


@pytest.fixture
def helm(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Helm:
    made = Helm(tmp_path)
    made.says()
    monkeypatch.setenv("PATH", f"{made.program.parent}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return made


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    root = sample.write_project(tmp_path / "project")
    monkeypatch.chdir(root)
    return root


def release(*sets: str, profile: str = "thing") -> Release:
    (made,) = prepare(open_library(), [Request(profile, namespace="shop", sets=sets)])
    return made


def refused(kind: type[BerthError] = ProfileError) -> str:
    with pytest.raises(kind) as caught:
        release()
    return str(caught.value)


def test_helm_gets_a_chart_and_values_and_nothing_of_the_user(
    helm: Helm, project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("HELM_KUBETOKEN", "HELM_PLUGINS", "HELM_NAMESPACE", "KUBECONFIG", "SECRET"):
        monkeypatch.setenv(name, "mine")
    monkeypatch.setenv("HELM_REGISTRY_CONFIG", "/registries")
    release("auth.password=geheim123", "replicas=4")
    version = f"{format_version(DEFAULT_KUBERNETES)}.0"
    chart = str(project / "charts" / "thing")
    assert helm.noted("arguments") == (
        ["template", "thing", chart, "--namespace", "shop", "--kube-version", version, "--values", "-"]
    )
    assert sorted(helm.noted("stdin")) == ["  password: geheim123", "auth:", "replicaCount: 4"]
    environment = dict(line.split("=", 1) for line in helm.noted("environment") if "=" in line)
    assert {name for name in environment if "KUBE" in name or "NAMESPACE" in name or "SECRET" in name} == {"KUBECONFIG"}
    assert environment["HELM_PLUGINS"] == environment["KUBECONFIG"] == os.devnull
    assert environment["HELM_REGISTRY_CONFIG"] == "/registries"


def test_the_profile_may_say_more_of_what_the_chart_is_told(helm: Helm, project: Path) -> None:
    text = sample.PROFILE.replace("  path: ", '  kubernetes: "1.33"\n  apiVersions: [a.example/v1]\n  path: ')
    (project / "profiles" / "thing.yaml").write_text(text)
    release("auth.password=x")
    assert helm.noted("arguments")[5:9] == ["--kube-version", "1.33.0", "--api-versions", "a.example/v1"]


@pytest.mark.parametrize(("added", "calls"), [("", 1), ("{{ randAlphaNum 5 }}", 2), ("{{ now }}", 2)])
def test_a_chart_that_may_make_something_up_is_rendered_twice(
    helm: Helm, project: Path, added: str, calls: int
) -> None:
    (project / "charts" / "thing" / "templates" / "more.yaml").write_text(added)
    release("auth.password=x")
    assert len(helm.noted("calls")) == calls


def test_what_differs_in_the_second_rendering_is_refused(helm: Helm, project: Path) -> None:
    (project / "charts" / "thing" / "templates" / "more.yaml").write_text("{{ uuidv4 }}")
    helm.says(instead='sed -i "s/name: c.*}/name: c, uid: $(wc -l < "$n/calls")}/" "$n/out"')
    with pytest.raises(TemplateError, match=r"ConfigMap/c differs each time the chart renders it: metadata\.uid"):
        release("auth.password=x")


def test_no_helm(project: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    said = refused(LocalError)
    assert "no program helm on this machine" in said and "install Helm" in said
    profile, shown = show(open_library(), Request("thing"))
    assert profile.chart and {"replicas", "image.tag"} <= {one.path for one in shown}  # Needs no helm.


def test_a_helm_that_does_not_end_or_start(helm: Helm, project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    helm.says(instead="exec sleep 60")
    monkeypatch.setattr(helmchart, "RENDER_LIMIT", 0.1)
    assert "helm template has not ended after" in refused(LocalError)
    helm.program.write_text("#!/no/such/shell\n")
    assert "does not start" in refused(LocalError)


def test_a_helm_that_fails_or_writes_no_text(helm: Helm, project: Path) -> None:
    helm.says("", "Error: execution error at (thing/templates/objects.yaml:3:4): no\n", 1)
    assert refused(TemplateError).startswith("no\n  at charts/thing/templates/objects.yaml:3:4")
    helm.says("")
    assert "the profile thing renders no object" in refused(TemplateError)
    helm.says("---\n# Source: thing/templates/a.yaml\n- a list\n")
    assert "renders Kubernetes objects, and this is none" in refused(TemplateError)
    helm.says(instead="printf '\\377'")
    assert "no UTF-8 text" in refused(InputError)


def test_templates_add_objects_to_a_chart(helm: Helm, project: Path) -> None:
    (project / "templates").mkdir()
    (project / "templates" / "more.yaml").write_text(
        "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: more}\ndata: {count: {{ values.replicas | string }}}\n"
    )
    with (project / "profiles" / "thing.yaml").open("a") as file:
        file.write("templates: [more.yaml]\n")
    made = {manifest.ref.name: manifest for manifest in release("auth.password=x").manifests}
    assert set(made) == {"c", "more"} and made["more"].body["data"] == {"count": "2"}
    assert str(made["more"].origin_of("data.count").template) == "templates/more.yaml:4"


def break_link(root: Path) -> None:
    (root.parent / "elsewhere").mkdir()
    (root / "charts" / "thing").rename(root.parent / "elsewhere" / "thing")
    (root / "charts" / "thing").symlink_to(root.parent / "elsewhere" / "thing")


def put(name: str, text: str) -> Callable[[Path], object]:
    return lambda root: (root / "charts" / "thing" / name).write_text(text)


BROKEN: dict[str, tuple[Callable[[Path], object], str]] = {
    "missing": (
        lambda root: (root / "charts" / "thing").rename(root / "charts" / "thin"),
        "did you mean 'charts/thin'",
    ),
    "no chart": (lambda root: (root / "charts" / "thing" / "Chart.yaml").unlink(), "it has no Chart.yaml with a name"),
    "a chart without a name": (put("Chart.yaml", "version: 1.0.0\n"), "it has no Chart.yaml with a name"),
    "a link out of the project": (break_link, "is a link that leads out of"),
    "a file that links out": (
        lambda root: (root / "charts" / "thing" / "secrets.txt").symlink_to("/etc/passwd"),
        "is a link that leads out of",
    ),
    "values that are a list": (put("values.yaml", "- a\n"), "charts/thing/values.yaml"),
    "values that are no YAML": (put("values.yaml", "a: [\n"), "at charts/thing/values.yaml:"),
    "a schema that is no JSON": (put("values.schema.json", "{"), "at charts/thing/values.schema.json"),
}


@pytest.mark.parametrize(("spoil", "said"), BROKEN.values(), ids=BROKEN)
def test_what_is_no_chart_is_told(helm: Helm, project: Path, spoil: Callable[[Path], object], said: str) -> None:
    spoil(project)
    assert said in refused()


def test_values_that_the_chart_does_not_know(helm: Helm, project: Path) -> None:
    with pytest.raises(InputError, match=r"image\.tga: there is no such value\n.*\n.*did you mean 'image\.tag'"):
        release("auth.password=x", "image.tga=1")
    assert not (helm.notes / "calls").exists()


def package(chart: Path, path: Path, prefix: str = "thing") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    with tarfile.open(path, "w:gz") as made:
        for file in sorted(each for each in chart.rglob("*") if each.is_file()):
            data = file.read_bytes()
            member = tarfile.TarInfo(f"{prefix}/{file.relative_to(chart)}")
            member.size = len(data)
            made.addfile(member, io.BytesIO(data))
    return path


def test_a_packed_chart(helm: Helm, project: Path) -> None:
    path = package(project / "charts" / "thing", project / "charts" / "thing-1.2.3.tgz")
    profile = project / "profiles" / "thing.yaml"
    profile.write_text(sample.PROFILE.replace("charts/thing", "charts/thing-1.2.3.tgz"))
    made = release("auth.password=x")
    assert str(made.manifests[0].position) == "charts/thing-1.2.3.tgz/templates/objects.yaml"
    assert "charts/thing-1.2.3.tgz/values.yaml:4" in str(made.values.source_of("greeting"))
    assert helm.noted("arguments")[2] == str(path)
    path.write_bytes(b"nothing")
    assert "is no package of a chart" in refused()


FAR = "repository: https://charts.example.org\n  name: thing\n  version: 1.2.3"


def test_a_chart_of_a_repository_is_fetched_once(helm: Helm, project: Path, tmp_path: Path) -> None:
    path = package(project / "charts" / "thing", tmp_path / "thing-1.2.3.tgz")
    fetching = f'case "$1" in pull) while [ "$1" != --destination ]; do shift; done; cp "{path}" "$2";; esac'
    helm.says(instead=fetching)
    profile = project / "profiles" / "thing.yaml"
    profile.write_text(sample.PROFILE.replace("path: charts/thing", FAR))
    assert str(release("auth.password=x").manifests[0].position) == "thing-1.2.3.tgz/templates/objects.yaml"
    release("auth.password=x")
    assert len(helm.noted("calls")) == 3  # One to fetch, two to render.
    digest = sha256(path.read_bytes()).hexdigest()
    profile.write_text(sample.PROFILE.replace("path: charts/thing", f"{FAR}\n  digest: sha256:{digest}"))
    assert release("auth.password=x")
    wrong = f"{FAR}\n  digest: sha256:{'0' * 64}"
    profile.write_text(sample.PROFILE.replace("path: charts/thing", wrong))
    said = refused()
    assert f"it is sha256:{digest}" in said and "profiles/thing.yaml:8:3" in said


def test_a_repository_that_does_not_give_it(helm: Helm, project: Path, tmp_path: Path) -> None:
    helm.says("", 'Error: chart "thing" version "1.2.3" not found\n', 1)
    (project / "profiles" / "thing.yaml").write_text(sample.PROFILE.replace("path: charts/thing", FAR))
    said = refused()
    assert 'helm cannot fetch the chart thing 1.2.3: chart "thing" version "1.2.3" not found' in said
    assert "profiles/thing.yaml:5:3" in said and "helm show chart thing --repo https://charts.example.org" in said
    assert helm.noted("arguments")[:6] == [
        "pull",
        "thing",
        "--repo",
        "https://charts.example.org",
        "--version",
        "1.2.3",
    ]
    assert not list((tmp_path / "cache").rglob("*.tgz"))


def test_an_oci_repository_is_named_as_a_whole(helm: Helm, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="it gave no package"):
        programs.fetch("oci://registry.example.org/charts", "thing", "1.2.3", tmp_path)
    assert helm.noted("arguments")[:2] == ["pull", "oci://registry.example.org/charts/thing"]
