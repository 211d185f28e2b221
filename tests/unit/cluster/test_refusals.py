from __future__ import annotations

import json

import pytest

from berth.cluster.refusals import (
    ExistsError,
    ExpiredError,
    InvalidError,
    MissingError,
    StaleError,
    Status,
    read_status,
    refusal,
)
from berth.core.errors import BerthError, ClusterError, ConflictError, DeniedError, ImmutableError

pytestmark = pytest.mark.unit


def refused(
    code: int, reason: str = "", message: str = "", *causes: tuple[str, str, str], **more: object
) -> BerthError:
    body = {
        "kind": "Status",
        "code": code,
        "reason": reason,
        "message": message,
        "details": {"causes": [dict(zip(("reason", "field", "message"), cause, strict=True)) for cause in causes]},
    }
    sent = more.get("sent")
    assert sent is None or isinstance(sent, dict)
    return refusal(
        read_status(code, json.dumps(body).encode()), "apply", "StatefulSet/web in shop", "context dev", sent
    )


def test_a_conflict_names_every_field_and_its_manager() -> None:
    error = refused(
        409,
        "Conflict",
        "Apply failed with 2 conflicts",
        (
            "FieldManagerConflict",
            ".spec.replicas",
            'conflict with "kubectl-scale" with subresource "scale" using apps/v1',
        ),
        ("FieldManagerConflict", ".metadata.labels.tier", 'conflict with "argocd" using apps/v1'),
    )
    assert isinstance(error, ConflictError)
    assert [problem.what for problem in error.problems] == [
        "StatefulSet/web in shop: kubectl-scale owns spec.replicas",
        "StatefulSet/web in shop: argocd owns metadata.labels.tier",
    ]
    assert all("--force-conflicts" in problem.hint for problem in error.problems)


def test_conflicts_of_other_kinds_are_told_apart() -> None:
    assert isinstance(refused(409, "AlreadyExists", 'statefulsets.apps "web" already exists'), ExistsError)
    assert isinstance(refused(409, "Conflict", "the object has been modified"), StaleError)


def test_an_invalid_object_names_each_cause() -> None:
    error = refused(
        422,
        "Invalid",
        "is invalid",
        ("FieldValueInvalid", "spec.replicas", "Invalid value: -1: must be greater than or equal to 0"),
        ("FieldValueRequired", "spec.selector", "Required value"),
    )
    assert isinstance(error, InvalidError)
    assert [problem.what for problem in error.problems] == [
        "cannot apply StatefulSet/web in shop: spec.replicas",
        "cannot apply StatefulSet/web in shop: spec.selector",
    ]
    assert "greater than or equal to 0" in error.problems[0].why


def test_an_immutable_field_is_its_own_error() -> None:
    text = "Forbidden: updates to statefulset spec for fields other than 'replicas' are forbidden"
    assert isinstance(refused(422, "Invalid", "", ("FieldValueForbidden", "spec", text)), ImmutableError)


def test_a_denial_names_verb_resource_and_namespace() -> None:
    error = refused(
        403,
        "Forbidden",
        'statefulsets.apps "web" is forbidden: User "dev" cannot patch resource "statefulsets" in API group "apps" '
        'in the namespace "shop"',
    )
    assert isinstance(error, DeniedError)
    assert "not allowed to patch statefulsets.apps in namespace shop" in str(error)
    assert "context dev" in str(error)


@pytest.mark.parametrize(
    ("message", "words"),
    [
        (
            'nodes is forbidden: User "dev" cannot list resource "nodes" in API group "" at the cluster scope',
            "list nodes cluster-wide",
        ),
        ('forbidden: User "system:anonymous" cannot get path "/version"', "get /version"),
    ],
)
def test_denials_outside_namespaces(message: str, words: str) -> None:
    error = refused(403, "Forbidden", message)
    assert isinstance(error, DeniedError)
    assert words in str(error)


@pytest.mark.parametrize(
    ("message", "words"),
    [
        ('pods "web-0" is forbidden: exceeded quota: small, requested: pods=1', "ResourceQuota"),
        ('pods "web-0" is forbidden: violates PodSecurity "restricted:latest"', "PodSecurity"),
        ("unable to create new content in namespace shop because it is being terminated", "another one"),
    ],
)
def test_forbidden_for_other_reasons_than_permissions(message: str, words: str) -> None:
    error = refused(403, "Forbidden", message)
    assert isinstance(error, ClusterError)
    assert words in str(error)


def test_the_other_codes() -> None:
    assert isinstance(refused(401, "Unauthorized", "Unauthorized"), DeniedError)
    assert isinstance(refused(404, "NotFound", 'namespaces "shop" not found'), MissingError)
    assert "namespace does not exist" in str(refused(404, "NotFound", 'namespaces "shop" not found'))
    assert isinstance(refused(410, "Expired", "too old"), ExpiredError)
    assert isinstance(refused(400, "BadRequest", 'unknown field "spec.bad"'), InvalidError)
    assert "HTTP 418" in str(refused(418))


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (b"", ""),
        (b'{"kind":"Status","message":"etcdserver: leader changed","rea', "etcdserver: leader changed"),
        (b"<html><head><title>502 Bad Gateway</title></head><body><h1>no</h1></body></html>", "502 Bad Gateway"),
        (b"upstream connect error\n or disconnect", "upstream connect error or disconnect"),
        (b"\xff\xfe", "\ufffd\ufffd"),
        (b"[1]", "[1]"),
        (b"null", ""),
        (b'{"kind":"Status","details":"odd","message":7}', "7"),
    ],
)
def test_any_body_is_read(body: bytes, message: str) -> None:
    assert read_status(502, body).message == message


def test_a_page_of_words_is_cut() -> None:
    assert len(read_status(500, b"word " * 1000).message) == 200


@pytest.mark.parametrize(
    ("header", "seconds"), [("3", 3.0), ("", None), ("-1", 0.0), ("Wed, 21 Oct 2026 07:28:00 GMT", 1.0), ("soon", 1.0)]
)
def test_retry_after(header: str, seconds: float | None) -> None:
    assert read_status(429, b"", {"Retry-After": header}).retry_after == seconds


def test_retry_after_in_the_body() -> None:
    body = json.dumps({"kind": "Status", "details": {"retryAfterSeconds": 7}}).encode()
    assert read_status(503, body).retry_after == 7.0


def test_no_value_of_a_secret_shows() -> None:
    sent = {
        "kind": "Secret",
        "data": {"password": "aHVudGVyMg=="},
        "stringData": {"token": "t0ken-value"},
    }
    error = refused(
        422,
        "Invalid",
        "hunter2 aHVudGVyMg==",
        ("FieldValueInvalid", "data", 'Invalid value: "hunter2": no, not t0ken-value or aHVudGVyMg=='),
        ("FieldValueInvalid", "data", 'Invalid value: "some\\"thing": no'),
        sent=sent,
    )
    assert not any(word in str(error) for word in ("hunter2", "t0ken-value", "aHVudGVyMg", "some", "thing"))


def test_a_status_with_nothing_in_it_still_says_something() -> None:
    assert "no reason given (HTTP 500)" in str(refusal(Status(500), "read", "Pod/web-0", "context dev"))
