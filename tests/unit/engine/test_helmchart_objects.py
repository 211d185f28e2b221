"""What Helm writes and says, without Helm: objects, hooks, labels, stand-ins, and its errors as problems."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Callable
from typing import Any

import pytest

from berth.core.complete import complete
from berth.core.draft import Draft
from berth.core.errors import Position, Problem, TemplateError
from berth.core.helmchart.errors import explain
from berth.core.helmchart.objects import definitions, derived, drafts, unsteady
from berth.core.helmchart.source import ChartSource
from berth.core.helmchart.standins import StandIns, stand_ins
from berth.core.helmchart.values import Chart
from berth.core.masking import masked
from berth.core.secretvalues import Copied, Generated
from berth.core.values import Source, Values

pytestmark = pytest.mark.unit

CHART = Chart("/srv/charts/web", "charts/web", "web", "1.0.0")
NO_VALUES = Values({})


def written(*bodies: str, file: str = "web/templates/a.yaml") -> str:
    return "".join(f"---\n# Source: {file}\n{body}\n" for body in bodies)


def made(*bodies: str, values: Values = NO_VALUES, **fields: Any) -> list[Draft]:
    return drafts(written(*bodies), ChartSource(path="charts/web", **fields), CHART, values, "shop")


def refused(*bodies: str, **fields: Any) -> list[Problem]:
    with pytest.raises(TemplateError) as caught:
        made(*bodies, **fields)
    return list(caught.value.problems)


def config(data: str = "a: b", more: str = "") -> str:
    return f"apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: conf\n{more}\ndata:\n  {data}\n"


def test_an_object_is_at_the_chart_template_that_wrote_it() -> None:
    (draft,) = made(config())
    assert str(draft.position) == "charts/web/templates/a.yaml"
    problem = draft.problem(("data", "a"), "wrong")
    assert problem.where == "charts/web/templates/a.yaml"
    (other,) = drafts(written(config(), file="web/charts/db/templates/x.yaml"), ChartSource(), CHART, NO_VALUES, "shop")
    assert str(other.position) == "charts/web/charts/db/templates/x.yaml"


def test_nothing_null_stays_and_lists_are_taken_apart() -> None:
    both = "apiVersion: v1\nkind: List\nitems:\n- {apiVersion: v1, kind: Pod, metadata: {name: x, annotations: }}\n"
    (pod, conf) = made(both, "# only a comment", config(more="  annotations:"))
    assert "annotations" not in pod.body["metadata"] and "annotations" not in conf.body["metadata"]


def test_berth_finds_its_objects_by_its_labels() -> None:
    labels = "  labels: {app.kubernetes.io/managed-by: Helm, heritage: Helm}"
    service = "apiVersion: v1\nkind: Service\nmetadata: {name: s, labels: {app.kubernetes.io/instance: other}}\n"
    role = "apiVersion: rbac.authorization.k8s.io/v1\nkind: ClusterRole\nmetadata: {name: r, namespace: x}\n"
    conf, kept, cluster = made(config(more=labels), service, role)
    assert conf.body["metadata"]["labels"] == {
        "app.kubernetes.io/managed-by": "berth",
        "heritage": "Helm",
        "app.kubernetes.io/instance": "shop",
    }
    assert kept.body["metadata"]["labels"]["app.kubernetes.io/instance"] == "other"
    assert cluster.body["metadata"] == {"name": "r", "labels": {"app.kubernetes.io/managed-by": "berth"}}


@pytest.mark.parametrize("selected", [True, False])
def test_pods_and_claims_get_the_label_that_is_missing_and_no_other(selected: bool) -> None:
    own = "app.kubernetes.io/instance: shop" if selected else "app: web"
    text = f"""\
apiVersion: apps/v1
kind: StatefulSet
metadata: {{name: web}}
spec:
  selector: {{matchLabels: {{{own}}}}}
  template:
    metadata: {{labels: {{app.kubernetes.io/managed-by: Helm, {own}}}}}
    spec: {{containers: [{{name: a, image: b}}]}}
  volumeClaimTemplates: [{{metadata: {{name: data}}}}]
"""
    spec = made(text)[0].body["spec"]
    assert spec["template"]["metadata"]["labels"]["app.kubernetes.io/managed-by"] == "Helm"
    assert spec["template"]["metadata"]["labels"]["app.kubernetes.io/instance"] == "shop"
    (claim,) = spec["volumeClaimTemplates"]
    assert claim["metadata"].get("labels") == (None if selected else {"app.kubernetes.io/instance": "shop"})


def hook(words: str, name: str = "conf") -> str:
    return config(more=f"  annotations: {{helm.sh/hook: '{words}'}}").replace("name: conf", f"name: {name}")


def test_hooks_are_refused_until_the_profile_does_without_them() -> None:
    bodies = (hook("test"), hook("test-success"), hook("pre-install,pre-upgrade", "early"), config())
    (problem,) = refused(*bodies)
    assert "ConfigMap/early is a hook (pre-install, pre-upgrade)" in problem.what and "skip: [hooks]" in problem.hint
    for skip in ("hooks", "ConfigMap/ear*"):
        assert [draft.body["metadata"]["name"] for draft in made(*bodies, skip=(skip,))] == ["conf"]
    assert made(*bodies, skip=("ConfigMap",)) == []


def test_a_kind_that_would_go_with_the_release_is_refused() -> None:
    text = "apiVersion: apiextensions.k8s.io/v1\nkind: CustomResourceDefinition\nmetadata: {name: a.b}\n"
    assert "every object of that kind in the cluster with it" in refused(text, config())[0].what
    assert len(made(text, config(), skip=("CustomResourceDefinition",))) == 1
    chart = Chart("", "charts/web", "web", "1", definitions=("crds/a.yaml",))
    (problem,) = definitions(ChartSource(path="charts/web"), chart)
    assert "crds/a.yaml" in problem.what and not definitions(ChartSource(skip=("CustomResourceDefinition",)), chart)


def test_what_is_kept_with_helm_is_kept_with_the_data() -> None:
    shared = "apiVersion: storage.k8s.io/v1\nkind: StorageClass\nmetadata: {name: c, annotations: {%s}}\n"
    keep = "helm.sh/resource-policy: keep"
    conf, storage = made(config(more=f"  annotations: {{{keep}}}"), shared % keep)
    assert conf.body["metadata"]["annotations"] == {"berth.dev/keep-with": "data"}
    assert "annotations" not in storage.body["metadata"]


def test_what_a_chart_of_berths_own_makes_up_is_made_once() -> None:
    annotations = "annotations: {berth.dev/generated-keys: 'a,b'}"
    data = ", ".join(f"{key}: {b64encode(b'x' * length).decode()}" for key, length in (("a", 32), ("b", 16), ("c", 5)))
    text = f"apiVersion: v1\nkind: Secret\nmetadata: {{name: s, {annotations}}}\ndata: {{{data}}}\n"
    (manifest,) = complete(made(text), "shop", "default")
    assert manifest.generated == {"a": 32, "b": 16} and list(manifest.body["data"]) == ["c"]


def test_secret_values_are_hidden_wherever_the_chart_puts_them() -> None:
    values = Values({"auth": {"password": "geheim123"}, "port": 1}, secret_paths=frozenset({"auth.password"}))
    (manifest,) = complete(made(config("{a: 'x=geheim123;', b: hell}"), values=values), "shop", "default")
    assert masked(manifest, values.secret_paths)["data"] == {"a": "(hidden)", "b": "hell"}


def test_what_is_made_up_anew_each_time_is_named() -> None:
    first, second = made(config("{a: x1, b: y, c: z1}"), config("a: b")), made(config("{a: x2, b: y, c: z2}"))
    (problem,) = unsteady(first[:1], second)
    assert problem.what == "ConfigMap/conf differs each time the chart renders it: data.a, data.c"
    assert "x1" not in str(problem) and not unsteady(second, second)
    assert "all of it" in unsteady(first, [])[0].what


TOLD = {"auth": {"password": Generated(40), "other": Copied("old", "key")}, "list": [Generated(8)]}
SECRET = "apiVersion: v1\nkind: Secret\nmetadata: {name: s}\n"


def text_of(given: StandIns, name: str) -> str:
    return next(text for text, (path, _) in given.tokens.items() if path == name)


def test_stand_ins_are_found_again_in_secrets() -> None:
    given = stand_ins(TOLD, 0)
    password, other = (text_of(given, f"auth.{name}") for name in ("password", "other"))
    assert given.data["auth"] == {"password": password, "other": other} and len(password) == 40
    encoded = b64encode(password.encode()).decode()
    (draft,) = made(f"{SECRET}data: {{a: {encoded}}}\nstringData: {{b: {other}, c: plain}}\n")
    assert not list(given.put_back(draft))
    (manifest,) = complete([draft], "shop", "default")
    assert manifest.generated == {"a": 40} and manifest.copied == {"b": ("old", "key")}
    assert list(manifest.body["data"]) == ["c"]
    assert manifest.body["metadata"]["annotations"]["berth.dev/keep-with"] == "data"
    assert stand_ins(TOLD, 0) == given != stand_ins(TOLD, 1)


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (lambda text: config(f"a: x{text}"), "ConfigMap/conf: data.a holds auth.password inside of a text"),
        (lambda text: f"{SECRET}stringData: {{a: 'u:{text}'}}", "Secret/s: stringData.a holds auth.password"),
        (lambda text: f"{SECRET}data: {{a: {b64encode(f'u:{text}'.encode()).decode()}}}", "Secret/s: data.a holds"),
        (lambda text: config(f"a: {text}"), "data.a cannot be"),
    ],
    ids=["text", "string data", "encoded", "no secret"],
)
def test_a_value_that_only_the_cluster_has_cannot_be_part_of_a_text(body: Callable[[str], str], said: str) -> None:
    given = stand_ins(TOLD, 0)
    (draft,) = made(body(text_of(given, "auth.password")))
    problems = list(given.put_back(draft))
    if not problems:
        with pytest.raises(TemplateError, match=said):
            complete([draft], "shop", "default")
    else:
        assert said in problems[0].what and text_of(given, "auth.password") not in str(problems)


def test_what_is_computed_from_a_stand_in_is_told_but_for_annotations() -> None:
    first = made(config("hash: abc", "  annotations: {checksum: abc}"))
    second = made(config("hash: def", "  annotations: {checksum: def}"))
    (problem,) = derived(first, second)
    assert problem.what.endswith("only the cluster has: data.hash")


SAID: list[tuple[str, str, str]] = [
    (
        'Error: template: web/templates/a.yaml:3:27: executing "web/templates/a.yaml" at <.Values.b.c>: nil pointer '
        "evaluating interface {}.c\n\nUse --debug flag to render out invalid YAML",
        ".Values.b.c: nil pointer evaluating interface {}.c",
        "charts/web/templates/a.yaml:3:27",
    ),
    (
        'Error: template: web/templates/a.yaml:4:9: executing "a" at <include "d" .>: error calling include: '
        'template: web/templates/_d.tpl:1:26: executing "d" at <.Values.x>: wrong type',
        ".Values.x: wrong type",
        "charts/web/templates/_d.tpl:1:26\n     included from charts/web/templates/a.yaml:4:9",
    ),
    (
        "Error: execution error at (web/charts/db/templates/a.yaml:3:20): a password is needed",
        "a password is needed",
        "charts/web/charts/db/templates/a.yaml:3:20",
    ),
    ('Error: parse error at (web/templates/a.yaml:2): function "foo" not defined', 'function "foo"', "a.yaml:2"),
    (
        "Error: YAML parse error on web/templates/a.yaml: error converting YAML to JSON: yaml: line 4: did not find",
        "not valid YAML: line 4: did not find",
        "charts/web/templates/a.yaml",
    ),
    (
        "Error: An error occurred while checking for chart dependencies. You may need to run `helm dependency build` "
        "to fetch missing dependencies: found in Chart.yaml, but missing in charts/ directory: pg",
        "pg is missing in charts/web/charts",
        "profiles/web.yaml:4",
    ),
    ("Error: chart requires kubeVersion: >=1.99 which is incompatible", "requires kubeVersion", "profiles/web.yaml:4"),
    ("coalesce.go:237: warning: skipped value for t.a: Not a table.\nError: odd geheim123", "odd (hidden)", "web.yaml"),
    ("", "it says nothing of why", "profiles/web.yaml:4"),
]


@pytest.mark.parametrize(("stderr", "what", "where"), SAID, ids=[what for _, what, _ in SAID])
def test_what_helm_says_has_a_place(stderr: str, what: str, where: str) -> None:
    values = Values({"a": "geheim123"}, secret_paths=frozenset({"a"}))
    (problem,) = explain(stderr, ChartSource(position=Position("profiles/web.yaml", 4)), CHART, values)
    assert what in problem.what and where in problem.where and "--debug" not in str(problem)


def test_values_that_the_charts_schema_refuses_are_at_the_place_where_they_were_set() -> None:
    stderr = """\
Error: values don't meet the specifications of the schema(s) in the following chart(s):
web:
- at '/replicaCount': got string, want integer
- at '/o': validation failed
  - at '/o': additional properties 'zz' not allowed
"""
    sources = {"replicas": Source("--values", Position("prod.yaml", 3)), "o": Source("profile web", Position("p", 9))}
    source = ChartSource(position=Position("profiles/web.yaml", 4), values={"replicas": "replicaCount"})
    first, second = explain(stderr, source, CHART, Values({}, sources))
    assert (first.what, first.where) == ("replicas: the chart's schema says: got string, want integer", "prod.yaml:3")
    assert second.what.startswith("o: ") and second.where == "p:9" and second.why == "it is set by profile web"
