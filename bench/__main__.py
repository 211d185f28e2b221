"""``python -m bench``: measure, and write RESULTS.md and results.json."""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from bench import rehearsal
from bench.cases import LIST, MANY, ONE, RENDER, ROLL, SITE, STATUS, Bench
from bench.cluster import Cluster
from bench.contenders import HERE, Tools, program
from bench.machine import machine, processor
from bench.measuring import BenchError, Row, Sample
from bench.report import TITLES, as_json, markdown
from berth.controlplane import binaries
from berth.core.errors import BerthError

CASES = (ONE, MANY, ROLL, STATUS, SITE, RENDER, LIST)
PEERS, REHEARSAL = "peers", "rehearsal"


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m bench", description="Measures berth beside its peers.")
    parser.add_argument("--repeat", type=int, default=5, help="how many runs the medians are of (default: 5)")
    parser.add_argument(
        "--case",
        action="append",
        choices=CASES,
        help="only this case; others stay as they are",
    )
    parser.add_argument("--date", help="the date that the report bears (default: today)")
    parser.add_argument("--out", type=Path, default=HERE, help="directory of RESULTS.md and results.json")
    parser.add_argument("--only", choices=(PEERS, REHEARSAL), help="only this half; the figures of the other stay")
    chosen = parser.parse_args()
    date = chosen.date or datetime.now(UTC).date().isoformat()
    chosen.out.mkdir(parents=True, exist_ok=True)
    try:
        if chosen.only != REHEARSAL:
            _peers(chosen.repeat, chosen.case or CASES, date, chosen.out)
        if chosen.only != PEERS and not chosen.case:
            _rehearsal(chosen.repeat, date, chosen.out)
        return 0
    except (BenchError, BerthError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1


def _rehearsal(repeat: int, date: str, out: Path) -> None:
    """Measure the rehearsal, and put its part into the report; what is there of the peers stays as it is."""
    where = processor()
    with tempfile.TemporaryDirectory(prefix="berth-bench-") as directory:
        figures = rehearsal.run(Path(directory), program("berth"), repeat, _say)
    made = rehearsal.section(figures, date, where)
    report, results = out / "RESULTS.md", out / "results.json"
    before = report.read_text(encoding="utf-8") if report.is_file() else ""
    report.write_text(rehearsal.with_section(before, made), encoding="utf-8")
    body = json.loads(results.read_text(encoding="utf-8")) if results.is_file() else {}
    body["rehearsal"] = {"date": date, "machine": where, "figures": [figure.to_json() for figure in figures]}
    results.write_text(json.dumps(body, indent=1) + "\n", encoding="utf-8")
    print(made)


def _peers(repeat: int, cases: Sequence[str], date: str, out: Path) -> None:
    """Measure berth beside its peers, and write the report; other cases, and the rehearsal, stay as they are."""
    helm, kubectl = (str(binaries.program(name, report=_say)) for name in ("helm", "kubectl"))
    tools = Tools(kubectl, helm, program("berth"), program("invoke"))
    cluster = Cluster(_say)
    try:
        where = machine(tools, cluster.version)
        with tempfile.TemporaryDirectory(prefix="berth-bench-") as directory:
            rows = Bench(tools, cluster, Path(directory), repeat, _say).run(cases)
    finally:
        cluster.close()
    results = out / "results.json"
    before = json.loads(results.read_text(encoding="utf-8")) if results.is_file() else {}
    rows = sorted([*_others(before, rows), *rows], key=lambda row: list(TITLES).index(row.case))
    text, body = markdown(rows, where, date), json.loads(as_json(rows, where, date))
    old = before.get("rehearsal")
    if old:
        figures = [
            rehearsal.Figure(f["what"], f["limit"], f["unit"], tuple(f["values"]), tuple(f["cpu"]))
            for f in old["figures"]
        ]
        text = rehearsal.with_section(text, rehearsal.section(figures, old["date"], old["machine"]))
        body["rehearsal"] = old
    (out / "RESULTS.md").write_text(text, encoding="utf-8")
    results.write_text(json.dumps(body, indent=1) + "\n", encoding="utf-8")
    print(text)


def _others(before: dict[str, Any], rows: Sequence[Row]) -> list[Row]:
    """The rows of an earlier run whose cases were not measured now."""
    measured = {row.case for row in rows}
    return [
        Row(one["case"], one["contender"], tuple(Sample(**sample) for sample in one["samples"]))
        for one in before.get("measurements", ())
        if one["case"] not in measured and one["case"] in TITLES
    ]


def _say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
