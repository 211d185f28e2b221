"""Which revision one goes back to."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from berth.actions.restore import target_of
from berth.cluster.record import ReleaseRecord, Revision
from berth.core.errors import InputError
from tests.contract.cluster.samples import config, record
from tests.unit.core.samples import name_of, table

pytestmark = pytest.mark.unit

#: R: a revision that came to its end; o: one whose manifests are not kept any more; f: one that failed; h: held.
RESULTS = {"R": "deployed", "o": "deployed", "f": "failed", "h": "held"}


def made(history: str, status: str) -> ReleaseRecord:
    """A record with these revisions, the last of which is that of now."""
    now = datetime(2026, 1, 2, tzinfo=UTC)
    revisions = tuple(
        Revision(number, now, "ann", RESULTS[kind], "1", {}, manifests=(config("s", "a"),) if kind == "R" else ())
        for number, kind in enumerate(history, 1)
    )
    return record("s", name="shop", history=revisions, revision=len(history), status=status)


CASES = table("""
- {name: the last but the one of now, history: RRR, status: deployed, expected: 2}
- {name: held, history: RRh, status: held, expected: 2}
- {name: failed, history: RRf, status: failed, expected: 2}
- {name: several that failed, history: RRfff, status: failed, expected: 2}
- {name: failures in between, history: RfR, status: deployed, expected: 1}
- {name: killed before it was written down, history: RR, status: pending, expected: 2}
- {name: named, history: RRRR, status: deployed, to: 1, expected: 1}
- {name: that of now after a failure of the same number, history: RR, status: pending, to: 2, expected: 2}
- {name: nothing, history: R, status: deployed, said: has no revision to go back to}
- {name: only failures, history: fh, status: failed, said: has no revision to go back to}
- {name: not kept, history: oRR, status: deployed, to: 1, said: its manifests are not kept any more}
- {name: failed itself, history: RfR, status: deployed, to: 2, said: it ended failed}
- {name: held itself, history: RhR, status: deployed, to: 2, said: it ended held}
- {name: unknown, history: RR, status: deployed, to: 7, said: there is no such revision}
- {name: that of now, history: RR, status: deployed, to: 2, said: is at revision 2 now}
""")


@pytest.mark.parametrize("case", CASES, ids=name_of)
def test_the_revision_to_go_back_to(case: Any) -> None:
    one = made(case["history"], case["status"])
    if "said" not in case:
        assert target_of(one, case.get("to")).revision == case["expected"]
        return
    with pytest.raises(InputError) as caught:
        target_of(one, case.get("to"))
    said = str(caught.value)
    assert case["said"] in said and "shop" in said and ("one of: " in said or "invoke up" in said)
