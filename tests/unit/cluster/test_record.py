"""The JSON inside a record: what goes in comes out, and what is older is read."""

from __future__ import annotations

import gzip
import json
from base64 import b64decode, b64encode
from dataclasses import replace
from datetime import UTC, datetime
from random import Random
from typing import Any

import pytest

from berth.cluster.record import MAX_BYTES, ReleaseRecord, Revision, Rollout, UnreadableError, fit, read, secret_of
from berth.core.objects import Json
from tests.contract.cluster.samples import config, record

pytestmark = pytest.mark.unit

NOW = datetime(2026, 1, 2, tzinfo=UTC)


def there_and_back(one: ReleaseRecord) -> ReleaseRecord:
    kept, packed = fit(one)
    return read(secret_of(kept, packed))


def inside(secret: Json) -> Json:
    found: Json = json.loads(gzip.decompress(b64decode(secret["data"]["release"])))
    return found


def revision(number: int, **changes: Any) -> Revision:
    return replace(Revision(number, NOW, "ann", "deployed", "1", {"a": number}), **changes)


@pytest.mark.parametrize("held", ["", "paused", "StatefulSet/web: 2 of 3 pods ready"])
def test_a_rollout_that_has_not_ended(held: str) -> None:
    one = record("s", rollout=Rollout("web", 3, 1, held), status="held")
    assert there_and_back(one).rollout == Rollout("web", 3, 1, held)
    assert there_and_back(record("s")).rollout is None


def test_revisions_with_what_they_were() -> None:
    kept = revision(1, action="undo to 3", environment="prod", manifests=(config("s", "a"), config("s", "b", x="1")))
    one = record("s", history=(kept, revision(2, result="held", action="rollout")))
    assert there_and_back(one).history == one.history


def test_an_object_that_several_revisions_have_is_kept_once() -> None:
    same = config("s", "a", text="x" * 500)
    history = tuple(revision(n, manifests=(same, config("s", "b", n=str(n)))) for n in range(1, 6))
    one = record("s", history=history, manifests=(same,))
    kept, packed = fit(one)
    secret = secret_of(kept, packed)
    assert len(inside(secret)["objects"]) == 6 and read(secret).history == history


def test_secrets_are_kept_by_their_keys_only() -> None:
    body = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "a"}, "data": {"password": "Z2VoZWlt"}}
    secret = secret_of(*fit(record("s", manifests=(body,), history=(revision(1, manifests=(body,)),))))
    found = read(secret)
    assert "Z2VoZWlt" not in json.dumps(inside(secret))
    assert found.manifests[0]["data"] == {"password": ""} == found.history[0].manifests[0]["data"]


def test_a_record_that_grows_too_large_loses_the_oldest_manifests_then_values() -> None:
    def noise(seed: int) -> str:
        return Random(seed).randbytes(110_000).hex()  # 110 kB that do not compress.

    history = tuple(revision(n, manifests=(config("s", "a", text=noise(n)),)) for n in range(1, 11))
    kept, packed = fit(record("s", history=history))
    assert len(packed) <= MAX_BYTES
    there = [bool(one.manifests) for one in kept.history]
    assert there == sorted(there) and there[-1] and not there[0], "the oldest go, the last stays"
    assert all(one.values for one in kept.history) and len(kept.history) == 10
    fat = tuple(replace(one, manifests=(), values={"text": noise(one.revision)}) for one in history)
    kept, _ = fit(record("s", history=fat))
    assert kept.history[0].values == {} and kept.history[-1].values and len(kept.history) == 10


def test_a_record_of_schema_1() -> None:
    """Manifests stood there as they are, and revisions had neither action nor manifests."""
    secret = secret_of(*fit(record("s", history=(revision(1),))))
    body = inside(secret)
    body["schema"], body["manifests"] = 1, [config("s", "a")]
    del body["objects"]
    for key in ("action", "environment", "manifests"):
        del body["history"][0][key]
    secret["data"]["release"] = b64encode(gzip.compress(json.dumps(body).encode())).decode()
    found = read(secret)
    assert found.manifests == (config("s", "a"),) and found.rollout is None
    assert (found.history[0].action, found.history[0].manifests) == ("up", ())


@pytest.mark.parametrize(
    "change",
    [
        {"rollout": {"set": "web"}},
        {"rollout": "web"},
        {"manifests": ["nowhere"]},
        {"history": [{"revision": 1}]},
    ],
)
def test_what_cannot_be_read_is_said(change: Json) -> None:
    secret = secret_of(*fit(record("s")))
    body = {**inside(secret), **change}
    secret["data"]["release"] = b64encode(gzip.compress(json.dumps(body).encode())).decode()
    with pytest.raises(UnreadableError, match="cannot be read"):
        read(secret)
