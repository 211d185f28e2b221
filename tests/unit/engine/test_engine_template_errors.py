"""What is wrong with a template is said with its line, its chain of includes, and where values came from."""

from __future__ import annotations

import pytest

from berth.core.objects import Json
from tests.unit.engine.support import problems_of

pytestmark = pytest.mark.unit

SECRET: Json = {
    "type": "object",
    "additionalProperties": True,
    "properties": {"pw": {"type": "string", "x-secret": True}},
}


HEAD = "apiVersion: v1\nkind: ConfigMap\n"
WRONG: list[tuple[str, str, int, str]] = [
    (HEAD + "metadata: {name: x}\ndata: {a: {{ values.replica }}}\n", "there is no 'replica' here", 4, "'replicas'"),
    (HEAD + "metadata: {name: x}\ndata: {a: {{ valeus.x }}}\n", "'valeus' is not defined", 4, "'values'"),
    (HEAD + "metadata: {name: x}\ndata: {a: {{ values.none.x }}}\n", "'x' is looked up in null", 4, ""),
    (HEAD + "metadata: {name: x}\ndata: {a: {{ values.name.x }}}\n", "text has no 'x'", 4, ""),
    (HEAD + "metadata: {name: x}\ndata: {a: {{ values.list[9] }}}\n", "there is no item 9 here, there are 1", 4, ""),
    (HEAD + "{% if x %}\n", "template syntax: Unexpected end of template", 3, ""),
    (HEAD + "{% fi x %}\n", "Encountered unknown tag 'fi'", 3, ""),
    (HEAD + "a: {{ 1 + }}\n", "template syntax: unexpected", 3, ""),
    (HEAD + "a: {{ values.name | uper }}\n", "there is no filter 'uper'", 3, "'upper'"),
    (HEAD + "a: {{ 1 is evn }}\n", "there is no test 'evn'", 3, "'even'"),
    (HEAD + "a: {{ values.name | nindent(4) }}\n", "there is no filter 'nindent' here", 3, "no indentation is needed"),
    (HEAD + "a: {{ 1 / 0 }}\n", "division by zero", 3, ""),
    (HEAD + "a: {{ 1 + 'x' }}\n", "a number and text cannot be combined with +", 3, "~ joins texts"),
    (HEAD + "a: {{ 'x' | quantity }}\n", "'x' is not a quantity", 3, ""),
    (HEAD + "a: {{ fail('must be odd') }}\n", "must be odd", 3, ""),
    (HEAD + "a: {{ generate(3) }}\n", "from 8 to 256", 3, ""),
    (HEAD + "a: {{ generate('x') }}\n", "from 8 to 256", 3, ""),
    (HEAD + "a: {{ named() }}\n", "missing 1 required positional argument", 3, ""),
    (HEAD + "a: b: c\n", "this is not valid YAML", 3, ""),
    (HEAD + "a: yes\n", "yes means different things", 3, ""),
    (HEAD + "a: 1\na: {{ values.name }}\n", "the key 'a' is there twice, first in line 3", 4, ""),
    (HEAD + "{{ values.name }}: 1\n{{ values.name }}: 1\n", "the key 'abc' is there twice", 4, ""),
    (HEAD + "{{ values.list }}: 1\n", "a list cannot stand inside a text", 3, ""),
    (HEAD + "a: x{{ values.map }}\n", "a mapping cannot stand inside a text", 3, ""),
    (HEAD + "metadata: {name: x}\n\ta: b\n", "a tab where YAML wants spaces", 4, ""),
    ("just text\n", "renders Kubernetes objects, and this is none", 1, ""),
    ("- a\n", "renders Kubernetes objects, and this is none", 1, ""),
    ("kind: X\nmetadata: {name: x}\n", "this object has no apiVersion", 1, ""),
    ("apiVersion: v1\nmetadata: {name: x}\n", "this object has no kind", 1, ""),
    ("apiVersion: v1\nkind: {{ values.none }}\n", "this object has no kind", 1, ""),
    ("apiVersion: v1\nkind: X\nmetadata:\n  labels: {a: b}\n", "this X has no metadata.name", 3, ""),
    ("apiVersion: v1\nkind: X\nmetadata: {name: {{ values.replicas }}}\n", "this X has no metadata.name", 3, ""),
    ("apiVersion: v1\nkind: List\nmetadata: {name: x}\nitems: []\n", "a List is not one object", 2, ""),
    (HEAD + "metadata:\n  name: x\n  labels: {a: 1}\n", "the value of 'a' in metadata.labels must be text", 5, ""),
    (
        HEAD + "metadata:\n  name: x\n  annotations:\n    a: true\n",
        "metadata.annotations must be text, and true",
        6,
        "",
    ),
    (HEAD + "metadata:\n  name: x\n  labels: [a]\n", "metadata.labels must be a mapping", 5, ""),
    (HEAD + "metadata:\n  name: x\n  namespace: other\n", "sets a namespace of its own", 5, ""),
    (HEAD + "metadata: {name: X_y}\n", "'X_y' is no name for a ConfigMap", 3, ""),
    (HEAD + "metadata: {name: " + "a" * 254 + "}\n", "has 254 characters; 253 are possible", 3, ""),
    ("apiVersion: apps/v1\nkind: StatefulSet\nmetadata: {name: " + "a" * 53 + "}\n", "53 characters; 52", 3, ""),
    ("apiVersion: apps/v1\nkind: StatefulSet\nmetadata: {name: a.b}\n", "is no name for a StatefulSet", 3, ""),
    ("apiVersion: v1\nkind: Service\nmetadata: {name: 1a}\n", "is no name for a Service", 3, ""),
    ("apiVersion: v1\nkind: Secret\nmetadata: {name: x}\nstringData: {a: 1}\n", "in a Secret must be text", 4, ""),
    ("apiVersion: v1\nkind: Secret\nmetadata: {name: x}\nstringData: [a]\n", "must be a mapping", 4, ""),
    (HEAD + "metadata: {name: x}\ndata: {a: {{ generate(9) }}}\n", "data.a cannot be generated", 4, ""),
    (HEAD + "metadata: {name: x}\ndata: {a: {{ [generate(9)] }}}\n", "data.a[0] cannot be generated", 4, ""),
    (HEAD + "metadata: {name: x}\n---\n" + HEAD + "metadata: {name: x}\n", "ConfigMap/x in shop is there twice", 5, ""),
    (HEAD + "{% include 'web/b.yaml' %}\n", "there is no template 'web/b.yaml'", 3, "'web/a.yaml'"),
    ("# nothing\n", "the profile web renders no object", 0, ""),
]
VALUES_OF_WRONG: Json = {"replicas": 3, "none": None, "name": "abc", "list": [1], "map": {}}


@pytest.mark.parametrize("template,what,line,hint", WRONG)
def test_what_is_wrong_is_said_with_its_line(template: str, what: str, line: int, hint: str) -> None:
    (problem,) = problems_of(template, VALUES_OF_WRONG)
    assert what in problem.what
    assert problem.where.split("\n")[0] == (f"templates/web/a.yaml:{line}" if line else "")
    assert hint in problem.hint
    assert "berth/core" not in str(problem) and "Traceback" not in str(problem)


def test_the_chain_of_includes_is_told() -> None:
    templates = {
        "web/a.yaml": HEAD + "metadata: {name: x}\ndata:\n  {% include '_i.yaml' %}\n",
        "_i.yaml": "{% from '_m.yaml' import m %}\n\na: {{ m() }}\n",
        "_m.yaml": "{% macro m() %}\n{{ values.imge.tag }}\n{% endmacro %}\n",
    }
    (problem,) = problems_of(templates, {"image": {"tag": "1"}})
    assert problem.where == (
        "templates/_m.yaml:2\n     included from templates/_i.yaml:3\n     included from templates/web/a.yaml:5"
    )
    assert problem.excerpt == "2 | {{ values.imge.tag }}\n  |           ^^^^"
    assert problem.hint == "did you mean 'image'?"


def test_a_syntax_error_in_an_include_is_told_with_the_chain() -> None:
    templates = {"web/a.yaml": HEAD + "{% include '_i.yaml' %}\n", "_i.yaml": "a: 1\nb: {{ 1 + }}\n"}
    (problem,) = problems_of(templates)
    assert problem.where == "templates/_i.yaml:2\n     included from templates/web/a.yaml:3"


def test_where_a_value_came_from_is_told() -> None:
    (problem,) = problems_of(HEAD + "a: {{ values.name | quantity }}\n", {"name": "abc"})
    assert problem.why == "values.name is set by profile web (profile web)"


def test_problems_of_all_templates_come_at_once() -> None:
    templates = {"web/a.yaml": "a: {{ x }}\n", "web/b.yaml": "b: yes\nc: no\n", "web/c.yaml": HEAD}
    assert [problem.where for problem in problems_of(templates)] == [
        "templates/web/a.yaml:1",
        "templates/web/b.yaml:1",
        "templates/web/b.yaml:2",
    ]


@pytest.mark.parametrize(
    "lines",
    [
        "a: {{ values.pw | quantity }}",
        "a: {{ fail('bad: ' ~ values.pw) }}",
        "{{ values.pw }}: 1\n{{ values.pw }}: 2",
        "metadata: {name: '{{ values.pw }}'}",
        "metadata: {name: x}\ndata: {{ values.pw.nothing }}",
        "metadata: {name: x, labels: {'{{ values.pw }}': 1}}",
    ],
)
def test_a_secret_is_never_in_an_error(lines: str) -> None:
    for problem in problems_of(f"{HEAD}{lines}\n", {"pw": "Hunter2Hunter2"}, schema=SECRET):
        assert "Hunter2" not in str(problem)
