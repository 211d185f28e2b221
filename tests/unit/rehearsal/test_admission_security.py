"""The Pod Security Standards. Every text is one that a server of 1.36 gave."""

from __future__ import annotations

from typing import Any

import pytest

from berth.core.objects import Json
from berth.rehearsal import kinds
from tests.unit.rehearsal.admitting import Cluster, pod

pytestmark = pytest.mark.unit

PREFIX = "pod-security.kubernetes.io/"
GOOD: Json = {
    "allowPrivilegeEscalation": False,
    "runAsNonRoot": True,
    "capabilities": {"drop": ["ALL"]},
    "seccompProfile": {"type": "RuntimeDefault"},
}
PLAIN = (
    'allowPrivilegeEscalation != false (container "c" must set securityContext.allowPrivilegeEscalation=false), '
    'unrestricted capabilities (container "c" must set securityContext.capabilities.drop=["ALL"]), '
    'runAsNonRoot != true (pod or container "c" must set securityContext.runAsNonRoot=true), '
    'seccompProfile (pod or container "c" must set securityContext.seccompProfile.type to "RuntimeDefault" or '
    '"Localhost")'
)


def within(**labels: str) -> Cluster:
    cluster = Cluster()
    stated = {PREFIX + key.replace("_", "-"): value for key, value in labels.items()}
    cluster.put(kinds.NAMESPACES, {"metadata": {"name": "n", "labels": stated}})
    return cluster


def container(name: str = "c", **context: Any) -> Json:
    return {"name": name, "image": "i:1", **({"securityContext": context} if context else {})}


def verdict(body: Json, level: str, version: str = "latest") -> str:
    """What is said of a pod after the name of the standard; "" when it passes."""
    cluster = within(warn=level, warn_version=version)
    _, warnings = cluster.ask(kinds.PODS, body)
    enforcing = within(enforce=level, enforce_version=version)
    if not warnings:
        assert enforcing.ask(kinds.PODS, body)[1] == []
        return ""
    (warning,) = warnings
    head = f'would violate PodSecurity "{level}:{version}": '
    assert warning.startswith(head)
    error = enforcing.refused(kinds.PODS, body)
    said = warning.removeprefix(head)
    assert error.message == f'pods "p" is forbidden: violates PodSecurity "{level}:{version}": {said}'
    assert (error.code, error.reason, error.details) == (403, "Forbidden", {"name": "p", "kind": "pods"})
    return said


def test_a_plain_pod() -> None:
    assert verdict(pod(), "restricted") == PLAIN
    assert verdict(pod(), "restricted", "v1.24") == PLAIN
    assert verdict(pod(), "baseline") == verdict(pod(), "privileged") == ""


def test_init_containers_come_first() -> None:
    body = pod(containers=[container(), container("d")], initContainers=[container("i")])
    assert verdict(body, "restricted").startswith(
        'allowPrivilegeEscalation != false (containers "i", "c", "d" must set securityContext.'
    )


def test_a_pod_that_follows_the_rules() -> None:
    assert verdict(pod(containers=[container(**GOOD)]), "restricted") == ""
    context = {"runAsNonRoot": True, "seccompProfile": {"type": "Localhost"}}
    capabilities = {"drop": ["ALL"], "add": ["NET_BIND_SERVICE"]}
    one = container(allowPrivilegeEscalation=False, capabilities=capabilities)
    assert verdict(pod(securityContext=context, containers=[one]), "restricted") == ""


@pytest.mark.parametrize(
    ("spec", "said"),
    [
        (
            {
                "containers": [
                    container(**{**GOOD, "capabilities": {"drop": ["ALL"], "add": ["CHOWN"]}, "runAsUser": 0})
                ]
            },
            'unrestricted capabilities (container "c" must not include "CHOWN" in securityContext.capabilities.add), '
            'runAsUser=0 (container "c" must not set runAsUser=0)',
        ),
        (
            {
                "securityContext": {"runAsNonRoot": False, "runAsUser": 0},
                "containers": [
                    container(**{**GOOD, "runAsNonRoot": False}),
                    container("e", **{**GOOD, "runAsUser": 0}),
                ],
            },
            'runAsNonRoot != true (pod and container "c" must not set securityContext.runAsNonRoot=false), '
            'runAsUser=0 (pod and container "e" must not set runAsUser=0)',
        ),
        (
            {
                "containers": [container(**GOOD)],
                "volumes": [{"name": "a", "hostPath": {"path": "/"}}, {"name": "b", "hostPath": {"path": "/"}}],
            },
            'restricted volume types (volumes "a", "b" use restricted volume type "hostPath")',
        ),
    ],
)
def test_what_the_restricted_level_says(spec: Json, said: str) -> None:
    assert verdict(pod(**spec), "restricted") == said


@pytest.mark.parametrize(
    ("spec", "said"),
    [
        (
            {"containers": [container(privileged=True, capabilities={"add": ["NET_ADMIN", "CHOWN"]})]},
            'non-default capabilities (container "c" must not include "NET_ADMIN" in '
            "securityContext.capabilities.add), "
            'privileged (container "c" must not set securityContext.privileged=true)',
        ),
        (
            {"hostNetwork": True, "hostPID": True, "hostIPC": True},
            "host namespaces (hostNetwork=true, hostPID=true, hostIPC=true)",
        ),
        (
            {"volumes": [{"name": "a", "hostPath": {"path": "/"}}, {"name": "b", "nfs": {"server": "s", "path": "/"}}]},
            'hostPath volumes (volume "a")',
        ),
        (
            {
                "containers": [
                    {**container(), "ports": [{"containerPort": 81, "hostPort": 81}]},
                    {**container("d"), "ports": [{"containerPort": 80, "hostPort": 80}]},
                ]
            },
            'hostPort (containers "c", "d" use hostPorts 80, 81)',
        ),
        (
            {
                "containers": [
                    {
                        **container(),
                        "livenessProbe": {"httpGet": {"port": 80, "host": "h"}},
                        "lifecycle": {"preStop": {"tcpSocket": {"port": 1, "host": "g"}}},
                    }
                ]
            },
            'probe or lifecycle host (container "c" uses probe or lifecycle hosts "g", "h")',
        ),
        (
            {
                "securityContext": {"seLinuxOptions": {"type": "y_t"}},
                "containers": [container(seLinuxOptions={"type": "x_t", "user": "u", "role": "r"})],
            },
            'seLinuxOptions (pod and container "c" set forbidden securityContext.seLinuxOptions: types "x_t", "y_t"; '
            "user may not be set; role may not be set)",
        ),
        (
            {"containers": [container(seccompProfile={"type": "Unconfined"})]},
            'seccompProfile (container "c" must not set securityContext.seccompProfile.type to "Unconfined")',
        ),
        (
            {
                "securityContext": {"appArmorProfile": {"type": "Unconfined"}},
                "containers": [container(appArmorProfile={"type": "Unconfined"})],
            },
            'forbidden AppArmor profile (pod and container "c" must not set AppArmor profile type to "Unconfined")',
        ),
        (
            {"securityContext": {"sysctls": [{"name": "kernel.x", "value": "1"}, {"name": "fs.y", "value": "1"}]}},
            "forbidden sysctls (kernel.x, fs.y)",
        ),
    ],
)
def test_what_the_baseline_says(spec: Json, said: str) -> None:
    assert verdict(pod(**spec), "baseline") == said


def test_what_a_user_namespace_makes_harmless() -> None:
    one = container(
        allowPrivilegeEscalation=False,
        capabilities={"drop": ["ALL"]},
        seccompProfile={"type": "Unconfined"},
        procMount="Unmasked",
    )
    body = pod(hostUsers=False, containers=[one])
    seccomp = 'seccompProfile (container "c" must not set securityContext.seccompProfile.type to "Unconfined")'
    proc = 'procMount (container "c" must not set securityContext.procMount to "Unmasked")'
    root = 'runAsNonRoot != true (pod or container "c" must set securityContext.runAsNonRoot=true)'
    assert verdict(body, "baseline") == seccomp
    assert verdict(body, "restricted") == f"{proc}, {seccomp}"
    assert verdict(body, "restricted", "v1.24") == f"{proc}, {root}, {seccomp}"


def test_sysctls_become_safe() -> None:
    body = pod(securityContext={"sysctls": [{"name": "net.ipv4.tcp_rmem", "value": "1"}]})
    assert verdict(body, "baseline") == ""
    assert verdict(body, "baseline", "v1.31") == "forbidden sysctls (net.ipv4.tcp_rmem)"


def test_what_is_enforced_is_warned_of_for_pod_templates() -> None:
    template = {"metadata": {"labels": {"a": "b"}}, "spec": pod()["spec"]}
    body = {"metadata": {"name": "s"}, "spec": {"selector": {"matchLabels": {"a": "b"}}, "template": template}}
    warning = f'would violate PodSecurity "restricted:latest": {PLAIN}'
    assert within(enforce="restricted").ask(kinds.STATEFUL_SETS, body)[1] == [warning]
    assert within(warn="restricted").ask(kinds.STATEFUL_SETS, body)[1] == [warning]
    assert within(enforce="baseline").ask(kinds.STATEFUL_SETS, body)[1] == []
    assert within(enforce="restricted", warn="privileged").ask(kinds.STATEFUL_SETS, body)[1] == []


def test_a_pod_may_be_told_of_a_stricter_standard() -> None:
    cluster = within(enforce="baseline", warn="restricted")
    assert cluster.ask(kinds.PODS, pod())[1] == [f'would violate PodSecurity "restricted:latest": {PLAIN}']


def test_only_new_images_make_an_update_of_a_pod_count() -> None:
    cluster = within(enforce="restricted")
    old = cluster.put(kinds.PODS, pod())
    labelled = {**old, "metadata": {**old["metadata"], "labels": {"a": "b"}}}
    assert cluster.ask(kinds.PODS, labelled, old)[1] == []
    changed = {**old, "spec": {**old["spec"], "containers": [{"name": "c", "image": "i:2"}]}}
    assert cluster.refused(kinds.PODS, changed, old).code == 403


def test_labels_that_name_no_standard() -> None:
    labels = {f"{PREFIX}enforce": "nope", f"{PREFIX}warn-version": "1.2"}
    error = Cluster().refused(kinds.NAMESPACES, {"metadata": {"name": "bad", "labels": labels}})
    assert error.message == (
        f'Namespace "bad" is invalid: [metadata.labels[{PREFIX}enforce]: Invalid value: "nope": must be one of '
        f'privileged, baseline, restricted, metadata.labels[{PREFIX}warn-version]: Invalid value: "1.2": must be '
        '"latest" or "v1.x"]'
    )
    assert error.code == 422


def test_a_namespace_that_grows_stricter_names_the_pods_that_are_there() -> None:
    cluster = Cluster()
    for name in ("b", "a", "c"):
        cluster.put(kinds.PODS, pod(name))
    cluster.put(kinds.PODS, pod("d", hostNetwork=True, containers=[container(**GOOD)]))
    old = cluster.get(kinds.NAMESPACES, "", "n")

    def warnings(**labels: str) -> list[str]:
        stated = {PREFIX + key: value for key, value in labels.items()}
        return cluster.ask(kinds.NAMESPACES, {"metadata": {"name": "n", "labels": stated}}, old)[1]

    assert warnings(enforce="restricted") == [
        'existing pods in namespace "n" violate the new PodSecurity enforce level "restricted:latest"',
        "a (and 2 other pods): allowPrivilegeEscalation != false, unrestricted capabilities, runAsNonRoot != true, "
        "seccompProfile",
        "d: host namespaces",
    ]
    assert warnings(enforce="baseline")[1:] == ["d: host namespaces"]
    assert warnings(enforce="privileged") == warnings(warn="restricted") == []
