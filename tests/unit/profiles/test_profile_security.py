"""Rendered pods pass Pod Security "restricted", in every profile and environment.

Source of the rules: https://kubernetes.io/docs/concepts/security/pod-security-standards/
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

pytestmark = pytest.mark.unit

PROFILES = ("nginx", "httpd", "postgres", "zookeeper", "cassandra")
ENVIRONMENTS = (None, "dev", "staging", "prod")
Render = Callable[..., Any]

VOLUMES = {"configMap", "csi", "downwardAPI", "emptyDir", "ephemeral", "persistentVolumeClaim", "projected", "secret"}
SYSCTLS = {"net.ipv4.ip_unprivileged_port_start"}
USERS = {"nginx": 101, "httpd": 33, "postgres": 999, "zookeeper": 1000, "cassandra": 999}

everywhere = pytest.mark.parametrize("environment", ENVIRONMENTS)
each = pytest.mark.parametrize("profile", PROFILES)


@each
@everywhere
def test_restricted_pod(render: Render, profile: str, environment: str | None) -> None:
    """The pod: non-root by number, the runtime's seccomp profile, no host namespaces, safe volumes and sysctls."""
    pod = render(profile, environment).pod
    security = pod["securityContext"]
    assert security["runAsNonRoot"] is True
    assert security["runAsUser"] == security["fsGroup"] == USERS[profile]
    assert security["fsGroupChangePolicy"] == "OnRootMismatch"
    assert security["seccompProfile"] == {"type": "RuntimeDefault"}
    assert {sysctl["name"] for sysctl in security.get("sysctls", ())} <= SYSCTLS
    assert not {"hostNetwork", "hostPID", "hostIPC"} & pod.keys()
    assert all(volume.keys() - {"name"} <= VOLUMES for volume in pod["volumes"])
    assert pod["automountServiceAccountToken"] is False
    assert pod["enableServiceLinks"] is False


@each
@everywhere
def test_restricted_containers(render: Render, profile: str, environment: str | None) -> None:
    """Every container, init containers too; a root file system that is read-only; memory bounded."""
    for container in render(profile, environment).containers:
        security = container["securityContext"]
        assert security["allowPrivilegeEscalation"] is False
        assert security["capabilities"] == {"drop": ["ALL"]}
        assert security["readOnlyRootFilesystem"] is True
        assert not {"privileged", "procMount", "seLinuxOptions"} & security.keys()
        assert not any("hostPort" in port for port in container.get("ports", ()))
        assert container["resources"]["requests"].keys() == {"cpu", "memory"}
        assert "memory" in container["resources"]["limits"]


@each
def test_passwords_are_nowhere_but_in_secrets(render: Render, profile: str) -> None:
    """No variable and no ConfigMap holds a password: they come as files."""
    out = render(profile)
    for container in out.containers:
        for variable in container.get("env", ()):
            assert "PASSWORD" not in variable["name"] or variable["name"].endswith("_FILE")


@each
def test_every_volume_that_is_mounted_exists(render: Render, profile: str) -> None:
    """Mounts name a volume or a claim template, and each of these is mounted."""
    out = render(profile)
    known = {volume["name"] for volume in out.pod["volumes"]} | out.claims().keys()
    mounted = {mount["name"] for container in out.containers for mount in container["volumeMounts"]}
    assert mounted == known


@each
def test_stop_is_orderly(render: Render, profile: str) -> None:
    """A preStop hook and a grace period of the engine's."""
    out = render(profile)
    grace = {"nginx": 30, "httpd": 30, "postgres": 120, "zookeeper": 60, "cassandra": 300}
    assert out.pod["terminationGracePeriodSeconds"] == grace[profile]
    assert "preStop" in out.container["lifecycle"]


@each
def test_probes(render: Render, profile: str) -> None:
    """Startup, readiness and liveness, with the timing of the values."""
    out = render(profile, None, "probes.readiness.periodSeconds=7")
    assert out.container["readinessProbe"]["periodSeconds"] == 7
    assert out.container["livenessProbe"]["failureThreshold"] == 6
    assert out.container["startupProbe"]["failureThreshold"] >= 30
    ports = {port["name"] for port in out.container["ports"]}
    for probe in ("startupProbe", "readinessProbe", "livenessProbe"):
        asked = out.container[probe].get("httpGet") or out.container[probe].get("tcpSocket")
        assert asked is None or asked["port"] in ports


@each
def test_claims_outlive_the_set(render: Render, profile: str) -> None:
    """Retention is Retain on both occasions, and claim templates carry no version, which could not change."""
    out = render(profile)
    assert out.set["spec"]["persistentVolumeClaimRetentionPolicy"] == {"whenDeleted": "Retain", "whenScaled": "Retain"}
    for claim in out.claims().values():
        assert "app.kubernetes.io/version" not in claim["metadata"]["labels"]
    assert "app.kubernetes.io/version" not in out.set["spec"]["selector"]["matchLabels"]
