"""What the client does when an answer is lost, late or broken. What the API means is tested against a real one."""

from __future__ import annotations

import json
import threading
from urllib.parse import parse_qs, urlsplit

import pytest

from berth.cluster.endpoint import Endpoint
from berth.cluster.kube import Kube
from berth.cluster.refusals import ExistsError, InvalidError, StaleError
from berth.cluster.retry import Retry
from berth.cluster.session import Exchange
from berth.cluster.transport import Transport
from berth.core.errors import ClusterError, DeniedError, TargetError
from berth.core.objects import ObjectRef
from tests.unit.cluster.conftest import Time
from tests.unit.cluster.fakeserver import Act, FakeServer, answer, cut, hang, reset, status

pytestmark = pytest.mark.unit

REF = ObjectRef("", "ConfigMap", "shop", "a")
LIVE = {
    "apiVersion": "v1",
    "kind": "ConfigMap",
    "metadata": {"name": "a", "namespace": "shop", "uid": "1", "resourceVersion": "7"},
    "data": {"x": "1"},
}
BODY = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "a", "namespace": "shop"}, "data": {"x": "1"}}
CHANGED = status(409, "Conflict", "the object has been modified")
EXISTS = status(409, "AlreadyExists", 'configmaps "a" already exists')
MISSING = status(404, "NotFound", 'configmaps "a" not found')


@pytest.mark.parametrize(
    "fault",
    [
        status(429, headers={"Retry-After": "1"}),
        status(429),
        status(500, message="etcdserver: leader changed"),
        status(503),
        answer(b"<html><title>502 Bad Gateway</title></html>", 502),
        reset,
        hang,
        cut(LIVE, 20),
        answer(b'{"kind": "Config'),
    ],
)
def test_every_idempotent_verb_gets_over_every_fault(server: FakeServer, kube: Kube, fault: Act) -> None:
    client = kube.hasty(0.3) if fault is hang else kube
    server.play(fault, answer(LIVE), fault, answer(LIVE), fault, answer({"items": [LIVE]}), fault, answer(LIVE))
    assert client.get(REF) == LIVE
    assert client.apply(BODY) == LIVE
    assert client.list("", "ConfigMap", "shop").items == [LIVE]
    assert client.delete(REF, uid="1") == LIVE
    assert len(server.requests) == 8


def test_the_first_request_is_retried_when_the_connection_breaks_but_not_when_nobody_listens(time: Time) -> None:
    server = FakeServer()
    server.close()
    kube = Kube(Transport(Endpoint(server.url)), "context dev", retry=Retry(clock=time.clock, sleep=time.sleep))
    with pytest.raises(TargetError) as caught:
        kube.get(REF)
    assert time.slept == []
    assert "cannot be reached" in str(caught.value)
    assert "context dev" in str(caught.value)
    assert "is the cluster running?" in str(caught.value)


def test_the_final_error_names_object_tries_and_cause(server: FakeServer, kube: Kube) -> None:
    server.default = status(503, "ServiceUnavailable", "the server is starting")
    with pytest.raises(ClusterError) as caught:
        kube.apply(BODY)
    assert "cannot apply ConfigMap/a in shop after 4 tries" in str(caught.value)
    assert "the server is starting (HTTP 503)" in str(caught.value)
    server.default = reset
    with pytest.raises(TargetError) as lost:
        kube.get(REF)
    assert "read ConfigMap/a in shop after 4 tries" in str(lost.value)
    assert "connection reset by peer" in str(lost.value)


def test_missing_objects(server: FakeServer, kube: Kube) -> None:
    server.default = MISSING
    assert kube.get(REF) is None
    assert kube.delete(REF) is None
    with pytest.raises(ClusterError, match="cannot patch ConfigMap/a in shop"):
        kube.patch(REF, {})


def test_a_delete_whose_answer_was_lost_and_whose_object_is_gone_is_done(server: FakeServer, kube: Kube) -> None:
    server.play(reset, MISSING)
    assert kube.delete(REF, uid="1") is None


def test_a_delete_leaves_an_object_that_was_made_anew(server: FakeServer, kube: Kube) -> None:
    server.default = status(409, "Conflict", "Precondition failed: UID in precondition: 1, UID in object meta: 2")
    with pytest.raises(StaleError, match="UID in object meta: 2"):
        kube.delete(REF, uid="1")
    assert len(server.requests) == 1
    assert server.requests[0].json["preconditions"] == {"uid": "1"}


def test_a_create_whose_answer_was_lost_finds_its_own_object(server: FakeServer, kube: Kube) -> None:
    server.play(reset, EXISTS, answer(LIVE))
    assert kube.create(BODY) == LIVE
    assert [request.method for request in server.requests] == ["POST", "POST", "GET"]


def test_a_create_whose_answer_was_lost_does_not_take_another_ones_object(server: FakeServer, kube: Kube) -> None:
    server.play(reset, EXISTS, answer({**LIVE, "data": {"x": "2"}}))
    with pytest.raises(ExistsError):
        kube.create(BODY)


def test_a_create_that_was_certain_does_not_look(server: FakeServer, kube: Kube) -> None:
    server.play(status(429), EXISTS)
    with pytest.raises(ExistsError):
        kube.create(BODY)
    assert len(server.requests) == 2


def test_a_replace_whose_answer_was_lost_reads_again(server: FakeServer, kube: Kube) -> None:
    newer = {**LIVE, "metadata": {**LIVE["metadata"], "resourceVersion": "8"}}  # type: ignore[dict-item]
    server.play(reset, CHANGED, answer(newer))
    assert kube.replace(LIVE) == newer
    server.play(reset, CHANGED, answer({**newer, "data": {}}))
    with pytest.raises(StaleError):
        kube.replace(LIVE)
    server.play(CHANGED)
    with pytest.raises(StaleError):
        kube.replace(LIVE)


def test_a_lost_race_is_run_again_where_no_version_was_given(server: FakeServer, kube: Kube) -> None:
    server.play(CHANGED, answer(LIVE), CHANGED, answer(LIVE))
    assert kube.apply(BODY) == LIVE
    assert kube.delete(REF) == LIVE
    server.play(CHANGED)
    with pytest.raises(StaleError):
        kube.delete(REF, resource_version="7")


def test_a_json_patch_is_not_sent_twice(server: FakeServer, kube: Kube) -> None:
    server.play(reset)
    with pytest.raises(TargetError, match="cannot say whether ConfigMap/a in shop was changed"):
        kube.patch(REF, [{"op": "add", "path": "/data/y", "value": "1"}], "json")
    assert len(server.requests) == 1


def test_a_conflict_with_only_ourselves_is_no_conflict(server: FakeServer, kube: Kube) -> None:
    own = {
        "reason": "FieldManagerConflict",
        "field": ".spec.replicas",
        "message": 'conflict with "berth" using apps/v1',
    }
    other = {**own, "message": 'conflict with "kubectl" using apps/v1'}
    server.play(status(409, "Conflict", "", [own]), answer(LIVE))
    assert kube.apply(BODY) == LIVE
    queries = [parse_qs(urlsplit(request.path).query) for request in server.requests]
    assert [query.get("force") for query in queries] == [None, ["true"]]
    server.play(status(409, "Conflict", "", [own, other]))
    with pytest.raises(ClusterError):
        kube.apply(BODY)


def test_how_an_apply_looks_on_the_wire(server: FakeServer, kube: Kube) -> None:
    server.default = answer(LIVE)
    kube.apply(BODY, dry_run=True, force=True)
    request = server.requests[0]
    assert request.method == "PATCH"
    assert request.headers["content-type"] == "application/apply-patch+yaml"
    assert urlsplit(request.path).path == "/api/v1/namespaces/shop/configmaps/a"
    assert parse_qs(urlsplit(request.path).query) == {
        "fieldManager": ["berth"],
        "fieldValidation": ["Strict"],
        "dryRun": ["All"],
        "force": ["true"],
    }
    assert request.json == BODY


def test_a_list_is_read_in_pages(server: FakeServer, kube: Kube) -> None:
    server.play(
        answer({"metadata": {"continue": "next page", "resourceVersion": "5"}, "items": [{"metadata": {"name": "a"}}]}),
        answer({"metadata": {"resourceVersion": "5"}, "items": [{"metadata": {"name": "b"}}]}),
    )
    listing = kube.list("apps", "StatefulSet", "shop", label_selector="a=b", limit=1)
    assert [item["metadata"]["name"] for item in listing.items] == ["a", "b"]
    assert {(item["apiVersion"], item["kind"]) for item in listing.items} == {("apps/v1", "StatefulSet")}
    assert listing.resource_version == "5"
    query = parse_qs(urlsplit(server.requests[1].path).query)
    assert query == {"labelSelector": ["a=b"], "limit": ["1"], "continue": ["next page"]}


def test_a_list_whose_pages_expired_begins_anew(server: FakeServer, kube: Kube) -> None:
    page = {"metadata": {"continue": "x", "resourceVersion": "5"}, "items": [{"metadata": {"name": "a"}}]}
    whole = {"metadata": {"resourceVersion": "9"}, "items": [{"metadata": {"name": "b"}}]}
    server.play(answer(page), status(410, "Expired"), answer(whole))
    listing = kube.list("", "Pod")
    assert [item["metadata"]["name"] for item in listing.items] == ["b"]
    assert listing.resource_version == "9"


def test_unknown_kinds_are_discovered_once(server: FakeServer, kube: Kube) -> None:
    server.play(
        answer({"preferredVersion": {"version": "v1beta2"}}),
        answer(
            {
                "resources": [
                    {"name": "certs", "kind": "Cert", "namespaced": True},
                    {"name": "certs/status", "kind": "Cert", "namespaced": True},
                ]
            }
        ),
        answer(LIVE),
        answer(LIVE),
    )
    ref = ObjectRef("acme.example", "Cert", "shop", "a")
    kube.get(ref)
    kube.get(ref)
    assert [request.path for request in server.requests] == [
        "/apis/acme.example",
        "/apis/acme.example/v1beta2",
        "/apis/acme.example/v1beta2/namespaces/shop/certs/a",
        "/apis/acme.example/v1beta2/namespaces/shop/certs/a",
    ]


def test_a_kind_that_the_cluster_does_not_serve(server: FakeServer, kube: Kube) -> None:
    server.play(answer({"resources": [{"name": "certs", "kind": "Cert", "namespaced": True}]}))
    body = {"apiVersion": "acme.example/v1", "kind": "Crt", "metadata": {"name": "a"}}
    with pytest.raises(ClusterError, match=r"does not know Crt in acme\.example/v1") as caught:
        kube.apply(body)
    assert "did you mean 'Cert'?" in str(caught.value)
    server.play(MISSING)
    with pytest.raises(ClusterError, match=r"does not serve gone\.example/v1"):
        kube.apply({**body, "apiVersion": "gone.example/v1"})


def test_a_denial_is_not_repeated(server: FakeServer, kube: Kube) -> None:
    message = 'User "me" cannot get resource "configmaps" in API group "" in the namespace "shop"'
    server.play(status(403, "Forbidden", message))
    with pytest.raises(DeniedError, match="not allowed to get configmaps in namespace shop"):
        kube.get(REF)
    server.play(status(401, "Unauthorized", "Unauthorized"))
    with pytest.raises(DeniedError, match="does not accept our credentials"):
        kube.get(REF)


def test_a_web_page_is_no_api(server: FakeServer, kube: Kube) -> None:
    server.default = answer(b"<!doctype html><title>Welcome</title>")
    with pytest.raises(TargetError, match="no Kubernetes API"):
        kube.version()
    server.default = answer(b"", 302, {"Location": "https://login.example"})
    with pytest.raises(TargetError, match=r"redirects to https://login\.example"):
        kube.version()


def test_secrets_stay_out_of_errors_and_exchanges(server: FakeServer, retry: Retry) -> None:
    seen: list[Exchange] = []
    kube = Kube(Transport(Endpoint(server.url)), retry=retry, observe=seen.append)
    secret = {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": "s", "namespace": "shop"},
        "data": {"k": "aHVudGVyMg=="},
    }
    server.play(status(422, "Invalid", 'Secret "s" is invalid: data: Invalid value: "hunter2": no, aHVudGVyMg=='))
    with pytest.raises(InvalidError) as caught:
        kube.apply(secret)
    text = str(caught.value) + repr(caught.value.problems) + repr(seen)
    assert "hunter2" not in text and "aHVudGVyMg" not in text
    assert [(exchange.method, exchange.status) for exchange in seen] == [("PATCH", 422)]
    kube.close()


def test_warnings_are_kept_once(server: FakeServer, kube: Kube) -> None:
    server.default = answer(LIVE, headers={"Warning": '299 - "v1 Endpoints is deprecated in \\"v1.33+\\""'})
    kube.get(REF)
    kube.get(REF)
    assert kube.warnings == ('v1 Endpoints is deprecated in "v1.33+"',)


def test_access_reviews_and_logs(server: FakeServer, kube: Kube) -> None:
    server.play(answer({"status": {"allowed": True}}, 201), answer({"status": {"allowed": False}}, 201))
    assert kube.can("patch", "apps", "statefulsets", "shop")
    assert not kube.can("list", "", "nodes")
    assert server.requests[0].json["spec"]["resourceAttributes"] == {
        "verb": "patch",
        "group": "apps",
        "resource": "statefulsets",
        "namespace": "shop",
    }
    server.play(answer(b"one\ntwo\n"), status(400, "BadRequest", "container is waiting to start"))
    assert kube.logs("shop", "web-0", "web", tail=2, previous=True) == "one\ntwo\n"
    assert kube.logs("shop", "web-0") == ""
    assert server.requests[2].path == "/api/v1/namespaces/shop/pods/web-0/log?container=web&tailLines=2&previous=true"


def test_a_terminating_namespace_is_already_deleted(server: FakeServer, kube: Kube) -> None:
    text = "The system is ensuring all content is removed from this namespace."
    space = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "shop", "deletionTimestamp": "x"}}
    server.play(status(409, "Conflict", text), answer(space))
    assert kube.delete(ObjectRef("", "Namespace", "", "shop")) == space


def test_many_threads_share_one_client(server: FakeServer, kube: Kube) -> None:
    server.default = answer(LIVE)
    found: list[object] = []
    threads = [threading.Thread(target=lambda: found.append(kube.get(REF))) for _ in range(50)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == [LIVE] * 50


def test_the_servers_clock(server: FakeServer, kube: Kube) -> None:
    server.play(answer(LIVE, headers={"Date": "Wed, 21 Oct 2015 07:28:00 GMT"}))
    kube.get(REF)
    assert kube.server_time().strftime("%Y-%m-%d %H:%M") == "2015-10-21 07:28"


def test_bodies_are_compact_json(server: FakeServer, kube: Kube) -> None:
    server.default = answer(LIVE)
    kube.create(BODY)
    assert server.requests[0].body == json.dumps(BODY, separators=(",", ":")).encode()
