"""Templates become manifests: types, omission, provenance, and errors with their place."""

from __future__ import annotations

import re
from base64 import b64decode
from typing import Any

import pytest

from berth.core.errors import TemplateError
from berth.core.objects import (
    CHECKSUM_ANNOTATION,
    GENERATED_ANNOTATION,
    PART_OF_LABEL,
    Json,
    applyset_id,
)
from berth.core.render import matching, render, templates_of
from berth.core.values import merge
from tests.unit.engine.support import CONFIG_MAP, cook, data_of, profile_of

pytestmark = pytest.mark.unit


def field(lines: str, values: Json | None = None) -> Any:
    (manifest,) = cook(f"apiVersion: v1\nkind: Thing\nmetadata: {{name: x}}\n{lines}\n", values)
    body = {key: value for key, value in manifest.body.items() if key not in ("apiVersion", "kind", "metadata")}
    return body


VALUES: Json = {
    "i": 80,
    "f": 0.5,
    "t": True,
    "n": None,
    "s": "1.10",
    "m": {"a": 1, "b": [True]},
    "l": [1, "x"],
    "e": {},
    "q": "1536Mi",
}
TYPES: list[tuple[str, Any]] = [
    ("a: {{ values.i }}", {"a": 80}),
    ("a: {{ values.f }}", {"a": 0.5}),
    ("a: {{ values.t }}", {"a": True}),
    ("a: {{ values.s }}", {"a": "1.10"}),
    ("a: {{ values.m }}", {"a": {"a": 1, "b": [True]}}),
    ("a: {{ values.l }}", {"a": [1, "x"]}),
    ("a: {{ values.e }}", {"a": {}}),
    ('a: "{{ values.i }}"', {"a": "80"}),
    ("a: '{{ values.t }}'", {"a": "true"}),
    ('a: "{{ values.f }}"', {"a": "0.5"}),
    ("a: x{{ values.i }}{{ values.t }}", {"a": "x80true"}),
    ("a: {{ values.i }}/{{ values.s }}", {"a": "80/1.10"}),
    ("{{ values.i }}: x", {"80": "x"}),
    ("{{ values.t }}: x", {"true": "x"}),
    ("a: {{ values.i + 1 }}", {"a": 81}),
    ("a: {{ values.i ~ '' }}", {"a": "80"}),
    ("a: {{ values.n }}", {}),
    ("a: {{ values.n or omit }}", {}),
    ("a: {{ omit }}\nb: 1", {"b": 1}),
    ("a: [1, {{ omit }}, {{ values.n }}, 2]", {"a": [1, 2]}),
    ("a:\n  - {{ omit }}\n  - x", {"a": ["x"]}),
    ("a: {b: {{ omit }}}", {"a": {}}),
    ("a: {{ {'x': omit, 'y': none, 'z': 1} }}", {"a": {"z": 1}}),
    ("a:", {}),
    ("a: null", {}),
    ("a: {{ values.m.items() | list }}", {"a": [["a", 1], ["b", [True]]]}),
    ("a: {{ values.m | combine({'b': 2, 'c': {'d': 1}}) | combine({'c': {'e': 2}}) }}", None),
    ("a: {{ values.q | quantity }}", {"a": 1610612736}),
    ("a: {{ '500m' | quantity }}", {"a": 0.5}),
    ("a: {{ 25 | percent_of(values.q) }}", {"a": 402653184}),
    ("a: {{ (values.q | quantity) // 1048576 }}MB", {"a": "1536MB"}),
    ("a: {{ 1073741824 | size }}", {"a": "1Gi"}),
    ("a: {{ '1m30s' | seconds }}", {"a": 90}),
    ("a: {{ values.m | to_json }}", {"a": '{"a": 1, "b": [true]}'}),
    ("a: {{ 'x' | b64encode }}", {"a": "eA=="}),
    ("a: {{ 'x' | sha256 }}", {"a": "2d711642b726b04401627ca9fbac32f5c8530fb1903cc4db02258717921a4881"}),
    ('a: {{ "it\'s" | shell }}', {"a": "'it'\"'\"'s'"}),
    ("a: {{ values.l | join(',') }}", {"a": "1,x"}),
    ("a: {{ 'a-b'.split('-') }}", {"a": ["a", "b"]}),
    ("a: {{ 'abc'.replace('b', 'x') }}", {"a": "axc"}),
    ("a: {{ values.m.get('zz', 5) }}", {"a": 5}),
    ("a: {{ range(3) | list }}", {"a": [0, 1, 2]}),
    ("a: {{ values.l | map('string') | list }}", {"a": ["1", "x"]}),
    ("a: {{ missing | default('d') }}", {"a": "d"}),
    ("a: {{ 'yes' if missing is defined else 'not' }}", {"a": "not"}),
    ("a: {{ release.name }}/{{ release.namespace }}/{{ release.profile }}/{{ release.profile_version }}", None),
    ("{% if values.i is string %}a: 1{% else %}b: 2{% endif %}", {"b": 2}),
    ("{% for k, v in values.m.items() %}\n{{ k }}: {{ v }}\n{% endfor %}", {"a": 1, "b": [True]}),
    ("a:\n{% for x in values.l %}\n  - {{ loop.index }}: {{ x }}\n{% endfor %}", {"a": [{"1": 1}, {"2": "x"}]}),
    ("a: {{ values.l[0] }}{{ values['l'][1] }}", {"a": "1x"}),
    ("a: {{ values.l[-1:] }}", {"a": ["x"]}),
]


@pytest.mark.parametrize("lines,expected", TYPES)
def test_expressions_keep_their_types(lines: str, expected: Any) -> None:
    if expected is None:
        expected = {"a": "web/shop/web/1.2.3"} if "release" in lines else {"a": {"a": 1, "b": 2, "c": {"d": 1, "e": 2}}}
    assert field(lines, VALUES) == expected


def test_keys_of_a_mapping_come_before_its_methods() -> None:
    values: Json = {"items": 1, "keys": 2, "values": 3, "get": 4, "name": 5}
    lines = "a: [{{ values.items }}, {{ values.keys }}, {{ values.values }}, {{ values.get }}]"
    assert field(lines, values) == {"a": [1, 2, 3, 4]}


@pytest.mark.parametrize("release,name", [("web", "x"), ("shop", "shop-x")])
def test_names_carry_the_release_unless_it_is_the_profile(release: str, name: str) -> None:
    (manifest,) = cook('apiVersion: v1\nkind: Thing\nmetadata: {name: {{ named("x") }}}\n', release=release)
    assert manifest.body["metadata"]["name"] == name


def test_an_empty_document_is_nothing() -> None:
    assert len(cook("---\n---\n" + CONFIG_MAP + "---\n# only a comment\n---\n")) == 1


def test_text_of_another_template_is_filled_in_and_nothing_else() -> None:
    data = data_of(
        "  conf: {{ include_text('conf.yaml', extra='<&>') }}\n",
        {"port": 80, "s": "a: b\n- c"},
        conf="listen {{ values.port }};\n{% if values.port %}\nx {{ extra }} # \"'\n{% endif %}\n{{ values.s }}\n---\n",
    )
    assert data == {"conf": "listen 80;\nx <&> # \"'\na: b\n- c\n---\n"}


def test_imports_always_see_the_values() -> None:
    macro = "{% macro m() %}{{ values.x }}{{ named('n') }}{% endmacro %}"
    for way in ("{% import '_m.yaml' as m %}", "{% import '_m.yaml' as m without context %}"):
        (manifest,) = cook({"web/a.yaml": f"{way}{CONFIG_MAP}  k: {{{{ m.m() }}}}\n", "_m.yaml": macro}, {"x": "v"})
        assert manifest.body["data"] == {"k": "vn"}


def test_blocks_and_recursive_loops_work() -> None:
    templates = {
        "web/a.yaml": "{% extends '_b.yaml' %}{% block d %}k: {{ values.x }}\n  {{ super() }}{% endblock %}",
        "_b.yaml": CONFIG_MAP + "  {%+ block d %}b: 1{% endblock %}\n",
    }
    assert cook(templates, {"x": "v"})[0].body["data"] == {"k": "v", "b": 1}
    loop = "  k: '{% for x in values.t recursive %}{{ x.n }}{{ loop(x.c) }}{% endfor %}'\n"
    assert data_of(loop, {"t": [{"n": "a", "c": [{"n": "b", "c": []}]}]}) == {"k": "ab"}


def test_the_same_input_gives_the_same_output() -> None:
    template = CONFIG_MAP + "  k: {{ values }}\n  {{ values.a }}: {{ generate(20) if false else 1 }}\n"
    first = [manifest.body for manifest in cook(template, {"a": "x", "b": {"c": 1}})]
    assert first == [manifest.body for manifest in cook(template, {"a": "x", "b": {"c": 1}})]


# Where fields come from


def origins_of(template: str | dict[str, str], values: Json) -> dict[str, tuple[str, tuple[str, ...]]]:
    (manifest,) = cook(template, values)
    return {path: (str(origin.template), origin.values) for path, origin in manifest.origins.items()}


def test_each_field_knows_its_line_and_its_values() -> None:
    macro = (
        "{% macro image(repo, tag) %}\n{{ repo }}:{{ tag }}{% endmacro %}\n"
        "{% macro lines(x) %}\nb: {{ x }}\nc: 1\n{% endmacro %}\n"
    )
    template = (
        "{% from '_m.yaml' import image, lines %}\n"  # line 1
        + CONFIG_MAP  # lines 2 to 5
        + "  a: {{ values.one }}\n"  # line 6
        "  {{ lines(values.two) | indent(2) }}\n"
        "{% if values.flag %}\n"
        "  d: {{ values.flag }}\n"  # line 9
        "{% endif %}\n"
        "  e: {{ values.map }}\n"  # line 11
        "{% for item in values.list %}\n"
        "  f{{ loop.index }}: {{ item.name }}\n"  # line 13
        "{% endfor %}\n"
        "  g: {{ image(values.one, values.two) }}\n"  # line 15
        "  h: {{ values.one ~ '-' ~ values.two }}\n"
        "  i: {{ values.map | combine({'x': values.two}) }}\n"
        "  j: plain\n"  # line 18
    )
    values = {"one": "1", "two": "2", "flag": True, "map": {"k": "v"}, "list": [{"name": "n0"}, {"name": "n1"}]}
    origins = origins_of({"web/a.yaml": template, "_m.yaml": macro}, values)
    here, there = "templates/web/a.yaml", "templates/_m.yaml"
    expected = {
        "kind": (f"{here}:3", ()),
        "data.a": (f"{here}:6", ("one",)),
        "data.b": (f"{there}:4", ("two",)),
        "data.c": (f"{there}:5", ()),
        "data.d": (f"{here}:9", ("flag",)),
        "data.e": (f"{here}:11", ("map",)),
        "data.e.k": (f"{here}:11", ("map.k",)),
        "data.f1": (f"{here}:13", ("list.0.name",)),
        "data.f2": (f"{here}:13", ("list.1.name",)),
        "data.g": (f"{here}:15", ("one", "two")),
        "data.h": (f"{here}:16", ("one", "two")),
        "data.i.k": (f"{here}:17", ("map.k",)),
        "data.i.x": (f"{here}:17", ("two",)),
        "data.j": (f"{here}:18", ()),
    }
    assert {path: origins[path] for path in expected} == expected


def test_text_that_is_included_carries_its_values() -> None:
    (manifest,) = cook(
        {"web/a.yaml": CONFIG_MAP + "  k: {{ include_text('c.txt') }}\n", "c.txt": "{{ values.a }} {{ values.b }}"},
        {"a": "x", "b": "y"},
    )
    assert manifest.origins["data.k"].values == ("a", "b")


def test_a_field_without_an_origin_has_that_of_what_is_around_it() -> None:
    (manifest,) = cook(CONFIG_MAP + "  k:\n    - {a: 1}\n")
    assert str(manifest.origin_of("data.k[0].zzz").template) == "templates/web/a.yaml:6"
    assert str(manifest.origin_of("nothing").template) == "templates/web/a.yaml:1"


def test_second_documents_have_their_own_lines() -> None:
    first, second = cook(CONFIG_MAP + "  k: 1\n---\n\n" + CONFIG_MAP.replace("x", "z") + "  k: 2\n")
    assert (str(first.position), str(second.position)) == ("templates/web/a.yaml:1", "templates/web/a.yaml:8")
    assert str(second.origins["data.k"].template) == "templates/web/a.yaml:12"


def test_windows_line_ends_count_as_one() -> None:
    (manifest,) = cook((CONFIG_MAP + "  k: 1\n  l: |\n    x\n    y\n").replace("\n", "\r\n"))
    assert manifest.body["data"] == {"k": 1, "l": "x\ny\n"}
    assert str(manifest.origins["data.l"].template) == "templates/web/a.yaml:6"


# What manifests get afterwards


def test_objects_are_members_of_the_release() -> None:
    (manifest,) = cook(CONFIG_MAP, release="r", namespace="n")
    assert manifest.body["metadata"] == {
        "name": "x",
        "namespace": "n",
        "labels": {PART_OF_LABEL: applyset_id("r", "n")},
    }
    assert list(manifest.body) == ["apiVersion", "kind", "metadata"]


def test_objects_of_the_cluster_are_not() -> None:
    (manifest,) = cook("apiVersion: storage.k8s.io/v1\nkind: StorageClass\nmetadata: {name: x}\nprovisioner: p\n")
    assert manifest.body["metadata"] == {"name": "x"}


def test_keys_come_in_the_order_in_which_people_write_them() -> None:
    (manifest,) = cook("spec: {b: 1, a: 2}\nmetadata: {labels: {x: z}, name: x}\nkind: Thing\napiVersion: v1\n")
    assert list(manifest.body) == ["apiVersion", "kind", "metadata", "spec"]
    assert list(manifest.body["metadata"]) == ["name", "namespace", "labels"]
    assert list(manifest.body["spec"]) == ["b", "a"]


def test_secrets_are_encoded_and_what_is_generated_is_left_out() -> None:
    (manifest,) = cook(
        "apiVersion: v1\nkind: Secret\nmetadata: {name: x}\ndata: {raw: eA==}\n"
        "stringData:\n  a: ünï\n  z: {{ generate(20) }}\n  b: {{ generate(8) }}\n  c: {{ values.pw }}\n",
        {"pw": "a\nb"},
    )
    assert {key: b64decode(text).decode() for key, text in manifest.body["data"].items()} == {
        "raw": "x",
        "a": "ünï",
        "c": "a\nb",
    }
    assert manifest.generated == {"z": 20, "b": 8}
    assert manifest.body["metadata"]["annotations"] == {GENERATED_ANNOTATION: "b,z"}
    assert "stringData" not in manifest.body
    assert manifest.origin_of("data.c").values == ("pw",)
    assert str(manifest.origin_of("data.c").template) == "templates/web/a.yaml:9"


POD = """---
apiVersion: apps/v1
kind: StatefulSet
metadata: {name: s}
spec:
  template:
    metadata: {labels: {a: b}}
    spec:
      initContainers:
        - {name: i, envFrom: [{configMapRef: {name: from}}]}
      containers:
        - {name: c, env: [{name: P, valueFrom: {secretKeyRef: {name: key, key: pw}}}]}
      volumes:
        - {name: v, configMap: {name: volume}}
        - {name: p, projected: {sources: [{secret: {name: projected}}]}}
        - {name: o, configMap: {name: other}}
"""


def checksum(values: Json) -> Any:
    parts = [
        f"apiVersion: v1\nkind: {kind}\nmetadata: {{name: {name}}}\n"
        f"{field}: {{k: {{{{ values.{name} | default('x') }}}}}}\n"
        for kind, name, field in (
            ("ConfigMap", "from", "data"),
            ("Secret", "key", "stringData"),
            ("ConfigMap", "volume", "data"),
            ("Secret", "projected", "stringData"),
            ("ConfigMap", "unrelated", "data"),
        )
    ]
    manifests = cook("---\n".join(parts) + POD, values)
    (found,) = (manifest for manifest in manifests if manifest.body["kind"] == "StatefulSet")
    return found.body["spec"]["template"]["metadata"].get("annotations", {}).get(CHECKSUM_ANNOTATION)


@pytest.mark.parametrize("name", ["from", "key", "volume", "projected"])
def test_pods_carry_a_checksum_of_the_configuration_that_they_read(name: str) -> None:
    assert re.fullmatch("[0-9a-f]{64}", checksum({}))
    assert checksum({}) == checksum({})
    assert checksum({}) != checksum({name: "changed"})


def test_the_checksum_ignores_the_configuration_of_others() -> None:
    assert checksum({}) == checksum({"unrelated": "changed"})


def test_generated_keys_do_not_count() -> None:
    found = set()
    for extra in ("", ", c: {{ generate(9) }}", ", c: {{ generate(10) }}"):
        secret = f"apiVersion: v1\nkind: Secret\nmetadata: {{name: key}}\nstringData: {{a: b{extra} }}\n"
        (body,) = (manifest.body for manifest in cook(secret + POD) if manifest.body["kind"] == "StatefulSet")
        found.add(body["spec"]["template"]["metadata"]["annotations"][CHECKSUM_ANNOTATION])
    assert len(found) == 1


def test_pods_that_read_nothing_of_ours_carry_no_checksum() -> None:
    (manifest,) = cook(POD)
    assert manifest.body["spec"]["template"]["metadata"] == {"labels": {"a": "b"}}


# Which templates

GLOBS = [
    ("web/*.yaml", ["web/a.yaml", "web/b.yaml"]),
    ("web/**/*.yaml", ["web/a.yaml", "web/b.yaml", "web/deep/c.yaml"]),
    ("**/*.yaml", ["_m.yaml", "web/a.yaml", "web/b.yaml", "web/deep/c.yaml"]),
    ("web/?.yaml", ["web/a.yaml", "web/b.yaml"]),
    ("web/a.yaml", ["web/a.yaml"]),
    ("web/a.y*", ["web/a.yaml"]),
    ("web", []),
    ("*", ["_m.yaml"]),
    ("web/[ab].yaml", []),
]


@pytest.mark.parametrize("pattern,expected", GLOBS)
def test_globs(pattern: str, expected: list[str]) -> None:
    names = ["web/b.yaml", "web/a.yaml", "web/deep/c.yaml", "_m.yaml", "web/a.conf"]
    assert matching(pattern, names) == expected


def test_a_glob_without_a_match_is_refused() -> None:
    from jinja2 import DictLoader

    profile = profile_of(templates=("web/*.yaml", "wbe/*.yaml"))
    with pytest.raises(TemplateError, match=r"no template matches templates/wbe/\*\.yaml"):
        render(profile, merge(profile), "web", "shop", None, DictLoader({"web/a.yaml": CONFIG_MAP}))
    assert templates_of(profile_of(), DictLoader({"web/a.yaml": "", "x.yaml": ""})) == ["web/a.yaml"]
