"""The plane is closed to everybody but its user, and closed as a cluster of production is."""

from __future__ import annotations

import http.client
import json
import socket
import ssl
import stat
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import pytest

from berth.controlplane.api import ApiError

if TYPE_CHECKING:
    from tests.controlplane.conftest import Namespace, Plane

pytestmark = pytest.mark.controlplane


@pytest.mark.parametrize("path", ["/api", "/healthz", "/readyz", "/version", "/metrics", "/api/v1/secrets"])
def test_nobody_is_answered_without_a_certificate(plane: Plane, path: str) -> None:
    url = urlsplit(plane.status.server)
    context = ssl.create_default_context(cafile=str(plane.root / "pki" / "ca.crt"))
    connection = http.client.HTTPSConnection(url.hostname or "", url.port, context=context, timeout=5)
    try:
        connection.request("GET", path)
        response = connection.getresponse()
        assert response.status == 401
        response.read()
    finally:
        connection.close()


def test_etcd_answers_the_api_server_only(plane: Plane) -> None:
    port = json.loads((plane.root / "settings.json").read_text())["ports"]["etcd"]
    pki = plane.root / "pki"
    context = ssl.create_default_context(cafile=str(pki / "etcd-ca.crt"))
    # A certificate of the cluster's CA is none of etcd's.
    context.load_cert_chain(pki / "admin.crt", pki / "admin.key")
    connection = http.client.HTTPSConnection("127.0.0.1", port, context=context, timeout=5)
    try:
        with pytest.raises((OSError, http.client.HTTPException)):
            connection.request("GET", "/version")
            connection.getresponse()
    finally:
        connection.close()


def test_every_port_is_on_the_loopback_interface(plane: Plane) -> None:
    ports = json.loads((plane.root / "settings.json").read_text())["ports"].values()
    wildcard = {"00000000", "0" * 32}
    with open("/proc/net/tcp") as tcp, open("/proc/net/tcp6") as tcp6:
        lines = [line.split() for line in [*tcp.readlines()[1:], *tcp6.readlines()[1:]]]
    listening = [line[1].rsplit(":", 1) for line in lines if line[3] == "0A"]
    for port in ports:
        addresses = {address for address, number in listening if int(number, 16) == port}
        assert addresses
        assert not addresses & wildcard
    with socket.create_connection(("127.0.0.1", next(iter(ports))), timeout=5):
        pass


def test_files_are_private(plane: Plane) -> None:
    assert stat.S_IMODE(plane.root.stat().st_mode) == 0o700
    assert stat.S_IMODE(plane.status.kubeconfig.stat().st_mode) == 0o600
    for path in plane.root.rglob("*"):
        if path.suffix in (".key", ".kubeconfig", ".json", ".log", ".yaml"):
            assert stat.S_IMODE(path.stat().st_mode) == 0o600, path


def test_rights_are_checked(plane: Plane) -> None:
    client = plane.client("kwok")
    try:
        with pytest.raises(ApiError) as refused:
            client.get("/api/v1/secrets")
        assert refused.value.code == 403
    finally:
        client.close()


def test_pod_security_is_enforced(namespace: Namespace) -> None:
    labels = {"pod-security.kubernetes.io/enforce": "restricted"}
    namespace.client.merge(f"/api/v1/namespaces/{namespace.name}", {"metadata": {"labels": labels}})
    with pytest.raises(ApiError, match="violates PodSecurity"):
        namespace.pod("web")
