"""Which nodes could take a pod."""

from __future__ import annotations

from typing import Any

import pytest

from berth.core.objects import Json
from berth.core.placement import meets, reachable, schedulable, why_not
from tests.unit.core.samples import name_of, over, table

pytestmark = pytest.mark.unit

HOST, ZONE = "kubernetes.io/hostname", "topology.kubernetes.io/zone"


def node(name: str, changes: Json | None = None, zone: str = "a") -> Json:
    body = {
        "metadata": {"name": name, "labels": {HOST: name, ZONE: zone, "cpus": "8"}},
        "spec": {},
        "status": {"conditions": [{"type": "Ready", "status": "True"}]},
    }
    return over(body, changes)


def pod(name: str = "web-0", on: str = "n1", labels: dict[str, str] | None = None, **spec: Any) -> Json:
    meta = {"name": name, "namespace": "shop", "labels": labels or {"app": "web"}}
    return {"metadata": meta, "spec": {"nodeName": on, **spec}, "status": {"phase": "Running"}}


CASES = table(
    f"""
- {{name: a plain one, fits: true}}
- {{name: cordoned, node: {{spec: {{unschedulable: true}}}}, why: is cordoned}}
- {{name: not ready, node: {{status: {{conditions: [{{type: Ready, status: Unknown}}]}}}}, why: is not ready}}
- {{name: a taint, node: {{spec: {{taints: [{{key: gpu, effect: NoSchedule}}]}}}}, why: has taint gpu}}
- name: a taint that is tolerated
  node: {{spec: {{taints: [{{key: gpu, value: x, effect: NoExecute}}]}}}}
  pod: {{tolerations: [{{key: gpu, operator: Exists}}]}}
  fits: true
- {{name: a taint that is only a wish, node: {{spec: {{taints: [{{key: x, effect: PreferNoSchedule}}]}}}}, fits: true}}
- {{name: its selector, pod: {{nodeSelector: {{disk: ssd}}}}, why: has not the labels that it asks for}}
- {{name: its selector is met, pod: {{nodeSelector: {{{ZONE}: a}}}}, fits: true}}
"""
)


@pytest.mark.parametrize("case", CASES, ids=name_of)
def test_what_a_node_says_for_itself(case: Json) -> None:
    body, wanted = node("n2", case.get("node")), pod(**case.get("pod", {}))
    assert why_not(body, wanted, {"n2": body}, []) == case.get("why", "")
    assert schedulable(body, wanted["spec"]) == case.get("fits", False)


TERMS = table(
    f"""
- {{name: no terms, terms: [], met: false}}
- {{name: an empty term meets none, terms: [{{}}], met: false}}
- {{name: In, terms: [{{matchExpressions: [{{key: {ZONE}, operator: In, values: [a, b]}}]}}], met: true}}
- {{name: NotIn, terms: [{{matchExpressions: [{{key: {ZONE}, operator: NotIn, values: [a]}}]}}], met: false}}
- {{name: NotIn of none, terms: [{{matchExpressions: [{{key: nope, operator: NotIn, values: [a]}}]}}], met: true}}
- {{name: Gt, terms: [{{matchExpressions: [{{key: cpus, operator: Gt, values: ["7"]}}]}}], met: true}}
- {{name: Lt, terms: [{{matchExpressions: [{{key: cpus, operator: Lt, values: ["8"]}}]}}], met: false}}
- {{name: Lt of no number, terms: [{{matchExpressions: [{{key: {ZONE}, operator: Lt, values: ["8"]}}]}}], met: false}}
- {{name: its name, terms: [{{matchFields: [{{key: metadata.name, operator: In, values: [n2]}}]}}], met: true}}
- name: one of two terms
  terms:
    - {{matchExpressions: [{{key: nope, operator: Exists}}]}}
    - {{matchExpressions: [{{key: cpus, operator: Exists}}]}}
  met: true
- name: all of a term
  terms: [{{matchExpressions: [{{key: nope, operator: DoesNotExist}}, {{key: cpus, operator: DoesNotExist}}]}}]
  met: false
"""
)


@pytest.mark.parametrize("case", TERMS, ids=name_of)
def test_node_selectors(case: Json) -> None:
    selector = {"nodeSelectorTerms": case["terms"]}
    assert meets(node("n2"), selector) == case["met"]
    assert reachable({"spec": {"nodeAffinity": {"required": selector}}}, node("n2")) == case["met"]
    affinity = {"nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": selector}}
    assert (why_not(node("n2"), pod(affinity=affinity), {}, []) == "") == case["met"]


def test_a_volume_without_affinity_is_reached_from_everywhere() -> None:
    assert reachable({"spec": {}}, node("n2"))


def apart(key: str = HOST, **term: Any) -> Json:
    rule = {"topologyKey": key, "labelSelector": {"matchLabels": {"app": "web"}}, **term}
    return {"podAntiAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": [rule]}}


def test_pods_that_must_be_apart() -> None:
    nodes = {"n1": node("n1"), "n2": node("n2"), "n3": node("n3", zone="b")}
    me, other, stranger = pod("web-0", "n1"), pod("web-1", "n2"), pod("x", "n3", {"app": "x"})

    def why(where: str, pods: list[Json], affinity: Json) -> str:
        return why_not(nodes[where], over(me, {"spec": {"affinity": affinity}}), nodes, pods)

    seen = [me, other, stranger]
    assert why("n2", seen, apart()) == "has web-1, from which it must be apart"
    assert why("n3", seen, apart()) == ""
    assert why("n1", seen, apart()) == "", "not from itself"
    assert why("n1", seen, apart(ZONE)) == "has web-1, from which it must be apart", "the zone counts"
    assert why("n3", seen, apart(ZONE)) == ""
    assert why("n2", seen, apart("no/such-label")) == ""
    assert why("n2", [over(other, {"status": {"phase": "Failed"}})], apart()) == ""
    assert why("n2", [over(other, {"metadata": {"namespace": "blog"}})], apart()) == ""
    assert why("n2", [over(other, {"metadata": {"namespace": "blog"}})], apart(namespaces=["blog"])) != ""
