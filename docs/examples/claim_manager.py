"""Claims: created for each pod, kept when their pods go, deleted one by one, in a simulated cluster."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path

import yaml

from berth.cluster.kube import Kube
from berth.cluster.target import resolve
from berth.core.objects import ObjectRef
from berth.rehearsal.store import Change
from berth.rehearsal.trial import throw_away

SET = ObjectRef("apps", "StatefulSet", "default", "postgres")


def tell_claims(change: Change) -> None:
    """Say when a claim has come, and when one is gone."""
    if change.kind.kind != "PersistentVolumeClaim" or change.type == "MODIFIED":
        return
    name, size = change.object["metadata"]["name"], change.object["spec"]["resources"]["requests"]["storage"]
    if change.type == "ADDED":
        print(f"Created PVC {name} ({size}) for {name.removeprefix('data-')}")
    else:
        print(f"Deleted PVC {name}")


def is_kept(kube: Kube, pod: str) -> bool:
    """Whether the pod has a claim, and that has a volume."""
    claim = kube.get(ObjectRef("", "PersistentVolumeClaim", "default", f"data-{pod}"))
    return claim is not None and claim["status"]["phase"] == "Bound"


with throw_away() as trial, closing(resolve(None, str(trial.kubeconfig), {}).connect()) as kube:
    trial.world.store.listeners.append(tell_claims)
    for body in yaml.safe_load_all(Path(__file__).with_name("postgres.yaml").read_text(encoding="utf-8")):
        kube.create(body)
    trial.settle()

    # A claim that a pod uses is protected, and one that is missing is made again: so the pods go first.
    kube.delete(SET)
    trial.settle()
    assert kube.list("", "Pod", "default").items == []
    print(f"\nPVC for postgres-0 exists: {is_kept(kube, 'postgres-0')}")

    kube.delete(ObjectRef("", "PersistentVolumeClaim", "default", "data-postgres-0"))
    trial.settle()
    print(f"PVC for postgres-0 after delete: {is_kept(kube, 'postgres-0')}")
    assert is_kept(kube, "postgres-1") and is_kept(kube, "postgres-2")
