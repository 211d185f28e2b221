"""What the values switch on and off."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

pytestmark = pytest.mark.unit

PROFILES = ("nginx", "httpd", "postgres", "zookeeper", "cassandra")
Render = Callable[..., Any]
each = pytest.mark.parametrize("profile", PROFILES)


@each
def test_disruption_budget(render: Render, profile: str) -> None:
    """One pod at a time; broken web pods may always be evicted, members of a quorum not; off when switched off."""
    budget = render(profile).one("PodDisruptionBudget")["spec"]
    assert budget["maxUnavailable"] == 1
    assert budget.get("unhealthyPodEvictionPolicy") == ("AlwaysAllow" if profile in ("nginx", "httpd") else None)
    assert render(profile, None, "disruptionBudget.enabled=false").all("PodDisruptionBudget") == []


@each
def test_network_policy(render: Render, profile: str) -> None:
    """In: the namespace on client ports, members among themselves. Out: DNS and members. Off when switched off."""
    out = render(profile)
    policy = out.one("NetworkPolicy")["spec"]
    assert policy["policyTypes"] == ["Ingress", "Egress"]
    assert policy["podSelector"]["matchLabels"] == out.set["spec"]["selector"]["matchLabels"]
    assert policy["ingress"][0]["from"] == [{"podSelector": {}}]
    dns, members = policy["egress"]
    assert {port["port"] for port in dns["ports"]} == {53}
    assert members["to"] == [{"podSelector": {"matchLabels": out.set["spec"]["selector"]["matchLabels"]}}]
    ports = {port["name"] for port in out.container["ports"]}
    assert {port["port"] for port in members["ports"]} == ports
    assert {port["port"] for rule in policy["ingress"] for port in rule["ports"]} == ports
    assert render(profile, None, "networkPolicy.enabled=false").all("NetworkPolicy") == []


def test_more_clients_and_more_egress(render: Render) -> None:
    """An ingress controller gets in, and an extra way out is added, without opening anything else."""
    out = render(
        "nginx",
        None,
        'networkPolicy.clients=[{"namespaceSelector": {"matchLabels": {"name": "ingress"}}}]',
        'networkPolicy.egress=[{"to": [{"ipBlock": {"cidr": "10.0.0.0/8"}}]}]',
    )
    policy = out.one("NetworkPolicy")["spec"]
    assert policy["ingress"][0]["from"][1] == {"namespaceSelector": {"matchLabels": {"name": "ingress"}}}
    assert policy["egress"][-1] == {"to": [{"ipBlock": {"cidr": "10.0.0.0/8"}}]}


@each
@pytest.mark.parametrize("how", ["hard", "soft", "none"])
def test_spread_over_nodes(render: Render, profile: str, how: str) -> None:
    """Hard never puts two pods on a node, soft prefers not to, none does not care."""
    pod = render(profile, None, f"spread.hostname={how}", "spread.zone=none").pod
    hard = pod.get("affinity", {}).get("podAntiAffinity", {}).get("requiredDuringSchedulingIgnoredDuringExecution", [])
    soft = pod.get("topologySpreadConstraints", [])
    assert [term["topologyKey"] for term in hard] == (["kubernetes.io/hostname"] if how == "hard" else [])
    assert [(term["topologyKey"], term["whenUnsatisfiable"]) for term in soft] == (
        [("kubernetes.io/hostname", "ScheduleAnyway")] if how == "soft" else []
    )


@each
def test_default_spread(render: Render, profile: str) -> None:
    """Quorum systems never share a node, except in dev; zones are a wish."""
    pod = render(profile).pod
    assert ("affinity" in pod) is (profile in ("zookeeper", "cassandra"))
    zones = [t for t in pod["topologySpreadConstraints"] if t["topologyKey"] == "topology.kubernetes.io/zone"]
    assert [term["whenUnsatisfiable"] for term in zones] == ["ScheduleAnyway"]
    assert "affinity" not in render(profile, "dev").pod


def test_storage_class_of_somebody_else(render: Render) -> None:
    """Without createClass the profile uses a class and makes none."""
    out = render("httpd", None, "storage.createClass=false", "storage.className=shared")
    assert out.all("StorageClass") == []
    assert out.claims()["htdocs"]["spec"]["storageClassName"] == "shared"


@each
def test_service_account(render: Render, profile: str) -> None:
    """Made and used by the name of the set, without a token; or somebody else's."""
    out = render(profile)
    account = out.one("ServiceAccount")
    assert account["automountServiceAccountToken"] is False
    assert out.pod["serviceAccountName"] == account["metadata"]["name"] == out.set["metadata"]["name"]
    other = render(profile, None, "serviceAccount.create=false", "serviceAccount.name=theirs")
    assert other.all("ServiceAccount") == []
    assert other.pod["serviceAccountName"] == "theirs"


@each
def test_update_strategy(render: Render, profile: str) -> None:
    """A partition only under RollingUpdate; maxUnavailable never, for not every version has it."""
    strategy = render(profile, None, "updateStrategy.partition=2").set["spec"]["updateStrategy"]
    assert strategy == {"type": "RollingUpdate", "rollingUpdate": {"partition": 2}}
    assert render(profile, None, "updateStrategy.type=OnDelete").set["spec"]["updateStrategy"] == {"type": "OnDelete"}


@each
def test_image(render: Render, profile: str) -> None:
    """By tag, and by digest where one is given; init containers use the same."""
    digest = "sha256:" + "a" * 64
    out = render(profile, None, f"image.digest={digest}", "image.repository=registry.example/web")
    images = {container["image"] for container in out.containers}
    assert len(images) == 1
    image = images.pop()
    assert image.startswith("registry.example/web:")
    assert image.endswith(f"@{digest}")


@each
def test_labels_and_scheduling_of_the_user(render: Render, profile: str) -> None:
    """The user's labels are on objects and pods, not on claims, and cannot displace those that selectors need."""
    out = render(
        profile,
        None,
        "labels.team=harbour",
        r"labels.app\.kubernetes\.io/instance=stolen",
        "nodeSelector.disk=ssd",
        'tolerations=[{"key": "db", "operator": "Exists"}]',
        'extraEnv=[{"name": "TZ", "value": "UTC"}]',
    )
    template = out.set["spec"]["template"]
    assert template["metadata"]["labels"]["team"] == "harbour"
    assert template["metadata"]["labels"]["app.kubernetes.io/instance"] == profile
    assert all("team" not in claim["metadata"]["labels"] for claim in out.claims().values())
    assert out.pod["nodeSelector"] == {"disk": "ssd"}
    assert out.pod["tolerations"] == [{"key": "db", "operator": "Exists"}]
    assert out.container["env"][-1] == {"name": "TZ", "value": "UTC"}


def test_welcome_page(render: Render) -> None:
    """A page for an empty volume, unless the user does not want one."""
    for profile in ("nginx", "httpd"):
        assert [container["name"] for container in render(profile).pod["initContainers"]] == ["welcome-page"]
        assert "initContainers" not in render(profile, None, "welcomePage=false").pod
