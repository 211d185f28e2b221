"""Rollouts of a profile whose pods carry a secret value: no record keeps it, and it is given again or asked for."""

from __future__ import annotations

from pathlib import Path

import pytest

from berth.actions import history as past
from berth.actions import rollout as actions
from berth.actions.applying import Options
from berth.actions.clock import Clock
from berth.actions.prepare import Request, prepare, recorded
from berth.actions.rollout import Wanted
from berth.actions.up import up
from berth.cluster.kube import Kube
from berth.core.errors import InputError, LockedError
from berth.core.events import Event
from berth.core.objects import dig
from berth.library import Library, open_library
from tests.contract.rollouts import partition, the_record, uids
from tests.contract.support import PATIENCE, bring_up, done, pods, rehearsal_only

SHOP = """\
name: shop
description: An nginx whose pods carry a secret
version: "1.0.0"
extends: nginx
templates: ["nginx/*.yaml"]
schema:
  properties:
    podAnnotations: {additionalProperties: {type: string, x-secret: true}}
values: {replicas: 2, minReadySeconds: 0}
"""
#: The secret as it is given, and as it stands in a pod.
GIVEN, SECRET = "podAnnotations.pw=geheim", "geheim"


@pytest.fixture
def library(tmp_path: Path) -> Library:
    (tmp_path / "profiles").mkdir()
    (tmp_path / "profiles" / "shop.yaml").write_text(SHOP)
    return open_library(tmp_path)


def shop(kube: Kube, library: Library, space: str) -> None:
    bring_up(kube, prepare(library, [Request("shop", None, space, None, (), (GIVEN,))])[-1])


def roll(kube: Kube, library: Library, space: str, *sets: str, wanted: Wanted | None = None) -> list[Event]:
    record = the_record(kube, space, "shop")
    made = recorded(library, record, {}, "--image", (), sets)
    return list(actions.rollout(kube, library, record, made, wanted or Wanted(), Options(PATIENCE), Clock()))


@rehearsal_only
def test_it_is_given_again_and_shown_nowhere(kube: Kube, space: str, library: Library) -> None:
    shop(kube, library, space)
    with pytest.raises(InputError, match="secret values, which its record does not keep") as caught:
        roll(kube, library, space, "image.tag=1.30")
    assert "podAnnotations.pw" in str(caught.value) and SECRET not in str(caught.value)
    before = uids(kube, space)
    events = roll(kube, library, space, "image.tag=1.30", GIVEN, wanted=Wanted(pause=True))
    record = the_record(kube, space, "shop")
    assert record.rollout is not None and record.rollout.held == "paused" and SECRET not in str(record)
    assert SECRET not in str(events)
    events = list(actions.promote(kube, library, record, None, 0.0, Options(PATIENCE), Clock()))
    assert done(events).succeeded and SECRET not in str(events)
    assert not set(uids(kube, space).values()) & set(before.values())
    kept = [dig(body, "metadata", "annotations", "pw") for body in pods(kube, space).values()]
    assert kept == [SECRET] * 2, "what is recorded is read, and never applied"
    entries = past.history(the_record(kube, space, "shop"))
    assert SECRET not in str([past.as_json(entry) for entry in entries]) + str(past.rows(entries))


@rehearsal_only
def test_a_revision_with_it_cannot_be_gone_back_to_and_that_is_said_first(
    kube: Kube, space: str, library: Library
) -> None:
    shop(kube, library, space)
    with pytest.raises(InputError, match="held secret values, which no record keeps"):
        roll(kube, library, space, "image.tag=1.30", GIVEN, wanted=Wanted(auto_undo=True))
    roll(kube, library, space, "image.tag=1.30", GIVEN, wanted=Wanted(pause=True))
    before, record = uids(kube, space), the_record(kube, space, "shop")
    with pytest.raises(InputError, match="held secret values, which no record keeps") as caught:
        list(actions.go_back(kube, library, record, None, Options(PATIENCE), Clock(), "undo"))
    assert "invoke up" in str(caught.value) and uids(kube, space) == before


@rehearsal_only
def test_up_can_end_a_rollout_that_has_no_way_back(kube: Kube, space: str, library: Library) -> None:
    shop(kube, library, space)
    roll(kube, library, space, "image.tag=1.30", GIVEN, wanted=Wanted(pause=True))
    made = prepare(library, [Request("shop", None, space, None, (), (GIVEN,))])
    with pytest.raises(LockedError):
        list(up(kube, made, Options(PATIENCE), Clock()))
    list(up(kube, made, Options(PATIENCE), Clock(), rollout="end"))
    record = the_record(kube, space, "shop")
    assert (record.status, record.rollout) == ("deployed", None)
    assert partition(kube, made[-1]) == 0
