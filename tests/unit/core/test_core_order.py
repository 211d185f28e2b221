"""References between objects give phases; a cycle lists its edges."""

from __future__ import annotations

from typing import Any

import pytest

from berth.core.errors import InputError
from berth.core.objects import Json
from berth.core.order import layers, phases
from tests.unit.core.samples import manifest, simple, statefulset, storage_class

pytestmark = pytest.mark.unit


def order(*bodies: Json) -> list[list[str]]:
    """Kind/name by phase."""
    return [[f"{m.ref.kind}/{m.ref.name}" for m in phase] for phase in phases([manifest(body) for body in bodies])]


def set_with(pod: dict[str, Any], name: str = "web") -> Json:
    template = {"spec": {"containers": [], **pod}}
    return statefulset({"metadata": {"name": name}, "spec": {"template": template, "volumeClaimTemplates": []}})


@pytest.mark.parametrize(
    ("pod", "first"),
    [
        ({"serviceAccountName": "it"}, "ServiceAccount"),
        ({"priorityClassName": "it"}, "PriorityClass"),
        ({"imagePullSecrets": [{"name": "it"}]}, "Secret"),
        ({"volumes": [{"name": "v", "configMap": {"name": "it"}}]}, "ConfigMap"),
        ({"volumes": [{"name": "v", "secret": {"secretName": "it"}}]}, "Secret"),
        ({"volumes": [{"name": "v", "persistentVolumeClaim": {"claimName": "it"}}]}, "PersistentVolumeClaim"),
        ({"volumes": [{"name": "v", "projected": {"sources": [{"secret": {"name": "it"}}]}}]}, "Secret"),
        ({"volumes": [{"name": "v", "projected": {"sources": [{"configMap": {"name": "it"}}]}}]}, "ConfigMap"),
        ({"containers": [{"name": "c", "envFrom": [{"configMapRef": {"name": "it"}}]}]}, "ConfigMap"),
        ({"containers": [{"name": "c", "envFrom": [{"secretRef": {"name": "it"}}]}]}, "Secret"),
        (
            {"initContainers": [{"name": "c", "env": [{"valueFrom": {"secretKeyRef": {"name": "it"}}}]}]},
            "Secret",
        ),
        ({"containers": [{"name": "c", "env": [{"valueFrom": {"configMapKeyRef": {"name": "it"}}}]}]}, "ConfigMap"),
    ],
    ids=str,
)
def test_what_a_pod_names_comes_before_it(pod: dict[str, Any], first: str) -> None:
    named = simple(first, "it", namespace="" if first == "PriorityClass" else "shop")
    bystander = simple("ConfigMap", "bystander")
    assert order(set_with(pod), named, bystander)[-1] == ["StatefulSet/web"]
    assert f"{first}/it" in order(set_with(pod), named, bystander)[0]


@pytest.mark.parametrize("kind", ["Service", "NetworkPolicy", "PodDisruptionBudget", "RoleBinding"])
def test_what_shapes_pods_is_there_before_them(kind: str) -> None:
    assert order(set_with({}), simple(kind, "any")) == [[f"{kind}/any"], ["StatefulSet/web"]]
    assert len(order(set_with({}), simple(kind, "any", namespace="elsewhere"))) == 1


def test_classes_come_before_the_claims_that_name_them() -> None:
    template = {"metadata": {"name": "www"}, "spec": {"storageClassName": "fast"}}
    body = statefulset({"spec": {"volumeClaimTemplates": [template]}})
    claim = simple("PersistentVolumeClaim", "own", {"spec": {"storageClassName": "fast"}})
    assert order(body, claim, storage_class("fast")) == [
        ["StorageClass/fast"],
        ["PersistentVolumeClaim/own", "StatefulSet/web"],
    ]


def test_a_binding_comes_after_its_role_and_account() -> None:
    binding = simple(
        "RoleBinding",
        "b",
        {"roleRef": {"kind": "Role", "name": "r"}, "subjects": [{"kind": "ServiceAccount", "name": "a"}]},
    )
    found = order(set_with({"serviceAccountName": "a"}), binding, simple("Role", "r"), simple("ServiceAccount", "a"))
    assert found == [["ServiceAccount/a", "Role/r"], ["RoleBinding/b"], ["StatefulSet/web"]]


def test_a_namespace_comes_before_what_is_in_it() -> None:
    space = simple("Namespace", "shop", namespace="")
    assert order(simple("ConfigMap", "c"), space) == [["Namespace/shop"], ["ConfigMap/c"]]


def test_jobs_and_cron_jobs_name_things_too() -> None:
    pod = {"template": {"spec": {"volumes": [{"name": "v", "configMap": {"name": "c"}}]}}}
    job, cron = simple("Job", "j", {"spec": pod}), simple("CronJob", "n", {"spec": {"jobTemplate": {"spec": pod}}})
    assert order(cron, job, simple("ConfigMap", "c"))[0] == ["ConfigMap/c"]


def test_references_to_what_is_not_rendered_count_for_nothing() -> None:
    assert order(set_with({"serviceAccountName": "elsewhere"})) == [["StatefulSet/web"]]
    empty = set_with({"volumes": [{"name": "v", "emptyDir": {}}]})
    assert order(empty, simple("ConfigMap", "other")) == [["ConfigMap/other", "StatefulSet/web"]]


def test_an_object_may_name_what_comes_first() -> None:
    late = simple(
        "ConfigMap", "late", {"metadata": {"annotations": {"berth.dev/depends-on": "StatefulSet/web, Secret/s"}}}
    )
    assert order(late, set_with({}), simple("Secret", "s")) == [["Secret/s", "StatefulSet/web"], ["ConfigMap/late"]]


def test_a_dependency_that_nothing_renders_is_an_error() -> None:
    late = simple("ConfigMap", "late", {"metadata": {"annotations": {"berth.dev/depends-on": "Secret/nope"}}})
    with pytest.raises(InputError, match="ConfigMap/late in shop depends on Secret/nope, which no template renders"):
        order(late)


def test_the_order_does_not_depend_on_the_order_of_the_files() -> None:
    bodies = [
        set_with({}),
        simple("Service", "a"),
        simple("Service", "b"),
        simple("ConfigMap", "c"),
        simple("Secret", "s"),
    ]
    assert (
        order(*bodies)
        == order(*reversed(bodies))
        == [["Secret/s", "ConfigMap/c", "Service/a", "Service/b"], ["StatefulSet/web"]]
    )


def test_a_cycle_lists_its_edges_and_where_they_are() -> None:
    def on(kind: str, name: str, other: str) -> Json:
        return simple(kind, name, {"metadata": {"annotations": {"berth.dev/depends-on": other}}})

    with pytest.raises(InputError) as caught:
        order(
            on("ConfigMap", "a", "ConfigMap/b"), on("ConfigMap", "b", "ConfigMap/a"), on("Secret", "s", "ConfigMap/a")
        )
    assert str(caught.value) in {
        "these objects depend on one another in a circle: ConfigMap/a in shop (templates/web.yaml:3) -> "
        "ConfigMap/b in shop (templates/web.yaml:3) -> ConfigMap/a in shop (templates/web.yaml:3)",
        "these objects depend on one another in a circle: ConfigMap/b in shop (templates/web.yaml:3) -> "
        "ConfigMap/a in shop (templates/web.yaml:3) -> ConfigMap/b in shop (templates/web.yaml:3)",
    }


@pytest.mark.parametrize(
    ("edges", "expected"),
    [
        ({}, []),
        ({"a": []}, [["a"]]),
        ({"a": ["b"], "b": ["c"], "c": []}, [["c"], ["b"], ["a"]]),
        ({"a": ["c"], "b": ["c"], "c": []}, [["c"], ["a", "b"]]),
        ({"a": ["b", "c"], "b": ["c"], "c": []}, [["c"], ["b"], ["a"]]),
    ],
    ids=["none", "one", "a chain", "a fork", "a long and a short way"],
)
def test_layers(edges: dict[str, list[str]], expected: list[list[str]]) -> None:
    assert layers(edges) == expected


@pytest.mark.parametrize(
    ("edges", "circle"),
    [
        ({"a": ["a"]}, "a -> a"),
        ({"a": ["b"], "b": ["c"], "c": ["b"]}, "b -> c -> b"),
        ({"x": [], "a": ["x", "b"], "b": ["a"]}, "a -> b -> a"),
    ],
    ids=["itself", "behind a tail", "beside what is free"],
)
def test_circles_of_profiles(edges: dict[str, list[str]], circle: str) -> None:
    with pytest.raises(InputError, match=f"^these profiles depend on one another in a circle: {circle}$"):
        layers(edges, noun="profiles")
