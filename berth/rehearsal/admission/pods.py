"""What every pod is given: a service account with its token, and tolerations of nodes in trouble."""

from __future__ import annotations

from random import Random
from typing import Any

from berth.core.objects import Json
from berth.rehearsal.admission.view import RANDOM_CHARACTERS, View, refuse_early
from berth.rehearsal.kinds import PODS, SERVICE_ACCOUNTS

DEFAULT_ACCOUNT = "default"
#: Seconds that a pod stays on a node which is not ready or not reachable.
TOLERATION_SECONDS = 300

_TOKEN_VOLUME = "kube-api-access-"
_TOKEN_PATH = "/var/run/secrets/kubernetes.io/serviceaccount"
_TOKEN_SOURCES: list[Json] = [
    {"serviceAccountToken": {"expirationSeconds": 3607, "path": "token"}},
    {"configMap": {"name": "kube-root-ca.crt", "items": [{"key": "ca.crt", "path": "ca.crt"}]}},
    {
        "downwardAPI": {
            "items": [{"path": "namespace", "fieldRef": {"apiVersion": "v1", "fieldPath": "metadata.namespace"}}]
        }
    },
]
_TROUBLES = ("node.kubernetes.io/not-ready", "node.kubernetes.io/unreachable")
_MIRROR = "kubernetes.io/config.mirror"


def with_service_account(view: View, pod: Json, random: Random) -> Json:
    """The pod with its service account, the volume of the account's token, and the account's pull secrets.

    Raises:
        ApiError: 403, there is no such account.
    """
    if _MIRROR in (pod["metadata"].get("annotations") or {}):
        return pod
    spec = dict(pod["spec"])
    name = spec.get("serviceAccountName") or DEFAULT_ACCOUNT
    spec |= {"serviceAccountName": name, "serviceAccount": name}
    namespace = pod["metadata"]["namespace"]
    account = view.get(SERVICE_ACCOUNTS, namespace, name)
    if account is None and name == DEFAULT_ACCOUNT:
        # The API server waits for the controller to make it; here it is certain to come.
        account = {}
    if account is None:
        why = f'error looking up service account {namespace}/{name}: serviceaccount "{name}" not found'
        raise refuse_early(PODS, pod, why)
    mounts = spec.get("automountServiceAccountToken")
    if mounts is None:
        mounts = account.get("automountServiceAccountToken")
    if mounts is None or mounts:
        spec = _with_token(spec, random)
    if not spec.get("imagePullSecrets") and account.get("imagePullSecrets"):
        spec["imagePullSecrets"] = [{"name": one.get("name", "")} for one in account["imagePullSecrets"]]
    return {**pod, "spec": spec}


def _with_token(spec: Json, random: Random) -> Json:
    volumes = spec.get("volumes") or []
    present = next((one["name"] for one in volumes if one.get("name", "").startswith(_TOKEN_VOLUME)), None)
    name = present or _TOKEN_VOLUME + "".join(random.choices(RANDOM_CHARACTERS, k=5))
    mount = {"name": name, "readOnly": True, "mountPath": _TOKEN_PATH}
    new, needed = dict(spec), False
    for key in ("initContainers", "containers"):
        if not spec.get(key):
            continue
        changed = [_mounting(one, mount) for one in spec[key]]
        needed = needed or any(after is not before for after, before in zip(changed, spec[key], strict=True))
        new[key] = changed
    if needed and not present:
        projected: Any = {"sources": _TOKEN_SOURCES, "defaultMode": 420}
        new["volumes"] = [*volumes, {"name": name, "projected": projected}]
    return new


def _mounting(container: Json, mount: Json) -> Json:
    mounts = container.get("volumeMounts") or []
    if any(one.get("mountPath") == _TOKEN_PATH for one in mounts):
        return container
    return {**container, "volumeMounts": [*mounts, mount]}


def with_tolerations(pod: Json) -> Json:
    """The pod with a toleration of either trouble that it says nothing of (DefaultTolerationSeconds)."""
    spec = pod.get("spec") or {}
    tolerations = spec.get("tolerations") or []
    missing = [
        {"key": key, "operator": "Exists", "effect": "NoExecute", "tolerationSeconds": TOLERATION_SECONDS}
        for key in _TROUBLES
        if not any(
            one.get("key", "") in (key, "") and one.get("effect", "") in ("NoExecute", "") for one in tolerations
        )
    ]
    return {**pod, "spec": {**spec, "tolerations": [*tolerations, *missing]}} if missing else pod


def tainted(node: Json) -> Json:
    """A new node with the taint that stays until it is ready (TaintNodesByCondition)."""
    spec = node.get("spec") or {}
    taint = {"key": "node.kubernetes.io/not-ready", "effect": "NoSchedule"}
    if any(one.get("key") == taint["key"] and one.get("effect") == taint["effect"] for one in spec.get("taints") or []):
        return node
    return {**node, "spec": {**spec, "taints": [*(spec.get("taints") or []), taint]}}
