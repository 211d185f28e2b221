"""A cluster that grows one node at a time, each through the seed, in a simulated cluster.

What a node's start-up script would do is done here when its pod starts: look whether the seed's name leads anywhere.
"""

from __future__ import annotations

from contextlib import closing

from berth.cluster.target import resolve
from berth.core.objects import Json
from berth.rehearsal.store import Change
from berth.rehearsal.trial import throw_away

REPLICAS = 3
LABELS = {"app": "cassandra"}
SEED = "node-0"
SERVICE: Json = {
    "apiVersion": "v1",
    "kind": "Service",
    "metadata": {"name": "cassandra", "namespace": "default"},
    "spec": {"clusterIP": "None", "selector": LABELS, "ports": [{"name": "intra-node", "port": 7000}]},
}
NODES: Json = {
    "apiVersion": "apps/v1",
    "kind": "StatefulSet",
    "metadata": {"name": "node", "namespace": "default"},
    "spec": {
        "serviceName": "cassandra",
        "replicas": REPLICAS,
        "selector": {"matchLabels": LABELS},
        "template": {
            "metadata": {"labels": LABELS},
            "spec": {"containers": [{"name": "cassandra", "image": "cassandra:5"}]},
        },
    },
}


def is_ready(pod: Json) -> bool:
    """Whether all containers of a pod have said that they are ready."""
    conditions = pod["status"].get("conditions") or ()
    return any(condition["type"] == "Ready" and condition["status"] == "True" for condition in conditions)


with throw_away() as trial, closing(resolve(None, str(trial.kubeconfig), {}).connect()) as kube:
    seeds: dict[str, bool] = {}

    def start(change: Change) -> None:
        """A node whose seed has no address yet is the seed itself; any other joins through it."""
        if change.kind.kind == "Pod" and change.type == "ADDED":
            name = change.object["metadata"]["name"]
            seeds[name] = not trial.lookup(f"{SEED}.cassandra.default.svc.cluster.local")
            print(f"  {name} bootstrapped (seed)" if seeds[name] else f"  {name} joining via {SEED}")

    trial.world.store.listeners.append(start)
    kube.create(SERVICE)
    print(f"Cluster scaled to {REPLICAS} nodes:")
    kube.create(NODES)
    trial.settle()

    print("\nNodes:")
    for pod in kube.list("", "Pod", "default").items:
        name = pod["metadata"]["name"]
        print(f"  {name} (seed={seeds[name]}, ready={is_ready(pod)})")
