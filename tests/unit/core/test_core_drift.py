"""What is not as it was recorded, and who changed it."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from berth.core.drift import Drift, drift, missing
from berth.core.objects import Json, ObjectRef
from tests.unit.core.samples import over, simple

pytestmark = pytest.mark.unit

SINCE = datetime(2026, 1, 1, 10, 0, 0, 500000, tzinfo=UTC)
AFTER, BEFORE = "2026-01-01T11:00:00Z", "2026-01-01T09:00:00Z"
OURS = {"manager": "berth", "operation": "Apply", "time": "2026-01-01T10:00:00Z"}
SERVICE = simple("Service", "web", {"metadata": {"labels": {"app": "web"}}, "spec": {"ports": [{"port": 80}]}})


def field(manager: str, fields: Json, time: str = AFTER, **more: Any) -> Json:
    """What a manager wrote."""
    return {"manager": manager, "operation": "Update", "time": time, "fieldsV1": fields, **more}


def live(recorded: Json, changes: Json, *written: Json) -> Json:
    """The object as it is now, with what the server fills in."""
    served = {
        "metadata": {"uid": "1", "resourceVersion": "7", "creationTimestamp": BEFORE},
        "status": {"some": "thing"},
    }
    return over(over(over(recorded, served), changes), {"metadata": {"managedFields": [OURS, *written]}})


def told(found: tuple[Drift, ...]) -> list[tuple[str, Any, Any, str]]:
    return [(one.path, one.recorded, one.live, one.manager) for one in found]


def test_what_the_server_fills_in_is_no_drift() -> None:
    filled = {"spec": {"ports": [{"port": 80, "protocol": "TCP", "targetPort": 80}], "clusterIP": "10.0.0.1"}}
    assert drift(SERVICE, live(SERVICE, filled), SINCE) == ()


def test_a_field_that_somebody_changed() -> None:
    body = live(SERVICE, {"metadata": {"labels": {"app": "shop"}}}, LABELLED)
    assert told(drift(SERVICE, body, SINCE)) == [("metadata.labels.app", "web", "shop", "kubectl-edit")]


LABELLED = field("kubectl-edit", {"f:metadata": {"f:labels": {"f:app": {}}}})


def test_a_field_that_somebody_added_since() -> None:
    added = {"metadata": {"labels": {"team": "blue"}}}
    by: Json = {"f:metadata": {"f:labels": {"f:team": {}}}}
    assert told(drift(SERVICE, live(SERVICE, added, field("kubectl-label", by)), SINCE)) == [
        ("metadata.labels.team", "(absent)", "blue", "kubectl-label")
    ]
    assert drift(SERVICE, live(SERVICE, added, field("kubectl-label", by, BEFORE)), SINCE) == ()


def test_a_field_that_somebody_took_away_names_the_newest_writer() -> None:
    body = live(
        SERVICE,
        {"metadata": {"labels": {"app": None}}},
        field("kubectl-edit", {"f:spec": {"f:type": {}}}, BEFORE),
        field("helm", {"f:spec": {"f:externalName": {}}}),
        field("kube-controller-manager", {"f:status": {}}, "2026-01-01T12:00:00Z", subresource="status"),
    )
    assert told(drift(SERVICE, body, SINCE)) == [("metadata.labels.app", "web", "(absent)", "helm")]


def sts(**container: Any) -> Json:
    containers = [{"name": "nginx", "image": "nginx:1.29", **container}]
    return simple("StatefulSet", "web", {"spec": {"replicas": 2, "template": {"spec": {"containers": containers}}}})


def test_elements_of_lists_are_told_apart_by_their_names() -> None:
    recorded = sts(env=[{"name": "A", "value": "1"}, {"name": "B", "value": "2"}])
    now = sts(env=[{"name": "X", "value": "0"}, {"name": "A", "value": "3"}, {"name": "B", "value": "2"}])
    owned: Json = {'k:{"name":"X"}': {".": {}, "f:name": {}, "f:value": {}}, 'k:{"name":"A"}': {"f:value": {}}}
    by = {"f:spec": {"f:template": {"f:spec": {"f:containers": {'k:{"name":"nginx"}': {"f:env": owned}}}}}}
    env = "spec.template.spec.containers[name=nginx].env"
    assert told(drift(recorded, live(now, {}, field("kubectl-set", by)), SINCE)) == [
        (f"{env}[name=A].value", "1", "3", "kubectl-set"),
        (f"{env}[name=X]", "(absent)", {"name": "X", "value": "0"}, "kubectl-set"),
    ]


def test_replicas_that_an_autoscaler_set_are_its() -> None:
    by = field("kube-controller-manager", {"f:spec": {"f:replicas": {}}}, subresource="scale")
    body = live(sts(), {"spec": {"replicas": 4}}, by)
    assert told(drift(sts(), body, SINCE)) == [("spec.replicas", 2, 4, "kube-controller-manager")]


def test_what_says_nothing_may_be_left_out() -> None:
    recorded = over(sts(), {"spec": {"minReadySeconds": 0, "selector": {}}, "metadata": {"annotations": {}}})
    assert drift(recorded, live(sts(), {}), SINCE) == ()


def test_amounts_are_compared_by_what_they_mean() -> None:
    recorded = sts(resources={"limits": {"memory": "1024Mi"}})
    assert drift(recorded, live(sts(resources={"limits": {"memory": "1Gi"}}), {}), SINCE) == ()
    body = live(sts(resources={"limits": {"memory": "2Gi"}}), {})
    assert told(drift(recorded, body, SINCE))[0][1:3] == ("1024Mi", "2Gi")


def test_values_of_secrets_are_never_shown() -> None:
    recorded = simple("Secret", "auth", {"data": {"password": "", "old": ""}})
    by = field("kubectl-edit", {"f:data": {"f:password": {}, "f:more": {}}})
    body = live(simple("Secret", "auth", {"data": {"password": "aHVudGVyMg==", "more": "aHVudGVyMw=="}}), {}, by)
    assert told(drift(recorded, body, SINCE)) == [
        ("data.old", "(hidden)", "(absent)", "kubectl-edit"),
        ("data.more", "(absent)", "(hidden)", "kubectl-edit"),
    ]
    same = live(simple("Secret", "auth", {"data": {"password": "aHVudGVyMg==", "old": "eA=="}}), {}, by)
    assert told(drift(recorded, same, SINCE)) == [("data", "(hidden)", "(hidden)", "kubectl-edit")]


def test_a_value_that_was_recorded_as_hidden_stays_so() -> None:
    recorded, now = sts(args=["--password", "(hidden)"]), sts(args=["--password", "hunter2", "--verbose"])
    assert [one.live for one in drift(recorded, live(now, {}), SINCE)] == ["(hidden)"]
    assert drift(recorded, live(sts(args=["--password", "hunter2"]), {}), SINCE) == ()


def test_the_copy_that_kubectl_keeps_is_no_drift() -> None:
    key = "kubectl.kubernetes.io/last-applied-configuration"
    by = field("kubectl-client-side-apply", {"f:metadata": {"f:annotations": {f"f:{key}": {}}}})
    assert drift(SERVICE, live(SERVICE, {"metadata": {"annotations": {key: "{}"}}}, by), SINCE) == ()


def test_an_object_that_is_gone() -> None:
    ref = ObjectRef("", "Service", "shop", "web")
    assert missing(ref) == Drift(ref, "", "recorded", "(absent)")
