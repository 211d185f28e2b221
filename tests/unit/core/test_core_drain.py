"""What a drain of a node would do."""

from __future__ import annotations

from typing import Any

import pytest

from berth.core.drain import Eviction, NodeDrain, Scene, check, eviction, unplaced
from berth.core.objects import Json
from berth.output import drain as shown
from tests.unit.core.samples import UID, name_of, over, statefulset, table

pytestmark = pytest.mark.unit

HOST, ZONE = "kubernetes.io/hostname", "topology.kubernetes.io/zone"
QUORUM = {"spec": {"template": {"metadata": {"annotations": {"berth.dev/readiness": "quorum"}}}}}


def node(name: str, zone: str = "a", **spec: Any) -> Json:
    labels = {HOST: name, ZONE: zone}
    ready = {"conditions": [{"type": "Ready", "status": "True"}]}
    return {"metadata": {"name": name, "labels": labels}, "spec": spec, "status": ready}


def pod(ordinal: int, on: str, ready: bool = True, *, owner: str = UID, set_name: str = "web", **spec: Any) -> Json:
    meta = {
        "name": f"{set_name}-{ordinal}",
        "namespace": "shop",
        "labels": {"app": set_name},
        "ownerReferences": [{"kind": "StatefulSet", "name": set_name, "uid": owner, "controller": True}],
    }
    conditions = [{"type": "Ready", "status": "True" if ready else "False"}]
    return {
        "metadata": meta,
        "spec": {**({"nodeName": on} if on else {}), **spec},
        "status": {"phase": "Running", "conditions": conditions},
    }


def budget(allowed: int, name: str = "web", healthy: int = 3, desired: int = 2, **spec: Any) -> Json:
    return {
        "metadata": {"name": name, "namespace": "shop", "generation": 1},
        "spec": {"selector": {"matchLabels": {"app": "web"}}, **spec},
        "status": {
            "disruptionsAllowed": allowed,
            "currentHealthy": healthy,
            "desiredHealthy": desired,
            "observedGeneration": 1,
        },
    }


NODES = {name: node(name) for name in ("n1", "n2", "n3")}


def scene(pods: list[Json], body: Json | None = None, **more: Any) -> Scene:
    return Scene([("shop", body or statefulset())], pods, **{"nodes": NODES, **more})


def one(found: tuple[NodeDrain, ...], name: str) -> NodeDrain:
    return next(each for each in found if each.node == name)


CASES = table(
    """
- {name: no budget, budgets: [], allowed: true, why: nothing holds it back}
- {name: other labels, budgets: [{spec: {selector: {matchLabels: {app: db}}}}], allowed: true, why: nothing holds}
- {name: of another namespace, budgets: [{metadata: {namespace: blog}}], allowed: true, why: nothing holds}
- {name: without selector, budgets: [{spec: {selector: null}}], allowed: true, why: nothing holds}
- {name: allows, budgets: [{}], allowed: true, why: budget web allows 1 disruption, budget: web}
- name: refuses
  budgets: [{status: {disruptionsAllowed: 0, currentHealthy: 2}}]
  allowed: false
  why: budget web needs 2 healthy pods and has 2
  budget: web
- name: two budgets
  budgets: [{}, {metadata: {name: two}}]
  allowed: false
  why: "more than one budget: two, web"
- name: not counted yet
  budgets: [{metadata: {generation: 2}}]
  allowed: false
  why: has just been changed
  budget: web
- name: unready, and enough without it
  ready: false
  budgets: [{status: {disruptionsAllowed: 0, currentHealthy: 2}}]
  allowed: true
  why: has its 2 healthy pods without it
- name: unready, and not enough
  ready: false
  budgets: [{status: {disruptionsAllowed: 0, currentHealthy: 1}}]
  allowed: false
  why: needs 2 healthy pods and has 1
  budget: web
- name: unready, and a budget that needs none
  ready: false
  budgets: [{status: {disruptionsAllowed: 0, currentHealthy: 0, desiredHealthy: 0}}]
  allowed: false
  why: needs 0 healthy pods
  budget: web
- name: unready, always allowed
  ready: false
  budgets: [{spec: {unhealthyPodEvictionPolicy: AlwaysAllow}, status: {disruptionsAllowed: 0, currentHealthy: 1}}]
  allowed: true
  why: lets such pods go
- {name: pending, pod: {status: {phase: Pending}}, budgets: [{}, {}], allowed: true, why: no budget counts}
- {name: going, pod: {metadata: {deletionTimestamp: x}}, budgets: [{}, {}], allowed: true, why: on its way out}
"""
)


@pytest.mark.parametrize("case", CASES, ids=name_of)
def test_evictions(case: Json) -> None:
    body = over(pod(0, "n1", case.get("ready", True)), case.get("pod"))
    found = eviction(body, [over(budget(1), changes) for changes in case["budgets"]])
    assert (found.allowed, found.budget) == (case["allowed"], case.get("budget", ""))
    assert case["why"] in found.why


def spread(*ready: bool) -> list[Json]:
    """A pod on each node."""
    return [pod(number, f"n{number + 1}", each) for number, each in enumerate(ready)]


def test_a_drain_that_is_safe() -> None:
    found = check(scene(spread(True, True, True), budgets=[budget(1)]))
    assert [(each.node, each.verdict, each.safe) for each in found] == [(f"n{n}", "safe", True) for n in (1, 2, 3)]
    assert found[0].pods[0].elsewhere == ("n2", "n3")
    assert shown.node_lines(found[0]) == [
        "n1: safe",
        "  StatefulSet/web: 2 of 3 stay ready",
        "    web-0: may be evicted: budget web allows 1 disruption",
        "      could run on n2, n3, as far as can be seen",
    ]
    assert shown.total(found) == "3 of 3 nodes safe to drain, one at a time"


def test_a_quorum_that_is_lost_and_one_that_was_before() -> None:
    found = check(scene(spread(False, True, True), statefulset(QUORUM)))
    assert one(found, "n1").safe, "the pod that goes is not one of those that are ready"
    assert one(found, "n2").verdict == "loses the quorum of web: 1 of 3 would stay ready, 2 needed"
    assert "    web-0 (not ready): may be evicted" in "\n".join(shown.node_lines(one(found, "n1")))
    assert "and the quorum of 2 is lost" in shown.node_lines(one(found, "n2"))[1]
    found = check(scene(spread(False, False, True), statefulset(QUORUM)))
    assert {each.verdict for each in found} == {"web has no quorum even now: 1 of 3 ready, 2 needed"}
    told = shown.as_json(found[0])["sets"][0]
    assert (told["left"], told["quorum"], told["quorum_holds"]) == (1, 2, False)


def test_the_last_pod_of_a_set_without_quorum() -> None:
    found = check(scene([pod(0, "n1")], statefulset({"spec": {"replicas": 1}})))
    assert found[0].verdict == "leaves no pod of web ready"


def test_several_pods_of_one_node_go_together_without_a_budget() -> None:
    pods = [pod(0, "n1"), pod(1, "n1"), pod(2, "n2")]
    found = one(check(scene(pods, statefulset(QUORUM))), "n1")
    assert found.verdict == "loses the quorum of web: 1 of 3 would stay ready, 2 needed"


def test_several_pods_of_one_node_go_one_after_the_other_with_a_budget() -> None:
    pods = [pod(0, "n1"), pod(1, "n1"), pod(2, "n2")]
    found = one(check(scene(pods, statefulset(QUORUM), budgets=[budget(1)])), "n1")
    assert (found.verdict, found.sets[0].left) == ("safe", 2)


def test_a_budget_lets_no_more_go_when_the_first_cannot_come_back() -> None:
    here = {HOST: "n1"}
    pods = [pod(0, "n1", nodeSelector=here), pod(1, "n1", nodeSelector=here), pod(2, "n2")]
    found = one(check(scene(pods, statefulset(QUORUM), budgets=[budget(1)])), "n1")
    assert found.problems == (
        "blocked: web-1: budget web lets no more go once web-0 is away and cannot come back",
        "pods stay away until the node is back: web-0, web-1",
    )
    assert "no other node takes it: n2 has not the labels that it asks for" in found.pods[0].held


def test_a_budget_that_allows_nothing_blocks_and_so_keeps_the_quorum() -> None:
    found = check(scene(spread(True, True, False), statefulset(QUORUM), budgets=[budget(0, healthy=2)]))
    assert one(found, "n1").problems == ("blocked: web-0: budget web needs 2 healthy pods and has 2",)
    assert one(found, "n1").sets[0].left == 2
    assert one(found, "n3").safe


def claimed(number: int, on: str) -> Json:
    return pod(number, on, volumes=[{"name": "data", "persistentVolumeClaim": {"claimName": f"data-web-{number}"}}])


def volume(key: str, *values: str) -> dict[str, Any]:
    """A claim and its volume, which only some nodes reach."""
    terms = [{"matchExpressions": [{"key": key, "operator": "In", "values": list(values)}]}]
    claim = {"metadata": {"name": "data-web-0", "namespace": "shop"}, "spec": {"volumeName": "pv"}}
    affinity = {"nodeAffinity": {"required": {"nodeSelectorTerms": terms}}}
    return {"claims": [claim], "volumes": {"pv": {"metadata": {"name": "pv"}, "spec": affinity}}}


def test_a_volume_that_is_bound_to_a_node_or_a_zone() -> None:
    pods = [claimed(0, "n1"), pod(1, "n2"), pod(2, "n3")]
    found = one(check(scene(pods, **volume(HOST, "n1"))), "n1")
    assert found.verdict == "pods stay away until the node is back: web-0"
    assert found.pods[0].held == "the volume of claim data-web-0 is bound to node n1"
    assert "      comes back only here: the volume" in "\n".join(shown.node_lines(found))
    nodes = {"n1": node("n1"), "n2": node("n2"), "n3": node("n3", "b")}
    found = one(check(scene(pods, **{"nodes": nodes, **volume(ZONE, "a")})), "n1")
    assert (found.verdict, found.pods[0].elsewhere) == ("safe", ("n2",))
    nodes = {"n1": node("n1"), "n2": node("n2", unschedulable=True), "n3": node("n3", "b")}
    found = one(check(scene(pods, **{"nodes": nodes, **volume(ZONE, "a")})), "n1")
    said = "n2 is cordoned; n3 does not reach the volume of claim data-web-0"
    assert found.pods[0].held == f"no other node takes it: {said}"
    found = one(check(scene(pods, **{"nodes": {"n1": node("n1"), "n3": node("n3", "b")}, **volume(ZONE, "a")})), "n1")
    assert found.pods[0].held == "the volume of claim data-web-0 is bound to zone a"


def test_the_only_node() -> None:
    found = check(scene([pod(0, "n1"), pod(1, "n1"), pod(2, "n1")], nodes={"n1": node("n1")}))
    assert found[0].pods[0].held == "there is no other node"


def test_what_may_not_be_read_is_not_held_against_a_node() -> None:
    found = check(scene(spread(True, True, True), nodes=None, volumes=None))
    assert all(each.safe and each.pods[0].elsewhere is None for each in found)
    assert shown.as_json(found[0])["pods"][0]["elsewhere"] is None
    assert len(shown.node_lines(found[0])) == 3


def test_named_nodes_and_pods_that_have_none() -> None:
    seen = scene([pod(0, "n1"), pod(1, "")])
    assert [each.node for each in check(seen)] == ["n1"]
    assert [(each.node, each.verdict) for each in check(seen, ["n3"])] == [("n3", "safe: none of these pods is on it")]
    assert unplaced(seen) == ["web-1"]


def test_two_sets_on_a_node_and_what_each_is() -> None:
    other = over(statefulset(), {"metadata": {"name": "db", "uid": "2", "namespace": "blog"}, "spec": {"replicas": 1}})
    theirs = over(pod(0, "n1", owner="2", set_name="db"), {"metadata": {"namespace": "blog"}})
    sets = [("shop", statefulset()), ("blog", other)]
    roles = {("blog", "db-0"): "primary"}
    found = check(Scene(sets, [*spread(True, True, True), theirs], nodes=NODES, roles=roles))
    lines = shown.node_lines(one(found, "n1"))
    assert lines[0] == "n1: leaves no pod of db ready"
    assert [line for line in lines if line.startswith("  StatefulSet")] == [
        "  StatefulSet/shop/web: 2 of 3 stay ready",
        "  StatefulSet/blog/db: 0 of 1 stay ready",
    ]
    assert any(line.startswith("    db-0 (primary): may be evicted") for line in lines)
    assert shown.total(()) == "no node holds a pod of these releases"


def test_an_eviction_says_its_budget_only_where_it_takes_of_it() -> None:
    assert eviction(pod(0, "n1"), []) == Eviction(True, "nothing holds it back: no budget covers it")
