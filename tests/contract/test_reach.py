"""Which pods are meant, and what is said where nothing runs in them, on the rehearsal and on the control plane."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import islice

import pytest

from berth.actions.reach import Selection, choose, choose_one, follow, forward, reaching
from berth.cluster.follow import Line, Said, read_log
from berth.cluster.kube import Kube
from berth.cluster.record import ReleaseRecord
from berth.cluster.refusals import MissingError
from berth.cluster.release import load
from berth.cluster.terminal import pass_on
from berth.core.errors import FailedError, InputError
from berth.core.objects import Json, ObjectRef, dig
from berth.core.operations import Operation, operations_of
from berth.library import open_library
from tests.contract.support import ROOT, bring_up, pods, release, take_down
from tests.waiting import eventually


def declared(profile: str) -> Mapping[str, Operation]:
    return operations_of(open_library(ROOT).load(profile))


def record(kube: Kube, space: str, name: str) -> ReleaseRecord:
    found = load(kube, space, name)
    assert found is not None
    return found


def names(chosen: list[Json]) -> list[str]:
    return [pod["metadata"]["name"] for pod in chosen]


def test_which_pods(kube: Kube, space: str) -> None:
    bring_up(kube, release("nginx", space, "replicas=2"))
    web = record(kube, space, "nginx")
    assert names(choose(kube, web, Selection(), declared)) == ["web-0", "web-1"]
    assert names(choose(kube, web, Selection([1]), declared)) == ["web-1"]
    assert names([choose_one(kube, web, Selection([1]), declared)[0]]) == ["web-1"]
    with pytest.raises(InputError, match="has no pod of ordinal 7\n  try: it has 0, 1"):
        choose(kube, web, Selection([0, 7]), declared)
    with pytest.raises(InputError, match=r"has several: web-0, web-1\n  try: --ordinal K, K being one of 0, 1$"):
        choose_one(kube, web, Selection(), declared)
    with pytest.raises(InputError, match="the profile nginx has no operation that tells roles"):
        choose(kube, web, Selection(role="primary"), declared)
    take_down(kube, space, "nginx")
    for selection in (Selection(), Selection(role="primary")):
        with pytest.raises(FailedError, match="release nginx has no pods"):
            choose(kube, web, selection, declared)


def test_where_nothing_runs(kube: Kube, space: str) -> None:
    bring_up(kube, release("postgres", space, "replicas=1"))
    database = record(kube, space, "postgres")
    with pytest.raises(FailedError, match="nobody can say which pod of postgres calls itself standby") as caught:
        choose(kube, database, Selection(role="standby"), declared)
    assert "postgres-0: " in caught.value.problems[0].why and "--ordinal K" in caught.value.problems[0].hint
    pod, said = choose_one(kube, database, Selection(), declared)
    assert said == ""
    nothing = pytest.raises(
        FailedError, match=r"there is nothing to reach in postgres-0\n  because (its node|nothing runs)"
    )
    with nothing:
        forward(kube, pod, [":5432"], "127.0.0.1", print)
    with nothing, reaching(pod, "postgres"), open("/dev/null", "wb") as out:
        pass_on(kube, space, "postgres-0", "postgres", ["true"], out, out)
    with pytest.raises(InputError, match="has no port named 'sql'"):
        forward(kube, pod, [":sql"], "127.0.0.1", print)


def test_logs_say_that_nothing_runs_or_why_there_are_none(kube: Kube, space: str) -> None:
    bring_up(kube, release("nginx", space, "replicas=1"))
    (line,) = read_log(kube, space, "web-0", "nginx", tail=5)
    assert "no process runs in it" in line
    with pytest.raises(MissingError, match='pods "web-7" not found'):
        read_log(kube, space, "web-7", "nginx")


def test_logs_are_followed_into_the_pod_that_takes_a_place(kube: Kube, space: str) -> None:
    bring_up(kube, release("nginx", space, "replicas=1"))
    web = record(kube, space, "nginx")
    chosen = choose(kube, web, Selection(), declared)
    following = follow(kube, web, chosen, every=True, container="", tail=1)
    with following:
        items = iter(following)
        (first,) = islice(items, 1)
        assert isinstance(first, Line) and first.pod == "web-0"
        kube.delete(ObjectRef("", "Pod", space, "web-0"), grace=0)
        assert Said("web-0 was replaced; its log goes on") in items
        assert any(isinstance(item, Line) and item.pod == "web-0" for item in items)
        kube.scale(ObjectRef("apps", "StatefulSet", space, "web"), 2)
        assert any(isinstance(item, Line) and item.pod == "web-1" for item in items), "one that joins them"
    eventually(lambda: len(pods(kube, space)) == 2 or None)
    assert dig(chosen[0], "metadata", "uid") != dig(pods(kube, space)["web-0"], "metadata", "uid")
