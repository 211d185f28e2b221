"""A chart on the local control plane: installed, upgraded, taken away, and installed again on what it left."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from berth.actions.prepare import Request, prepare
from berth.cluster.kube import Kube
from berth.core.objects import CHECKSUM_ANNOTATION, Json, ObjectRef, dig
from berth.core.readiness import judge
from berth.library import open_library
from tests.contract.charts import support
from tests.contract.charts.conftest import Helm
from tests.contract.support import PROFILES, ROOT, claims, kubernetes_only, leftovers, pods
from tests.waiting import eventually

CHART = str(ROOT / "charts/postgres")
QUICK = ("--set", "minReadySeconds=0,replicas=2,probes.startup.periodSeconds=1")


def live(kube: Kube, space: str, kind: str, name: str) -> Json:
    """An object that must be there."""
    group = "apps" if kind == "StatefulSet" else ""
    body = kube.get(ObjectRef(group, kind, space, name))
    assert body is not None
    return body


def ready(kube: Kube, space: str, replicas: int) -> Json:
    """The StatefulSet once it is rolled out."""

    def look() -> Json | None:
        body = live(kube, space, "StatefulSet", "db-postgres")
        status = body["status"]
        seen = status.get("observedGeneration") == body["metadata"]["generation"]
        same = status.get("currentRevision") == status.get("updateRevision")
        return (
            body if seen and same and status.get("readyReplicas", 0) == replicas == body["spec"]["replicas"] else None
        )

    return eventually(look)


@kubernetes_only
def test_install_upgrade_uninstall(kube: Kube, space: str, plane: Path, helm: Helm) -> None:
    """Passwords are made once; a changed setting rolls the pods; claims and passwords outlive the release."""
    told = helm("install", "db", CHART, "-n", space, *QUICK, kubeconfig=plane)
    assert f"kubectl get pvc -n {space} -l app.kubernetes.io/instance=db" in told
    first = ready(kube, space, 2)
    assert set(pods(kube, space)) == {"db-postgres-0", "db-postgres-1"}
    passwords = live(kube, space, "Secret", "db-postgres-auth")["data"]
    assert set(passwords) == {"password", "replication-password"} and passwords["password"]

    changed = ("--reset-then-reuse-values", "--set", "settings.work_mem=8MB,replicas=3,replication.maxWalSenders=30")
    helm("upgrade", "db", CHART, "-n", space, *changed, kubeconfig=plane)
    second = ready(kube, space, 3)
    at = ("spec", "template", "metadata", "annotations", CHECKSUM_ANNOTATION)
    assert dig(first, *at) != dig(second, *at)
    assert "work_mem = '8MB'" in live(kube, space, "ConfigMap", "db-postgres-config")["data"]["postgresql.conf"]
    assert live(kube, space, "Secret", "db-postgres-auth")["data"] == passwords

    assert json.loads(helm("list", "-n", space, "-o", "json", kubeconfig=plane))[0]["status"] == "deployed"
    helm("uninstall", "db", "-n", space, "--wait", kubeconfig=plane)
    # Pods go with their set, in the background.
    eventually(lambda: True if not pods(kube, space) else None)
    assert set(claims(kube, space)) == {f"data-db-postgres-{ordinal}" for ordinal in range(3)}
    kept = {"Secret/db-postgres-auth", *(f"PersistentVolumeClaim/{name}" for name in claims(kube, space))}
    assert {name for name in leftovers(kube, space) if not name.startswith("ControllerRevision/")} == kept

    helm("install", "db", CHART, "-n", space, *QUICK, kubeconfig=plane)
    assert live(kube, space, "Secret", "db-postgres-auth")["data"] == passwords


@kubernetes_only
@pytest.mark.parametrize("profile", PROFILES)
def test_each_chart_installs_what_berth_renders(profile: str, kube: Kube, space: str, plane: Path, helm: Helm) -> None:
    """In a namespace that enforces "restricted" the objects are those of `render`, and the set gets ready."""
    # A class is the cluster's: each test has its own.
    sets = [f"storage.className={space}"] if profile == "httpd" else []
    wanted = Request(profile, None, space, "dev", (), tuple(sets))
    release = prepare(open_library(ROOT), [wanted])[-1]
    chart = ROOT / "charts" / profile
    options = [word for assignment in sets for word in ("--set", assignment)]
    helm("install", profile, str(chart), "-n", space, "-f", str(chart / "values-dev.yaml"), *options, kubeconfig=plane)
    try:
        installed = support.objects(helm("get", "manifest", profile, "-n", space, kubeconfig=plane))
        assert installed == support.rendered(release.manifests)
        [ref] = [manifest.ref for manifest in release.manifests if manifest.ref.kind == "StatefulSet"]
        eventually(lambda: kube.get(ref) if judge(kube.get(ref) or {}).current else None)
        helm("uninstall", profile, "-n", space, kubeconfig=plane)
    finally:
        if sets:
            kube.delete(ObjectRef("storage.k8s.io", "StorageClass", "", space))


@kubernetes_only
def test_a_class_of_the_cluster_is_left_to_whom_it_belongs(kube: Kube, space: str, plane: Path, helm: Helm) -> None:
    """Two releases name one StorageClass: the second one finds it; it stays when the first one goes."""
    chart = str(ROOT / "charts/httpd")
    values = ("-n", space, "--set", f"storage.className={space},replicas=0")
    helm("install", "one", chart, *values, kubeconfig=plane)
    ref = ObjectRef("storage.k8s.io", "StorageClass", "", space)
    try:
        helm("install", "two", chart, *values, kubeconfig=plane)
        helm("uninstall", "one", "-n", space, kubeconfig=plane)
        assert kube.get(ref) is not None
        helm("upgrade", "two", chart, "-n", space, "--reset-then-reuse-values", kubeconfig=plane)
    finally:
        kube.delete(ref)
