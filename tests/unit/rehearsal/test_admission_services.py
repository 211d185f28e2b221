"""Addresses and ports of services. The refusals are those that a server of 1.36 gave."""

from __future__ import annotations

from ipaddress import IPv4Address
from typing import Any

import pytest

from berth.core.objects import Json
from berth.rehearsal import kinds
from berth.rehearsal.admission.services import PORTS, RANGE
from tests.unit.rehearsal.admitting import Cluster, service

pytestmark = pytest.mark.unit


@pytest.fixture
def cluster() -> Cluster:
    return Cluster()


def made(cluster: Cluster, name: str = "s", **spec: Any) -> Json:
    found: Json = cluster.put(kinds.SERVICES, cluster.ask(kinds.SERVICES, service(name, **spec))[0])["spec"]
    return found


def changed(cluster: Cluster, name: str, **spec: Any) -> Json:
    """After an update by somebody who read the service; None takes a field away."""
    old = cluster.get(kinds.SERVICES, "n", name)
    assert old is not None
    new = {key: value for key, value in {**old["spec"], **spec}.items() if value is not None}
    found: Json = cluster.put(kinds.SERVICES, cluster.ask(kinds.SERVICES, {**old, "spec": new}, old)[0])["spec"]
    return found


def test_a_service_gets_an_address(cluster: Cluster) -> None:
    spec = made(cluster)
    assert IPv4Address(spec["clusterIP"]) in RANGE
    assert spec["clusterIPs"] == [spec["clusterIP"]]
    assert (spec["ipFamilies"], spec["ipFamilyPolicy"]) == (["IPv4"], "SingleStack")


def test_addresses_repeat_from_run_to_run_and_never_within_one(cluster: Cluster) -> None:
    names = [f"s{number}" for number in range(50)]
    addresses = [made(cluster, name)["clusterIP"] for name in names]
    assert len(set(addresses)) == len(names)
    assert addresses == [made(Cluster(), name)["clusterIP"] for name in names]


@pytest.mark.parametrize(
    ("selector", "families", "policy"),
    [({"a": "b"}, ["IPv4"], "SingleStack"), (None, ["IPv4", "IPv6"], "RequireDualStack")],
)
def test_headless_services_have_none(cluster: Cluster, selector: Any, families: list[str], policy: str) -> None:
    spec = made(cluster, clusterIP="None", **({"selector": selector} if selector else {}))
    assert (spec["clusterIP"], spec["clusterIPs"]) == ("None", ["None"])
    assert (spec["ipFamilies"], spec["ipFamilyPolicy"]) == (families, policy)


def test_external_names_have_nothing(cluster: Cluster) -> None:
    spec = made(cluster, type="ExternalName", externalName="a.b")
    assert not {"clusterIP", "clusterIPs", "ipFamilies", "ipFamilyPolicy"} & spec.keys()


@pytest.mark.parametrize(
    ("spec", "path", "detail"),
    [
        (
            {"clusterIP": "10.96.0.200"},
            "spec.clusterIPs",
            'Invalid value: ["10.96.0.200"]: failed to allocate IP 10.96.0.200: provided IP is already allocated',
        ),
        (
            {"clusterIP": "10.97.0.77"},
            "spec.clusterIPs",
            'Invalid value: ["10.97.0.77"]: failed to allocate IP 10.97.0.77: the provided IP (10.97.0.77) is not in '
            "the valid range. The range of valid IPs is 10.96.0.0/16",
        ),
        (
            {"clusterIP": "10.96.255.255"},
            "spec.clusterIPs",
            'Invalid value: ["10.96.255.255"]: failed to allocate IP 10.96.255.255: the provided IP (10.96.255.255) is '
            "not in the valid range. The range of valid IPs is 10.96.0.0/16",
        ),
        (
            {"clusterIP": "fd00::1"},
            "spec.clusterIPs[0]",
            'Invalid value: ["fd00::1"]: IPv6 is not configured on this cluster',
        ),
        ({"ipFamilies": ["IPv6"]}, "spec.ipFamilies[0]", 'Invalid value: "IPv6": not configured on this cluster'),
        (
            {"ipFamilyPolicy": "RequireDualStack"},
            "spec.ipFamilyPolicy",
            'Invalid value: "RequireDualStack": this cluster is not configured for dual-stack services',
        ),
        (
            {"type": "NodePort", "ports": [{"port": 80, "nodePort": 80}]},
            "spec.ports[0].nodePort",
            "Invalid value: 80: provided port is not in the valid range. The range of valid ports is 30000-32767",
        ),
        (
            {"type": "NodePort", "ports": [{"port": 80, "nodePort": 30099}]},
            "spec.ports[0].nodePort",
            "Invalid value: 30099: provided port is already allocated",
        ),
        (
            {
                "type": "NodePort",
                "ports": [{"port": 80, "name": "a", "nodePort": 30111}, {"port": 81, "name": "b", "nodePort": 30111}],
            },
            "spec.ports[1].nodePort",
            "Invalid value: 30111: provided port is already allocated",
        ),
    ],
)
def test_what_cannot_be_had(cluster: Cluster, spec: Json, path: str, detail: str) -> None:
    made(cluster, "other", type="NodePort", clusterIP="10.96.0.200", ports=[{"port": 1, "nodePort": 30099}])
    error = cluster.refused(kinds.SERVICES, service(**spec))
    message = f'Service "s" is invalid: {path}: {detail}'
    assert (error.code, error.reason, error.message) == (422, "Invalid", message)
    causes = [{"reason": "FieldValueInvalid", "message": detail, "field": path}]
    assert error.details == {"name": "s", "kind": "Service", "causes": causes}


@pytest.mark.parametrize("spec", [{"clusterIP": "x"}, {"clusterIPs": ["None"]}, {"clusterIPs": ["10.96.0.8"]}])
def test_malformed_addresses_are_left_to_validation(cluster: Cluster, spec: Json) -> None:
    asked = service(**spec)["spec"]
    found = made(cluster, **spec)
    assert found.get("clusterIP") == asked.get("clusterIP")


def test_node_ports(cluster: Cluster) -> None:
    ports = made(cluster, type="NodePort", ports=[{"port": 80, "name": "a"}, {"port": 81, "name": "b"}])["ports"]
    given = [port["nodePort"] for port in ports]
    assert all(port in PORTS for port in given)
    assert len(set(given)) == 2
    both = [{"port": 53, "name": "t", "protocol": "TCP"}, {"port": 53, "name": "u", "protocol": "UDP"}]
    shared = [port["nodePort"] for port in made(cluster, "dns", type="NodePort", ports=both)["ports"]]
    assert shared[0] == shared[1]
    assert shared[0] not in given


def test_load_balancers(cluster: Cluster) -> None:
    spec = made(cluster, type="LoadBalancer", externalTrafficPolicy="Local")
    assert spec["ports"][0]["nodePort"] in PORTS
    assert spec["healthCheckNodePort"] in PORTS
    assert spec["healthCheckNodePort"] != spec["ports"][0]["nodePort"]
    none = made(cluster, "other", type="LoadBalancer", allocateLoadBalancerNodePorts=False)
    assert "nodePort" not in none["ports"][0]


def test_an_update_that_leaves_out_what_was_given_keeps_it(cluster: Cluster) -> None:
    before = made(cluster, type="NodePort")
    after = changed(cluster, "s", clusterIP=None, clusterIPs=None, ports=[{"port": 80, "targetPort": 8080}])
    assert after["clusterIP"] == before["clusterIP"]
    assert after["ports"][0]["nodePort"] == before["ports"][0]["nodePort"]


def test_a_service_changes_its_type(cluster: Cluster) -> None:
    address = made(cluster)["clusterIP"]
    port = changed(cluster, "s", type="NodePort")["ports"][0]["nodePort"]
    assert port in PORTS
    spec = changed(cluster, "s", type="LoadBalancer", externalTrafficPolicy="Local")
    assert (spec["clusterIP"], spec["ports"][0]["nodePort"]) == (address, port)
    assert "healthCheckNodePort" not in changed(cluster, "s", externalTrafficPolicy="Cluster")
    spec = changed(cluster, "s", type="ClusterIP")
    assert spec["clusterIP"] == address
    assert "nodePort" not in spec["ports"][0]
    assert not {"externalTrafficPolicy", "allocateLoadBalancerNodePorts"} & spec.keys()
    spec = changed(cluster, "s", type="ExternalName", externalName="a.b")
    gone = {"clusterIP", "clusterIPs", "ipFamilies", "ipFamilyPolicy", "internalTrafficPolicy"}
    assert not gone & spec.keys()
    spec = changed(cluster, "s", type="ClusterIP", externalName=None)
    assert (spec["clusterIP"], spec["ipFamilies"]) == (address, ["IPv4"])


def test_a_headless_service_stays_headless(cluster: Cluster) -> None:
    made(cluster, clusterIP="None", selector={"a": "b"})
    assert changed(cluster, "s", clusterIP="", clusterIPs=None)["clusterIP"] == "None"
