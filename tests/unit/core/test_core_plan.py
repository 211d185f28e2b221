"""What `up` would do with each object, and how it refuses what cannot be changed."""

from __future__ import annotations

from typing import Any

import pytest

from berth.core.diff import Change
from berth.core.errors import ImmutableError, Position
from berth.core.objects import KEEP_ANNOTATION, Json, ObjectRef, Origin
from berth.core.plan import Action, Known, check_immutable, leave_replicas, make_plan, scaled_by_controller
from tests.unit.core.samples import manifest, over, simple, statefulset, storage_class

pytestmark = pytest.mark.unit

COMMAND = "invoke teardown --name nginx --namespace shop"


def known(*bodies: Json, **fields: Any) -> Known:
    """What the cluster holds."""
    return Known(live={ObjectRef.of(body): body for body in bodies}, **fields)


def removals(*bodies: Json, **fields: Any) -> dict[str, tuple[Action, str]]:
    """What a plan that renders nothing does with what there is."""
    inventory = tuple(ObjectRef.of(body) for body in bodies)
    plan = make_plan("web", "shop", [], known(*bodies, inventory=inventory, **fields))
    return {f"{step.ref.kind}/{step.ref.name}": (step.action, step.why) for step in plan.removals}


def test_steps_are_in_phases_and_say_what_changes() -> None:
    service, config = simple("Service", "web"), simple("ConfigMap", "web", {"data": {"a": "1"}})
    changed, body = over(config, {"data": {"a": "2"}}), statefulset()
    plan = make_plan(
        "web",
        "shop",
        [[manifest(service), manifest(config)], [manifest(body)]],
        known(config, body, dry_run={ObjectRef.of(config): changed}, unchanged=frozenset({ObjectRef.of(body)})),
    )
    assert [[(step.ref.kind, step.action) for step in phase] for phase in plan.phases] == [
        [("Service", Action.CREATE), ("ConfigMap", Action.UPDATE)],
        [("StatefulSet", Action.UNCHANGED)],
    ]
    assert plan.phases[0][1].changes == (Change("data.a", "1", "2"),)
    assert (plan.empty, plan.count(Action.CREATE, Action.UPDATE)) == (False, 2)


def test_a_dry_run_that_changes_nothing_is_no_update() -> None:
    config = simple("ConfigMap", "web", {"metadata": {"resourceVersion": "1"}})
    after = over(config, {"metadata": {"resourceVersion": "2"}})
    plan = make_plan("web", "shop", [[manifest(config)]], known(config, dry_run={ObjectRef.of(config): after}))
    assert plan.empty


def test_a_generated_key_that_is_missing_is_a_change_and_its_value_is_not_shown() -> None:
    secret = simple("Secret", "web", {"data": {"user": "YQ=="}})
    made = manifest(simple("Secret", "web"), generated={"user": 8, "password": 32})
    plan = make_plan("web", "shop", [[made]], known(secret, dry_run={ObjectRef.of(secret): secret}))
    assert [step.changes for step in plan.steps] == [(Change("data.password", "(absent)", "(generated)"),)]


def test_a_missing_namespace_alone_is_something_to_write() -> None:
    assert make_plan("web", "shop", [], Known()).empty
    assert not make_plan("web", "shop", [], Known(namespace_missing=True)).empty


def test_what_is_no_longer_rendered_is_deleted_but_for_what_holds_data() -> None:
    secret = simple("Secret", "password", {"metadata": {"annotations": {KEEP_ANNOTATION: "data"}}})
    done = removals(simple("ConfigMap", "old"), secret, storage_class("fast"), simple("PersistentVolumeClaim", "x"))
    assert {name: action for name, (action, _) in done.items()} == {
        "ConfigMap/old": Action.DELETE,
        "Secret/password": Action.KEEP,
        "StorageClass/fast": Action.KEEP,
        "PersistentVolumeClaim/x": Action.KEEP,
    }
    assert done["Secret/password"][1] == "no longer rendered, but it opens what the claims hold"


def test_what_is_gone_already_is_not_removed() -> None:
    gone = ObjectRef("", "ConfigMap", "shop", "gone")
    assert make_plan("web", "shop", [], known(inventory=(gone,))).removals == ()


def test_what_existed_before_berth_is_never_deleted() -> None:
    config = simple("ConfigMap", "theirs")
    assert removals(config, adopted=frozenset({ObjectRef.of(config)})) == {
        "ConfigMap/theirs": (Action.KEEP, "no longer rendered, and it existed before berth")
    }


def test_a_set_that_is_kept_keeps_what_its_pods_need() -> None:
    config = {"volumes": [{"name": "c", "configMap": {"name": "web"}}]}
    body = statefulset({"spec": {"template": {"spec": config}}})
    done = removals(body, simple("ConfigMap", "web"), simple("ConfigMap", "other"), simple("Service", "web"))
    assert {name: action for name, (action, _) in done.items()} == {
        "StatefulSet/web": Action.KEEP,
        "ConfigMap/web": Action.KEEP,
        "ConfigMap/other": Action.DELETE,
        "Service/web": Action.KEEP,
    }
    assert done["ConfigMap/web"][1] == "no longer rendered, but StatefulSet/web needs it"


def test_a_set_that_depends_on_what_is_gone_keeps_everything() -> None:
    body = statefulset({"metadata": {"annotations": {"berth.dev/depends-on": "ConfigMap/gone"}}})
    assert removals(body, simple("ConfigMap", "web"))["ConfigMap/web"][0] is Action.KEEP


def refused(spec: dict[str, Any], live: dict[str, Any] | None = None) -> str:
    """What is said of a change of a set, its hint last."""
    made = manifest(statefulset({"spec": spec}))
    with pytest.raises(ImmutableError) as caught:
        check_immutable([made], {made.ref: statefulset(live)}, COMMAND)
    return str(caught.value)


def resized(size: str) -> dict[str, Any]:
    template = {"metadata": {"name": "www"}, "spec": {"resources": {"requests": {"storage": size}}}}
    return {"volumeClaimTemplates": [template]}


@pytest.mark.parametrize(
    ("spec", "what", "way"),
    [
        (
            {"serviceName": "x"},
            "spec.serviceName cannot be changed in place: it is 'web', and would become 'x'",
            "`invoke teardown --name nginx --namespace shop --orphan` deletes the set and leaves its pods running",
        ),
        (resized("2Gi"), "it is '1Gi', and would become '2Gi'", "grows each claim"),
        (resized("512Mi"), "it is '1Gi', and would become '512Mi'", "a volume can only grow"),
        ({"selector": {"matchLabels": {"app": "x"}}}, "spec.selector.matchLabels.app", "under another --name"),
        (
            {"volumeClaimTemplates": [{"metadata": {"name": "www"}, "spec": {"storageClassName": "x"}}]},
            "it is (absent), and would become 'x'",
            "claims that exist keep their class",
        ),
        (
            {"volumeClaimTemplates": [{"metadata": {"name": "data"}}]},
            "spec.volumeClaimTemplates[0].metadata.name",
            "`invoke teardown --name nginx --namespace shop --data keep`, then this command again",
        ),
        ({"volumeClaimTemplates": None}, "spec.volumeClaimTemplates cannot", "running pods cannot get other claims"),
    ],
    ids=["service", "larger", "smaller", "selector", "class", "another claim", "no claim"],
)
def test_the_least_disruptive_way_is_named(spec: dict[str, Any], what: str, way: str) -> None:
    said = refused(spec)
    assert what in said
    assert way in said.partition("try: ")[2]


def test_every_field_is_named_with_its_template_line_and_its_values() -> None:
    origins = {"spec.serviceName": Origin(Position("templates/web.yaml", 9), ("service.name",))}
    made = manifest(statefulset({"spec": {"serviceName": "x", "podManagementPolicy": "Parallel"}}), origins=origins)
    with pytest.raises(ImmutableError) as caught:
        check_immutable([made], {made.ref: statefulset()}, COMMAND)
    assert [problem.where for problem in caught.value.problems] == [
        "templates/web.yaml:3",
        "templates/web.yaml:9 (from service.name)",
    ]


@pytest.mark.parametrize(
    ("live", "desired", "way"),
    [
        (storage_class("fast"), storage_class("fast", {"provisioner": "x"}), "a class is never recreated for you"),
        (
            simple("Service", "web", {"spec": {"clusterIP": "10.0.0.1"}}),
            simple("Service", "web", {"spec": {"clusterIP": "None"}}),
            "`kubectl delete service web -n shop`",
        ),
        (simple("Secret", "s", {"type": "Opaque"}), simple("Secret", "s", {"type": "x"}), "use another name"),
    ],
    ids=["class", "service", "other"],
)
def test_the_way_for_other_kinds(live: Json, desired: Json, way: str) -> None:
    with pytest.raises(ImmutableError) as caught:
        check_immutable([manifest(desired)], {ObjectRef.of(live): live}, COMMAND)
    assert way in str(caught.value)


def test_what_is_new_or_the_same_is_not_refused() -> None:
    made = manifest(statefulset({"spec": {"serviceName": "x"}}))
    check_immutable([made], {}, COMMAND)
    check_immutable([manifest(statefulset())], {made.ref: statefulset()}, COMMAND)


def test_a_number_that_an_autoscaler_set_is_left_alone() -> None:
    owner = {
        "manager": "kube-controller-manager",
        "operation": "Update",
        "subresource": "scale",
        "fieldsV1": {"f:spec": {"f:replicas": {}}},
    }
    made = manifest(statefulset())
    for fields, stated in (([owner], False), ([{**owner, "manager": "kubectl"}], True), ([], True)):
        assert scaled_by_controller(statefulset({"metadata": {"managedFields": fields}})) != stated
    (left,) = leave_replicas([made], frozenset({made.ref}))
    assert "replicas" not in left.body["spec"]
    assert leave_replicas([made], frozenset()) == (made,)
    assert "replicas" in made.body["spec"]
