"""What may be removed, and in which order."""

from __future__ import annotations

from typing import Any

import pytest

from berth.core.objects import MANAGED_BY_LABEL, Json, ObjectRef
from berth.core.removal import class_users, namespace_rest, reverse_phases
from tests.unit.core.samples import claim, over, simple, statefulset

pytestmark = pytest.mark.unit


def names(phases: list[list[ObjectRef]]) -> list[list[str]]:
    return [[f"{ref.kind}/{ref.name}" for ref in phase] for phase in phases]


SERVICE, CONFIG, ACCOUNT = simple("Service", "web"), simple("ConfigMap", "web"), simple("ServiceAccount", "a")
BINDING = simple("RoleBinding", "b", {"subjects": [{"kind": "ServiceAccount", "name": "a"}], "roleRef": {}})
ALL = [statefulset(), SERVICE, CONFIG, ACCOUNT, BINDING]


def test_objects_go_in_the_reverse_of_the_order_in_which_they_came() -> None:
    refs = [ObjectRef.of(body) for body in ALL]
    assert names(reverse_phases(refs, ALL)) == [
        ["StatefulSet/web"],
        ["RoleBinding/b"],
        ["ServiceAccount/a", "ConfigMap/web", "Service/web"],
    ]


def test_what_is_not_recorded_goes_first_and_what_is_not_wanted_not_at_all() -> None:
    refs = [ObjectRef("", "ConfigMap", "shop", "old"), ObjectRef.of(SERVICE)]
    assert names(reverse_phases(refs, ALL)) == [["ConfigMap/old"], ["Service/web"]]
    assert reverse_phases([], ALL) == []


def test_an_order_that_goes_through_what_is_not_wanted_holds() -> None:
    """The set went before the rest; what depends on it still goes before what it depends on."""
    late = simple("ConfigMap", "late", {"metadata": {"annotations": {"berth.dev/depends-on": "StatefulSet/web"}}})
    refs = [ObjectRef.of(late), ObjectRef.of(SERVICE)]
    assert names(reverse_phases(refs, [late, *ALL])) == [["ConfigMap/late"], ["Service/web"]]


def test_a_record_that_could_not_be_applied_can_still_be_removed() -> None:
    def on(name: str, other: str) -> Json:
        return simple("ConfigMap", name, {"metadata": {"annotations": {"berth.dev/depends-on": f"ConfigMap/{other}"}}})

    bodies = [on("a", "b"), on("b", "a")]
    assert names(reverse_phases([ObjectRef.of(body) for body in bodies], bodies)) == [["ConfigMap/a", "ConfigMap/b"]]


FAST = {"spec": {"storageClassName": "fast"}}


@pytest.mark.parametrize(
    ("claims", "volumes", "releases", "said"),
    [
        ([], [], [], ""),
        ([claim("a")], [{"metadata": {"name": "v"}, "spec": {"storageClassName": "slow"}}], [], ""),
        ([], [], ["shop/b", "shop/a"], "release shop/a, shop/b uses it"),
        ([claim("a", FAST)], [], [], "1 claim of this class: shop/a"),
        ([claim(n, FAST) for n in "abcd"], [], [], "4 claims of this class: shop/a, shop/b, shop/c ..."),
        ([], [over({"metadata": {"name": "v"}}, FAST)], [], "1 volume of this class: v"),
    ],
    ids=["nobody", "others of another class", "releases", "a claim", "many claims", "a volume left Released"],
)
def test_who_uses_a_class(claims: list[Json], volumes: list[Json], releases: list[str], said: str) -> None:
    assert class_users("fast", claims, volumes, releases) == said


OURS: dict[str, Any] = {"metadata": {"labels": {MANAGED_BY_LABEL: "berth"}}}
ALWAYS = [simple("ConfigMap", "kube-root-ca.crt"), simple("ServiceAccount", "default")]


@pytest.mark.parametrize(
    ("changes", "contents", "said"),
    [
        (OURS, ALWAYS, ""),
        ({}, ALWAYS, "not ours"),
        (OURS, [*ALWAYS, simple("Secret", "s")], "1 object in it: Secret/s"),
        (OURS, [simple("Pod", n) for n in "abcd"], "4 objects in it: Pod/a, Pod/b, Pod/c ..."),
    ],
    ids=["ours and empty", "not ours", "one thing left", "many things left"],
)
def test_why_a_namespace_stays(changes: dict[str, Any], contents: list[Json], said: str) -> None:
    assert namespace_rest(simple("Namespace", "shop", changes, namespace=""), contents) == said
