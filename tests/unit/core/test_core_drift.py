"""What is not as it was recorded, and who changed it."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from berth.core.drift import Drift, Way, drift, missing
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


def ways(found: tuple[Drift, ...]) -> dict[str, str]:
    return {one.path: one.way.value for one in found}


def by(fields: Json, manager: str = "ann") -> Json:
    return field(manager, fields)


def test_who_owns_a_field_now_says_what_takes_it_back() -> None:
    changed = {"metadata": {"labels": {"app": "shop"}}}
    label: Json = {"f:metadata": {"f:labels": {"f:app": {}}}}
    assert ways(drift(SERVICE, live(SERVICE, changed, by(label)), SINCE)) == {"metadata.labels.app": "force-conflicts"}
    assert ways(drift(SERVICE, live(SERVICE, changed, by(label, "berth-keys")), SINCE)) == {"metadata.labels.app": "up"}
    assert ways(drift(SERVICE, live(SERVICE, changed), SINCE)) == {"metadata.labels.app": "up"}, "nobody's"
    gone = live(SERVICE, {"metadata": {"labels": {"app": None}}}, by({"f:spec": {"f:type": {}}}))
    assert ways(drift(SERVICE, gone, SINCE)) == {"metadata.labels.app": "up"}
    added = live(SERVICE, {"metadata": {"labels": {"x": ""}}}, by({"f:metadata": {"f:labels": {"f:x": {}}}}))
    assert ways(drift(SERVICE, added, SINCE)) == {"metadata.labels.x": "stays"}
    assert missing(ObjectRef("", "Service", "shop", "web")).way is Way.UP


def test_a_label_that_says_nothing_by_its_value_can_be_taken_away() -> None:
    marked = over(SERVICE, {"metadata": {"labels": {"marked": ""}}})
    assert ways(drift(marked, live(SERVICE, {}), SINCE)) == {"metadata.labels.marked": "up"}


def test_more_in_what_is_owned_as_a_whole() -> None:
    recorded = over(SERVICE, {"spec": {"selector": {"app": "web"}}})
    more = live(recorded, {"spec": {"selector": {"color": "blue"}}}, by({"f:spec": {"f:selector": {}}}))
    assert told(drift(recorded, more, SINCE)) == [("spec.selector.color", "(absent)", "blue", "ann")]
    assert ways(drift(recorded, more, SINCE)) == {"spec.selector.color": "force-conflicts"}

    policy = simple("NetworkPolicy", "web", {"spec": {"ingress": [{"ports": [{"port": 80}]}]}})
    opened = over(policy, {"spec": {"ingress": [{"ports": [{"port": 80, "protocol": "TCP"}, {"port": 22}]}]}})
    found = drift(policy, live(opened, {}, by({"f:spec": {"f:ingress": {}}})), SINCE)
    assert ways(found) == {"spec.ingress[0].ports[port=22]": "force-conflicts"}


def test_what_others_put_into_an_element_of_ours() -> None:
    element: Json = {'k:{"name":"nginx"}': {".": {}, "f:image": {}, "f:name": {}, "f:tty": {}}}
    fields = {"f:spec": {"f:template": {"f:spec": {"f:containers": element}}}}
    assert ways(drift(sts(), live(sts(tty=True), {}, by(fields)), SINCE)) == {
        "spec.template.spec.containers[name=nginx].tty": "stays"
    }


def test_a_port_of_another_number_is_another_element() -> None:
    recorded = over(SERVICE, {"spec": {"ports": [{"name": "http", "port": 80}]}})
    element: Json = {'k:{"port":81,"protocol":"TCP"}': {".": {}, "f:name": {}, "f:port": {}}}
    now = over(recorded, {"spec": {"ports": [{"name": "http", "port": 81, "protocol": "TCP"}]}})
    found = drift(recorded, live(now, {}, by({"f:spec": {"f:ports": element}})), SINCE)
    assert told(found) == [("spec.ports[name=http].port", 80, 81, "ann")]
    assert ways(found) == {"spec.ports[name=http].port": "by-hand"}
    # A number that is no key of the list is a field as any other.
    element = {'k:{"port":80,"protocol":"TCP"}': {"f:targetPort": {}}}
    recorded = over(recorded, {"spec": {"ports": [{"name": "http", "port": 80, "targetPort": 8080}]}})
    now = over(recorded, {"spec": {"ports": [{"name": "http", "port": 80, "targetPort": 1, "protocol": "TCP"}]}})
    found = drift(recorded, live(now, {}, by({"f:spec": {"f:ports": element}})), SINCE)
    assert ways(found) == {"spec.ports[name=http].targetPort": "force-conflicts"}


def test_a_secret_that_somebody_wrote_to() -> None:
    recorded, now = (simple("Secret", "auth", {"data": {"password": value}}) for value in ("", "eA=="))
    assert ways(drift(recorded, live(now, {}, by({"f:data": {"f:password": {}}})), SINCE)) == {
        "data": "force-conflicts"
    }
    assert ways(drift(recorded, live(now, {}), SINCE)) == {"data": "up"}


def test_paths_that_are_left_out() -> None:
    body = live(
        sts(image="nginx:1.30"),
        {"spec": {"replicas": 4, "updateStrategy": {"rollingUpdate": {"partition": 2}}}},
        by({"f:spec": {"f:updateStrategy": {"f:rollingUpdate": {"f:partition": {}}}}}),
    )
    image, partition = "spec.template.spec.containers[name=nginx].image", "spec.updateStrategy.rollingUpdate.partition"
    assert set(ways(drift(sts(), body, SINCE))) == {"spec.replicas", image, partition}
    assert set(ways(drift(sts(), body, SINCE, [partition]))) == {"spec.replicas", image}
    assert set(ways(drift(sts(), body, SINCE, ["spec.template", "spec.rep", "spec.updateStrategy"]))) == {
        "spec.replicas"
    }
