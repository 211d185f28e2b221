from __future__ import annotations

from typing import Any

import pytest

from berth.core.objects import Json
from berth.rehearsal.controllers import endpoints
from berth.rehearsal.controllers.ports import in_endpoints_order, in_slice_order
from berth.rehearsal.kinds import ENDPOINTS, PODS, SERVICES, SLICES
from tests.rehearsal.controllers.quay import SPACE, Quay, web

pytestmark = pytest.mark.rehearsal

PORT = {"name": "web", "port": 80, "protocol": "TCP", "targetPort": "web"}


def service(**spec: Any) -> Json:
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": "nginx", "namespace": SPACE, "labels": {"app": "web"}},
        "spec": {"clusterIP": "None", "ipFamilies": ["IPv4"], "selector": {"app": "web"}, "ports": [PORT], **spec},
    }


def the_slice(quay: Quay) -> Json:
    (found,) = quay.client.list(SLICES, SPACE)
    return found


def conditions(quay: Quay) -> dict[str, tuple[bool, bool, bool]]:
    return {
        entry["targetRef"]["name"]: (
            entry["conditions"]["ready"],
            entry["conditions"]["serving"],
            entry["conditions"]["terminating"],
        )
        for entry in the_slice(quay)["endpoints"] or ()
    }


def test_an_empty_slice_comes_first_and_is_filled(quay: Quay) -> None:
    quay.make(service())
    quay.settle()
    empty = the_slice(quay)
    assert (empty["endpoints"], empty["ports"], empty["addressType"]) == (None, None, "IPv4")
    assert empty["metadata"]["generateName"] == "nginx-"
    assert empty["metadata"]["labels"] == {
        "app": "web",
        "endpointslice.kubernetes.io/managed-by": "endpointslice-controller.k8s.io",
        "kubernetes.io/service-name": "nginx",
        "service.kubernetes.io/headless": "",
    }
    assert empty["metadata"]["ownerReferences"][0]["blockOwnerDeletion"] is True
    quay.make(web(2))
    quay.settle()
    full = the_slice(quay)
    assert full["metadata"]["uid"] == empty["metadata"]["uid"]
    assert full["ports"] == [{"name": "web", "port": 80, "protocol": "TCP"}]
    first = full["endpoints"][0]
    assert (first["hostname"], first["nodeName"]) == ("web-0", "node-1")
    assert first["targetRef"]["name"] == "web-0"
    assert "endpoints.kubernetes.io/last-change-trigger-time" in full["metadata"]["annotations"]


def test_conditions_follow_the_pods(quay: Quay) -> None:
    quay.make(service())
    quay.make(web(2))
    quay.settle()
    assert conditions(quay) == {"web-0": (True, True, False), "web-1": (True, True, False)}
    quay.nodes.set_ready("web-1", False)
    quay.settle()
    assert conditions(quay)["web-1"] == (False, False, False)
    quay.nodes.held.add("web-0")
    quay.delete(PODS, "web-0")
    quay.settle()
    assert conditions(quay)["web-0"] == (False, True, True)
    (subset,) = quay.get(ENDPOINTS, "nginx")["subsets"]
    assert [entry["targetRef"]["name"] for entry in subset["notReadyAddresses"]] == ["web-1"]
    assert "addresses" not in subset


def test_addresses_that_are_not_ready_can_be_published(quay: Quay) -> None:
    quay.nodes.broken.add("web-0")
    quay.make(service(publishNotReadyAddresses=True))
    quay.make(web(1))
    quay.settle()
    assert conditions(quay) == {"web-0": (True, False, False)}
    assert len(quay.get(ENDPOINTS, "nginx")["subsets"][0]["addresses"]) == 1


def test_a_port_that_pods_do_not_have_is_left_out(quay: Quay) -> None:
    quay.make(service(ports=[PORT, {"name": "cql", "port": 9042, "protocol": "TCP", "targetPort": "cql"}]))
    quay.make(web(1))
    quay.settle()
    assert [port["name"] for port in the_slice(quay)["ports"]] == ["web"]


def test_order_of_ports_is_that_of_a_real_cluster() -> None:
    ports = [
        {"name": name, "port": port, "protocol": "TCP"} for name, port in (("web", 80), ("intra", 7000), ("jmx", 7199))
    ]
    assert [port["name"] for port in in_slice_order(ports)] == ["jmx", "web", "intra"]
    assert [port["name"] for port in in_endpoints_order(ports)] == ["jmx", "intra", "web"]


def test_a_service_without_selector_is_left_alone(quay: Quay) -> None:
    quay.make(service(selector=None))
    quay.make({**service(type="ExternalName"), "metadata": {"name": "other", "namespace": SPACE}})
    quay.settle()
    assert quay.client.list(SLICES, SPACE) == []
    assert quay.client.list(ENDPOINTS, SPACE) == []


def test_they_go_with_the_service(quay: Quay) -> None:
    quay.make(service())
    quay.make(web(1))
    quay.settle()
    quay.delete(SERVICES, "nginx")
    quay.settle()
    assert quay.client.list(SLICES, SPACE) == []
    assert quay.client.list(ENDPOINTS, SPACE) == []


def test_a_slice_that_somebody_deletes_or_changes_is_made_again(quay: Quay) -> None:
    quay.make(service())
    quay.make(web(1))
    quay.settle()
    body = the_slice(quay)
    quay.update(SLICES, {**body, "endpoints": None})
    quay.settle()
    assert len(the_slice(quay)["endpoints"]) == 1
    quay.delete(SLICES, body["metadata"]["name"])
    quay.settle()
    assert len(the_slice(quay)["endpoints"]) == 1


@pytest.mark.parametrize(
    ("wish", "hints"),
    [
        (None, None),
        ("PreferSameZone", {"forZones": [{"name": "local-a"}]}),
        ("PreferSameNode", {"forZones": [{"name": "local-a"}], "forNodes": [{"name": "berth-node-1"}]}),
    ],
)
def test_traffic_may_prefer_what_is_near(quay: Quay, wish: str | None, hints: Json | None) -> None:
    quay.nodes.node = "berth-node-1"
    quay.make(service(**({"trafficDistribution": wish} if wish else {})))
    quay.make(web(1))
    quay.settle()
    (endpoint,) = the_slice(quay)["endpoints"]
    assert endpoint["zone"] == "local-a"
    assert endpoint.get("hints") == hints


def test_more_endpoints_than_a_slice_holds_take_more_slices(quay: Quay, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(endpoints, "SLICE_SIZE", 10)
    quay.make(service())
    quay.make(web(13, claims=False, podManagementPolicy="Parallel"))
    quay.settle()
    sizes = sorted(len(body["endpoints"]) for body in quay.client.list(SLICES, SPACE))
    assert sizes == [3, 10]
    quay.scale(1)
    quay.settle()
    assert len(the_slice(quay)["endpoints"]) == 1
