"""``python -m bench``: measure, and write RESULTS.md and results.json."""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

from bench.cases import LIST, MANY, ONE, RENDER, Bench
from bench.cluster import Cluster
from bench.contenders import HERE, Tools, program
from bench.machine import machine
from bench.measuring import BenchError
from bench.report import as_json, markdown
from berth.controlplane import binaries
from berth.core.errors import BerthError

CASES = (ONE, MANY, RENDER, LIST)


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m bench", description="Measures berth beside its peers.")
    parser.add_argument("--repeat", type=int, default=5, help="how many runs the medians are of (default: 5)")
    parser.add_argument("--case", action="append", choices=CASES, help="only this case; may be given several times")
    parser.add_argument("--date", help="the date that the report bears (default: today)")
    parser.add_argument("--out", type=Path, default=HERE, help="directory of RESULTS.md and results.json")
    chosen = parser.parse_args()
    date = chosen.date or datetime.now(UTC).date().isoformat()
    try:
        return _run(chosen.repeat, chosen.case or CASES, date, chosen.out)
    except (BenchError, BerthError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1


def _run(repeat: int, cases: Sequence[str], date: str, out: Path) -> int:
    helm, kubectl = (str(binaries.program(name, report=_say)) for name in ("helm", "kubectl"))
    tools = Tools(kubectl, helm, program("berth"), program("invoke"))
    cluster = Cluster(_say)
    try:
        where = machine(tools, cluster.version)
        with tempfile.TemporaryDirectory(prefix="berth-bench-") as directory:
            rows = Bench(tools, cluster, Path(directory), repeat, _say).run(cases)
    finally:
        cluster.close()
    text = markdown(rows, where, date)
    out.mkdir(parents=True, exist_ok=True)
    (out / "RESULTS.md").write_text(text, encoding="utf-8")
    (out / "results.json").write_text(as_json(rows, where, date), encoding="utf-8")
    print(text)
    return 0


def _say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
