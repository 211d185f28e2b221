"""The schemas that everything else asks: what they say of well-known fields, and what they cost."""

from __future__ import annotations

import time
from importlib import resources

import pytest

from berth.rehearsal import kinds, schema

pytestmark = pytest.mark.unit


def test_every_kind_has_a_schema() -> None:
    for kind in kinds.KINDS:
        root = schema.of(kind)
        assert (root.api_version, root.kind) == (kind.api_version, kind.kind)
        assert root.name == f"{kind.version}.{kind.kind}"
        assert "metadata" in root.fields


def test_other_objects_of_requests_have_one_too() -> None:
    for api_version, kind in (
        ("autoscaling/v1", "Scale"),
        ("policy/v1", "Eviction"),
        ("v1", "DeleteOptions"),
        ("v1", "Binding"),
        ("authorization.k8s.io/v1", "SelfSubjectAccessReview"),
    ):
        assert schema.named(api_version, kind).kind == kind
    with pytest.raises(KeyError):
        schema.named("v1", "Nothing")


def test_lists_say_how_they_are_merged() -> None:
    ports = schema.field(kinds.PODS, "spec.containers[0].ports")
    assert ports is not None and ports.items is not None
    assert (ports.type, ports.list_type, ports.list_keys) == ("array", "map", ("containerPort", "protocol"))
    assert (ports.patch_strategy, ports.patch_merge_key) == ("merge", "containerPort")
    assert ports.items.fields["protocol"].default == "TCP"
    assert ports.items.required == {"containerPort"}
    volumes = schema.field(kinds.PODS, "spec.volumes")
    assert volumes is not None and volumes.patch_strategy == "merge,retainKeys"
    finalizers = schema.field(kinds.PODS, "metadata.finalizers")
    assert finalizers is not None and (finalizers.list_type, finalizers.patch_strategy) == ("set", "merge")
    arguments = schema.field(kinds.PODS, "spec.containers[].args")
    assert arguments is not None and arguments.list_type == "atomic"


def test_mappings_say_what_they_hold() -> None:
    selector = schema.field(kinds.STATEFUL_SETS, "spec.selector")
    assert selector is not None and selector.map_type == "atomic"
    label = schema.field(kinds.STATEFUL_SETS, "metadata.labels[app.kubernetes.io/name]")
    assert label is not None and label.type == "string"
    data = schema.field(kinds.REVISIONS, "data")
    assert data is not None and data.free and data.child("anything") is None


def test_scalars_say_their_formats() -> None:
    for path, type_, format_ in (
        ("spec.replicas", "integer", "int32"),
        ("spec.template.spec.containers[].resources.limits[cpu]", "", schema.QUANTITY),
        ("spec.template.spec.containers[].livenessProbe.httpGet.port", "", schema.INT_OR_STRING),
        ("metadata.creationTimestamp", "string", "date-time"),
    ):
        node = schema.field(kinds.STATEFUL_SETS, path)
        assert node is not None and (node.type, node.format) == (type_, format_), path
    policy = schema.field(kinds.STATEFUL_SETS, "spec.podManagementPolicy")
    assert policy is not None and policy.enum == ("OrderedReady", "Parallel")


def test_a_field_says_its_own_default_and_its_types_name() -> None:
    spec = schema.field(kinds.STATEFUL_SETS, "spec.template.spec")
    assert spec is not None and (spec.name, spec.default) == ("v1.PodSpec", {})
    context = schema.field(kinds.PODS, "spec.securityContext")
    assert context is not None and (context.name, context.default) == ("v1.PodSecurityContext", None)


def test_a_path_that_leads_nowhere_is_none() -> None:
    for path in ("spec.nothing", "spec.replicas.more", "spec.replicas[0]", "spec.selector[a].b"):
        assert schema.field(kinds.STATEFUL_SETS, path) is None


def test_nodes_are_the_same_whenever_they_are_asked_for() -> None:
    assert schema.of(kinds.PODS) is schema.of(kinds.PODS)
    one = schema.field(kinds.PODS, "spec.containers[].image")
    assert one is schema.field(kinds.PODS, "spec.containers[x].image")


def test_schemas_are_small_and_say_no_more_than_they_must() -> None:
    text = resources.files("berth.rehearsal").joinpath("data/kubernetes.json").read_text(encoding="utf-8")
    assert len(text) < 250_000
    assert schema.release().startswith("v1.")
    assert all("description" not in raw for raw in schema.definitions().values())


def test_reading_the_schemas_takes_no_time_to_speak_of() -> None:
    schema.load.cache_clear()
    start = time.perf_counter()
    schema.load()
    assert time.perf_counter() - start < 0.5
