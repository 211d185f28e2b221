"""Writes ``tests/unit/rehearsal/data/rules.json``: what the local control plane says to every case.

Run it as ``python -m tests.contract.rehearsal.record`` after a change of the cases, or of Kubernetes' version.
"""

from __future__ import annotations

import json

from berth import controlplane
from berth.core.objects import Json
from tests.contract.rehearsal.asking import STRICT, WARN, Asking
from tests.unit.rehearsal.rules.answers import RECORD, packed, plain, settled, unadmitted
from tests.unit.rehearsal.rules.bodies import STRICT as STRICTLY
from tests.unit.rehearsal.rules.bodies import WRONG_TYPES
from tests.unit.rehearsal.rules.creations import CREATIONS
from tests.unit.rehearsal.rules.objects import NAMESPACE
from tests.unit.rehearsal.rules.refusals import CASES
from tests.unit.rehearsal.rules.updates import LIVE, UPDATES


def main() -> None:
    """Ask, and write."""
    asking = Asking(controlplane.start("tests", report=print).kubeconfig)
    try:
        record = ask(asking)
    finally:
        asking.close()
    parts = []
    for part, rows in record.items():
        lines = (f"  {json.dumps(key)}: {json.dumps(value, ensure_ascii=False)}" for key, value in rows.items())
        parts.append(f' "{part}": {{\n' + ",\n".join(lines) + "\n }")
    RECORD.write_text("{\n" + ",\n".join(parts) + "\n}\n", "utf-8")
    print({part: len(rows) for part, rows in record.items()}, RECORD.stat().st_size)


def ask(asking: Asking) -> dict[str, Json]:
    """Every case and its answer."""
    record: dict[str, Json] = {part: {} for part in ("created", "refused", "wrong", "strict", "live", "updated")}
    for name, (kind, body) in CREATIONS.items():
        answer, found, _ = asking.create(kind, body)
        assert answer == {"code": 201}, (name, answer)
        record["created"][name] = unadmitted(kind, plain(found, NAMESPACE), body)
    for name, (kind, body) in CASES.items():
        answer, _, _ = asking.create(kind, body)
        record["refused"][name] = packed(kind, body["metadata"].get("name", ""), answer)
    for name, (kind, text) in WRONG_TYPES.items():
        record["wrong"][name] = packed(kind, "x", asking.create(kind, text)[0])
    for name, (kind, text) in STRICTLY.items():
        answer, _, _ = asking.create(kind, text, STRICT)
        record["strict"][name] = [packed(kind, "x", answer), asking.create(kind, text, WARN)[2]]
    asking.make_all()
    for name in LIVE:
        record["live"][name] = settled(asking.get(name))
    for case, (name, _, _) in UPDATES.items():
        record["updated"][case] = packed(LIVE[name][0], name, asking.change(case))
    return record


if __name__ == "__main__":
    main()
