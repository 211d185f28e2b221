"""What the API server makes of an object before anybody judges it: its canonical form, the defaults filled in.

The form comes from the types (`berth.rehearsal.gotypes`), and with it the defaults that the schemas carry. Here are
those that the server sets in code. Source: kubernetes pkg/apis/*/v*/defaults.go and conversion.go, and what the
registries' strategies set on creation (pkg/registry/*/*/strategy.go). What admission plug-ins and the allocators of
addresses add is not here.
"""

from __future__ import annotations

import re
from base64 import b64encode
from collections.abc import Callable
from typing import Any

from berth.core.objects import Json
from berth.rehearsal import gotypes
from berth.rehearsal.kinds import (
    AUTOSCALERS,
    CLAIMS,
    CLASSES,
    NAMESPACES,
    NODES,
    PODS,
    POLICIES,
    PRIORITY_CLASSES,
    SECRETS,
    SERVICES,
    SLICES,
    STATEFUL_SETS,
    VOLUMES,
    Kind,
)
from berth.rehearsal.qos import class_of, requests_of

#: Where a container writes why it ended.
TERMINATION_MESSAGE_PATH = "/dev/termination-log"
#: Seconds that sticky sessions of a Service last.
CLIENT_IP_SECONDS = 10800
#: The label by which selectors find a namespace by its name.
NAMESPACE_NAME_LABEL = "kubernetes.io/metadata.name"

_REFERENCE = re.compile(
    r"(?:(?:[a-zA-Z0-9][a-zA-Z0-9-]*(?:\.[a-zA-Z0-9][a-zA-Z0-9-]*)*|\[[a-fA-F0-9:]+\])(?::[0-9]+)?/)?"
    r"[a-z0-9]+(?:(?:[._]|__|-+)[a-z0-9]+)*(?:/[a-z0-9]+(?:(?:[._]|__|-+)[a-z0-9]+)*)*"
    r"(?::(?P<tag>[\w][\w.-]{0,127}))?(?P<digest>@[A-Za-z][\w+.-]*:[0-9a-fA-F]{32,})?"
)


def apply_defaults(kind: Kind, obj: Json) -> Json:
    """The object as the API server holds it: unknown and empty fields gone, defaults filled in; a new mapping.

    An object without a resourceVersion is one that is being created: what the strategies set then (the phase of a
    pod, the finalizer of a namespace) is filled in, too. Applying it a second time changes nothing.
    """
    new: Json = gotypes.of(kind).through(obj)
    # A body may leave these out, or say null: the path says what it is.
    if not new.get("kind") or not new.get("apiVersion"):
        new = {**new, "apiVersion": kind.api_version, "kind": kind.kind}
    finish = _KINDS.get(kind.key)
    if finish is not None:
        finish(new, not new["metadata"].get("resourceVersion"))
    return new


def pull_policy(image: str) -> str:
    """Always for images whose tag is, or is taken to be, latest; otherwise IfNotPresent."""
    found = _REFERENCE.fullmatch(image)
    if not found:
        return "IfNotPresent"
    tag = found["tag"] or ("" if found["digest"] else "latest")
    return "Always" if tag == "latest" else "IfNotPresent"


def _container(new: Json) -> None:
    if "imagePullPolicy" not in new:
        new["imagePullPolicy"] = pull_policy(new.get("image", ""))
    new.setdefault("terminationMessagePath", TERMINATION_MESSAGE_PATH)
    new.setdefault("terminationMessagePolicy", "File")


def _pod_spec(new: Json) -> None:
    new.setdefault("dnsPolicy", "ClusterFirst")
    new.setdefault("restartPolicy", "Always")
    new.setdefault("securityContext", {})
    new.setdefault("terminationGracePeriodSeconds", 30)
    new.setdefault("schedulerName", "default-scheduler")
    account = new.get("serviceAccountName") or new.get("serviceAccount")
    if account:
        new["serviceAccountName"] = new["serviceAccount"] = account


def _probe(new: Json) -> None:
    for key, number in (("timeoutSeconds", 1), ("periodSeconds", 10), ("successThreshold", 1), ("failureThreshold", 3)):
        new.setdefault(key, number)


def _volume(new: Json) -> None:
    if len(new) == 1 or (len(new) == 0):
        new["emptyDir"] = {}
    image = new.get("image")
    if image is not None and "pullPolicy" not in image:
        new["image"] = {**image, "pullPolicy": pull_policy(image.get("reference", ""))}


def _setting(key: str, value: Any) -> gotypes.Hook:
    def fill(new: Json) -> None:
        new.setdefault(key, value)

    return fill


def _settings(**values: Any) -> gotypes.Hook:
    def fill(new: Json) -> None:
        for key, value in values.items():
            new.setdefault(key, value)

    return fill


def _service_port(new: Json) -> None:
    if new.get("targetPort") in (0, ""):
        new["targetPort"] = new.get("port", 0)


def _node_status(new: Json) -> None:
    if "allocatable" not in new and "capacity" in new:
        new["allocatable"] = dict(new["capacity"])


def _metadata(new: Json) -> None:
    # A field of long ago, which the server takes and drops.
    new.pop("selfLink", None)


def _claim(new: Json) -> None:
    new["status"].setdefault("phase", "Pending")


gotypes.HOOKS.update(
    {
        "ObjectMeta": _metadata,
        "Container": _container,
        "EphemeralContainer": _container,
        "PodSpec": _pod_spec,
        "Probe": _probe,
        "Volume": _volume,
        "HTTPGetAction": _settings(path="/", scheme="HTTP"),
        "SecretVolumeSource": _setting("defaultMode", 0o644),
        "ConfigMapVolumeSource": _setting("defaultMode", 0o644),
        "DownwardAPIVolumeSource": _setting("defaultMode", 0o644),
        "ProjectedVolumeSource": _setting("defaultMode", 0o644),
        "ServiceAccountTokenProjection": _setting("expirationSeconds", 3600),
        "HostPathVolumeSource": _setting("type", ""),
        "ObjectFieldSelector": _setting("apiVersion", "v1"),
        "PersistentVolumeClaimSpec": _setting("volumeMode", "Filesystem"),
        "PersistentVolumeClaim": _claim,
        "PersistentVolumeSpec": _settings(persistentVolumeReclaimPolicy="Retain", volumeMode="Filesystem"),
        "ServicePort": _service_port,
        "NodeStatus": _node_status,
        "NamespaceStatus": _setting("phase", "Active"),
        "NetworkPolicyPort": _setting("protocol", "TCP"),
        "core.EndpointPort": _setting("protocol", "TCP"),
        "discovery.EndpointPort": _settings(name="", protocol="TCP"),
    }
)


def _stateful_set(new: Json, created: bool) -> None:
    spec = new["spec"]
    spec.setdefault("podManagementPolicy", "OrderedReady")
    spec.setdefault("replicas", 1)
    spec.setdefault("revisionHistoryLimit", 10)
    strategy = spec["updateStrategy"]
    if "type" not in strategy:
        strategy["type"] = "RollingUpdate"
        strategy.setdefault("rollingUpdate", {})
    if strategy["type"] == "RollingUpdate" and "rollingUpdate" in strategy:
        strategy["rollingUpdate"].setdefault("partition", 0)
        # The gate MaxUnavailableStatefulSet is off: the field is dropped unless the object already has it.
        if created:
            strategy["rollingUpdate"].pop("maxUnavailable", None)
    retention = spec.setdefault("persistentVolumeClaimRetentionPolicy", {})
    retention.setdefault("whenDeleted", "Retain")
    retention.setdefault("whenScaled", "Retain")
    for template in spec.get("volumeClaimTemplates", ()):
        template["apiVersion"], template["kind"] = "v1", "PersistentVolumeClaim"


def _pod(new: Json, created: bool) -> None:
    spec = new["spec"]
    for container in (*(spec.get("containers") or ()), *spec.get("initContainers", ())):
        resources = container["resources"]
        if "limits" in resources:
            resources["requests"] = {**resources["limits"], **resources.get("requests", {})}
    if "resources" in spec:
        _whole_pod(spec)
    spec.setdefault("enableServiceLinks", True)
    if spec["terminationGracePeriodSeconds"] < 0:
        spec["terminationGracePeriodSeconds"] = 1
    if spec.get("hostNetwork"):
        for container in (*(spec.get("containers") or ()), *spec.get("initContainers", ())):
            for port in container.get("ports", ()):
                port.setdefault("hostPort", port["containerPort"])
    if created:
        _pod_created(new, spec)


def _whole_pod(spec: Json) -> None:
    """What a pod as a whole asks for: what its containers do, or else what it may use."""
    limits = spec["resources"].get("limits") or {}
    if not limits:
        return
    asked = dict(spec["resources"].get("requests") or {})
    for name, amount in requests_of(spec).items():
        if name in ("cpu", "memory"):
            asked.setdefault(name, amount)
    for name, amount in limits.items():
        asked.setdefault(name, amount)
    spec["resources"]["requests"] = asked


def _pod_created(new: Json, spec: Json) -> None:
    new["status"].setdefault("phase", "Pending")
    new["status"].setdefault("qosClass", class_of(spec))
    if spec.get("schedulingGates") and "conditions" not in new["status"]:
        message = "Scheduling is blocked due to non-empty scheduling gates"
        gated = {"type": "PodScheduled", "status": "False", "reason": "SchedulingGated", "message": message}
        times = {"lastProbeTime": None, "lastTransitionTime": new["metadata"].get("creationTimestamp")}
        new["status"]["conditions"] = [{**gated, **times}]


def _service(new: Json, created: bool) -> None:
    spec = new["spec"]
    affinity = spec.setdefault("sessionAffinity", "None")
    if affinity == "None":
        spec.pop("sessionAffinityConfig", None)
    elif affinity == "ClientIP":
        config = spec.get("sessionAffinityConfig") or {}
        if (config.get("clientIP") or {}).get("timeoutSeconds") is None:
            spec["sessionAffinityConfig"] = {"clientIP": {"timeoutSeconds": CLIENT_IP_SECONDS}}
    type_ = spec.setdefault("type", "ClusterIP")
    reachable = type_ in ("NodePort", "LoadBalancer") or (type_ == "ClusterIP" and spec.get("externalIPs"))
    if reachable:
        spec.setdefault("externalTrafficPolicy", "Cluster")
    if type_ in ("ClusterIP", "NodePort", "LoadBalancer"):
        spec.setdefault("internalTrafficPolicy", "Cluster")
    if type_ == "LoadBalancer":
        spec.setdefault("allocateLoadBalancerNodePorts", True)
        for ingress in new["status"]["loadBalancer"].get("ingress", ()):
            if ingress.get("ip"):
                ingress.setdefault("ipMode", "VIP")
    if created and spec.get("clusterIP") and not spec.get("clusterIPs"):
        spec["clusterIPs"] = [spec["clusterIP"]]


def _persistent_volume(new: Json, created: bool) -> None:
    new["status"].setdefault("phase", "Pending")
    stamp = new["metadata"].get("creationTimestamp")
    if created and stamp:
        new["status"].setdefault("lastPhaseTransitionTime", stamp)


def _persistent_claim(new: Json, created: bool) -> None:
    spec = new["spec"]
    source, reference = spec.get("dataSource"), spec.get("dataSourceRef")
    if created and reference is None and source is not None and not _known_source(source):
        # Kinds that no server ever understood in dataSource are dropped without a word.
        spec.pop("dataSource")
        source = None
    if reference is not None and reference.get("namespace"):
        if created:
            spec.pop("dataSourceRef")
    elif source is not None and reference is None:
        spec["dataSourceRef"] = dict(source)
    elif reference is not None and source is None:
        spec["dataSource"] = {key: value for key, value in reference.items() if key != "namespace"}


def _known_source(source: Json) -> bool:
    return (source.get("apiGroup") or "", source.get("kind")) in (
        ("", "PersistentVolumeClaim"),
        ("snapshot.storage.k8s.io", "VolumeSnapshot"),
    )


def _namespace(new: Json, created: bool) -> None:
    name = new["metadata"].get("name")
    if name:
        new["metadata"]["labels"] = {**new["metadata"].get("labels", {}), NAMESPACE_NAME_LABEL: name}
    finalizers = new["spec"].get("finalizers", [])
    if created and "kubernetes" not in finalizers:
        new["spec"]["finalizers"] = [*finalizers, "kubernetes"]


def _secret(new: Json, created: bool) -> None:
    del created
    new.setdefault("type", "Opaque")
    texts = new.pop("stringData", None)
    if texts:
        data = dict(new.get("data", {}))
        data |= {key: b64encode(text.encode()).decode() for key, text in texts.items() if isinstance(text, str)}
        new["data"] = data


def _storage_class(new: Json, created: bool) -> None:
    del created
    new.setdefault("reclaimPolicy", "Delete")
    new.setdefault("volumeBindingMode", "Immediate")


def _network_policy(new: Json, created: bool) -> None:
    del created
    if not new["spec"].get("policyTypes"):
        new["spec"]["policyTypes"] = ["Ingress", "Egress"] if new["spec"].get("egress") else ["Ingress"]


def _priority_class(new: Json, created: bool) -> None:
    del created
    new.setdefault("preemptionPolicy", "PreemptLowerPriority")


def _autoscaler(new: Json, created: bool) -> None:
    del created
    spec = new["spec"]
    spec.setdefault("minReplicas", 1)
    if not spec.get("metrics"):
        target = {"type": "Utilization", "averageUtilization": 80}
        spec["metrics"] = [{"type": "Resource", "resource": {"name": "cpu", "target": target}}]
    if "behavior" in spec:
        percent = {"type": "Percent", "value": 100, "periodSeconds": 15}
        up = [{"type": "Pods", "value": 4, "periodSeconds": 15}, percent]
        behavior = spec["behavior"]
        scale_up = {"stabilizationWindowSeconds": 0, "selectPolicy": "Max", "policies": up}
        behavior["scaleUp"] = {**scale_up, **behavior.get("scaleUp", {})}
        behavior["scaleDown"] = {"selectPolicy": "Max", "policies": [dict(percent)], **behavior.get("scaleDown", {})}


def _slice(new: Json, created: bool) -> None:
    del created
    new["endpoints"] = new["endpoints"] or None


def _node(new: Json, created: bool) -> None:
    """The one range of old clients and the many of new ones say the same."""
    del created
    spec = new["spec"]
    if spec.get("podCIDR") and not spec.get("podCIDRs"):
        spec["podCIDRs"] = [spec["podCIDR"]]
    elif spec.get("podCIDRs"):
        spec["podCIDR"] = spec["podCIDRs"][0]


_KINDS: dict[str, Callable[[Json, bool], None]] = {
    STATEFUL_SETS.key: _stateful_set,
    PODS.key: _pod,
    SERVICES.key: _service,
    VOLUMES.key: _persistent_volume,
    CLAIMS.key: _persistent_claim,
    NAMESPACES.key: _namespace,
    SECRETS.key: _secret,
    CLASSES.key: _storage_class,
    POLICIES.key: _network_policy,
    PRIORITY_CLASSES.key: _priority_class,
    AUTOSCALERS.key: _autoscaler,
    SLICES.key: _slice,
    NODES.key: _node,
}
