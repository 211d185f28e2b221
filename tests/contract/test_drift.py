"""Drift of each kind: what `drift` says takes it back does, on the rehearsal and on the control plane alike."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from berth.actions.drift import find_drift
from berth.actions.status import Selection
from berth.cluster.kube import Kube
from berth.cluster.session import Exchange
from berth.cluster.target import resolve
from berth.core.diff import MASKED
from berth.core.drift import Drift, Way
from berth.core.errors import BerthError, ConflictError
from berth.core.objects import Json, ObjectRef, dig
from berth.core.render import Release
from tests.contract.support import bring_up, release, take_down
from tests.waiting import eventually


def fields(kube: Kube, space: str, name: str | None = None) -> tuple[Drift, ...]:
    (one,) = find_drift(kube, Selection(space, name)).releases
    return one.fields


def told(found: tuple[Drift, ...]) -> dict[str, tuple[Any, Any, str, str]]:
    """By kind and path: what was recorded, what there is, who did it, and the way back."""
    return {f"{d.ref.kind} {d.path}".strip(): (d.recorded, d.live, d.manager, d.way.value) for d in found}


def taken_back(kube: Kube, wanted: Release) -> None:
    """Do what `drift` says, and find that nothing is left but what stays."""
    before = fields(kube, wanted.namespace)
    ways = {one.way for one in before}
    if Way.FORCE in ways:
        with pytest.raises(ConflictError):
            bring_up(kube, wanted)
        assert fields(kube, wanted.namespace) == before, "an `up` that meets a conflict writes nothing"
    bring_up(kube, wanted, force=Way.FORCE in ways)
    for one in before:
        live = kube.get(one.ref)
        assert live is not None
        if one.way is Way.STAYS and one.live != MASKED:
            assert value(live, one.path) == one.live
    assert {one.way for one in fields(kube, wanted.namespace)} <= {Way.STAYS}


def value(live: Json, path: str) -> Any:
    """What stands at a path without lists."""
    return dig(live, *path.split("."))


def web(space: str) -> ObjectRef:
    return ObjectRef("apps", "StatefulSet", space, "web")


def service(space: str, name: str = "nginx") -> ObjectRef:
    return ObjectRef("", "Service", space, name)


def pod_spec(kube: Kube, space: str) -> Json:
    found: Json = dig(kube.get(web(space)), "spec", "template", "spec")
    return found


def test_nothing_changed(kube: Kube, space: str) -> None:
    bring_up(kube, release("nginx", space, "replicas=1"))
    assert fields(kube, space) == ()


def test_a_changed_field_is_the_others_until_it_is_forced(kube: Kube, space: str) -> None:
    wanted = release("nginx", space, "replicas=1")
    bring_up(kube, wanted)
    containers = pod_spec(kube, space)["containers"]
    image = containers[0]["image"]
    containers[0]["image"] = "nginx:1.30"
    kube.patch(web(space), {"spec": {"template": {"spec": {"containers": containers}}}}, field_manager="kubectl-edit")
    assert told(fields(kube, space)) == {
        "StatefulSet spec.template.spec.containers[name=nginx].image": (
            image,
            "nginx:1.30",
            "kubectl-edit",
            "force-conflicts",
        )
    }
    taken_back(kube, wanted)
    assert pod_spec(kube, space)["containers"][0]["image"] == image


def test_what_others_only_added_stays(kube: Kube, space: str) -> None:
    wanted = release("nginx", space, "replicas=1")
    bring_up(kube, wanted)
    labels = {"team": "blue", "marked": ""}
    kube.patch(service(space), {"metadata": {"labels": labels}}, field_manager="kubectl-label")
    kube.patch(service(space), {"spec": {"sessionAffinity": "ClientIP"}}, field_manager="ann")
    found = told(fields(kube, space))
    assert found["Service metadata.labels.team"] == ("(absent)", "blue", "kubectl-label", "stays")
    assert found["Service metadata.labels.marked"] == ("(absent)", "", "kubectl-label", "stays")
    assert found["Service spec.sessionAffinity"] == ("None", "ClientIP", "ann", "stays") or (
        found["Service spec.sessionAffinity"] == ("(absent)", "ClientIP", "ann", "stays")
    )
    taken_back(kube, wanted)


def test_a_removed_field_and_deleted_objects_come_back(kube: Kube, space: str) -> None:
    wanted = release("nginx", space, "replicas=1")
    bring_up(kube, wanted)
    label = "app.kubernetes.io/version"
    kube.patch(service(space), {"metadata": {"labels": {label: None}}}, field_manager="kubectl-label")
    kube.delete(service(space, "nginx-client"))
    config = next(manifest.ref for manifest in wanted.manifests if manifest.ref.kind == "ConfigMap")
    kube.delete(config)
    found = fields(kube, space)
    assert {(d.ref.kind, d.ref.name, d.path, d.live, d.way) for d in found} == {
        ("Service", "nginx", f"metadata.labels['{label}']", "(absent)", Way.UP),
        ("Service", "nginx-client", "", "(absent)", Way.UP),
        ("ConfigMap", config.name, "", "(absent)", Way.UP),
    }
    taken_back(kube, wanted)
    assert fields(kube, space) == ()


def test_the_number_of_pods_that_somebody_scaled_to(kube: Kube, space: str) -> None:
    wanted = release("nginx", space, "replicas=1")
    bring_up(kube, wanted)
    kube.patch(web(space), {"spec": {"replicas": 2}}, subresource="scale", field_manager="kubectl")
    assert told(fields(kube, space)) == {"StatefulSet spec.replicas": (1, 2, "kubectl", "force-conflicts")}
    taken_back(kube, wanted)
    assert dig(kube.get(web(space)), "spec", "replicas") == 1


def test_a_pod_more_that_berth_itself_made_is_nobody_elses(kube: Kube, space: str) -> None:
    wanted = release("nginx", space, "replicas=1")
    bring_up(kube, wanted)
    kube.scale(web(space), 2)
    assert told(fields(kube, space)) == {"StatefulSet spec.replicas": (1, 2, "berth", "up")}
    taken_back(kube, wanted)


def test_the_number_of_pods_that_an_autoscaler_sets_stays(kube: Kube, space: str) -> None:
    wanted = release("nginx", space, "replicas=1")
    bring_up(kube, wanted)
    target = {"apiVersion": "apps/v1", "kind": "StatefulSet", "name": "web"}
    spec = {"scaleTargetRef": target, "minReplicas": 1, "maxReplicas": 5}
    meta = {"name": "web", "namespace": space}
    scaler = ObjectRef.of(
        kube.create({"apiVersion": "autoscaling/v2", "kind": "HorizontalPodAutoscaler", "metadata": meta, "spec": spec})
    )
    kube.patch(web(space), {"spec": {"replicas": 2}}, subresource="scale", field_manager="kube-controller-manager")
    by = "kube-controller-manager"
    assert told(fields(kube, space)) == {"StatefulSet spec.replicas": (1, 2, by, "stays")}
    taken_back(kube, wanted)
    kube.delete(scaler)
    assert told(fields(kube, space)) == {"StatefulSet spec.replicas": (1, 2, by, "force-conflicts")}
    taken_back(kube, wanted)
    assert dig(kube.get(web(space)), "spec", "replicas") == 1


def test_what_is_owned_as_a_whole(kube: Kube, space: str) -> None:
    """A selector is one value for the field managers: who adds a key to it owns all of it."""
    wanted = release("nginx", space, "replicas=1")
    bring_up(kube, wanted)
    kube.patch(service(space, "nginx-client"), {"spec": {"selector": {"color": "blue"}}}, field_manager="ann")
    assert told(fields(kube, space)) == {"Service spec.selector.color": ("(absent)", "blue", "ann", "force-conflicts")}
    taken_back(kube, wanted)
    assert "color" not in dig(kube.get(service(space, "nginx-client")), "spec", "selector")


def test_a_container_that_others_added_stays_and_what_they_put_into_ours_too(kube: Kube, space: str) -> None:
    wanted = release("nginx", space, "replicas=1")
    bring_up(kube, wanted)
    containers = pod_spec(kube, space)["containers"]
    containers[0]["env"] = [{"name": "MORE", "value": "1"}]
    side = {**containers[0], "name": "side", "env": []}
    side.pop("ports", None)
    spec = {"containers": [*containers, side]}
    kube.patch(web(space), {"spec": {"template": {"spec": spec}}}, field_manager="ann")
    found = {path: one[2:] for path, one in told(fields(kube, space)).items()}
    assert found == {
        "StatefulSet spec.template.spec.containers[name=nginx].env[name=MORE]": ("ann", "stays"),
        "StatefulSet spec.template.spec.containers[name=side]": ("ann", "stays"),
    }
    bring_up(kube, wanted)
    assert [one["name"] for one in pod_spec(kube, space)["containers"]] == ["nginx", "side"]
    assert {one.way for one in fields(kube, space)} <= {Way.STAYS}


def test_a_port_of_another_number_is_beyond_up(kube: Kube, space: str) -> None:
    """Apply adds berth's port beside the other one, and the server takes no two of one name."""
    wanted = release("nginx", space, "replicas=1")
    bring_up(kube, wanted)
    client = service(space, "nginx-client")
    port = dig(kube.get(client), "spec", "ports", 0, "port")
    patch = [{"op": "replace", "path": "/spec/ports/0/port", "value": 4711}]
    kube.patch(client, patch, type="json", field_manager="ann")
    (found,) = fields(kube, space)
    assert (found.path, found.recorded, found.live, found.manager) == ("spec.ports[name=web].port", port, 4711, "ann")
    assert found.way is Way.BY_HAND
    for force in (False, True):
        with pytest.raises(BerthError, match="web"):
            bring_up(kube, wanted, force=force)
    patch[0]["value"] = port
    kube.patch(client, patch, type="json", field_manager="ann")
    assert fields(kube, space) == ()


@pytest.mark.parametrize("key", ["password", "postgresql.conf"])
def test_data_that_somebody_changed(kube: Kube, space: str, key: str) -> None:
    """A password that was generated once stays as it is now; what a template says comes back."""
    wanted = release("postgres", space, "replicas=1")
    bring_up(kube, wanted)
    kind = "Secret" if key == "password" else "ConfigMap"
    ref = next(manifest.ref for manifest in wanted.manifests if manifest.ref.kind == kind)
    kube.patch(ref, {"data": {key: "aHVudGVyMg=="}}, field_manager="ann")
    (found,) = fields(kube, space)
    assert (found.ref, found.way) == (ref, Way.STAYS if kind == "Secret" else Way.FORCE)
    assert kind == "ConfigMap" or (found.recorded, found.live) == ("(hidden)", "(hidden)")
    taken_back(kube, wanted)


def test_an_object_that_somebody_made_anew(kube: Kube, space: str) -> None:
    wanted = release("nginx", space, "replicas=1")
    bring_up(kube, wanted)
    client = service(space, "nginx-client")
    kube.delete(client)
    spec = {"selector": {"other": "pods"}, "ports": [{"name": "http", "port": 80}]}
    meta = {"name": client.name, "namespace": space}
    kube.create({"apiVersion": "v1", "kind": "Service", "metadata": meta, "spec": spec}, field_manager="kubectl-create")
    ways = {one.path: one.way for one in fields(kube, space)}
    assert ways["spec.selector.other"] is Way.FORCE
    assert ways["metadata.labels"] is Way.UP
    taken_back(kube, wanted)
    assert "other" not in dig(kube.get(client), "spec", "selector")


def test_one_list_of_a_kind_for_all_releases(plane: Path, kube: Kube, space: str) -> None:
    def requests() -> list[str]:
        seen: list[str] = []
        watching = resolve(None, str(plane), {}).connect()

        def note(exchange: Exchange) -> None:
            seen.append(exchange.path.partition("?")[0])

        watching.session.observe = note
        assert not any(one.fields for one in find_drift(watching, Selection(space)).releases)
        watching.close()
        return sorted(seen)

    bring_up(kube, release("nginx", space, "replicas=1"))
    alone = requests()
    for number in range(2):
        bring_up(kube, release("nginx", space, "replicas=1", name=f"web-{number}"))
    assert requests() == alone
    assert len(alone) == len(set(alone)), "no kind twice"


def test_a_release_that_was_taken_down(kube: Kube, space: str) -> None:
    bring_up(kube, release("nginx", space, "replicas=1"))
    take_down(kube, space, "nginx")
    eventually(lambda: kube.get(web(space)) is None or None)
    (one,) = find_drift(kube, Selection(space)).releases
    assert (one.down, one.fields) == (True, ())
