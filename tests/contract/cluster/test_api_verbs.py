"""What the cluster room believes of the Kubernetes API, on a real one."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from itertools import count
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from berth.cluster.kube import Kube
from berth.cluster.record import live_digest
from berth.cluster.refusals import ExistsError, InvalidError, MissingError, StaleError
from berth.cluster.session import Exchange
from berth.cluster.target import resolve
from berth.core.errors import ClusterError, ConflictError, DeniedError, ImmutableError
from berth.core.objects import Json, ObjectRef
from tests.contract.support import kubernetes_only
from tests.waiting import eventually


def config(space: str, name: str = "a", **data: str) -> Json:
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name, "namespace": space}, "data": data}


def stateful_set(space: str, **spec: Any) -> Json:
    labels = {"app": "web"}
    security = {
        "allowPrivilegeEscalation": False,
        "capabilities": {"drop": ["ALL"]},
        "runAsNonRoot": True,
        "seccompProfile": {"type": "RuntimeDefault"},
    }
    pod = {"containers": [{"name": "web", "image": "web:1", "securityContext": security}]}
    return {
        "apiVersion": "apps/v1",
        "kind": "StatefulSet",
        "metadata": {"name": "web", "namespace": space},
        "spec": {
            "serviceName": "web",
            "replicas": 0,
            "selector": {"matchLabels": labels},
            "template": {"metadata": {"labels": labels}, "spec": pod},
            **spec,
        },
    }


def version_of(body: Json) -> str:
    return str(body["metadata"]["resourceVersion"])


def test_an_apply_creates_then_changes_then_writes_nothing(kube: Kube, space: str) -> None:
    made = kube.apply(config(space, x="1"))
    assert version_of(kube.apply(config(space, x="1"))) == version_of(made)
    changed = kube.apply(config(space, x="2"))
    assert changed["data"] == {"x": "2"}
    assert version_of(changed) != version_of(made)


def test_a_dry_run_has_no_effect(kube: Kube, space: str) -> None:
    assert kube.apply(config(space, x="1"), dry_run=True)["data"] == {"x": "1"}
    assert kube.create(config(space, x="1"), dry_run=True)["metadata"]["uid"]
    assert kube.get(ObjectRef("", "ConfigMap", space, "a")) is None


def test_fields_of_other_managers_conflict_and_can_be_taken(kube: Kube, space: str) -> None:
    kube.apply(config(space, x="1", y="1"), field_manager="someone")
    with pytest.raises(ConflictError) as caught:
        kube.apply(config(space, x="2", y="2"))
    assert [problem.what for problem in caught.value.problems] == [
        f"ConfigMap/a in {space}: someone owns data.x",
        f"ConfigMap/a in {space}: someone owns data.y",
    ]
    assert kube.apply(config(space, x="2", y="2"), force=True)["data"] == {"x": "2", "y": "2"}


def test_what_we_scaled_or_patched_ourselves_is_no_conflict(kube: Kube, space: str) -> None:
    """A scale by the same manager is an Update of its own, with which an Apply conflicts unless it is forced."""
    kube.apply(stateful_set(space, replicas=1))
    ref = ObjectRef("apps", "StatefulSet", space, "web")
    assert "replicas" not in kube.scale(ref, 0)["spec"]  # A Scale leaves out a zero.
    assert kube.apply(stateful_set(space, replicas=1))["spec"]["replicas"] == 1
    kube.patch(ref, {"spec": {"replicas": 0}}, field_manager="someone")
    with pytest.raises(ConflictError, match=r"someone owns spec\.replicas"):
        kube.apply(stateful_set(space, replicas=1))


def test_unknown_fields_and_wrong_types_are_refused_at_once(kube: Kube, space: str) -> None:
    with pytest.raises(InvalidError, match="bad"):
        kube.apply({**config(space), "bad": 1})
    with pytest.raises(InvalidError, match=r"\.data\.x"):
        kube.apply({**config(space), "data": {"x": 1}})
    with pytest.raises(InvalidError, match="bad"):
        kube.create({**config(space), "bad": 1})


def test_validation_names_each_field(kube: Kube, space: str) -> None:
    with pytest.raises(InvalidError) as caught:
        kube.apply(stateful_set(space, replicas=-1, podManagementPolicy="Odd"))
    fields = " ".join(problem.what for problem in caught.value.problems)
    assert "spec.replicas" in fields and "spec.podManagementPolicy" in fields


def test_an_immutable_field_is_its_own_error(kube: Kube, space: str) -> None:
    kube.apply(stateful_set(space))
    with pytest.raises(ImmutableError):
        kube.apply(stateful_set(space, serviceName="other"))


def test_create_and_replace(kube: Kube, space: str) -> None:
    made = kube.create(config(space, x="1"))
    with pytest.raises(ExistsError):
        kube.create(config(space, x="1"))
    newer = kube.replace({**made, "data": {"x": "2"}})
    assert newer["data"] == {"x": "2"}
    with pytest.raises(StaleError):
        kube.replace({**made, "data": {"x": "3"}})


def test_a_missing_namespace_is_named(kube: Kube) -> None:
    with pytest.raises(MissingError, match="the namespace does not exist"):
        kube.apply(config("no-such-namespace"))
    assert kube.get(ObjectRef("", "ConfigMap", "no-such-namespace", "a")) is None
    assert kube.list("", "ConfigMap", "no-such-namespace").items == []


def test_deletes_are_safe_against_mistaken_identity(kube: Kube, space: str) -> None:
    ref = ObjectRef("", "ConfigMap", space, "a")
    first = kube.create(config(space))
    uid = first["metadata"]["uid"]
    assert kube.delete(ref, uid=uid) is not None
    assert kube.delete(ref, uid=uid) is None
    kube.create(config(space))
    with pytest.raises(StaleError, match="does not match the UID in record"):
        kube.delete(ref, uid=uid)
    second = kube.get(ref)
    assert second is not None
    kube.apply(config(space, x="1"))
    with pytest.raises(StaleError):
        kube.delete(ref, resource_version=version_of(second))


def test_an_orphaning_delete_leaves_what_the_set_made(kube: Kube, space: str) -> None:
    owner = kube.create(stateful_set(space))
    reference = {"apiVersion": "apps/v1", "kind": "StatefulSet", "name": "web", "uid": owner["metadata"]["uid"]}
    child = config(space, "child")
    child["metadata"]["ownerReferences"] = [reference]
    kube.create(child)
    answer = kube.delete(ObjectRef("apps", "StatefulSet", space, "web"), propagation="Orphan")
    assert answer is not None
    left = kube.get(ObjectRef("", "ConfigMap", space, "child"))
    assert left is not None and "deletionTimestamp" not in left["metadata"]


def test_lists_come_in_pages_with_kind_and_version(kube: Kube, space: str) -> None:
    for number in range(7):
        body = config(space, f"c{number}")
        body["metadata"]["labels"] = {"half": str(number % 2)}
        kube.create(body)
    everything = kube.list("", "ConfigMap", space, limit=3)
    names = {item["metadata"]["name"] for item in everything.items}
    assert {f"c{number}" for number in range(7)} <= names
    assert {(item["apiVersion"], item["kind"]) for item in everything.items} == {("v1", "ConfigMap")}
    assert int(everything.resource_version) > 0
    half = kube.list("", "ConfigMap", space, label_selector="half=1").items
    assert {item["metadata"]["name"] for item in half} == {"c1", "c3", "c5"}
    one = kube.list("", "ConfigMap", space, field_selector="metadata.name=c4").items
    assert [item["metadata"]["name"] for item in one] == ["c4"]


def test_a_listed_object_equals_the_one_that_is_read(kube: Kube, space: str) -> None:
    kube.apply(stateful_set(space))
    [listed] = kube.list("apps", "StatefulSet", space).items
    read = kube.get(ObjectRef("apps", "StatefulSet", space, "web"))
    assert read is not None
    # Its controller may have written between the two.
    assert live_digest(listed) == live_digest(read)
    assert listed.keys() == read.keys()


@kubernetes_only
def test_kinds_outside_the_table_are_discovered(kube: Kube, space: str) -> None:
    ref = ObjectRef("admissionregistration.k8s.io", "ValidatingWebhookConfiguration", "", f"berth-{space}")
    body = {"apiVersion": "admissionregistration.k8s.io/v1", "kind": ref.kind, "metadata": {"name": ref.name}}
    kube.apply(body)
    found = kube.get(ref)
    kube.delete(ref)
    assert found is not None
    with pytest.raises(ClusterError, match="did you mean 'ValidatingWebhookConfiguration'"):
        kube.apply({**body, "kind": "ValidatingWebhookConfig"})
    with pytest.raises(ClusterError, match=r"does not serve acme\.example/v1"):
        kube.apply({**body, "apiVersion": "acme.example/v1"})


@kubernetes_only
def test_the_table_says_what_the_server_says(kube: Kube) -> None:
    """Every kind of the static table, against discovery."""
    from berth.cluster.resources import _KNOWN

    by_version: dict[str, dict[str, Json]] = {}
    for resource in _KNOWN.values():
        path = "/apis/" + resource.api_version if resource.group else "/api/" + resource.version
        if path not in by_version:
            served = kube.session.ask("GET", path, "discover", path).answer.body["resources"]
            by_version[path] = {item["kind"]: item for item in served if "/" not in item["name"]}
        item = by_version[path][resource.kind]
        assert (resource.plural, resource.namespaced) == (item["name"], item["namespaced"])


def test_access_reviews(kube: Kube, space: str) -> None:
    assert kube.can("delete", "", "pods", space)
    assert kube.can("patch", "storage.k8s.io", "storageclasses")


@kubernetes_only  # The simulated cluster's time may run ahead.
def test_the_server_and_its_clock(kube: Kube) -> None:
    from datetime import UTC, datetime, timedelta

    assert kube.version()["gitVersion"].startswith("v1.")
    assert abs(kube.server_time() - datetime.now(UTC)) < timedelta(seconds=3)


def test_deprecated_apis_warn(kube: Kube, space: str) -> None:
    kube.list("", "Endpoints", space)
    assert any("Endpoints is deprecated" in warning for warning in kube.warnings)


def test_a_full_quota_is_said(kube: Kube, space: str) -> None:
    quota = {"apiVersion": "v1", "kind": "ResourceQuota", "metadata": {"name": "q", "namespace": space}}
    kube.create({**quota, "spec": {"hard": {"count/secrets": "0"}}})
    numbers = count()

    def refused() -> ClusterError | None:
        meta = {"name": f"s{next(numbers)}", "namespace": space}
        try:
            kube.apply({"apiVersion": "v1", "kind": "Secret", "metadata": meta})
        except ClusterError as error:
            return error if "exceeded quota" in str(error) else None
        return None

    # Admission learns of a new quota a moment later, and its controller counts a moment after that.
    error = eventually(refused)
    assert "exceeded quota: q" in str(error)
    assert "ResourceQuota" in error.problems[0].hint


def test_a_namespace_that_is_going_away_is_said(kube: Kube) -> None:
    name = f"t-{uuid4().hex[:8]}"
    kube.create({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}})
    held = config(name, "held")
    held["metadata"]["finalizers"] = ["berth.dev/test"]
    kube.create(held)
    ref = ObjectRef("", "Namespace", "", name)
    kube.delete(ref)
    try:
        with pytest.raises(ClusterError, match="being terminated"):
            kube.apply(config(name, "new"))
        again = kube.delete(ref)
        assert again is None or again["metadata"]["deletionTimestamp"]
    finally:
        kube.patch(ObjectRef("", "ConfigMap", name, "held"), {"metadata": {"finalizers": None}})


@pytest.fixture
def limited(kube: Kube, plane: Path, space: str, tmp_path: Path) -> Callable[[list[Json]], Kube]:
    """Make a client that has only the given rules in the namespace."""

    def make(rules: list[Json]) -> Kube:
        meta = {"name": "limited", "namespace": space}
        rbac = "rbac.authorization.k8s.io"
        kube.create({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": meta})
        kube.create({"apiVersion": f"{rbac}/v1", "kind": "Role", "metadata": meta, "rules": rules})
        subject = {"kind": "ServiceAccount", "name": "limited", "namespace": space}
        role = {"apiGroup": rbac, "kind": "Role", "name": "limited"}
        binding = {"apiVersion": f"{rbac}/v1", "kind": "RoleBinding", "metadata": meta}
        kube.create({**binding, "subjects": [subject], "roleRef": role})
        path = f"/api/v1/namespaces/{space}/serviceaccounts/limited/token"
        request = {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": {}}
        token = kube.session.ask("POST", path, "create", "a token", request).answer.body["status"]["token"]
        return with_token(plane, tmp_path, token)

    return make


def with_token(plane: Path, tmp_path: Path, token: str) -> Kube:
    """A client of the same cluster under another identity."""
    import yaml

    body = yaml.safe_load(plane.read_text())
    for user in body["users"]:
        user["user"] = {"token": token}
    path = tmp_path / "kubeconfig"
    path.write_text(json.dumps(body))
    return resolve(None, str(path), {}).connect()


@kubernetes_only
def test_denials_name_verb_resource_and_namespace(limited: Callable[[list[Json]], Kube], space: str) -> None:
    client = limited([{"apiGroups": [""], "resources": ["configmaps"], "verbs": ["get", "list"]}])
    assert client.can("get", "", "configmaps", space)
    assert not client.can("watch", "", "configmaps", space)
    attempts: list[tuple[str, Callable[[], object]]] = [
        (f"patch configmaps in namespace {space}", lambda: client.apply(config(space))),
        (f"delete configmaps in namespace {space}", lambda: client.delete(ObjectRef("", "ConfigMap", space, "a"))),
        (f"list statefulsets.apps in namespace {space}", lambda: client.list("apps", "StatefulSet", space)),
        ("list nodes cluster-wide", lambda: client.list("", "Node")),
        ("list configmaps cluster-wide", lambda: client.list("", "ConfigMap")),
        (f"watch configmaps in namespace {space}", lambda: client.watch("", "ConfigMap", space, resource_version="0")),
    ]
    for words, attempt in attempts:
        with pytest.raises(DeniedError, match=f"not allowed to {words}"):
            attempt()
    client.close()


def test_a_token_that_means_nothing(plane: Path, tmp_path: Path) -> None:
    client = with_token(plane, tmp_path, "expired")
    with pytest.raises(DeniedError, match="does not accept our credentials"):
        client.version()
    client.close()


def test_many_threads_write_at_the_same_time(kube: Kube, space: str) -> None:
    errors: list[BaseException] = []

    def write(number: int) -> None:
        try:
            kube.apply(config(space, f"c{number}", x=str(number)))
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=write, args=(number,)) for number in range(40)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == []
    assert len(kube.list("", "ConfigMap", space).items) >= 40


def test_exchanges_are_observed_without_bodies(plane: Path, space: str) -> None:
    seen: list[Exchange] = []
    client = resolve(None, str(plane), {}).connect()
    client.session.observe = seen.append
    secret = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "s", "namespace": space}}
    client.apply({**secret, "stringData": {"k": "hunter2"}})
    assert [(exchange.method, exchange.status) for exchange in seen] == [("PATCH", 201)]
    assert "hunter2" not in repr(seen)
    client.close()
