"""Discovery, OpenAPI, health and reviews."""

from __future__ import annotations

import json

import pytest

from berth.rehearsal.kinds import KINDS
from tests.rehearsal.server.calls import Caller

pytestmark = pytest.mark.rehearsal

AGGREGATED = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList"


def test_every_kind_is_found_in_both_forms_of_discovery(call: Caller) -> None:
    every = {"create", "delete", "deletecollection", "get", "list", "patch", "update", "watch"}
    aggregated = {}
    for path in ("/api", "/apis"):
        reply = call("GET", path, Accept=f"{AGGREGATED},application/json")
        assert reply.headers["content-type"] == AGGREGATED
        for group in reply.json["items"]:
            for one in group["versions"]:
                for resource in one["resources"]:
                    aggregated[group["metadata"].get("name", ""), resource["resource"]] = resource
    for kind in KINDS:
        root = f"/apis/{kind.api_version}" if kind.group else f"/api/{kind.version}"
        found = {one["name"]: one for one in call("GET", root).json["resources"]}
        one, other = found[kind.plural], aggregated[kind.group, kind.plural]
        assert one["kind"] == other["responseKind"]["kind"] == kind.kind
        assert one["namespaced"] == (other["scope"] == "Namespaced") == kind.namespaced
        assert set(one["verbs"]) == set(other["verbs"])
        assert every - set(one["verbs"]) <= {"deletecollection"}
        assert tuple(one.get("shortNames", ())) == tuple(other.get("shortNames", ())) == kind.short
        below = {entry["subresource"]: entry for entry in other.get("subresources", ())}
        assert set(below) == kind.subresources
        assert {name for name in found if name.startswith(f"{kind.plural}/")} == {
            f"{kind.plural}/{name}" for name in kind.subresources
        }


def test_scale_and_eviction_are_kinds_of_other_groups(call: Caller) -> None:
    found = {one["name"]: one for one in call("GET", "/apis/apps/v1").json["resources"]}
    scale = found["statefulsets/scale"]
    assert (scale["group"], scale["version"], scale["kind"]) == ("autoscaling", "v1", "Scale")
    found = {one["name"]: one for one in call("GET", "/api/v1").json["resources"]}
    assert (found["pods/eviction"]["group"], found["pods/eviction"]["kind"]) == ("policy", "Eviction")


def test_groups(call: Caller) -> None:
    names = [group["name"] for group in call("GET", "/apis").json["groups"]]
    assert names[0] == "apps"
    assert {"policy", "storage.k8s.io", "authorization.k8s.io"} <= set(names)
    assert call("GET", "/apis/policy").json["preferredVersion"] == {"groupVersion": "policy/v1", "version": "v1"}
    assert call("GET", "/api").json["versions"] == ["v1"]
    assert "/apis/apps/v1" in call("GET", "/").json["paths"]


def test_openapi_has_what_kubectl_looks_for(call: Caller) -> None:
    index = call("GET", "/openapi/v3").json["paths"]
    assert {"api/v1", "apis/apps/v1"} <= set(index)
    for path, where in index.items():
        reply = call("GET", where["serverRelativeURL"])
        assert reply.code == 200, path
        document = reply.json
        text = json.dumps(document["paths"])
        for reference in set(text.split("#/components/schemas/")[1:]):
            assert reference.partition('"')[0] in document["components"]["schemas"]
    document = call("GET", index["apis/apps/v1"]["serverRelativeURL"]).json
    patch = document["paths"]["/apis/apps/v1/namespaces/{namespace}/statefulsets/{name}"]["patch"]
    assert patch["x-kubernetes-group-version-kind"] == {"group": "apps", "version": "v1", "kind": "StatefulSet"}
    assert {"dryRun", "fieldValidation", "force"} <= {one["name"] for one in patch["parameters"]}
    containers = document["components"]["schemas"]["io.k8s.api.core.v1.PodSpec"]["properties"]["containers"]
    assert containers["x-kubernetes-patch-merge-key"] == "name"


def test_openapi_v2_is_there_and_empty(call: Caller) -> None:
    assert call("GET", "/openapi/v2").json["definitions"] == {}
    reply = call("GET", "/openapi/v2", Accept="application/com.github.proto-openapi.spec.v2@v1.0+protobuf")
    assert reply.headers["content-type"].endswith("+protobuf")
    assert reply.body.startswith(b"\x0a\x032.0")


def test_version_and_health(call: Caller) -> None:
    version = call("GET", "/version").json
    assert (version["major"], version["gitVersion"].endswith("+rehearsal")) == ("1", True)
    for path in ("/healthz", "/livez", "/readyz"):
        assert call("GET", path).body == b"ok"
        assert b"[+]store ok" in call("GET", f"{path}?verbose").body
        assert call("GET", f"{path}/store").body == b"ok"
        assert call("GET", f"{path}/nonesuch").code == 404


def test_reviews(call: Caller) -> None:
    access = "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews"
    reply = call("POST", access, {"spec": {"resourceAttributes": {"verb": "get", "resource": "pods"}}})
    assert (reply.code, reply.json["kind"], reply.json["status"]) == (
        201,
        "SelfSubjectAccessReview",
        {"allowed": True},
    )
    reply = call("POST", access, {"spec": {}})
    assert reply.message == (
        '.authorization.k8s.io "" is invalid: spec.resourceAttributes: Invalid value: null: exactly one of '
        "nonResourceAttributes or resourceAttributes must be specified"
    )
    assert call("GET", access).code == 405
    assert call("POST", access, {"spec": 5}).code == 400
    rules = "/apis/authorization.k8s.io/v1/selfsubjectrulesreviews"
    reply = call("POST", rules, {"spec": {"namespace": "default"}})
    assert reply.json["status"]["resourceRules"][0] == {"verbs": ["*"], "apiGroups": ["*"], "resources": ["*"]}
    assert call("POST", rules, {"spec": {}}).message == "no namespace on request"
    who = call("POST", "/apis/authentication.k8s.io/v1/selfsubjectreviews", {}).json
    assert who["status"]["userInfo"] == {
        "username": "berth-admin",
        "groups": ["system:masters", "system:authenticated"],
    }
