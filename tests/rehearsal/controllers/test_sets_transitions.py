"""Every status on the way, in the order in which a control plane of Kubernetes 1.36 wrote them for the same actions."""

from __future__ import annotations

import pytest

from berth.core.objects import Json
from berth.rehearsal.kinds import BUDGETS, SLICES, STATEFUL_SETS, Kind
from berth.rehearsal.store import Change
from tests.rehearsal.controllers.quay import Quay, web
from tests.rehearsal.controllers.test_budgets import budget
from tests.rehearsal.controllers.test_endpoints import service

pytestmark = pytest.mark.rehearsal

#: Generation and observed generation; replicas, ready, available, current and updated ones; and whether the two
#: revisions are equal. First the set is made with 2 replicas, then its image changed, then it is scaled to 1.
SET = [
    "1/1: 0 0 0 0 0 =",
    "1/1: 1 0 0 1 1 =",
    "1/1: 1 1 1 1 1 =",
    "1/1: 2 1 1 2 2 =",
    "1/1: 2 2 2 2 2 =",
    "2/1: 2 2 2 2 2 =",
    "2/2: 2 2 2 1 0 !",
    "2/2: 1 1 1 1 0 !",
    "2/2: 2 1 1 1 1 !",
    "2/2: 2 2 2 0 1 !",
    "2/2: 1 1 1 0 1 !",
    "2/2: 2 1 1 0 2 !",
    "2/2: 2 2 2 2 2 =",
    "3/2: 2 2 2 2 2 =",
    "3/3: 2 2 2 2 2 =",
    "3/3: 2 2 2 1 1 =",
    "3/3: 1 1 1 1 1 =",
]

#: Healthy, desired, expected, allowed.
BUDGET = [
    *("0 0 0 0", "0 1 2 0", "1 1 2 0", "2 1 2 1"),
    *("1 1 2 0", "2 1 2 1", "1 1 2 0", "2 1 2 1"),
    "1 0 1 1",
]

#: Pods by ordinal, in the order of the endpoints: ready, or terminating.
SLICE = [
    *("", "0:ready", "0:ready 1:ready"),
    *("0:ready 1:terminating", "0:ready", "0:ready 1:ready"),
    *("0:terminating 1:ready", "1:ready", "1:ready 0:ready"),
    *("1:terminating 0:ready", "0:ready"),
]


def of_set(body: Json) -> str:
    status, meta = body.get("status") or {}, body["metadata"]
    keys = ("replicas", "readyReplicas", "availableReplicas", "currentReplicas", "updatedReplicas")
    counts = " ".join(str(status.get(key, 0)) for key in keys)
    same = "=" if status.get("currentRevision") == status.get("updateRevision") else "!"
    return f"{meta['generation']}/{status.get('observedGeneration', 0)}: {counts} {same}"


def of_budget(body: Json) -> str:
    status = body.get("status") or {}
    return " ".join(
        str(status.get(key, 0)) for key in ("currentHealthy", "desiredHealthy", "expectedPods", "disruptionsAllowed")
    )


def of_slice(body: Json) -> str:
    said = []
    for entry in body["endpoints"] or ():
        conditions = entry["conditions"]
        state = "terminating" if conditions["terminating"] else "ready" if conditions["ready"] else "unready"
        said.append(f"{entry['hostname'].rpartition('-')[2]}:{state}")
    return " ".join(said)


def test_transitions(quay: Quay) -> None:
    seen: dict[Kind, list[str]] = {STATEFUL_SETS: [], BUDGETS: [], SLICES: []}
    words = {STATEFUL_SETS: of_set, BUDGETS: of_budget, SLICES: of_slice}

    def note(change: Change) -> None:
        if change.kind in words:
            said = words[change.kind](change.object)
            if seen[change.kind][-1:] != [said]:
                seen[change.kind].append(said)

    quay.world.store.listeners.append(note)
    for body in (service(), budget(maxUnavailable=1), web(2)):
        quay.make(body)
    quay.settle()
    quay.image("nginx:2")
    quay.settle()
    quay.scale(1)
    quay.settle()
    # What the API server itself writes at a creation is not the controllers'.
    assert [said for said in seen[STATEFUL_SETS] if not said.startswith("1/0")] == SET
    assert seen[BUDGETS] == BUDGET
    assert seen[SLICES] == SLICE
