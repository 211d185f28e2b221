"""How drift is told, and what is to be typed."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

import pytest

from berth.core.drift import Drift, Way, missing
from berth.core.objects import ObjectRef
from berth.core.report import Recorded
from berth.output.drift import again, as_json, release_lines, total

pytestmark = pytest.mark.unit

RECORD = Recorded("shop", "prod", "nginx", "dev", 3, "deployed", datetime(2026, 1, 1, tzinfo=UTC), (), ())
SET, SECRET = ObjectRef("apps", "StatefulSet", "prod", "web"), ObjectRef("", "Secret", "prod", "auth")
REPLICAS = Drift(SET, "spec.replicas", 2, 3, "kubectl", Way.FORCE)
LABEL = Drift(SET, "metadata.labels.team", "(absent)", "blue", "ann", Way.STAYS)
PORT = Drift(ObjectRef("", "Service", "prod", "web"), "spec.ports[name=a].port", 80, 81, "ann", Way.BY_HAND)
UP = "invoke up --profile nginx --name shop --namespace prod --env dev"


def test_the_command_that_takes_it_back() -> None:
    assert again(RECORD) == UP
    assert again(replace(RECORD, name="nginx", environment=None)) == "invoke up --profile nginx --namespace prod"
    assert again(RECORD, ["--context", "my cluster"]) == f"{UP} --context 'my cluster'"


def test_one_line_a_field_and_one_for_each_way() -> None:
    gone = missing(ObjectRef("", "ConfigMap", "prod", "web"))
    assert release_lines(RECORD, [REPLICAS, gone, LABEL, PORT]) == [
        "release shop in prod (profile nginx, environment dev, revision 3, deployed)",
        "  StatefulSet/web spec.replicas: 2 -> 3  (by kubectl)  [force-conflicts]",
        "  ConfigMap/web: is not there any more  [up]",
        "  StatefulSet/web metadata.labels.team: (absent) -> 'blue'  (by ann)  [stays]",
        "  Service/web spec.ports[name=a].port: 80 -> 81  (by ann)  [by-hand]",
        "  [up] 1 field is missing, or nobody else's: `up` with --force-conflicts takes it back, and stops without",
        f"  [force-conflicts] 1 field is another field manager's now: `{UP} --force-conflicts` takes it back",
        "  [by-hand] 1 field is a port of another number, which `up` cannot remove: `kubectl edit service web -n prod`",
        "  [stays] 1 field is what berth has said nothing of: `up` leaves it",
        "  give `up` the same --values and --set as last time",
    ]
    assert f"  [up] 1 field is missing, or nobody else's: `{UP}` takes it back" in release_lines(RECORD, [gone])
    assert release_lines(RECORD, [LABEL])[-1] == "  [stays] 1 field is what berth has said nothing of: `up` leaves it"
    password = Drift(SECRET, "data.password", "(hidden)", "(hidden)", "ann", Way.STAYS)
    assert "or generates only once: `up` leaves it" in release_lines(RECORD, [password])[-1]


@pytest.mark.parametrize(
    ("status", "says"),
    [
        ("deployed", "as recorded"),
        ("removed", "was taken down"),
        ("orphaned", "the pods left running"),
        ("removing", "a teardown has begun"),
        ("failed", "the last up is failed"),
    ],
)
def test_a_release_without_drift_says_how_it_stands(status: str, says: str) -> None:
    assert says in release_lines(replace(RECORD, status=status), [])[1]


def test_the_sum() -> None:
    assert total([[], []]) == "no drift"
    assert total([[REPLICAS, LABEL], []]) == "drift: 2 fields of 1 object of 1 release"


def test_for_machines() -> None:
    told = as_json(RECORD, [REPLICAS, LABEL])
    assert [one["way"] for one in told["drift"]] == ["force-conflicts", "stays"]
    assert told["commands"] == {"force-conflicts": f"{UP} --force-conflicts"}
    gone = missing(SECRET)
    assert as_json(RECORD, [gone])["commands"] == {"up": UP}
    assert as_json(RECORD, [gone, REPLICAS])["commands"]["up"] == f"{UP} --force-conflicts", "without, it stops"
