"""Pod identity: names that stay, a scale from 3 to 5, and a rolling update in reverse, in a simulated cluster.

Nothing here knows what the names will be: they are read from the pods and from the cluster's DNS.
"""

from __future__ import annotations

from contextlib import closing
from pathlib import Path

import yaml

from berth.cluster.target import resolve
from berth.core.objects import Json, ObjectRef
from berth.rehearsal.store import Change
from berth.rehearsal.trial import Trial, throw_away

SET = ObjectRef("apps", "StatefulSet", "default", "postgres")
#: What a client of the database asks for: every server behind the headless Service, by its port's name.
SERVERS = "_postgres._tcp.postgres.default.svc.cluster.local"


def dns_names(trial: Trial) -> list[str]:
    """The names behind the Service; each leads to the address of one pod."""
    names = [record.split()[-1].rstrip(".") for record in trial.lookup(SERVERS, "SRV")]
    assert all(len(trial.lookup(name, "A")) == 1 for name in names)
    return names


def tell_updates(change: Change) -> None:
    """Say when a pod of the old image is taken down, and when its successor is ready."""
    if change.kind.kind != "Pod" or change.old is None or change.type == "DELETED":
        return
    pod, name = change.object, change.object["metadata"]["name"]
    if "deletionTimestamp" in pod["metadata"] and "deletionTimestamp" not in change.old["metadata"]:
        print(f"Updating {name} to postgres:17...")
    if is_ready(pod) and not is_ready(change.old):
        assert pod["spec"]["containers"][0]["image"] == "postgres:17"
        print(f"  {name} updated")


def is_ready(pod: Json) -> bool:
    """Whether all containers of a pod have said that they are ready."""
    conditions = pod["status"].get("conditions") or ()
    return any(condition["type"] == "Ready" and condition["status"] == "True" for condition in conditions)


with throw_away() as trial, closing(resolve(None, str(trial.kubeconfig), {}).connect()) as kube:
    for body in yaml.safe_load_all(Path(__file__).with_name("postgres.yaml").read_text(encoding="utf-8")):
        kube.create(body)
    trial.settle()
    for name in dns_names(trial):
        print(f"  {name.split('.')[0]}: {name}")

    print("\nScaling from 3 to 5...")
    kube.patch(SET, {"spec": {"replicas": 5}})
    trial.settle()
    for pod in kube.list("", "Pod", "default").items:
        print(f"  {pod['metadata']['name']}: hostname={pod['spec']['hostname']}")

    print("\nRolling update from postgres:16 to postgres:17...")
    kube.patch(SET, {"spec": {"replicas": 3}})
    trial.settle()
    trial.world.store.listeners.append(tell_updates)
    stateful_set = kube.get(SET) or {}
    containers = stateful_set["spec"]["template"]["spec"]["containers"]
    newer = [{**container, "image": "postgres:17"} for container in containers]
    kube.patch(SET, {"spec": {"template": {"spec": {"containers": newer}}}})
    trial.settle()
