from __future__ import annotations

import pytest

from berth.rehearsal.kinds import CLAIMS, CONFIG_MAPS, KINDS, NAMESPACES, SERVICE_ACCOUNTS
from tests.rehearsal.controllers.quay import SPACE, Quay, web

pytestmark = pytest.mark.rehearsal


def conditions(quay: Quay) -> dict[str, str]:
    entries = quay.get(NAMESPACES, SPACE)["status"]["conditions"]
    return {entry["type"]: f"{entry['status']} {entry['reason']}: {entry['message']}" for entry in entries}


def test_it_has_what_pods_need(quay: Quay) -> None:
    assert quay.find(SERVICE_ACCOUNTS, "default") is not None
    certificates = quay.get(CONFIG_MAPS, "kube-root-ca.crt")
    assert list(certificates["data"]) == ["ca.crt"]
    assert "kubernetes.io/description" in certificates["metadata"]["annotations"]


def test_what_it_needs_comes_back(quay: Quay) -> None:
    quay.delete(SERVICE_ACCOUNTS, "default")
    quay.delete(CONFIG_MAPS, "kube-root-ca.crt")
    quay.settle()
    assert quay.find(SERVICE_ACCOUNTS, "default") is not None
    assert quay.find(CONFIG_MAPS, "kube-root-ca.crt") is not None


def test_deletion_empties_it(quay: Quay) -> None:
    quay.make(web(3))
    quay.settle()
    quay.delete(NAMESPACES, SPACE)
    assert quay.get(NAMESPACES, SPACE)["status"]["phase"] == "Terminating"
    quay.settle()
    assert quay.find(NAMESPACES, SPACE) is None
    left = [body for kind in KINDS if kind.namespaced for body in quay.client.list(kind, SPACE)]
    assert left == []


def test_what_holds_it_up_is_said(quay: Quay) -> None:
    quay.make(web(1))
    quay.settle()
    claim = quay.get(CLAIMS, "www-web-0")
    held = [*(claim["metadata"].get("finalizers") or ()), "example.com/hold"]
    quay.update(CLAIMS, {**claim, "metadata": {**claim["metadata"], "finalizers": held}})
    quay.delete(NAMESPACES, SPACE)
    quay.settle()
    said = conditions(quay)
    assert said["NamespaceContentRemaining"] == (
        "True SomeResourcesRemain: Some resources are remaining: persistentvolumeclaims. has 1 resource instances"
    )
    assert said["NamespaceFinalizersRemaining"].startswith(
        "True SomeFinalizersRemain: Some content in the namespace has finalizers remaining: example.com/hold in 1 "
    )
    assert said["NamespaceDeletionContentFailure"] == (
        "False ContentDeleted: All content successfully deleted, may be waiting on finalization"
    )
    claim = quay.get(CLAIMS, "www-web-0")
    quay.update(CLAIMS, {**claim, "metadata": {**claim["metadata"], "finalizers": []}})
    quay.settle()
    assert quay.find(NAMESPACES, SPACE) is None
