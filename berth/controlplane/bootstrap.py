"""What a fresh cluster is given: nodes, storage classes, and the rights of kwok and the provisioner."""

from __future__ import annotations

from pathlib import Path

import yaml

from berth.controlplane.api import ApiError, Client, Object

MANIFEST = Path(__file__).with_name("manifests") / "cluster.yaml"

_COLLECTIONS = {
    "ClusterRole": "/apis/rbac.authorization.k8s.io/v1/clusterroles",
    "ClusterRoleBinding": "/apis/rbac.authorization.k8s.io/v1/clusterrolebindings",
    "StorageClass": "/apis/storage.k8s.io/v1/storageclasses",
    "Node": "/api/v1/nodes",
}


def objects() -> list[Object]:
    """The objects, in the order in which they are created."""
    return list(yaml.safe_load_all(MANIFEST.read_text(encoding="utf-8")))


def create(client: Client) -> None:
    """Create what is absent; what is there is left as it is."""
    for item in objects():
        try:
            client.create(_COLLECTIONS[item["kind"]], item)
        except ApiError as error:
            if error.reason != "AlreadyExists":
                raise


def usable(client: Client) -> bool:
    """Whether pods can be created and would run: every node of ours that exists is ready, and so is a service account.

    Nodes that the user deleted or cordoned are the user's business.
    """
    try:
        client.get("/api/v1/namespaces/default/serviceaccounts/default")
    except ApiError:
        return False
    return all(_ready(node) for node in client.get("/api/v1/nodes")["items"])


def _ready(node: Object) -> bool:
    conditions = node.get("status", {}).get("conditions", [])
    ready = any(item["type"] == "Ready" and item["status"] == "True" for item in conditions)
    # Set when the node is created, and taken away by the controller manager.
    tainted = any(taint["key"] == "node.kubernetes.io/not-ready" for taint in node["spec"].get("taints", []))
    return ready and not tainted
