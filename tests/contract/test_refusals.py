"""Bad input that only a cluster can tell: a clear error, the right exit code, and nothing changed."""

from __future__ import annotations

import re

import pytest

from berth.actions.applying import Options
from berth.actions.clock import Clock
from berth.actions.up import up
from berth.cluster import waiting
from berth.cluster.kube import Kube
from berth.cluster.waiting import Patience
from berth.core.errors import (
    BerthError,
    ClusterError,
    ConflictError,
    ExitCode,
    FailedError,
    ImmutableError,
    PreflightError,
    TimedOutError,
)
from berth.core.events import Notice, OrdinalFailed, StillWaiting
from berth.core.objects import ObjectRef
from tests.contract.support import bring_up, claims, done, leftovers, pods, release, statefulset, steps, take_down
from tests.waiting import eventually


def refused(kube: Kube, space: str, profile: str, *sets: str, error: type[BerthError] = PreflightError) -> str:
    """What `up` says when it refuses; the namespace must be as it was."""
    before = leftovers(kube, space)
    with pytest.raises(error) as caught:
        bring_up(kube, release(profile, space, *sets))
    assert leftovers(kube, space) == before
    return str(caught.value)


def test_a_missing_class(kube: Kube, space: str) -> None:
    said = refused(kube, space, "nginx", "storage.className=nope")
    assert "StorageClass nope does not exist" in said and "local-path" in said and "statefulset.yaml" in said


def test_more_pods_than_nodes_for_a_hard_spread(kube: Kube, space: str) -> None:
    said = refused(kube, space, "cassandra", "replicas=5", "spread.hostname=hard")
    assert "needs 5 different kubernetes.io/hostname, and the nodes have 3" in said


def test_existing_claims_of_another_size(kube: Kube, space: str) -> None:
    bring_up(kube, release("nginx", space))
    take_down(kube, space, "nginx")
    said = refused(kube, space, "nginx", "storage.size=2Gi")
    assert "claim www-web-0 exists with 1Gi, and the profile asks for 2Gi" in said


def test_a_password_that_is_gone(kube: Kube, space: str) -> None:
    bring_up(kube, release("postgres", space, "replicas=1"))
    take_down(kube, space, "postgres")
    secret = next(name for name in leftovers(kube, space) if name.startswith("Secret/postgres"))
    kube.delete(ObjectRef("", "Secret", space, secret.removeprefix("Secret/")))
    said = refused(kube, space, "postgres", "replicas=1")
    assert "data-postgres-0" in said and "restore the Secret" in said


def test_a_full_quota(kube: Kube, space: str) -> None:
    hard = {"requests.storage": "1Gi", "pods": "10"}
    meta = {"name": "small", "namespace": space}
    quota = {"apiVersion": "v1", "kind": "ResourceQuota", "metadata": meta, "spec": {"hard": hard}}
    ref = ObjectRef.of(kube.create(quota))
    eventually(lambda: (kube.get(ref) or {}).get("status", {}).get("hard"))
    said = refused(kube, space, "nginx")
    assert "quota small would be exceeded: requests.storage is limited to 1Gi, 0 is used, and this needs 2Gi" in said


def test_a_terminating_namespace(kube: Kube, space: str) -> None:
    held = f"{space}-held"
    kube.create({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": held}})
    meta = {"name": "holds", "namespace": held, "finalizers": ["example.com/hold"]}
    kube.create({"apiVersion": "v1", "kind": "ConfigMap", "metadata": meta})
    kube.delete(ObjectRef("", "Namespace", "", held))
    try:
        with pytest.raises(PreflightError, match=f"namespace {held} is being deleted"):
            bring_up(kube, release("nginx", held))
    finally:
        kube.patch(ObjectRef("", "ConfigMap", held, "holds"), {"metadata": {"finalizers": None}})


def test_a_field_of_another_manager(kube: Kube, space: str) -> None:
    wanted = release("nginx", space)
    bring_up(kube, wanted)
    ref = ObjectRef("apps", "StatefulSet", space, "web")
    kube.patch(ref, {"spec": {"template": {"spec": {"terminationGracePeriodSeconds": 99}}}}, field_manager="somebody")
    before = statefulset(kube, wanted)["metadata"]["generation"]
    with pytest.raises(ConflictError) as caught:
        bring_up(kube, wanted)
    said = str(caught.value)
    assert "somebody" in said and "terminationGracePeriodSeconds" in said and "--force-conflicts" in said
    assert caught.value.exit_code is ExitCode.FAILED
    assert statefulset(kube, wanted)["metadata"]["generation"] == before
    assert done(bring_up(kube, wanted, force=True)).changed == 1


@pytest.mark.parametrize(
    ("setting", "path"),
    [
        ("podManagementPolicy=Parallel", "spec.podManagementPolicy"),
        ("storage.size=2Gi", "spec.volumeClaimTemplates[0].spec.resources.requests.storage"),
    ],
)
def test_an_immutable_field(kube: Kube, space: str, setting: str, path: str) -> None:
    bring_up(kube, release("nginx", space))
    before = statefulset(kube, release("nginx", space))["metadata"]["generation"]
    # The claims of the old size would be told first: what is asked here is what the set itself says.
    with pytest.raises((ImmutableError, PreflightError)) as caught:
        bring_up(kube, release("nginx", space, setting))
    if isinstance(caught.value, ImmutableError):
        said = str(caught.value)
        assert f"{path} cannot be changed in place" in said
        assert ("--resize" if "storage" in path else "--orphan") in said
        assert re.search(r"templates/\S+\.yaml:\d+", said)
    assert statefulset(kube, release("nginx", space))["metadata"]["generation"] == before


def test_an_invalid_object_is_refused_before_anything_is_written(kube: Kube, space: str) -> None:
    said = refused(kube, space, "nginx", "podAnnotations.bad key=1", error=ClusterError)
    assert "StatefulSet/web" in said and "bad key" in said


def test_a_new_namespace_is_tried_before_it_is_made(kube: Kube, space: str) -> None:
    new = f"{space}-new"
    with pytest.raises(ClusterError):
        bring_up(kube, release("nginx", new, "podAnnotations.bad key=1"))
    assert kube.get(ObjectRef("", "Namespace", "", new)) is None
    assert done(bring_up(kube, release("nginx", new))).succeeded
    take_down(kube, new, "nginx", data=True)
    live = kube.get(ObjectRef("", "Namespace", "", new))
    assert live is None or live["metadata"]["deletionTimestamp"]


def failing(kube: Kube, space: str, *sets: str, patience: Patience | None = None) -> tuple[list[OrdinalFailed], str]:
    """The causes that a failing `up` tells, and its error."""

    events: list[object] = []
    run = up(kube, [release("nginx", space, *sets)], Options(patience or Patience(60, 4)), Clock())
    with pytest.raises((FailedError, TimedOutError)) as caught:
        for event in run:
            events.append(event)
    return [event for event in events if isinstance(event, OrdinalFailed)], str(caught.value)


def test_a_bad_image_is_named_and_can_be_corrected(kube: Kube, space: str) -> None:
    causes, said = failing(kube, space, "image.tag=nope")
    assert [cause.ordinal for cause in causes] == [0]
    assert "nginx:nope" in causes[0].message and "cannot be pulled" in causes[0].message and causes[0].hint
    assert "StatefulSet/web" in said
    assert set(pods(kube, space)) == {"web-0"}, "the order holds"
    # The broken pod now blocks its own fix (kubernetes#67250); berth says so, and with which command to end it.
    causes, _ = failing(kube, space)
    assert "blocks its own fix" in causes[0].hint and "kubectl delete pod web-0" in causes[0].hint
    kube.delete(ObjectRef("", "Pod", space, "web-0"))
    assert done(bring_up(kube, release("nginx", space))).succeeded


def test_a_crash_loop_is_named(kube: Kube, space: str) -> None:
    causes, _ = failing(kube, space, 'podAnnotations={"berth.dev/fault": "crash"}')
    assert causes[0].reason in ("CrashLoopBackOff", "Crashed") and "exit code 1" in causes[0].message


def test_a_claim_that_nobody_provisions(kube: Kube, space: str) -> None:
    name = f"never-{space}"
    kube.create(
        {"apiVersion": "storage.k8s.io/v1", "kind": "StorageClass", "metadata": {"name": name},
         "provisioner": "example.com/never", "volumeBindingMode": "Immediate"}
    )  # fmt: skip
    try:
        causes, _ = failing(kube, space, f"storage.className={name}", patience=Patience(90, 8))
        assert "www-web-0" in causes[0].message and "example.com/never" in causes[0].message
    finally:
        kube.delete(ObjectRef("storage.k8s.io", "StorageClass", "", name))
    take_down(kube, space, "nginx", data=True)
    assert not claims(kube, space)


def test_a_pod_that_fits_nowhere(kube: Kube, space: str) -> None:
    causes, _ = failing(kube, space, "nodeSelector.disk=unobtainium")
    assert causes[0].reason == "Unschedulable" and "node(s)" in causes[0].message


def test_a_cordoned_node_is_named_and_used_once_it_is_uncordoned(kube: Kube, space: str) -> None:
    """On a node of the test's own, made like one that is there, and tainted: others use the cluster too."""
    like, name = kube.list("", "Node").items[0]["metadata"], f"node-{space}"
    labels = like["labels"] | {"kubernetes.io/hostname": name, "berth-test": name}
    meta = {"name": name, "labels": labels, "annotations": like.get("annotations", {})}
    spec = {"unschedulable": True, "taints": [{"key": "berth-test", "effect": "NoSchedule"}]}
    kube.create({"apiVersion": "v1", "kind": "Node", "metadata": meta, "spec": spec})
    mine = (f"nodeSelector.berth-test={name}", 'tolerations=[{"key": "berth-test", "operator": "Exists"}]')
    node, wanted = ObjectRef("", "Node", "", name), (*mine, "replicas=1")
    try:
        causes, _ = failing(kube, space, *wanted)
        assert causes[0].reason == "Unschedulable" and "1 node(s) were unschedulable" in causes[0].message
        kube.patch(node, {"spec": {"unschedulable": None}})  # The taint that it stands for goes with it.
        assert done(bring_up(kube, release("nginx", space, *wanted))).succeeded
        assert pods(kube, space)["web-0"]["spec"]["nodeName"] == name
        take_down(kube, space, "nginx", data=True)
    finally:
        kube.delete(node)


def test_a_probe_that_never_passes_times_out(kube: Kube, space: str) -> None:
    quick = Patience(timeout=8, suspect=60)
    causes, said = failing(kube, space, 'podAnnotations={"berth.dev/fault": "unready"}', patience=quick)
    assert causes[0].reason == "NotReady" and "not ready after" in said


def test_a_class_that_is_not_ours_stays_as_it_is(kube: Kube, space: str) -> None:
    name = f"theirs-{space}"
    ref = ObjectRef("storage.k8s.io", "StorageClass", "", name)
    made = kube.create(
        {"apiVersion": "storage.k8s.io/v1", "kind": "StorageClass", "metadata": {"name": name},
         "provisioner": "rancher.io/local-path", "reclaimPolicy": "Delete", "volumeBindingMode": "WaitForFirstConsumer"}
    )  # fmt: skip
    try:
        wanted = release("httpd", space, f"storage.className={name}")
        events = bring_up(kube, wanted)
        warned = [event.message for event in events if isinstance(event, Notice)]
        assert any("is not berth's" in text and "reclaimPolicy" in text and "Retain" in text for text in warned)
        assert done(bring_up(kube, wanted)).changed == 0
        assert f"StorageClass/{name}" in steps(take_down(kube, space, "httpd", data=True), "kept")
        live = kube.get(ref)
        assert live is not None and live["metadata"]["resourceVersion"] == made["metadata"]["resourceVersion"]
    finally:
        kube.delete(ref)


def test_all_releases_are_planned_before_the_first_is_touched(kube: Kube, space: str) -> None:
    good, bad = release("nginx", space), release("httpd", space, "podAnnotations.bad key=1")
    with pytest.raises(ClusterError, match="apache-http"):
        list(up(kube, [good, bad], Options(Patience(60, 4)), Clock()))
    assert leftovers(kube, space) == []


def test_silence_is_explained(kube: Kube, space: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """After a while without progress the run says what it waits for, and why."""
    monkeypatch.setattr(waiting, "SILENCE", 2.0)
    monkeypatch.setattr(waiting, "_LOOK", 1.0)
    wanted = release("nginx", space, "nodeSelector.disk=unobtainium")
    events = []
    with pytest.raises(TimedOutError):
        for event in up(kube, [wanted], Options(Patience(timeout=6, suspect=60)), Clock()):
            events.append(event)
    said = [event for event in events if isinstance(event, StillWaiting)]
    assert said and "StatefulSet/web" in said[0].waiting_for and any("web-0" in why for why in said[0].why)
