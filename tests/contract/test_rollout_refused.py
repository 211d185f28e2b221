"""Rollouts that are refused, with what to do instead, and before anything is written."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import pytest

from berth.actions.plan import plan_release
from berth.actions.rollout import Wanted
from berth.cluster.kube import Kube
from berth.core.errors import BerthError, InputError, PreflightError
from berth.core.objects import ObjectRef
from berth.core.render import Release
from tests.contract.rollouts import NEW, THREE, back, changed, images, promote, restart, roll, the_record, three, uids
from tests.contract.support import bring_up, done, pods, rehearsal_only, release, take_down, versions
from tests.contract.test_scaling import scale, taken


def refused(kube: Kube, wanted: Release, error: type[BerthError], run: Callable[[], object]) -> str:
    """What is said; not one object was written."""
    before = versions(kube, wanted)
    with pytest.raises(error) as caught:
        run()
    assert versions(kube, wanted) == before
    return str(caught.value)


@rehearsal_only
def test_numbers_that_do_not_fit_the_set(kube: Kube, space: str) -> None:
    wanted = three(kube, space)
    said = refused(kube, wanted, InputError, lambda: roll(kube, space, *NEW, wanted=Wanted(4)))
    assert "--canary 4: StatefulSet/web" in said and "has 3 to go" in said and "a number from 1 to 3" in said
    said = refused(kube, wanted, InputError, lambda: promote(kube, space))
    assert "no rollout of release nginx is under way" in said
    roll(kube, space, *NEW, wanted=Wanted(2, pause=True))
    said = refused(kube, wanted, InputError, lambda: promote(kube, space, 2))
    assert "--by 2" in said and "has 1 to go" in said
    promote(kube, space, 1)
    assert "is under way" in refused(kube, wanted, InputError, lambda: promote(kube, space))


@rehearsal_only
def test_revisions_that_one_cannot_go_back_to(kube: Kube, space: str) -> None:
    wanted = three(kube, space)
    said = refused(kube, wanted, InputError, lambda: back(kube, space))
    assert "has no revision to go back to" in said
    assert "at revision 1 now" in refused(kube, wanted, InputError, lambda: back(kube, space, 1))
    said = refused(kube, wanted, InputError, lambda: back(kube, space, 7))
    assert "cannot go back to revision 7" in said and "there is no such revision" in said
    roll(kube, space, *NEW, wanted=Wanted(pause=True))
    said = refused(kube, wanted, InputError, lambda: back(kube, space, 2))
    assert "it ended held" in said and "one of: 1" in said


@rehearsal_only
def test_a_release_that_was_taken_down(kube: Kube, space: str) -> None:
    wanted = three(kube, space)
    take_down(kube, space, "nginx")
    for run in (
        lambda: roll(kube, space, *NEW),
        lambda: promote(kube, space),
        lambda: back(kube, space, 1),
        lambda: restart(kube, space),
    ):
        assert "was taken down" in refused(kube, wanted, InputError, run)


@rehearsal_only
def test_a_release_that_was_taken_down_in_the_middle_comes_up_again(kube: Kube, space: str) -> None:
    three(kube, space)
    roll(kube, space, *NEW, wanted=Wanted(pause=True))
    take_down(kube, space, "nginx")
    wanted = release("nginx", space, *THREE)
    assert done(bring_up(kube, wanted)).succeeded
    assert the_record(kube, space).rollout is None and the_record(kube, space).status == "deployed"
    assert images(kube, space) == ["1.29"] * 3


@rehearsal_only
def test_a_rollout_does_not_scale(kube: Kube, space: str) -> None:
    """Pods come and go by `scale`, which asks the profile's operations: a rollout would pass them over."""
    bring_up(kube, release("cassandra", space, "spread.hostname=soft"))
    wanted = release("cassandra", space, "spread.hostname=soft")
    for sets in (("replicas=2",), ("replicas=2", "podAnnotations.a=b"), ("replicas=4",)):
        said = refused(kube, wanted, InputError, partial(roll, kube, space, *sets, name="cassandra"))
        assert "invoke scale" in said
    kube.patch(ObjectRef("apps", "StatefulSet", space, "cassandra"), {"spec": {"replicas": 4}}, field_manager="ann")
    with pytest.raises(BerthError, match=r"spec\.replicas"):
        roll(kube, space, "podAnnotations.a=b", name="cassandra")


@rehearsal_only
def test_a_set_that_rests_is_rolled_and_comes_back_in_steps(kube: Kube, space: str) -> None:
    sets = ("spread.hostname=soft",)
    bring_up(kube, release("zookeeper", space, *sets))
    scale(kube, space, "zookeeper", 0)
    assert done(roll(kube, space, "podAnnotations.a=b", name="zookeeper")).succeeded
    assert the_record(kube, space, "zookeeper").scaling == (3, 0) and pods(kube, space) == {}
    assert len(taken(scale(kube, space, "zookeeper", 5))) == 3


MAJORS = [
    ("postgres", ("replicas=1",), "18", "cannot go from version 17 to 18 in place"),
    ("postgres", ("replicas=1",), "16", "cannot go from version 17 to 16 in place"),
    ("cassandra", ("replicas=1", "spread.hostname=soft"), "4.1", "cannot go from version 5 to 4 in place"),
]


@rehearsal_only
@pytest.mark.parametrize(("profile", "sets", "tag", "said"), MAJORS)
def test_versions_that_the_engine_does_not_take_in_place(
    kube: Kube, space: str, profile: str, sets: tuple[str, ...], tag: str, said: str
) -> None:
    bring_up(kube, release(profile, space, *sets))
    wanted = release(profile, space, *sets, f"image.tag={tag}")
    told = [
        refused(kube, wanted, PreflightError, lambda: plan_release(kube, wanted)),
        refused(kube, wanted, PreflightError, lambda: bring_up(kube, wanted)),
        refused(kube, wanted, PreflightError, lambda: roll(kube, space, f"image.tag={tag}", name=profile)),
    ]
    assert told[0] == told[1] and all(said in text for text in told)
    assert all({"postgres": "pg_dump", "cassandra": "snapshots"}[profile] in text for text in told)
    same = changed(kube, space, "image.tag=17.2" if profile == "postgres" else "image.tag=6.0", name=profile)
    assert not plan_release(kube, same).plan.empty, "these are taken"


def test_what_is_refused_leaves_the_pods_alone(kube: Kube, space: str) -> None:
    three(kube, space)
    before, record = uids(kube, space), the_record(kube, space)
    for sets in (("image.tag=1.30", "storage.size=2Gi"), ("podAnnotations.bad key=1",)):
        with pytest.raises(BerthError):
            roll(kube, space, *sets)
    assert uids(kube, space) == before and the_record(kube, space) == record
