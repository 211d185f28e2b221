"""EndpointSlices, PodDisruptionBudgets and evictions."""

from __future__ import annotations

from typing import Any

import pytest

from berth.core.objects import Json
from tests.contract.behaviour.space import BUDGETS, PODS, SETS, SLICES, Space, stateful_set
from tests.contract.behaviour.wire import Answer
from tests.waiting import eventually


def service(**spec: Any) -> Json:
    """The headless service of the set."""
    ports = [{"name": "http", "port": 80, "targetPort": 8080}]
    wanted = {"clusterIP": "None", "selector": {"app": "web"}, "ports": ports, **spec}
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": "web", "labels": {"app": "web"}},
        "spec": wanted,
    }


def endpoints(here: Space) -> dict[str, Json]:
    """The endpoints of the service by pod."""
    found = here.all(SLICES, labelSelector="kubernetes.io/service-name=web")
    return {entry["targetRef"]["name"]: entry for body in found for entry in body.get("endpoints") or ()}


def serving(here: Space, wanted: dict[str, bool]) -> dict[str, Json]:
    """The endpoints, once these pods are there, ready or not."""

    def look() -> dict[str, Json] | None:
        found = endpoints(here)
        ready = {name: bool(entry["conditions"]["ready"]) for name, entry in found.items()}
        return found if ready == wanted else None

    try:
        return eventually(look)
    except AssertionError:
        raise AssertionError(f"{endpoints(here)}") from None


def test_the_slice_of_a_set(here: Space) -> None:
    made = here.make("services", service())
    here.make(SETS, stateful_set(2))
    found = serving(here, {"web-0": True, "web-1": True})
    pod = here.read(PODS, "web-0")
    entry = found["web-0"]
    assert entry == {
        "addresses": [pod["status"]["podIP"]],
        "conditions": {"ready": True, "serving": True, "terminating": False},
        "hostname": "web-0",
        "nodeName": pod["spec"]["nodeName"],
        "targetRef": {"kind": "Pod", "name": "web-0", "namespace": here.name, "uid": pod["metadata"]["uid"]},
        "zone": pod["metadata"]["labels"]["topology.kubernetes.io/zone"],
    }
    [body] = here.all(SLICES)
    assert body["metadata"]["labels"] == {
        "app": "web",
        "endpointslice.kubernetes.io/managed-by": "endpointslice-controller.k8s.io",
        "kubernetes.io/service-name": "web",
        "service.kubernetes.io/headless": "",
    }
    assert body["metadata"]["ownerReferences"][0]["uid"] == made["metadata"]["uid"]
    assert body["metadata"]["name"].startswith("web-") and body["addressType"] == "IPv4"
    assert body["ports"] == [{"name": "http", "port": 8080, "protocol": "TCP"}]


def test_a_pod_that_is_not_ready(here: Space) -> None:
    here.make("services", service())
    here.make(SETS, stateful_set(2))
    serving(here, {"web-0": True, "web-1": True})
    here.fault("web-1", "unready")
    found = serving(here, {"web-0": True, "web-1": False})
    assert found["web-1"]["conditions"] == {"ready": False, "serving": False, "terminating": False}
    here.fault("web-1", None)
    serving(here, {"web-0": True, "web-1": True})


def test_a_service_that_publishes_pods_that_are_not_ready(here: Space) -> None:
    here.make("services", service(publishNotReadyAddresses=True))
    here.make(SETS, stateful_set(1, annotations={"berth.dev/fault": "unready"}))
    found = serving(here, {"web-0": True})
    assert found["web-0"]["conditions"] == {"ready": True, "serving": False, "terminating": False}


def test_endpoints_come_and_go_with_scaling(here: Space) -> None:
    here.make("services", service())
    here.make(SETS, stateful_set(3))
    serving(here, {"web-0": True, "web-1": True, "web-2": True})
    here.scale(1)
    serving(here, {"web-0": True})
    here.scale(0)
    serving(here, {})


def test_a_service_without_pods_has_an_empty_slice(here: Space) -> None:
    here.make("services", service())
    eventually(lambda: here.all(SLICES) or None)
    assert endpoints(here) == {}


def test_the_slices_go_with_the_service(here: Space) -> None:
    here.make("services", service())
    eventually(lambda: here.all(SLICES) or None)
    here.delete("services", "web", "Background")
    eventually(lambda: here.all(SLICES) == [] or None)


def test_the_classic_endpoints(here: Space) -> None:
    here.make("services", service())
    here.make(SETS, stateful_set(2))
    serving(here, {"web-0": True, "web-1": True})

    def full() -> Json | None:
        found = here.get("endpoints", "web")
        subsets = (found or {}).get("subsets") or [{}]
        return subsets[0] if len(subsets[0].get("addresses") or ()) == 2 else None

    subset = eventually(full)
    assert sorted(entry["hostname"] for entry in subset["addresses"]) == ["web-0", "web-1"]
    assert subset["ports"] == [{"name": "http", "port": 8080, "protocol": "TCP"}]


def test_the_defaults_of_services(here: Space) -> None:
    headless = here.make("services", service())["spec"]
    assert (headless["clusterIP"], headless["clusterIPs"]) == ("None", ["None"])
    assert (headless["type"], headless["sessionAffinity"], headless["ipFamilies"]) == ("ClusterIP", "None", ["IPv4"])
    assert (headless["ipFamilyPolicy"], headless["internalTrafficPolicy"]) == ("SingleStack", "Cluster")
    body = service(clusterIP=None)
    body["metadata"]["name"] = "plain"
    del body["spec"]["clusterIP"]
    plain = here.make("services", body)["spec"]
    assert plain["clusterIP"].startswith("10.96.") and plain["clusterIPs"] == [plain["clusterIP"]]
    answer = here.ask(
        "PATCH", "services", "plain", {"spec": {"clusterIP": "10.96.1.2"}}, type="application/merge-patch+json"
    )
    assert answer.status == 422
    assert any("field is immutable" in text or "may not" in text for _, _, text in answer.causes)


# Budgets --------------------------------------------------------------------------------------------------------------


def budget(here: Space, **rule: Any) -> None:
    """Make a budget for the set's pods."""
    spec = {**rule, "selector": {"matchLabels": {"app": "web"}}}
    here.make(
        BUDGETS, {"apiVersion": "policy/v1", "kind": "PodDisruptionBudget", "metadata": {"name": "web"}, "spec": spec}
    )


def counted(here: Space, **wanted: int) -> Json:
    """The status of the budget, once it says so."""
    keys = {
        "allowed": "disruptionsAllowed",
        "healthy": "currentHealthy",
        "desired": "desiredHealthy",
        "expected": "expectedPods",
    }
    body = here.until(
        BUDGETS, "web", lambda found: all(found["status"].get(keys[key]) == number for key, number in wanted.items())
    )
    status: Json = body["status"]
    return status


@pytest.mark.parametrize(
    ("rule", "desired", "allowed"),
    [
        ({"minAvailable": 2}, 2, 1),
        ({"minAvailable": "50%"}, 2, 1),
        ({"minAvailable": 3}, 3, 0),
        ({"maxUnavailable": 1}, 2, 1),
        ({"maxUnavailable": "34%"}, 1, 2),
        ({"maxUnavailable": 0}, 3, 0),
        ({"minAvailable": 0}, 0, 3),
    ],
)
def test_what_a_budget_allows(here: Space, rule: Json, desired: int, allowed: int) -> None:
    here.make(SETS, stateful_set(3))
    here.settled()
    budget(here, **rule)
    status = counted(here, allowed=allowed, desired=desired, healthy=3, expected=3)
    [condition] = status["conditions"]
    assert (condition["type"], condition["status"], condition["reason"]) == (
        "DisruptionAllowed",
        "True" if allowed else "False",
        "SufficientPods" if allowed else "InsufficientPods",
    )
    assert status["observedGeneration"] == 1


def test_an_unready_pod_is_not_healthy(here: Space) -> None:
    here.make(SETS, stateful_set(2))
    here.settled()
    budget(here, maxUnavailable=1)
    counted(here, allowed=1, healthy=2)
    here.fault("web-0", "unready")
    counted(here, allowed=0, healthy=1)
    here.fault("web-0", None)
    counted(here, allowed=1, healthy=2)


def test_a_budget_follows_the_scale(here: Space) -> None:
    here.make(SETS, stateful_set(1))
    here.settled()
    budget(here, maxUnavailable=1)
    counted(here, expected=1, desired=0)
    here.scale(3)
    counted(here, expected=3, desired=2, healthy=3)


def test_a_budget_with_both_rules_is_refused(here: Space) -> None:
    spec = {"minAvailable": 1, "maxUnavailable": 1}
    body = {"apiVersion": "policy/v1", "kind": "PodDisruptionBudget", "metadata": {"name": "web"}, "spec": spec}
    answer = here.ask("POST", BUDGETS, body=body)
    assert answer.status == 422
    assert [cause[2] for cause in answer.causes] == [
        'Invalid value: {"minAvailable":1,"maxUnavailable":1}: minAvailable and maxUnavailable cannot be both set'
    ] or "cannot be both set" in answer.message


def evict(here: Space, name: str, **more: Any) -> Answer:
    """Ask for the eviction of a pod."""
    body = {"apiVersion": "policy/v1", "kind": "Eviction", "metadata": {"name": name}, **more}
    return here.ask("POST", PODS, name, body, sub="eviction")


def test_an_eviction_without_a_budget(here: Space) -> None:
    here.make(SETS, stateful_set(1))
    here.settled()
    with here.log() as log:
        answer = evict(here, "web-0")
        success = {"apiVersion": "v1", "kind": "Status", "metadata": {}, "status": "Success", "code": 201}
        assert (answer.status, answer.body) == (201, success)
        assert log.until("!web-0") == ["~web-0", "-web-0", "+web-0", "!web-0"]


def test_an_eviction_that_the_budget_forbids(here: Space) -> None:
    here.make(SETS, stateful_set(1))
    here.settled()
    budget(here, minAvailable=1)
    counted(here, allowed=0, healthy=1)
    uid = here.uids()["web-0"]
    answer = evict(here, "web-0")
    assert (answer.status, answer.body["reason"]) == (429, "TooManyRequests")
    assert answer.message == "Cannot evict pod as it would violate the pod's disruption budget."
    assert answer.causes == [
        ("DisruptionBudget", "", "The disruption budget web needs 1 healthy pods and has 1 currently")
    ]
    assert here.uids()["web-0"] == uid


def test_a_budget_is_used_up_by_evictions(here: Space) -> None:
    here.make(SETS, stateful_set(3, annotations={"berth.dev/stop-after": "1s"}))
    here.settled()
    budget(here, maxUnavailable=1)
    counted(here, allowed=1, healthy=3)
    assert evict(here, "web-0", deleteOptions={"dryRun": ["All"]}).status == 201
    assert here.read(BUDGETS, "web")["status"]["disruptionsAllowed"] == 1
    assert evict(here, "web-0").status == 201
    here.settled()
    counted(here, allowed=1, healthy=3)


def test_a_pod_of_two_budgets_is_not_evicted(here: Space) -> None:
    here.make(SETS, stateful_set(1))
    here.settled()
    budget(here, maxUnavailable=1)
    spec = {"maxUnavailable": 1, "selector": {"matchLabels": {"app": "web"}}}
    body = {"apiVersion": "policy/v1", "kind": "PodDisruptionBudget", "metadata": {"name": "two"}, "spec": spec}
    here.make(BUDGETS, body)
    counted(here, allowed=1)
    here.until(BUDGETS, "two", lambda found: found["status"].get("disruptionsAllowed") == 1)
    answer = evict(here, "web-0")
    assert answer.status == 500
    assert answer.message == (
        "This pod has more than one PodDisruptionBudget, which the eviction subresource does not support."
    )


def test_an_unready_pod_is_evicted_all_the_same_where_the_policy_says_so(here: Space) -> None:
    here.make(SETS, stateful_set(2, podManagementPolicy="Parallel"))
    here.settled()
    budget(here, minAvailable=2, unhealthyPodEvictionPolicy="AlwaysAllow")
    counted(here, allowed=0, healthy=2)
    here.fault("web-1", "unready")
    here.until(
        PODS,
        "web-1",
        lambda pod: any(c["type"] == "Ready" and c["status"] == "False" for c in pod["status"]["conditions"]),
    )
    assert evict(here, "web-1").status == 201


def test_the_eviction_of_a_pod_that_is_not_there(here: Space) -> None:
    answer = evict(here, "web-0")
    assert (answer.status, answer.message) == (404, 'pods "web-0" not found')
