"""The part `chart:` of a profile: what it may say, and each way of getting it wrong."""

from __future__ import annotations

import pytest

from berth.core.errors import ProfileError
from tests.unit.engine.support import profile_from

pytestmark = pytest.mark.unit

HEAD = 'description: a test\nversion: "1.0.0"\n'
FAR = "repository: https://charts.example.org/stable\n  name: thing\n  version: 1.2.3"
WRONG: list[tuple[str, str]] = [
    ("{}", "does not say where the chart is"),
    ("{skip: [hooks]}", "does not say where the chart is"),
    ("{path: charts/x, repository: https://a.example}", "a path and a repository"),
    ("{path: /etc/charts}", "leaves the project"),
    ("{path: ../charts/x}", "leaves the project"),
    ("{path: ~/charts}", "leaves the project"),
    ("{path: charts/x, version: 1.0.0}", "chart.version is for a chart of a repository"),
    ("{path: charts/x, pth: z}", "there is no such value"),
    ("{path: 3}", "expected text"),
    ("{repository: https://a.example, name: x}", "chart.version is missing"),
    ("{repository: https://a.example, version: 1.0.0}", "chart.name is missing"),
    ("{repository: https://a.example, name: x, version: ^1.0}", "is not one version"),
    ("{repository: https://a.example, name: x, version: 1.x}", "is not one version"),
    ("{repository: https://a.example, name: x, version: 1.2}", "expected text"),
    ("{repository: https://a.example, name: --debug, version: 1.0.0}", "expected text that matches"),
    ("{repository: bitnami, name: x, version: 1.0.0}", "no address of a repository"),
    ("{repository: 'file:///srv', name: x, version: 1.0.0}", "no address of a repository"),
    ("{repository: 'https://me:geheim@a.example', name: x, version: 1.0.0}", "credentials do not belong"),
    ("{repository: https://a.example, name: x, version: 1.0.0, digest: sha256:12}", "expected text that matches"),
    ("{path: x, skip: [Ingress, 'a b']}", "expected text that matches"),
    ("{path: x, skip: Ingress}", "expected a list"),
    ("{path: x, kubernetes: latest}", "expected text that matches"),
    ("{path: x, values: {a: '..'}}", "expected text that matches"),
    ("{path: x, values: {a: b, a.c: d}}", "the same value"),
    ("{path: x, values: {a: b, c: b}}", "the same value"),
]


@pytest.mark.parametrize(("part", "said"), WRONG, ids=[part for part, _ in WRONG])
def test_each_mistake_is_told_with_its_line(part: str, said: str) -> None:
    with pytest.raises(ProfileError) as caught:
        profile_from({"web": f"name: web\n{HEAD}chart: {part}\n"}, "web")
    assert said in str(caught.value) and "geheim" not in str(caught.value)
    assert all(problem.where.startswith("profiles/web.yaml:4") for problem in caught.value.problems)


def test_a_chart_in_the_project() -> None:
    text = f"name: web\n{HEAD}chart:\n  path: charts/web\n  skip: [hooks, Ingress, Job/*-once]\n"
    chart = profile_from({"web": text}, "web").chart
    assert chart is not None and str(chart) == "charts/web" and str(chart.at("skip", 1)) == "profiles/web.yaml:6:17"
    assert chart.leaves_out("Ingress", "any") and chart.leaves_out("Job", "a-once")
    assert not (chart.leaves_out("Job", "other") or chart.leaves_out("IngressClass", "any"))


def test_a_chart_of_a_repository() -> None:
    chart = profile_from({"web": f"name: web\n{HEAD}chart:\n  {FAR}\n"}, "web").chart
    assert chart is not None and str(chart) == "thing 1.2.3 of https://charts.example.org/stable"


def test_templates_are_only_there_where_they_are_named() -> None:
    base = f"name: base\n{HEAD}chart: {{path: charts/base}}\nvalues: {{a: 1}}\n"
    plain = profile_from({"base": base, "web": f"name: web\n{HEAD}extends: base\nvalues: {{a: 2}}\n"}, "web")
    assert plain.chart is not None and plain.chart.path == "charts/base" and plain.templates == ()
    assert [layer.data for layer in plain.layers] == [{"a": 1}, {"a": 2}]
    both = profile_from({"web": f"name: web\n{HEAD}templates: [web/*.yaml]\nchart: {{path: charts/web}}\n"}, "web")
    assert both.templates == ("web/*.yaml",)
    other = f"name: web\n{HEAD}extends: base\nchart: {{path: charts/web}}\n"
    chart = profile_from({"base": base, "web": other}, "web").chart
    assert chart is not None and chart.path == "charts/web"
