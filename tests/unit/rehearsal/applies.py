"""Sequences of requests to one object each, by several managers.

What a real API server answers to them is in managed_fields.json, which ``tests/checks/rehearsal_managed_fields.py``
writes; the unit tests hold the rehearsal's functions to it.
"""

from __future__ import annotations

import json
from copy import deepcopy
from dataclasses import dataclass, field
from typing import Any

from berth.core.objects import Json
from berth.rehearsal import kinds
from berth.rehearsal.kinds import Kind

NAMESPACE = "managed-fields"
LAST_APPLIED = "kubectl.kubernetes.io/last-applied-configuration"


@dataclass(frozen=True)
class Step:
    """One request. ``body`` is sent as it is; ``brings`` is what it says of managedFields, where it says anything."""

    verb: str
    manager: str
    body: Any
    force: bool = False
    subresource: str = ""

    @property
    def brings(self) -> list[Json] | None:
        if self.verb == "json":
            for one in self.body:
                if one["path"] == "/metadata/managedFields":
                    found: list[Json] = one["value"]
                    return found
        return None


@dataclass(frozen=True)
class Sequence:
    """Requests to the object of this name, in their order."""

    kind: Kind
    name: str
    steps: list[Step] = field(default_factory=list)


def _object(kind: Kind, name: str, meta: Json, **parts: Any) -> Json:
    place = {"namespace": NAMESPACE} if kind.namespaced else {}
    body = {"apiVersion": kind.api_version, "kind": kind.kind, "metadata": {"name": name, **place, **meta}}
    return deepcopy({**body, **parts})


class _Maker:
    """Builds the sequence of one object."""

    def __init__(self, kind: Kind, name: str) -> None:
        self.made = Sequence(kind, name)

    def _add(self, verb: str, manager: str, body: Any, force: bool = False, subresource: str = "") -> None:
        self.made.steps.append(Step(verb, manager, body, force, subresource))

    def create(self, manager: str, meta: Json | None = None, **parts: Any) -> None:
        self._add("create", manager, _object(self.made.kind, self.made.name, meta or {}, **parts))

    def put(self, manager: str, meta: Json | None = None, **parts: Any) -> None:
        self._add("put", manager, _object(self.made.kind, self.made.name, meta or {}, **parts))

    def apply(self, manager: str, meta: Json | None = None, force: bool = False, **parts: Any) -> None:
        self._add("apply", manager, _object(self.made.kind, self.made.name, meta or {}, **parts), force)

    def merge(self, manager: str, body: Json, subresource: str = "") -> None:
        self._add("merge", manager, body, subresource=subresource)

    def strategic(self, manager: str, body: Json, subresource: str = "") -> None:
        self._add("strategic", manager, body, subresource=subresource)

    def json(self, manager: str, *body: Json) -> None:
        self._add("json", manager, list(body))


def _two_appliers() -> Sequence:
    it = _Maker(kinds.CONFIG_MAPS, "two-appliers")
    it.apply("one", {"labels": {"l": "1"}}, data={"x": "1", "y": "1"})
    it.apply("two", data={"x": "1"})
    it.apply("two", data={"x": "2"})
    it.apply("two", data={"x": "2"}, force=True)
    it.apply("one", data={"y": "1"})
    it.apply("one", data={"y": None})
    it.apply("one")
    it.apply("two", {"managedFields": []}, data={"x": "2"})
    it.apply("two", {"managedFields": None, "creationTimestamp": None}, data={"x": "2"})
    it.apply("", data={"x": "2", "z": "1"}, force=True)
    return it.made


def _updates() -> Sequence:
    it = _Maker(kinds.CONFIG_MAPS, "updates")
    it.create("one", {"labels": {"l": "1"}, "annotations": {"a": "1"}}, data={"x": "1", "y": "1"})
    it.merge("two", {"metadata": {"labels": {"l": "2"}}, "data": {"z": "1"}})
    it.put("three", {"labels": {"l": "2"}}, data={"x": "1", "y": "2"})
    it.merge("two", {"data": None})
    it.merge("two", {"data": {"x": "5"}})
    it.merge("two", {"data": {"x": "5"}})
    it.json("four", {"op": "add", "path": "/metadata/labels", "value": {}})
    it.json("five", {"op": "replace", "path": "/metadata/managedFields", "value": [{}]})
    it.merge("six", {"data": {"untracked": "1"}})
    it.apply("seven", data={"untracked": "1", "w": "1"})
    it.apply("seven", data={"untracked": "2", "w": "1"})
    return it.made


def _handed_over() -> Sequence:
    entry: Json = {"manager": "hand", "operation": "Apply", "apiVersion": "v1", "time": "2026-01-01T00:00:00Z"}
    entry |= {"fieldsType": "FieldsV1", "fieldsV1": {"f:data": {"f:x": {}}}}
    it = _Maker(kinds.CONFIG_MAPS, "handed-over")
    it.create("one", data={"x": "1", "y": "1"})
    it.json("two", {"op": "replace", "path": "/metadata/managedFields", "value": [entry]})
    it.merge("two", {"data": {"y": "2"}})
    it.json("two", {"op": "replace", "path": "/metadata/managedFields", "value": [{**entry, "fieldsType": "V2"}]})
    it.apply("hand", data={"y": "2"})
    return it.made


def _several_conflicts() -> Sequence:
    it = _Maker(kinds.CONFIG_MAPS, "several-conflicts")
    it.apply("b", {"labels": {"l": "1"}, "finalizers": ["t.io/b"]}, data={"x": "1", "y": "1"})
    it.apply("a", {"finalizers": ["t.io/a"]}, data={"z": "1"})
    it.merge("a", {"metadata": {"labels": {"u": "1"}}})
    it.apply("c", {"labels": {"l": "2", "u": "2"}}, data={"x": "2", "y": "2", "z": "2"})
    it.apply("c", {"labels": {"l": "2", "u": "2"}}, data={"x": "2", "y": "1", "z": "2"}, force=True)
    it.apply("b", data={"y": "1"})
    it.apply("a", {"labels": {"u": "3"}})
    return it.made


def _eleven_updaters() -> Sequence:
    it = _Maker(kinds.CONFIG_MAPS, "eleven-updaters")
    it.create("m00", data={"k00": "1"})
    for number in range(1, 13):
        it.merge(f"m{number:02}", {"data": {f"k{number:02}": "1"}})
    return it.made


def _from_kubectl() -> Sequence:
    it = _Maker(kinds.CONFIG_MAPS, "from-kubectl")
    body = _object(kinds.CONFIG_MAPS, "from-kubectl", {"annotations": {"own": "1"}}, data={"x": "1", "y": "1"})
    annotations = {"own": "1", LAST_APPLIED: json.dumps(body, separators=(",", ":"))}
    it.create("kubectl-client-side-apply", {"annotations": annotations}, data={"x": "1", "y": "1"})
    it.apply("other", data={"x": "2"})
    it.apply("kubectl", {"annotations": {"own": "2"}}, data={"x": "2"})
    it.merge("edit", {"data": {"y": "3"}})
    it.apply("kubectl", {"annotations": {"own": "2"}}, data={"x": "2", "y": "4"})
    it.apply("kubectl", {"annotations": {"own": "2"}}, data={"x": "2"})
    return it.made


def _template(*containers: Json, **more: Any) -> Json:
    return {"metadata": {"labels": {"a": "b"}}, "spec": {"containers": list(containers), **more}}


def _container(name: str = "c", image: str = "i", **more: Any) -> Json:
    return {"name": name, "image": image, **more}


def _set_of_pods() -> Sequence:
    it = _Maker(kinds.STATEFUL_SETS, "set")
    fixed: Json = {"selector": {"matchLabels": {"a": "b"}}, "serviceName": "s"}
    ports = [{"containerPort": 80}, {"containerPort": 80, "protocol": "UDP", "name": "u"}]
    limits = {"limits": {"cpu": "1", "memory": "64Mi"}}
    whole: Json = _template(
        _container(ports=ports, env=[{"name": "A", "value": "1"}, {"name": "B"}], resources=limits, args=["x"]),
        volumes=[{"name": "v", "emptyDir": {}}],
        securityContext={"supplementalGroups": [1]},
    )
    it.apply("berth", spec={**fixed, "replicas": 0, "template": whole})
    it.strategic("set", {"spec": {"template": {"spec": {"containers": [{"name": "c", "image": "j"}]}}}})
    it.apply("berth", spec={**fixed, "replicas": 0, "template": whole})
    aside = [_container("aside"), {"name": "c", "ports": [{"containerPort": 80, "name": "p"}]}]
    it.apply("sidecars", spec={"template": {"spec": {"containers": aside}}})
    it.merge("kubectl", {"spec": {"replicas": 1}}, "scale")
    it.apply("berth", spec={**fixed, "replicas": 0, "template": whole})
    it.apply("berth", spec={**fixed, "replicas": 0, "template": whole}, force=True)
    fewer = _template(_container(env=[{"name": "B"}, {"name": "C", "value": "2"}]))
    it.apply("berth", spec={**fixed, "template": fewer})
    it.apply("sidecars")
    status = {"conditions": [{"type": "T", "status": "True"}]}
    it.merge("someone", {"metadata": {"labels": {"s": "1"}}, "status": status}, "status")
    strategy = {"type": "OnDelete", "rollingUpdate": None}
    it.apply("berth", spec={**fixed, "template": _template(_container()), "updateStrategy": strategy})
    it.merge("kubectl", {"spec": {"replicas": 2}}, "scale")
    it.merge("kubectl", {"spec": {"replicas": 0}}, "scale")
    return it.made


def _created_set() -> Sequence:
    it = _Maker(kinds.STATEFUL_SETS, "created-set")
    probe = {"httpGet": {"port": "p"}}
    container = _container(ports=[{"containerPort": 80, "name": "p"}], readinessProbe=probe)
    spec = {"selector": {"matchLabels": {"a": "b"}}, "serviceName": "s", "replicas": 0}
    it.create("one", {"labels": {"l": "1"}}, spec={**spec, "template": _template(container)})
    it.merge("two", {"spec": {"replicas": 0}}, "scale")
    it.merge("two", {"spec": {"template": {"spec": {"nodeSelector": {"n": "1"}}}}})
    it.merge("three", {"spec": {"template": {"spec": {"nodeSelector": None}}}})
    it.merge("three", {"spec": {"replicas": 1}}, "scale")
    it.merge("four", {"spec": {"replicas": 0}})
    return it.made


def _service() -> Sequence:
    it = _Maker(kinds.SERVICES, "service")
    web = {"name": "web", "port": 80, "targetPort": 8080}
    it.apply("one", spec={"selector": {"a": "1"}, "ports": [web]})
    it.apply("two", spec={"ports": [{"name": "web", "port": 80, "targetPort": "http"}]})
    it.apply("two", spec={"selector": {"a": "2"}, "ports": [{"name": "dns", "port": 80, "protocol": "UDP"}]})
    it.apply("two", spec={"ports": [{"name": "dns", "port": 80, "protocol": "UDP"}, web]})
    it.apply("one", spec={"selector": {"a": "1"}, "ports": []})
    it.apply("one", status={"loadBalancer": {}}, spec={"selector": {"a": "1"}, "publishNotReadyAddresses": True})
    it.merge("three", {"spec": {"publishNotReadyAddresses": False}})
    condition = {
        "type": "T",
        "status": "True",
        "reason": "R",
        "message": "",
        "lastTransitionTime": "2026-01-01T00:00:00Z",
    }
    it.merge("lb", {"status": {"conditions": [condition]}}, "status")
    return it.made


def _claim() -> Sequence:
    it = _Maker(kinds.CLAIMS, "claim")
    spec = {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1024Mi"}}}
    it.apply("one", spec={**spec, "storageClassName": "none"})
    it.apply("one", spec={**spec, "storageClassName": "none"})
    it.apply("two", spec={"resources": {"requests": {"storage": "2Gi"}}})
    it.apply("two", spec={"resources": {"requests": {"storage": "1Gi"}}})
    it.merge("three", {"status": {"conditions": [{"type": "Resizing", "status": "True"}]}}, "status")
    return it.made


def _small_ones() -> list[Sequence]:
    budget = _Maker(kinds.BUDGETS, "budget")
    budget.create("one", spec={"maxUnavailable": 1, "selector": {"matchLabels": {"a": "b"}}})
    budget.apply("two", spec={"maxUnavailable": "50%"})
    budget.apply("two", spec={"selector": {"matchLabels": {"a": "c"}}}, force=True)
    budget.merge("one", {"spec": {"maxUnavailable": None, "minAvailable": 1}})

    policy = _Maker(kinds.POLICIES, "policy")
    policy.apply("one", spec={"podSelector": {}, "ingress": [{"ports": [{"port": 80}]}]})
    policy.apply("two", spec={"podSelector": {"matchLabels": {"a": "b"}}, "policyTypes": ["Ingress"]})
    policy.apply("one", spec={"podSelector": {}, "ingress": []})

    storage = _Maker(kinds.CLASSES, "managed-fields-class")
    storage.create("one", provisioner="p.io/x", parameters={"a": "1"})
    storage.apply("two", allowVolumeExpansion=True, mountOptions=["a"])
    storage.apply("two", allowVolumeExpansion=False)

    account = _Maker(kinds.SERVICE_ACCOUNTS, "account")
    account.apply("one", imagePullSecrets=[{"name": "x"}], automountServiceAccountToken=False)
    account.apply("two", imagePullSecrets=[{"name": "y"}], automountServiceAccountToken=True)
    account.apply("one", imagePullSecrets=[{"name": "y"}, {"name": "x"}])
    account.apply("one")

    lease = _Maker(kinds.LEASES, "lease")
    lease.create("one", spec={"holderIdentity": "one", "leaseDurationSeconds": 10})
    lease.merge("two", {"spec": {"holderIdentity": "two", "renewTime": "2026-01-01T00:00:00.000000Z"}})
    lease.apply("three", spec={"holderIdentity": "three", "renewTime": "2026-01-01T00:00:00.000000Z"})

    secret = _Maker(kinds.SECRETS, "secret")
    secret.create("one", data={"p": "YQ=="}, type="Opaque")
    secret.apply("two", data={"p": "Yg=="}, immutable=False)
    secret.apply("two", data={"p": "YQ==", "q": None}, immutable=True, force=True)

    revision = _Maker(kinds.REVISIONS, "revision")
    revision.create("one", {"labels": {"l": "1"}}, revision=1, data={"spec": {"a": [1, 2]}})
    revision.apply("two", revision=2)
    revision.apply("two", revision=2, force=True)
    return [maker.made for maker in (budget, policy, storage, account, lease, secret, revision)]


def _misfits() -> Sequence:
    it = _Maker(kinds.STATEFUL_SETS, "misfits")

    def containers(*given: Any) -> None:
        it.apply("one", spec={"template": {"spec": {"containers": list(given)}}})

    it.apply("one", spec={"foo": 1})
    it.apply("one", spec={"replicas": "two"})
    it.apply("one", spec={"replicas": True})
    it.apply("one", spec={"replicas": 1.5})
    it.apply("one", spec={"serviceName": 1})
    it.apply("one", spec={"serviceName": {"a": [1, None, "x", True, 1.5]}})
    it.apply("one", spec=["x", {"b": 1, "a": None}])
    it.apply("one", {"labels": "x"})
    it.apply("one", {"finalizers": ["a/b", "a/b"]})
    it.apply("one", {"finalizers": [{"a": 1}]})
    it.apply("one", {"finalizers": [None]})
    it.apply("one", {"finalizers": [["a"]]})
    it.apply("one", {"finalizers": "a/b"})
    containers(None)
    containers("x")
    containers(_container(), _container())
    containers(_container(ports=[{"containerPort": 80}, {"containerPort": 80, "protocol": "TCP"}]))
    containers(_container(resources={"limits": {"cpu": [1]}}))
    containers(_container(volumeMounts=[{"name": "v"}, {"name": "v"}]))
    containers(_container(stdin="yes", tty=1), _container("d", imag="x"))
    it.apply("one", spec={"volumeClaimTemplates": [{"spec": {"x": 1}}]})
    it._add("apply", "one", {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "misfits"}})
    it._add("apply", "one", {"apiVersion": "apps/v1", "metadata": {"name": "misfits"}})
    it._add("apply", "one", {"apiVersion": "apps/v1", "kind": "StatefulSet", "spec": {"foo": 1}})
    it.apply("one", {"managedFields": [{}]})
    return it.made


SEQUENCES: dict[str, Sequence] = {
    made.name: made
    for made in (
        *(_two_appliers(), _updates(), _handed_over(), _several_conflicts(), _eleven_updaters(), _from_kubectl()),
        *(_set_of_pods(), _created_set(), _service(), _claim(), *_small_ones(), _misfits()),
    )
}
