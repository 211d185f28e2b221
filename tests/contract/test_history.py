"""`history`: what was done to a release, from a record of this version or of an older one."""

from __future__ import annotations

import gzip
import json
from base64 import b64decode, b64encode
from collections.abc import Callable

import pytest

from berth.actions import history as past
from berth.actions.rollout import Wanted
from berth.cluster.kube import Kube
from berth.cluster.record import MAX_HISTORY
from berth.core.errors import BerthError, InputError
from berth.core.objects import Json
from tests.contract.rollouts import BAD, NEW, SHORT, back, images, roll, settled, the_record, three
from tests.contract.support import bring_up, rehearsal_only, release
from tests.contract.test_scaling import scale


@rehearsal_only
def test_what_was_done_with_which_values_and_result(kube: Kube, space: str) -> None:
    three(kube, space)
    scale(kube, space, "nginx", 2)
    roll(kube, space, *NEW, wanted=Wanted(pause=True))
    back(kube, space)
    with pytest.raises(BerthError):
        bring_up(kube, release("nginx", space, "replicas=2", *BAD), patience=SHORT)
    entries = past.history(the_record(kube, space))
    told = [(e.revision.revision, e.revision.action, e.revision.result, e.now, e.possible) for e in entries]
    assert told == [
        (1, "up", "deployed", False, True),
        (2, "up", "deployed", False, True),
        (3, "rollout", "held", False, False),
        (4, "undo to 2", "deployed", False, True),
        (5, "up", "failed", True, False),
    ]
    assert entries[0].changes == () and entries[1].changes == (("replicas", 3, 2),)
    assert entries[2].changes == (("image.tag", "1.29", "1.30"),)
    table = past.rows(entries)
    assert table[2][-1] == "replicas: 3 -> 2" and table[5][0] == "5*" and table[1][-1] == "-"
    assert all(entry.revision.user for entry in entries)
    assert past.one(the_record(kube, space), 3) == entries[2]
    with pytest.raises(InputError, match="no revision 9") as caught:
        past.one(the_record(kube, space), 9)
    assert "one of: 1, 2, 3, 4, 5" in str(caught.value)
    shown = past.as_json(entries[4])
    assert shown["changes"] == [{"path": "image.tag", "old": "1.29", "new": "nope"}] and shown["current"] is True


@rehearsal_only
def test_ten_are_kept(kube: Kube, space: str) -> None:
    for count in range(1, MAX_HISTORY + 3):
        bring_up(kube, release("nginx", space, "replicas=1", f"podAnnotations.a=n{count}"))
    record = the_record(kube, space)
    assert [one.revision for one in record.history] == list(range(3, MAX_HISTORY + 3))
    assert len(past.history(record)) == MAX_HISTORY
    with pytest.raises(InputError, match="there is no such revision"):
        back(kube, space, 1)
    back(kube, space, 3)
    assert the_record(kube, space).values["podAnnotations"] == {"a": "n3"}


@rehearsal_only
def test_a_record_of_the_version_before(kube: Kube, space: str) -> None:
    """Schema 1 had manifests of the last run only, as they are, and no action; nothing of it is lost."""
    three(kube, space)
    rewrite(kube, space, older)
    record = the_record(kube, space)
    assert record.manifests and record.status == "deployed" and record.history[0].action == "up"
    (entry,) = past.history(record)
    assert not entry.possible and past.rows((entry,))[1][3] == "up"
    settled(kube, space)
    with pytest.raises(InputError, match="has no revision to go back to"):
        back(kube, space)
    roll(kube, space, *NEW, wanted=Wanted(pause=True))
    with pytest.raises(InputError, match="has no revision to go back to") as caught:
        back(kube, space)
    assert "invoke up" in str(caught.value), "what it was is not recorded"
    assert images(kube, space) == ["1.29", "1.29", "1.30"]


def older(body: Json) -> Json:
    """A record as schema 1 had it."""
    objects = body.pop("objects")
    body["manifests"] = [objects[key] for key in body["manifests"]]
    for revision in body["history"]:
        for key in ("action", "environment", "manifests"):
            revision.pop(key)
    return {**body, "schema": 1}


def rewrite(kube: Kube, space: str, change: Callable[[Json], Json]) -> None:
    (secret,) = [body for body in kube.list("", "Secret", space).items if body["type"] == "berth.dev/release.v1"]
    body = json.loads(gzip.decompress(b64decode(secret["data"]["release"])))
    secret["data"]["release"] = b64encode(gzip.compress(json.dumps(change(body)).encode())).decode()
    kube.replace(secret)
