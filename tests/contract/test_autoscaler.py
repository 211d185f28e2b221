"""A set that an autoscaler sizes keeps the autoscaler's number, as long as there is one."""

from __future__ import annotations

from berth.cluster.kube import Kube
from berth.core.objects import ObjectRef
from tests.contract.support import bring_up, done, release, statefulset


def test_replicas_belong_to_the_autoscaler_while_it_exists(kube: Kube, space: str) -> None:
    wanted = release("nginx", space)
    bring_up(kube, wanted)
    target = {"apiVersion": "apps/v1", "kind": "StatefulSet", "name": "web"}
    meta = {"name": "web", "namespace": space}
    spec = {"scaleTargetRef": target, "minReplicas": 1, "maxReplicas": 5}
    scaler = {"apiVersion": "autoscaling/v2", "kind": "HorizontalPodAutoscaler", "metadata": meta, "spec": spec}
    ref = ObjectRef.of(kube.create(scaler))
    # No metrics here: what the autoscaler would do is done in its name, through the same subresource.
    set_ref = ObjectRef("apps", "StatefulSet", space, "web")
    kube.patch(set_ref, {"spec": {"replicas": 4}}, subresource="scale", field_manager="kube-controller-manager")
    assert done(bring_up(kube, wanted)).succeeded
    changed = release("nginx", space, "podAnnotations.a=b")
    assert done(bring_up(kube, changed)).succeeded
    assert statefulset(kube, wanted)["spec"]["replicas"] == 4

    kube.delete(ref)
    assert done(bring_up(kube, wanted, force=True)).succeeded
    assert statefulset(kube, wanted)["spec"]["replicas"] == 2
