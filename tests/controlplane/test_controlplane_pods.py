"""Simulated pods behave as those of a kubelet, the failures included that berth explains to its users."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from tests.controlplane.conftest import Namespace

pytestmark = pytest.mark.controlplane

Object = dict[str, Any]


def condition(pod: Object, kind: str) -> Object:
    return next((item for item in pod.get("status", {}).get("conditions", []) if item["type"] == kind), {})


def waiting(pod: Object) -> str:
    statuses = pod.get("status", {}).get("containerStatuses", [])
    return next((str(item["state"]["waiting"]["reason"]) for item in statuses if "waiting" in item["state"]), "")


def ready_pod(namespace: Namespace, name: str) -> Object:
    return namespace.eventually(lambda: found if namespace.ready(found := namespace.get("pods", name)) else {})


def reasons(namespace: Namespace, name: str) -> set[str]:
    return {item["reason"] for item in namespace.all("events") if item["involvedObject"]["name"] == name}


def test_a_pod_runs_and_has_an_address(namespace: Namespace) -> None:
    namespace.stateful_set("web")
    pod = ready_pod(namespace, "web-0")
    status = pod["status"]
    assert status["phase"] == "Running"
    assert status["podIP"].startswith("10.244.")
    assert status["podIPs"] == [{"ip": status["podIP"]}]
    assert status["containerStatuses"][0]["state"]["running"]["startedAt"]
    assert status["initContainerStatuses"][0]["state"]["terminated"]["exitCode"] == 0
    assert condition(pod, "Initialized")["status"] == "True"


def test_nodes_are_spread_over_two_zones(namespace: Namespace) -> None:
    nodes = namespace.client.get("/api/v1/nodes")["items"]
    assert len(nodes) == 3
    assert {item["metadata"]["labels"]["topology.kubernetes.io/zone"] for item in nodes} == {"local-a", "local-b"}
    for node in nodes:
        assert node["metadata"]["labels"]["kubernetes.io/hostname"] == node["metadata"]["name"]
        assert node["status"]["capacity"]["pods"] == "500"


def test_a_hard_spread_over_hosts_has_three_places(namespace: Namespace) -> None:
    constraint = {
        "maxSkew": 1,
        "topologyKey": "kubernetes.io/hostname",
        "whenUnsatisfiable": "DoNotSchedule",
        "labelSelector": {"matchLabels": {"app": "web"}},
    }
    made = namespace.stateful_set("web", replicas=3, podManagementPolicy="Parallel")
    made["spec"]["template"]["spec"]["topologySpreadConstraints"] = [constraint]
    namespace.client.merge(namespace.path("statefulsets", "web"), {"spec": {"template": made["spec"]["template"]}})
    namespace.eventually(
        lambda: (
            namespace.get("statefulsets", "web")["status"].get("updatedReplicas") == 3
            and namespace.get("statefulsets", "web")["status"].get("readyReplicas") == 3
        )
    )
    assert len({pod["spec"]["nodeName"] for pod in namespace.all("pods")}) == 3


def test_endpoints_hold_ready_pods(namespace: Namespace) -> None:
    spec = {"clusterIP": "None", "selector": {"app": "web"}, "ports": [{"port": 80}]}
    namespace.create("services", {"metadata": {"name": "web"}, "spec": spec})
    namespace.stateful_set("web", replicas=2)
    namespace.eventually(lambda: namespace.get("statefulsets", "web")["status"].get("readyReplicas") == 2)
    pods = {pod["metadata"]["name"]: pod["status"]["podIP"] for pod in namespace.all("pods")}

    def addresses() -> dict[str, str]:
        found = [each for item in namespace.all("endpointslices") for each in item["endpoints"] or []]
        return {each["hostname"]: each["addresses"][0] for each in found if each["conditions"]["ready"]}

    namespace.eventually(lambda: addresses() == pods)


def test_min_ready_seconds_count_from_the_transition(namespace: Namespace) -> None:
    namespace.stateful_set("web", minReadySeconds=2)
    pod = ready_pod(namespace, "web-0")
    done = namespace.eventually(
        lambda: (found := namespace.get("statefulsets", "web"))["status"].get("availableReplicas") == 1 and found
    )
    since = datetime.fromisoformat(condition(pod, "Ready")["lastTransitionTime"])
    update = next(item for item in done["metadata"]["managedFields"] if item.get("subresource") == "status")
    # Times in objects are whole seconds.
    assert (datetime.fromisoformat(update["time"]) - since).total_seconds() >= 2


def test_ready_after_runs_first(namespace: Namespace) -> None:
    namespace.pod("slow", annotations={"berth.dev/ready-after": "2s"})
    pod = namespace.eventually(
        lambda: (found := namespace.get("pods", "slow"))["status"]["phase"] == "Running" and found
    )
    assert condition(pod, "Ready")["status"] == "False"
    assert ready_pod(namespace, "slow")["status"]["podIP"] == pod["status"]["podIP"]


def test_a_deleted_pod_is_gone_and_its_set_makes_another(namespace: Namespace) -> None:
    namespace.stateful_set("web")
    before = ready_pod(namespace, "web-0")
    namespace.delete("pods", "web-0")
    after = namespace.eventually(
        lambda: (
            (found := namespace.get("pods", "web-0")).get("metadata", {}).get("uid")
            not in (None, before["metadata"]["uid"])
            and namespace.ready(found)
            and found
        )
    )
    assert after["spec"]["volumes"][0] == before["spec"]["volumes"][0]


def test_a_deleted_pod_waits_for_its_finalizers(namespace: Namespace) -> None:
    namespace.pod("held", finalizers=["example.com/held"])
    ready_pod(namespace, "held")
    namespace.delete("pods", "held")
    pod = namespace.eventually(
        lambda: (found := namespace.get("pods", "held"))["metadata"].get("deletionGracePeriodSeconds") == 0 and found
    )
    assert pod["metadata"]["finalizers"] == ["example.com/held"]
    namespace.client.merge(namespace.path("pods", "held"), {"metadata": {"finalizers": None}})
    namespace.eventually(lambda: not namespace.get("pods", "held"))


def test_stop_after_keeps_a_pod_terminating(namespace: Namespace) -> None:
    namespace.pod("slow", annotations={"berth.dev/stop-after": "1s"})
    ready_pod(namespace, "slow")
    namespace.delete("pods", "slow")
    assert namespace.get("pods", "slow")["metadata"]["deletionTimestamp"]
    namespace.eventually(lambda: not namespace.get("pods", "slow"))


@pytest.mark.parametrize("image", ["nginx:nope", "registry.example.com:5000/team/nginx:bad"])
def test_a_bad_image_ends_in_back_off(namespace: Namespace, image: str) -> None:
    namespace.pod("web", image=image)
    namespace.eventually(lambda: waiting(namespace.get("pods", "web")) in ("ErrImagePull", "ImagePullBackOff"))
    pod = namespace.eventually(lambda: waiting(found := namespace.get("pods", "web")) == "ImagePullBackOff" and found)
    assert pod["status"]["phase"] == "Pending"
    assert image in pod["status"]["containerStatuses"][0]["state"]["waiting"]["message"]
    assert condition(pod, "Ready")["reason"] == "ContainersNotReady"
    namespace.eventually(lambda: {"Failed", "BackOff"} <= reasons(namespace, "web"))


def test_a_bad_image_of_an_init_container(namespace: Namespace) -> None:
    spec = {
        "initContainers": [{"name": "first", "image": "busybox:nope"}],
        "containers": [{"name": "main", "image": "nginx:1.29"}],
    }
    namespace.create("pods", {"metadata": {"name": "web"}, "spec": spec})

    def reason() -> str:
        statuses = namespace.get("pods", "web")["status"].get("initContainerStatuses", [])
        return statuses[0]["state"]["waiting"]["reason"] if statuses else ""

    namespace.eventually(lambda: reason() == "ImagePullBackOff")
    pod = namespace.get("pods", "web")
    assert waiting(pod) == "PodInitializing"
    assert condition(pod, "Initialized")["status"] == "False"


def test_fault_image(namespace: Namespace) -> None:
    namespace.pod("web", annotations={"berth.dev/fault": "image"})
    namespace.eventually(lambda: waiting(namespace.get("pods", "web")) == "ImagePullBackOff")


def test_fault_crash(namespace: Namespace) -> None:
    namespace.pod("web", annotations={"berth.dev/fault": "crash"})
    pod = namespace.eventually(lambda: waiting(found := namespace.get("pods", "web")) == "CrashLoopBackOff" and found)
    container = pod["status"]["containerStatuses"][0]
    assert container["lastState"]["terminated"]["exitCode"] == 1
    assert container["restartCount"] >= 1
    assert condition(pod, "Ready")["status"] == "False"
    namespace.eventually(lambda: "BackOff" in reasons(namespace, "web"))


def test_fault_unready_and_its_recovery(namespace: Namespace) -> None:
    namespace.pod("web", annotations={"berth.dev/fault": "unready"})
    pod = namespace.eventually(
        lambda: (found := namespace.get("pods", "web"))["status"]["phase"] == "Running" and found
    )
    assert condition(pod, "Ready")["status"] == "False"
    assert "running" in pod["status"]["containerStatuses"][0]["state"]
    namespace.eventually(lambda: "Unhealthy" in reasons(namespace, "web"))
    namespace.client.merge(namespace.path("pods", "web"), {"metadata": {"annotations": {"berth.dev/fault": None}}})
    ready_pod(namespace, "web")


def test_a_ready_pod_can_be_made_to_fail(namespace: Namespace) -> None:
    namespace.pod("web")
    ready_pod(namespace, "web")
    path = namespace.path("pods", "web")
    namespace.client.merge(path, {"metadata": {"annotations": {"berth.dev/fault": "crash"}}})
    namespace.eventually(lambda: waiting(namespace.get("pods", "web")) == "CrashLoopBackOff")
    namespace.client.merge(path, {"metadata": {"annotations": {"berth.dev/fault": None}}})
    pod = ready_pod(namespace, "web")
    assert pod["status"]["containerStatuses"][0]["restartCount"] >= 1
    assert not waiting(pod)


def test_a_job_completes(namespace: Namespace) -> None:
    container = {"name": "main", "image": "busybox:1.37"}
    template = {"spec": {"restartPolicy": "Never", "containers": [container]}}
    namespace.create("jobs", {"metadata": {"name": "once"}, "spec": {"template": template}})
    namespace.eventually(lambda: namespace.get("jobs", "once")["status"].get("succeeded") == 1)


def test_logs_say_that_nothing_runs(namespace: Namespace) -> None:
    namespace.pod("web")
    ready_pod(namespace, "web")
    # Logs are text, not JSON.
    status, text = namespace.client.raw("GET", namespace.path("pods", "web") + "/log")
    assert status == 200
    assert b"simulated" in text
    status, text = namespace.client.raw("GET", namespace.path("pods", "web") + "/log?previous=true")
    assert b"exit code 1" in text or status == 400


def test_a_deployment_rolls(namespace: Namespace) -> None:
    labels = {"app": "web"}
    template = {"metadata": {"labels": labels}, "spec": {"containers": [{"name": "main", "image": "nginx:1.29"}]}}
    spec = {"replicas": 2, "selector": {"matchLabels": labels}, "template": template}
    namespace.create("deployments", {"metadata": {"name": "web"}, "spec": spec})
    namespace.eventually(lambda: namespace.get("deployments", "web")["status"].get("availableReplicas") == 2)
