"""Secret values from elsewhere, on a cluster: applied as they are, kept where they are made, shown nowhere."""

from __future__ import annotations

import json
import zlib
from base64 import b64decode, b64encode
from pathlib import Path

import pytest

from berth.actions import history as past
from berth.actions.applying import Options
from berth.actions.clock import Clock
from berth.actions.plan import plan_json, plan_lines, plan_release
from berth.actions.prepare import Request, prepare, recorded
from berth.actions.restore import at_revision
from berth.actions.up import up
from berth.cluster.kube import Kube
from berth.cluster.release import load
from berth.core.errors import BerthError, ConflictError, InputError, PreflightError
from berth.core.objects import Json, ObjectRef, dig, record_name
from berth.core.plan import Action
from berth.core.render import Release
from berth.library import Library, open_library
from tests.contract.support import PATIENCE, bring_up, done, steps

SHOP = """\
name: shop
description: A password that pods read, and one that is inside of a configuration
version: "1.0.0"
schema:
  properties:
    password: {type: string, minLength: 8, x-secret: true}
    extra: {type: string}
    replicas: {type: integer}
    label: {type: [string, "null"], x-secret: true}
values: {replicas: 1, extra: more, label: null, password: {generate: 20}}
environments:
  given: {password: {fromEnv: SHOP_PASSWORD}}
  copied: {password: {existingSecret: {name: theirs, key: pw}}}
"""
OBJECTS = """\
apiVersion: v1
kind: Secret
metadata:
  name: {{ named("shop") }}
  labels: {app.kubernetes.io/name: shop, app.kubernetes.io/instance: {{ release.name }}, own: {{ values.label }}}
stringData:
  password: "{{ values.password }}"
  extra: {{ values.extra }}
"""
ONE, TWO = "the-first-secret", "the-second-secret"


@pytest.fixture
def library(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Library:
    (tmp_path / "profiles").mkdir()
    (tmp_path / "templates" / "shop").mkdir(parents=True)
    (tmp_path / "profiles" / "shop.yaml").write_text(SHOP)
    (tmp_path / "templates" / "shop" / "a.yaml").write_text(OBJECTS)
    monkeypatch.setenv("SHOP_PASSWORD", ONE)
    return open_library(tmp_path)


def shop(library: Library, space: str, env: str | None = None, *sets: str) -> Release:
    return prepare(library, [Request("shop", None, space, env, (), sets)])[-1]


def password(kube: Kube, space: str, name: str = "shop", key: str = "password") -> str:
    body = kube.get(ObjectRef("", "Secret", space, name))
    return b64decode(dig(body, "data", key)).decode() if dig(body, "data", key) is not None else ""


def the_record(kube: Kube, space: str) -> str:
    """All that the record of the release holds."""
    body = kube.get(ObjectRef("", "Secret", space, record_name("shop")))
    (packed,) = dig(body, "data").values()
    return zlib.decompress(b64decode(packed), wbits=31).decode()


def theirs(kube: Kube, space: str, text: str) -> None:
    body: Json = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "theirs", "namespace": space}}
    kube.apply({**body, "data": {"pw": b64encode(text.encode()).decode()}}, field_manager="somebody", force=True)


def clean(*texts: object) -> bool:
    """Whether none of the secrets is in any of the texts, not in base64 either."""
    said = " ".join(map(str, texts))
    return not any(one in said or b64encode(one.encode()).decode() in said for one in (ONE, TWO))


def test_a_variable_is_applied_and_shown_nowhere(
    kube: Kube, space: str, library: Library, monkeypatch: pytest.MonkeyPatch
) -> None:
    events = bring_up(kube, shop(library, space, "given"))
    assert password(kube, space) == ONE
    again = bring_up(kube, shop(library, space, "given"))
    assert "Secret/shop" in steps(again, "unchanged")
    monkeypatch.setenv("SHOP_PASSWORD", TWO)
    planned = plan_release(kube, shop(library, space, "given"))
    assert "      data.password: (hidden) -> (hidden)" in plan_lines(planned)
    events += bring_up(kube, shop(library, space, "given", "extra=other"))
    assert password(kube, space) == TWO
    record = load(kube, space, "shop")
    assert record is not None
    entries = past.history(record)
    assert record.values["password"] == {"fromEnv": "SHOP_PASSWORD"} and entries[-1].changes == (
        ("extra", "more", "other"),
    )
    texts = (events, again, plan_lines(planned), json.dumps(plan_json(planned)), [past.as_json(e) for e in entries])
    assert clean(the_record(kube, space), *texts)
    # Going back leaves the Secret as it is: its texts are in no record.
    back = at_revision(kube, library, record, record.history[0])
    assert plan_release(kube, back).plan.empty and password(kube, space) == TWO
    # From the record it is read again, or said to be missing.
    assert plan_release(kube, recorded(library, record, {"replicas": 3}, "--replicas")).plan.empty
    monkeypatch.delenv("SHOP_PASSWORD")
    with pytest.raises(InputError, match="SHOP_PASSWORD is not set\n  at the record of shop"):
        recorded(library, record, {"replicas": 3}, "--replicas")


def test_it_is_made_once_and_kept(kube: Kube, space: str, library: Library) -> None:
    bring_up(kube, shop(library, space))
    made = password(kube, space)
    assert len(made) == 20
    assert "Secret/shop" in steps(bring_up(kube, shop(library, space)), "unchanged")
    record = load(kube, space, "shop")
    assert record is not None and made not in the_record(kube, space)
    bring_up(kube, recorded(library, record, {"extra": "other"}, "--set"))
    assert (password(kube, space), password(kube, space, key="extra")) == (made, "other")
    # A text that is given now would lock people out of their data: that is asked for.
    with pytest.raises(ConflictError, match=r"berth-generate owns data\.password") as caught:
        bring_up(kube, shop(library, space, "given"))
    assert "change it in the engine first" in str(caught.value) and clean(caught.value)
    bring_up(kube, shop(library, space, "given"), force=True)
    assert password(kube, space) == ONE


def test_what_was_given_stays_when_it_is_generated_from_now_on(kube: Kube, space: str, library: Library) -> None:
    bring_up(kube, shop(library, space, "given"))
    (step,) = plan_release(kube, shop(library, space)).plan.steps
    assert not [change.path for change in step.changes if change.path.startswith("data")]
    bring_up(kube, shop(library, space))
    assert password(kube, space) == ONE
    assert "Secret/shop" in steps(bring_up(kube, shop(library, space)), "unchanged")
    assert password(kube, space) == ONE


def test_it_is_copied_from_a_secret(kube: Kube, space: str, library: Library) -> None:
    with pytest.raises(PreflightError, match=f"Secret/theirs in {space} is not there") as caught:
        bring_up(kube, shop(library, space, "copied"))
    assert "templates/shop/a.yaml:1" in str(caught.value)
    theirs(kube, space, ONE)
    with pytest.raises(PreflightError, match="has no key other"):
        bring_up(kube, shop(library, space, "copied", "password.existingSecret.key=other"))
    events = bring_up(kube, shop(library, space, "copied"))
    assert password(kube, space) == ONE and done(events).succeeded
    assert "Secret/shop" in steps(bring_up(kube, shop(library, space, "copied")), "unchanged")
    theirs(kube, space, TWO)
    planned = plan_release(kube, shop(library, space, "copied"))
    (step,) = planned.plan.steps
    assert step.action is Action.UPDATE
    assert [(change.path, change.new) for change in step.changes] == [("data.password", "(hidden)")]
    record = load(kube, space, "shop")
    assert record is not None and record.values["password"] == {"existingSecret": {"name": "theirs", "key": "pw"}}
    events += list(up(kube, [recorded(library, record, {}, "--set")], Options(PATIENCE), Clock()))
    assert password(kube, space) == TWO
    bring_up(kube, shop(library, space, "given"))
    *_, last = past.rows(past.history(load(kube, space, "shop") or record))
    assert last[-1] == "password: from Secret/theirs, key pw -> from environment variable SHOP_PASSWORD"
    assert clean(the_record(kube, space), events, plan_lines(planned), plan_json(planned))


def test_what_the_cluster_refuses_is_not_quoted(kube: Kube, space: str, library: Library) -> None:
    with pytest.raises(BerthError) as caught:
        plan_release(kube, shop(library, space, None, "label=no label value!"))
    assert "metadata.labels" in str(caught.value) and "(hidden)" in str(caught.value)
    assert "no label value" not in str(caught.value)
