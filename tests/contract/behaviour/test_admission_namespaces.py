"""Who lets objects in and what is added to them: quotas, Pod Security, defaults, service accounts, namespaces."""

from __future__ import annotations

from typing import Any
from uuid import uuid4

from berth.core.objects import Json
from tests.contract.behaviour.conftest import opened
from tests.contract.behaviour.space import CLAIMS, MAPS, PODS, SETS, Space, pod_spec, stateful_set
from tests.contract.behaviour.wire import Answer, Wire
from tests.waiting import eventually


def pod(name: str = "p", labels: dict[str, str] | None = None, **spec: Any) -> Json:
    """A pod."""
    meta: Json = {"name": name, **({"labels": labels} if labels else {})}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": meta, "spec": pod_spec(**spec)}


# Quotas ---------------------------------------------------------------------------------------------------------------


def quota(here: Space, **hard: str) -> None:
    """A quota that is counted."""
    body = {"apiVersion": "v1", "kind": "ResourceQuota", "metadata": {"name": "q"}, "spec": {"hard": hard}}
    here.make("resourcequotas", body)
    here.until("resourcequotas", "q", lambda found: found.get("status", {}).get("used"))


def over(answer: Answer) -> str:
    """The words of a full quota."""
    assert (answer.status, answer.body["reason"]) == (403, "Forbidden")
    return answer.message


def test_a_quota_of_objects(here: Space) -> None:
    here.make("secrets", {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "a"}})
    quota(here, **{"count/secrets": "1"})
    assert here.read("resourcequotas", "q")["status"] == {
        "hard": {"count/secrets": "1"},
        "used": {"count/secrets": "1"},
    }

    def refused() -> Answer | None:
        answer = here.ask(
            "POST", "secrets", body={"apiVersion": "v1", "kind": "Secret", "metadata": {"generateName": "b"}}
        )
        return answer if answer.status == 403 else None

    message = over(eventually(refused))
    assert message.endswith(
        "is forbidden: exceeded quota: q, requested: count/secrets=1, used: count/secrets=1, limited: count/secrets=1"
    )


def test_a_quota_of_requests_stops_a_set(here: Space) -> None:
    quota(here, **{"requests.cpu": "150m", "pods": "10"})
    body = stateful_set(3)
    body["spec"]["template"]["spec"]["containers"][0]["resources"] = {"requests": {"cpu": "100m"}}
    here.make(SETS, body)

    def told() -> Json | None:
        found = here.all("events", fieldSelector="reason=FailedCreate,involvedObject.name=web")
        return found[0] if found else None

    event = eventually(told)
    assert event["message"] == (
        'Create Pod web-1 in StatefulSet web failed error: pods "web-1" is forbidden: exceeded quota: q, requested: '
        "requests.cpu=100m, used: requests.cpu=100m, limited: requests.cpu=150m"
    )
    assert here.names(PODS) == ["web-0"]


def test_a_quota_demands_that_requests_are_stated(here: Space) -> None:
    quota(here, **{"requests.memory": "1Gi"})
    message = over(eventually(lambda: answer if (answer := here.ask("POST", PODS, body=pod())).status == 403 else None))
    assert message == 'pods "p" is forbidden: failed quota: q: must specify requests.memory for: web'


def test_a_quota_of_claims(here: Space) -> None:
    quota(here, **{"persistentvolumeclaims": "1", "requests.storage": "5Gi"})
    here.make(SETS, stateful_set(1, claims=("data",)))
    here.settled()
    used = here.until("resourcequotas", "q", lambda found: found["status"]["used"]["persistentvolumeclaims"] == "1")
    assert used["status"]["used"] == {"persistentvolumeclaims": "1", "requests.storage": "1Gi"}
    spec = {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}}
    body = {"apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": {"name": "x"}, "spec": spec}
    assert "exceeded quota: q, requested: persistentvolumeclaims=1" in over(here.ask("POST", CLAIMS, body=body))


# Pod Security ---------------------------------------------------------------------------------------------------------


def test_the_restricted_standard_names_everything_that_is_wrong(guarded: Space) -> None:
    answer = guarded.ask("POST", PODS, body=pod())
    assert over(answer) == (
        'pods "p" is forbidden: violates PodSecurity "restricted:latest": allowPrivilegeEscalation != false (container '
        '"web" must set securityContext.allowPrivilegeEscalation=false), unrestricted capabilities (container "web" '
        'must set securityContext.capabilities.drop=["ALL"]), runAsNonRoot != true (pod or container "web" must set '
        'securityContext.runAsNonRoot=true), seccompProfile (pod or container "web" must set '
        'securityContext.seccompProfile.type to "RuntimeDefault" or "Localhost")'
    )


def test_a_set_is_warned_of_and_its_pods_are_refused(wire: Wire) -> None:
    here = opened(wire, {f"pod-security.kubernetes.io/{mode}": "baseline" for mode in ("enforce", "warn")})
    try:
        answer = here.ask("POST", SETS, body=stateful_set(1, pod={"hostNetwork": True}))
        assert answer.status == 201
        assert answer.warnings == [
            '299 - "would violate PodSecurity \\"baseline:latest\\": host namespaces (hostNetwork=true)"'
        ]

        def told() -> Json | None:
            found = here.all("events", fieldSelector="reason=FailedCreate")
            return found[0] if found else None

        assert (
            'violates PodSecurity "baseline:latest": host namespaces (hostNetwork=true)' in eventually(told)["message"]
        )
        assert here.names(PODS) == []
    finally:
        here.delete("namespaces", here.name, "Background")


# Defaults -------------------------------------------------------------------------------------------------------------


def test_the_defaults_of_a_set(here: Space) -> None:
    body = here.make(
        SETS,
        {
            "apiVersion": "apps/v1",
            "kind": "StatefulSet",
            "metadata": {"name": "web"},
            "spec": {
                "selector": {"matchLabels": {"a": "b"}},
                "template": {
                    "metadata": {"labels": {"a": "b"}},
                    "spec": {"containers": [{"name": "web", "image": "web", "ports": [{"containerPort": 80}]}]},
                },
            },
        },
    )
    spec = dict(body["spec"])
    template = spec.pop("template")
    assert spec == {
        "persistentVolumeClaimRetentionPolicy": {"whenDeleted": "Retain", "whenScaled": "Retain"},
        "podManagementPolicy": "OrderedReady",
        "replicas": 1,
        "revisionHistoryLimit": 10,
        "selector": {"matchLabels": {"a": "b"}},
        "serviceName": "",
        "updateStrategy": {"rollingUpdate": {"partition": 0}, "type": "RollingUpdate"},
    }
    assert template["spec"] == {
        "containers": [
            {
                "image": "web",
                "imagePullPolicy": "Always",
                "name": "web",
                "ports": [{"containerPort": 80, "protocol": "TCP"}],
                "resources": {},
                "terminationMessagePath": "/dev/termination-log",
                "terminationMessagePolicy": "File",
            }
        ],
        "dnsPolicy": "ClusterFirst",
        "restartPolicy": "Always",
        "schedulerName": "default-scheduler",
        "securityContext": {},
        "terminationGracePeriodSeconds": 30,
    }


def test_the_defaults_of_probes_and_volumes(here: Space) -> None:
    body = pod(volumes=[{"name": "c", "configMap": {"name": "c"}}, {"name": "e", "emptyDir": {}}])
    container = body["spec"]["containers"][0]
    container["readinessProbe"] = {"httpGet": {"port": 80}}
    container["env"] = [{"name": "POD", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}}]
    spec = here.make(PODS, body)["spec"]
    assert spec["containers"][0]["readinessProbe"] == {
        "failureThreshold": 3,
        "httpGet": {"path": "/", "port": 80, "scheme": "HTTP"},
        "periodSeconds": 10,
        "successThreshold": 1,
        "timeoutSeconds": 1,
    }
    assert spec["containers"][0]["env"][0]["valueFrom"] == {
        "fieldRef": {"apiVersion": "v1", "fieldPath": "metadata.name"}
    }
    assert spec["volumes"][:2] == [
        {"name": "c", "configMap": {"defaultMode": 420, "name": "c"}},
        {"name": "e", "emptyDir": {}},
    ]


def test_what_admission_adds_to_a_pod(here: Space) -> None:
    spec = here.make(PODS, pod())["spec"]
    assert (spec["serviceAccount"], spec["serviceAccountName"]) == ("default", "default")
    assert (spec["priority"], spec["preemptionPolicy"], spec["enableServiceLinks"]) == (0, "PreemptLowerPriority", True)
    assert [entry["key"] for entry in spec["tolerations"]] == [
        "node.kubernetes.io/not-ready",
        "node.kubernetes.io/unreachable",
    ]
    [volume] = spec["volumes"]
    assert volume["name"].startswith("kube-api-access-") and volume["projected"]["defaultMode"] == 420
    [mount] = spec["containers"][0]["volumeMounts"]
    assert mount["mountPath"] == "/var/run/secrets/kubernetes.io/serviceaccount" and mount["readOnly"] is True


def test_a_service_account_that_is_not_there(here: Space) -> None:
    answer = here.ask("POST", PODS, body=pod(serviceAccountName="nobody"))
    assert over(answer) == (
        f'pods "p" is forbidden: error looking up service account {here.name}/nobody: serviceaccount "nobody" not found'
    )


def test_a_priority_class_that_is_not_there(here: Space) -> None:
    answer = here.ask("POST", PODS, body=pod(priorityClassName="nothing"))
    assert over(answer) == 'pods "p" is forbidden: no PriorityClass with name nothing was found'


# Namespaces -----------------------------------------------------------------------------------------------------------


def test_what_a_namespace_begins_with(here: Space) -> None:
    body = here.read("namespaces", here.name)
    assert body["metadata"]["labels"] == {"kubernetes.io/metadata.name": here.name}
    assert (body["spec"], body["status"]) == ({"finalizers": ["kubernetes"]}, {"phase": "Active"})
    assert here.read("serviceaccounts", "default")["metadata"]["name"] == "default"
    root = eventually(lambda: here.get(MAPS, "kube-root-ca.crt"))
    assert root["data"].keys() == {"ca.crt"}
    told = root["metadata"]["annotations"]["kubernetes.io/description"]
    assert told.startswith("Contains a CA bundle that can be used to verify the kube-apiserver")


def test_a_namespace_takes_all_with_it(wire: Wire) -> None:
    here = opened(wire)
    here.make(SETS, stateful_set(2, claims=("data",)))
    here.settled()
    here.delete("namespaces", here.name)
    # A busy control plane has many namespaces to empty.
    here.gone("namespaces", here.name, 180)
    assert here.names(PODS) == here.names(SETS) == here.names(CLAIMS) == []


def test_a_namespace_that_is_held(wire: Wire) -> None:
    here = opened(wire)
    meta = {"name": "held", "finalizers": ["berth.dev/held"]}
    here.make(MAPS, {"apiVersion": "v1", "kind": "ConfigMap", "metadata": meta})
    deleted = here.delete("namespaces", here.name)
    assert deleted["status"]["phase"] == "Terminating"
    answer = here.ask("POST", MAPS, body={"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "new"}})
    assert (answer.status, answer.body["reason"]) == (403, "Forbidden")
    assert answer.message == (
        f'configmaps "new" is forbidden: unable to create new content in namespace {here.name} because it is being '
        "terminated"
    )
    assert answer.causes == [
        ("NamespaceTerminating", "metadata.namespace", f"namespace {here.name} is being terminated")
    ]

    def conditions() -> dict[str, str] | None:
        found = here.read("namespaces", here.name)["status"].get("conditions") or ()
        states = {entry["type"]: entry["status"] for entry in found}
        return states if states.get("NamespaceFinalizersRemaining") == "True" else None

    assert eventually(conditions) == {
        "NamespaceDeletionContentFailure": "False",
        "NamespaceDeletionDiscoveryFailure": "False",
        "NamespaceDeletionGroupVersionParsingFailure": "False",
        "NamespaceContentRemaining": "True",
        "NamespaceFinalizersRemaining": "True",
    }
    here.patch(MAPS, "held", {"metadata": {"finalizers": None}})
    here.gone("namespaces", here.name)


def test_the_namespaces_that_stay(here: Space) -> None:
    for name in ("default", "kube-system"):
        answer = here.ask("DELETE", "namespaces", name)
        assert over(answer) == f'namespaces "{name}" is forbidden: this namespace may not be deleted'


def test_a_name_that_is_no_namespace(here: Space) -> None:
    name = f"A{uuid4().hex[:4]}"
    answer = here.ask("POST", "namespaces", body={"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}})
    assert answer.status == 422
    assert answer.causes[0][:2] == ("FieldValueInvalid", "metadata.name")
    assert "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-'" in answer.causes[0][2]
