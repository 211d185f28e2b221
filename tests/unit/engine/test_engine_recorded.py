"""A release rendered again from what its record keeps."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from berth.actions.prepare import Request, prepare, recorded
from berth.cluster.record import ReleaseRecord
from berth.core.errors import InputError, ProfileError, ValuesError
from berth.core.objects import Json, dig
from berth.core.render import Release
from berth.library import open_library
from tests.contract.support import ROOT

pytestmark = pytest.mark.unit


def record(profile: str, values: Json, environment: str | None = "dev") -> ReleaseRecord:
    now = datetime(2026, 1, 1, tzinfo=UTC)
    return ReleaseRecord("shop", "a", profile, "1.0.0", environment, values, "deployed", 1, (), (), (), now)


def made(*sets: str) -> Release:
    return prepare(open_library(ROOT), [Request("nginx", "shop", "a", "dev", (), sets)])[-1]


def replicas(release: Release) -> list[int]:
    return [dig(m.body, "spec", "replicas") for m in release.manifests if m.ref.kind == "StatefulSet"]


def test_all_is_as_it_was_but_what_was_changed() -> None:
    first = made("replicas=4", "labels.team=sea", "podAnnotations.a=b: c")
    again = recorded(open_library(ROOT), record("nginx", first.values.masked()), {"replicas": 5}, "--replicas")
    assert replicas(again) == [5] and again.values.data == {**first.values.data, "replicas": 5}
    expected = made("replicas=5", "labels.team=sea", "podAnnotations.a=b: c")
    assert [m.body for m in again.manifests] == [m.body for m in expected.manifests]
    assert again.again is not None and replicas(again.again({"replicas": 2})) == [2]


def test_a_number_that_the_profile_does_not_take() -> None:
    with pytest.raises(ValuesError, match="0 to 100, got 101") as caught:
        recorded(open_library(ROOT), record("nginx", made().values.masked()), {"replicas": 101}, "--replicas")
    assert caught.value.problems[0].where == "--replicas"


def test_secret_values_are_not_kept() -> None:
    values = {"auth": {"tokens": ["x", "(hidden)"]}}
    with pytest.raises(InputError, match=r"secret values, which its record does not keep: auth\.tokens\.1"):
        recorded(open_library(ROOT), record("nginx", values), {"replicas": 1}, "--replicas")


def test_a_profile_that_is_not_here() -> None:
    with pytest.raises(ProfileError, match="there is no profile 'shop'"):
        recorded(open_library(ROOT), record("shop", {}), {"replicas": 1}, "--replicas")
