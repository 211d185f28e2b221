"""With default values the profiles give the names that the StatefulSet tutorials use."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

pytestmark = pytest.mark.unit

PROFILES = ("nginx", "httpd", "postgres", "zookeeper", "cassandra")
Render = Callable[..., Any]


@pytest.mark.parametrize(
    ("profile", "set_name", "service", "ports", "claims", "replicas", "image"),
    [
        ("nginx", "web", "nginx", {"web": 80}, {"www": ("/usr/share/nginx/html", "1Gi")}, 2, "nginx:1.29"),
        (
            "httpd",
            "apache-http",
            "httpd-service",
            {"web": 80},
            {"htdocs": ("/usr/local/apache2/htdocs", "2Gi")},
            3,
            "httpd:2.4",
        ),
        (
            "postgres",
            "postgres",
            "postgres",
            {"postgres": 5432},
            {"data": ("/var/lib/postgresql/data", "20Gi")},
            3,
            "postgres:17",
        ),
        (
            "zookeeper",
            "zookeeper",
            "zookeeper",
            {"client": 2181, "quorum": 2888, "election": 3888},
            {"data": ("/data", "5Gi"), "datalog": ("/datalog", "5Gi")},
            3,
            "zookeeper:3.9",
        ),
        (
            "cassandra",
            "cassandra",
            "cassandra",
            {"internode": 7000, "cql": 9042},
            {"data": ("/var/lib/cassandra", "20Gi")},
            3,
            "cassandra:5",
        ),
    ],
)
def test_default_names(
    render: Render,
    profile: str,
    set_name: str,
    service: str,
    ports: dict[str, int],
    claims: dict[str, tuple[str, str]],
    replicas: int,
    image: str,
) -> None:
    """Set, headless Service, ports, claim templates with their mounts and sizes, replicas, image."""
    out = render(profile)
    assert out.set["metadata"]["name"] == set_name
    assert out.set["spec"]["serviceName"] == service
    assert out.set["spec"]["replicas"] == replicas
    assert out.container["image"] == image
    headless = out.one("Service", service)["spec"]
    assert headless["clusterIP"] == "None"
    assert {port["name"]: port["port"] for port in headless["ports"]} == ports
    mounts = {mount["name"]: mount["mountPath"] for mount in out.container["volumeMounts"]}
    found = {
        name: (mounts[name], claim["spec"]["resources"]["requests"]["storage"]) for name, claim in out.claims().items()
    }
    assert found == claims


@pytest.mark.parametrize("profile", PROFILES)
def test_label_of_the_tutorials(render: Render, profile: str) -> None:
    """`-l app=...` finds the set, its pods and its claims."""
    out = render(profile)
    places = [out.set, out.set["spec"]["template"], *out.claims().values()]
    assert [place["metadata"]["labels"]["app"] for place in places] == [profile] * len(places)


def test_storage_classes_of_the_tutorials(render: Render) -> None:
    """Nginx takes the cluster's default unless told; httpd brings a class `fast` that retains volumes."""
    assert "storageClassName" not in render("nginx").claims()["www"]["spec"]
    chosen = render("nginx", None, "storage.className=local-path").claims()["www"]["spec"]
    assert chosen["storageClassName"] == "local-path"
    httpd = render("httpd")
    assert httpd.claims()["htdocs"]["spec"]["storageClassName"] == "fast"
    fast = httpd.one("StorageClass", "fast")
    assert fast["reclaimPolicy"] == "Retain"
    assert fast["volumeBindingMode"] == "WaitForFirstConsumer"
    assert fast["allowVolumeExpansion"] is True
    assert fast["provisioner"] == "rancher.io/local-path"


def test_production_size_of_postgres(render: Render) -> None:
    """100Gi in production, as in the tutorial."""
    assert render("postgres", "prod").claims()["data"]["spec"]["resources"]["requests"]["storage"] == "100Gi"


@pytest.mark.parametrize("profile", PROFILES)
def test_twice_in_one_namespace(render: Render, profile: str) -> None:
    """With --name no object and no pod of a second release is that of the first; a shared class is the exception."""

    def identities(out: object) -> set[tuple[str, str]]:
        bodies = out.bodies  # type: ignore[attr-defined]
        return {(body["kind"], body["metadata"]["name"]) for body in bodies if body["kind"] != "StorageClass"}

    first, second = render(profile), render(profile, name="shop")
    assert not identities(first) & identities(second)
    assert first.set["spec"]["selector"] != second.set["spec"]["selector"]
    for service in second.all("Service"):
        wanted = service["spec"]["selector"].items() - {("statefulset.kubernetes.io/pod-name", "shop-postgres-0")}
        assert wanted <= second.set["spec"]["template"]["metadata"]["labels"].items()
        assert not wanted <= first.set["spec"]["template"]["metadata"]["labels"].items()
