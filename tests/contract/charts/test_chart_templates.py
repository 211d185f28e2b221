"""What helm makes of the charts is what berth renders, object by object, and what berth refuses it refuses."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from random import Random

import pytest

from berth.actions.chart import charts_of, write
from berth.core.errors import InputError
from berth.core.objects import Json
from berth.core.profile import Layer, Profile
from berth.core.render import render
from berth.core.values import merge
from berth.library import Library, open_library
from tests.contract.charts import drawing, support
from tests.contract.charts.conftest import Helm
from tests.contract.support import PROFILES, ROOT

pytestmark = pytest.mark.controlplane

ENVIRONMENTS = (None, "dev", "staging", "prod")
#: A profile that uses what templates can do, carried over to a chart or fixed.
ODD = Path(__file__).parent / "project"
LONGEST = "a" + "b" * 39


@dataclass(frozen=True)
class Case:
    """One release: its name, environment and what is changed."""

    name: str
    environment: str | None = None
    changed: Json | None = None


def wanted(library: Library, profile: Profile, case: Case) -> dict[str, Json] | None:
    """What berth renders; None where it refuses."""
    try:
        values = merge(profile, case.environment, last=[Layer("the test", case.changed or {})])
        return support.rendered(render(profile, values, case.name, "harbour", case.environment, library.loader))
    except InputError:
        return None


def agree(helm: Helm, library: Library, charts: Path, profile: str, case: Case, tmp_path: Path) -> bool:
    """Whether berth takes the case; helm must do the same, and make the same of it."""
    chart = charts / profile
    files = [chart / f"values-{case.environment}.yaml"] if case.environment else []
    if case.changed:
        files.append(tmp_path / "changed.json")
        files[-1].write_text(json.dumps(case.changed))
    arguments = ["template", case.name, str(chart), "-n", "harbour", "--kube-version", support.KUBERNETES]
    for file in files:
        arguments += ["-f", str(file)]
    expected = wanted(library, library.load(profile), case)
    if expected is None:
        assert helm(*arguments, succeed=False), case
        return False
    assert support.objects(helm(*arguments)) == expected, case
    return True


@pytest.mark.parametrize("profile", PROFILES)
def test_lint(helm: Helm, profile: str) -> None:
    """Not even a warning."""
    chart = ROOT / "charts" / profile
    assert "0 chart(s) failed" in helm("lint", "--strict", str(chart))


@pytest.mark.parametrize("profile", PROFILES)
def test_the_objects_are_those_of_the_profile(helm: Helm, profile: str, tmp_path: Path) -> None:
    """With the defaults, in each environment, and under another name."""
    library = open_library(ROOT)
    cases = [Case(profile, environment) for environment in ENVIRONMENTS]
    for case in (*cases, Case("shop"), Case(LONGEST, "prod")):
        assert agree(helm, library, ROOT / "charts", profile, case, tmp_path)


@pytest.mark.parametrize("profile", PROFILES)
def test_changed_values_change_the_same(helm: Helm, profile: str, tmp_path: Path) -> None:
    """Whatever the schema allows."""
    library = open_library(ROOT)
    held = library.load(profile)
    taken = 0
    for seed in range(12):
        random = Random(f"{profile} {seed}")
        changed = drawing.draw(held.schema, merge(held).data, random, random.choice((0.05, 0.15, 0.4)))
        case = Case(random.choice((profile, "shop", LONGEST)), random.choice(ENVIRONMENTS), changed)
        taken += agree(helm, library, ROOT / "charts", profile, case, tmp_path)
    assert taken >= 4


def test_all_that_templates_can_do(helm: Helm, tmp_path: Path) -> None:
    """It is carried over, or the values it needs are fixed; never is a chart wrong."""
    library = open_library(ODD)
    (chart,) = charts_of(library, ["odd"], None)
    assert [part.path for part in chart.fixed] == ["mixed", "password", "sorted", "title"]
    write([chart], tmp_path / "charts")
    held = library.load("odd")
    taken = 0
    for seed in range(30):
        random = Random(f"odd {seed}")
        changed = drawing.draw(held.schema, merge(held).data, random, random.choice((0.1, 0.3, 0.6)))
        for part in chart.fixed:
            changed.pop(part.path, None)
        case = Case(random.choice(("odd", "shop", LONGEST)), None, changed)
        taken += agree(helm, library, tmp_path / "charts", "odd", case, tmp_path)
    assert taken >= 20
    text = helm("template", "odd", str(tmp_path / "charts/odd"), "--set", "title=else", succeed=False)
    assert "/title" in text and "hello" in text, "a fixed value cannot be changed silently"


def test_an_environment_with_another_fixed_value_gets_a_chart_of_its_own(helm: Helm, tmp_path: Path) -> None:
    """And the values file of the environment says so."""
    library = open_library(ODD)
    (chart,) = charts_of(library, ["odd"], None)
    assert "sorted is fixed" in chart.files["values-dev.yaml"]
    assert "--env dev" in chart.files["README.md"]
    (own,) = charts_of(library, ["odd"], "dev")
    write([own], tmp_path)
    out = helm("template", "odd", str(tmp_path / "odd"), "-n", "harbour", "--kube-version", support.KUBERNETES)
    assert support.objects(out) == wanted(library, library.load("odd"), Case("odd", "dev"))


@pytest.mark.parametrize(
    ("profile", "assignment", "said"),
    [
        ("zookeeper", "replicas=4", "replicas is 4: an ensemble of 4 needs 3 members"),
        ("zookeeper", "heap=1g", "heap is 1g, more than three quarters"),
        ("cassandra", "heap.max=4G", "heap.max is 4G, more than half of resources.limits.memory (4Gi)"),
        ("postgres", "settings.port=1", "settings.port is the profile's own"),
        ("postgres", "settings.max_connections=3", "it must be a number above 3"),
        ("postgres", "primaryOrdinal=3", "primaryOrdinal is 3, and there are only 3 replicas"),
        ("postgres", "replication.maxWalSenders=4", "3 replicas need 6"),
        ("httpd", "storage.className=null", "storage.createClass needs a name"),
        ("httpd", "maxRequestWorkers=30", "maxRequestWorkers"),
        ("nginx", "replicas=three", "replicas"),
        ("nginx", "replica=3", "replica"),
        ("nginx", "storage=null", "storage"),
        ("nginx", "serviceAccount.name=a..b", "is no name for a ServiceAccount"),
    ],
)
def test_what_berth_refuses_is_refused(helm: Helm, profile: str, assignment: str, said: str) -> None:
    """By the schema, or by the same words."""
    chart = str(ROOT / "charts" / profile)
    assert said in helm("template", profile, chart, "--set", assignment, "--kube-version", "1.34", succeed=False)


@pytest.mark.parametrize("name", ["Not.a.name", "a" * 41])
def test_names_that_would_not_do(helm: Helm, name: str) -> None:
    """Helm takes dots and 53 characters; names of sets and Services do not."""
    helm("template", name, str(ROOT / "charts/nginx"), "--kube-version", "1.34", succeed=False)


def test_a_chart_is_pushed_and_taken_from_a_registry(helm: Helm, registry: str, tmp_path: Path) -> None:
    """Packaged, pushed as OCI artifact, and rendered from there."""
    helm("package", str(ROOT / "charts/postgres"), "-d", str(tmp_path))
    helm("push", str(tmp_path / "postgres-1.0.0.tgz"), f"oci://{registry}/charts", "--plain-http")
    pulled = ("oci://" + registry + "/charts/postgres", "--version", "1.0.0", "--plain-http")
    out = helm("template", "postgres", *pulled, "-n", "harbour", "--kube-version", support.KUBERNETES)
    library = open_library(ROOT)
    assert support.objects(out) == wanted(library, library.load("postgres"), Case("postgres"))
