"""How releases stand, as people and machines read it."""

from __future__ import annotations

import io
import json
from dataclasses import replace

import pytest
from rich.console import Console

from berth.core.diagnosis import Cause, Weight
from berth.core.drift import Drift
from berth.core.objects import ObjectRef
from berth.core.readiness import Status, Verdict
from berth.core.report import (
    BudgetReport,
    ClaimReport,
    Finding,
    OrdinalReport,
    ReleaseReport,
    SetReport,
)
from berth.output.status import as_json, diagnosis_json, diagnosis_lines, lines
from berth.output.status_table import picture

pytestmark = pytest.mark.unit

CLAIM = ClaimReport("data-db-0", "2Gi", "fast", "pv-1", "Bound")
FIRST = OrdinalReport(
    0, "db-0", "Running", True, "current", "node-1", "a", (CLAIM,), 1, 3900, "primary", "db-0.db.shop.svc", None, False
)
WHY = Cause(Weight.SUSPECT, "ImagePullBackOff", "db-1: image db:nope cannot be pulled\x1b[31m", "does the tag exist?")
PENDING = replace(CLAIM, name="data-db-1", volume="", phase="Pending")
SECOND = OrdinalReport(
    1, "db-1", "Pending", False, "update", "", "", (PENDING,), 0, 5, None, "db-1.db.shop.svc", WHY, False
)
ABSENT = OrdinalReport(2, "db-2", "Absent", False, "other", "", "", (), 0, None, None, "", None, False)
LEFT = (replace(CLAIM, name="data-db-4"),)
SET = SetReport(
    "db", 3, 1, 1, Verdict(Status.STUCK, "ImagePullBackOff", "1 of 3 pods ready"), (FIRST, SECOND, ABSENT), LEFT
)
SERVICE = ObjectRef("", "Service", "shop", "db")
DRIFT = (
    Drift(SERVICE, "spec.type", "ClusterIP", "NodePort", "kubectl-edit"),
    Drift(ObjectRef("", "Secret", "shop", "auth"), "data", "(hidden)", "(hidden)"),
    Drift(ObjectRef("", "ConfigMap", "shop", "db"), "", "recorded", "(absent)"),
)
STUCK = ReleaseReport(
    "db",
    "shop",
    "postgres",
    "prod",
    4,
    "deployed",
    Verdict(Status.STUCK, "ImagePullBackOff", "db: 1 of 3 pods ready", "does the tag exist?"),
    (SET,),
    (BudgetReport("db", 0, 1, 2, 3),),
    DRIFT,
)
FINE = replace(STUCK, release="web", environment=None, verdict=Verdict(Status.CURRENT, "Ready", "web: 1 ready"))
FINE = replace(FINE, sets=(), budgets=(), drift=())
DOWN = replace(FINE, release="old", status="removed", verdict=Verdict(Status.UNKNOWN, "Removed", "taken down"))

SAID = """\
release db in shop (profile postgres, environment prod, revision 4, deployed)
  stuck: db: 1 of 3 pods ready
  StatefulSet/db  1 of 3 ready, 1 of the newest revision
  POD   PHASE    READY  REVISION  RESTARTS  AGE    NODE        ROLE     CLAIMS                      DNS NAME
  db-0  Running  yes    current   1         1h05m  node-1 (a)  primary  data-db-0 2Gi fast          db-0.db.shop.svc
  db-1  Pending  no     update    0         5s     -           -        data-db-1 2Gi fast Pending  db-1.db.shop.svc
  db-2  Absent   no     -         -         -      -           -        -                           -
  ImagePullBackOff: db-1: image db:nope cannot be pulled\\x1b[31m
    try: does the tag exist?
  claims of db that no pod uses: data-db-4 2Gi fast
  budget db: 0 disruptions allowed; 1 of 3 healthy, 2 needed
  drift: 3 fields of 3 objects not as recorded
    Service/db spec.type: 'ClusterIP' -> 'NodePort'  (by kubectl-edit)
    Secret/auth data: (hidden) -> (hidden)
    ConfigMap/db: is not there any more
note: operations were not run: nothing runs here
0 of 1 releases current"""


def test_what_people_read() -> None:
    assert "\n".join(lines([STUCK], ["operations were not run: nothing runs here"])) == SAID


def test_without_operations_there_is_no_column_of_roles() -> None:
    assert not [line for line in lines([STUCK], [], roles=False) if "ROLE" in line or "primary" in line]


def test_what_was_taken_down_is_counted_apart() -> None:
    assert lines([FINE, DOWN, STUCK], [])[-1] == "1 of 2 releases current; 1 taken down"


def test_much_drift_is_counted() -> None:
    many = tuple(Drift(SERVICE, f"spec.field{number}", 0, "x" * 100) for number in range(14))
    told = [line for line in lines([replace(STUCK, drift=many)], []) if "spec.field" in line or "more" in line]
    assert len(told) == 11
    assert told[-1] == "    and 4 more; --output json has them all"
    assert all(len(line) < 120 for line in told)


def test_a_table_says_what_the_lines_say() -> None:
    written = io.StringIO()
    Console(file=written, width=200, force_terminal=True, color_system=None).print(picture([STUCK, DOWN], ["a note"]))
    told = written.getvalue()
    for part in ("db-1", "Pending", "1h05m", "node-1 (a)", "primary", "data-db-1 2Gi fast Pending", "db-1.db.shop.svc"):
        assert part in told
    assert "\x1b[31m" not in told
    assert "0 of 1 releases current; 1 taken down" in told


def test_what_machines_read() -> None:
    told = json.loads(json.dumps(as_json([STUCK], ["a note"])))
    assert told["notes"] == ["a note"]
    (one,) = told["releases"]
    assert {key: one[key] for key in ("release", "namespace", "profile", "environment", "revision", "status")} == {
        "release": "db",
        "namespace": "shop",
        "profile": "postgres",
        "environment": "prod",
        "revision": 4,
        "status": "deployed",
    }
    assert one["verdict"]["status"] == "stuck"
    (group,) = one["sets"]
    assert (group["name"], group["replicas"], group["ready"], group["updated"]) == ("db", 3, 1, 1)
    first, second, _ = group["ordinals"]
    claim = {"name": "data-db-0", "size": "2Gi", "class": "fast", "volume": "pv-1", "phase": "Bound"}
    assert first == {
        "ordinal": 0,
        "pod": "db-0",
        "phase": "Running",
        "ready": True,
        "condemned": False,
        "revision": "current",
        "node": "node-1",
        "zone": "a",
        "claims": [claim],
        "restarts": 1,
        "age_seconds": 3900,
        "role": "primary",
        "dns": "db-0.db.shop.svc",
        "cause": None,
    }
    assert second["cause"] == {
        "weight": "suspect",
        "reason": "ImagePullBackOff",
        "message": WHY.message,
        "hint": "does the tag exist?",
    }
    assert [left["name"] for left in group["left_claims"]] == ["data-db-4"]
    assert one["budgets"] == [{"name": "db", "allowed": 0, "healthy": 1, "desired": 2, "pods": 3}]
    assert one["drift"][0] == {
        "kind": "Service",
        "name": "db",
        "path": "spec.type",
        "recorded": "ClusterIP",
        "live": "NodePort",
        "manager": "kubectl-edit",
    }


WRONG = {("shop", "db"): (Finding("db", 1, WHY, ("first", "last")),)}


def test_a_diagnosis_for_people_names_only_what_is_not_current() -> None:
    assert diagnosis_lines([FINE, DOWN, STUCK], WRONG, ["a note"]) == [
        "release db in shop: stuck: db: 1 of 3 pods ready",
        "  ImagePullBackOff: db-1: image db:nope cannot be pulled\\x1b[31m",
        "    | first",
        "    | last",
        "    try: does the tag exist?",
        "note: a note",
        "1 of 2 releases current; 1 taken down",
    ]


def test_a_diagnosis_for_machines() -> None:
    whole = Finding("", -1, Cause(Weight.SUSPECT, "Failed", "the last up did not come to its end"))
    told = json.loads(json.dumps(diagnosis_json([FINE, STUCK], {("shop", "db"): (whole, *WRONG["shop", "db"])}, [])))
    assert [len(one["causes"]) for one in told["releases"]] == [0, 2]
    first, second = told["releases"][1]["causes"]
    assert (first["set"], first["ordinal"], first["reason"]) == (None, None, "Failed")
    assert (second["set"], second["ordinal"], second["log"]) == ("db", 1, ["first", "last"])
