"""The claims of a release, and what an action would do to the data in them."""

from __future__ import annotations

from typing import Any

import pytest

from berth.core.ledger import Fate, SetShape, make_ledger, release_claims, released_volumes
from berth.core.objects import INSTANCE_LABEL, MANAGED_BY_LABEL, Json
from tests.unit.core.samples import claim, over, storage_class

pytestmark = pytest.mark.unit

WEB = SetShape("web", ("www",), range(3))


def labelled(name: str, instance: str | None, managed_by: str | None = None) -> Json:
    labels = {INSTANCE_LABEL: instance, MANAGED_BY_LABEL: managed_by}
    return claim(name, {"metadata": {"labels": {key: value for key, value in labels.items() if value}}})


def found(shapes: list[SetShape], *claims: Json) -> list[tuple[str, int, bool]]:
    return [
        (c["metadata"]["name"], ordinal, condemned) for c, ordinal, condemned in release_claims("web", shapes, claims)
    ]


def test_claims_are_found_by_name_and_label_and_sorted_by_ordinal() -> None:
    claims = [labelled("www-web-10", "web"), labelled("www-web-2", None), labelled("www-web-0", "web", "berth")]
    assert found([WEB], *claims) == [("www-web-0", 0, False), ("www-web-2", 2, False), ("www-web-10", 10, True)]


@pytest.mark.parametrize(
    ("body", "ours"),
    [
        (labelled("www-web-0", "web"), True),
        (labelled("www-web-0", None), True),
        (labelled("www-web-0", "other"), False),
        (labelled("www-web-00", None), False),
        (labelled("www-web-api-0", None), False),
        (labelled("www-web", None), False),
        (labelled("old-web-0", "web", "berth"), True),
        (labelled("old-web-0", "web", "Helm"), False),
        (labelled("old-web-0", "web"), False),
        (labelled("old-web-0", None, "berth"), False),
    ],
    ids=[
        "name and label",
        "name, labels lost",
        "name, but another release's label",
        "no ordinal of ours",
        "another set's name",
        "no ordinal at all",
        "our label, an earlier template's name",
        "our release's name, Helm's claim",
        "our release's name, nobody's claim",
        "ours, but of no release",
    ],
)
def test_whose_claim_it_is(body: Json, ours: bool) -> None:
    assert bool(release_claims("web", [WEB], [body])) == ours


def test_a_claim_known_only_by_its_label_has_no_ordinal_and_was_not_scaled_away() -> None:
    assert found([WEB], labelled("old-web-0", "web", "berth")) == [("old-web-0", -1, False)]


@pytest.mark.parametrize("turn", [1, -1], ids=["one order", "the other"])
def test_a_name_that_two_sets_could_have_made_is_of_the_one_that_wants_it(turn: int) -> None:
    shapes = [SetShape("b", ("data-a",), range(0)), SetShape("a-b", ("data",), range(2))][::turn]
    assert found(shapes, claim("data-a-b-1")) == [("data-a-b-1", 1, False)]
    assert found(shapes, claim("data-a-b-2")) == [("data-a-b-2", 2, True)]


def test_the_first_ordinal_counts() -> None:
    shape = SetShape("web", ("www",), range(5, 7))
    assert found([shape], claim("www-web-4"), claim("www-web-5")) == [("www-web-4", 4, True), ("www-web-5", 5, False)]


def test_a_set_that_is_gone_wants_no_claim() -> None:
    assert found([SetShape("web", ("www",), range(0))], claim("www-web-0")) == [("www-web-0", 0, True)]


def volume(name: str, policy: str, **changes: Any) -> Json:
    spec = {"persistentVolumeReclaimPolicy": policy, "claimRef": {"namespace": "shop", "name": "www-web-0"}}
    return over({"metadata": {"name": name}, "spec": spec, "status": {"phase": "Bound"}}, changes)


BOUND = claim("www-web-0")
READ = {"pv-www-web-0": volume("pv-www-web-0", "Retain")}
GONE = {"pv-www-web-0": volume("pv-www-web-0", "Delete")}


@pytest.mark.parametrize(
    ("body", "volumes", "delete", "volumes_too", "fate", "why"),
    [
        (BOUND, GONE, False, False, Fate.KEPT, "the claim stays"),
        (BOUND, READ, False, True, Fate.KEPT, "the claim stays"),
        (BOUND, GONE, True, False, Fate.DELETED, "reclaim policy Delete deletes the volume and its data"),
        (BOUND, GONE, True, True, Fate.DELETED, "reclaim policy Delete deletes the volume and its data"),
        (BOUND, READ, True, False, Fate.VOLUME_KEPT, "reclaim policy Retain leaves the volume Released"),
        (BOUND, READ, True, True, Fate.DELETED, "the volume object is deleted"),
        (claim("www-web-0", phase="Pending"), {}, True, False, Fate.DELETED, "never bound, holds no data"),
        (BOUND, None, True, False, Fate.VOLUME_KEPT, "(so its class says; the volume may not be read)"),
        (
            claim("www-web-0", {"spec": {"storageClassName": "x"}}),
            None,
            True,
            False,
            Fate.DELETED,
            "must be taken as lost",
        ),
        (
            claim("www-web-0", {"spec": {"storageClassName": "x"}}),
            {},
            True,
            True,
            Fate.DELETED,
            "must be taken as lost",
        ),
    ],
    ids=[
        "kept",
        "kept, whatever is to happen to volumes",
        "Delete",
        "Delete, volumes too",
        "Retain",
        "Retain, volumes too",
        "never bound",
        "volumes may not be read",
        "nothing may be read",
        "no volume, no class",
    ],
)
def test_fates(
    body: Json, volumes: dict[str, Json] | None, delete: bool, volumes_too: bool, fate: Fate, why: str
) -> None:
    classes = {"local-path": storage_class("local-path", {"reclaimPolicy": "Retain"})}
    (line,) = make_ledger([(body, 0, False)], volumes, classes, delete, volumes_too)
    assert line.fate is fate
    assert why in line.why


def test_the_volume_s_own_policy_goes_before_that_of_its_class() -> None:
    (line,) = make_ledger([(BOUND, 0, False)], READ, {"local-path": storage_class("local-path")}, True)
    assert (line.reclaim_policy, line.fate) == ("Retain", Fate.VOLUME_KEPT)


def test_a_line_says_all_there_is_to_know() -> None:
    body = claim(
        "www-web-7",
        {"metadata": {"finalizers": ["kubernetes.io/pvc-protection"]}, "status": {"capacity": {"storage": "2Gi"}}},
    )
    (line,) = make_ledger([(body, 7, True)], {}, {}, False)
    assert (line.claim, line.ordinal, line.condemned, line.phase) == ("www-web-7", 7, True, "Bound")
    assert (line.size, line.storage_class, line.volume) == ("2Gi", "local-path", "pv-www-web-7")
    assert (line.reclaim_policy, line.finalizers, line.uid) == (
        "unknown",
        ("kubernetes.io/pvc-protection",),
        "uid-of-www-web-7",
    )


def test_a_claim_that_was_never_bound_shows_the_size_it_asked_for() -> None:
    (line,) = make_ledger([(claim("www-web-0", phase="Pending"), 0, False)], {}, {}, False)
    assert (line.size, line.volume) == ("1Gi", "")


def test_volumes_that_earlier_claims_left() -> None:
    released = {"status": {"phase": "Released"}}
    left = volume("left", "Retain", **released)
    elsewhere = volume("elsewhere", "Retain", **released, spec={"claimRef": {"namespace": "other"}})
    foreign = volume("foreign", "Retain", **released, spec={"claimRef": {"name": "www-other-0"}})
    in_use, fresh = volume("in-use", "Retain"), {"metadata": {"name": "fresh"}, "status": {"phase": "Available"}}
    assert released_volumes([left, elsewhere, foreign, in_use, fresh], "shop", ["www-web-0"]) == [left]
