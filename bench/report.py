"""What the measurements come to, as Markdown and JSON: ratios and targets first."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from bench import site
from bench.cases import (
    AT_ONCE,
    BARE,
    FRESH,
    LIST,
    MANY,
    ONE,
    RELEASES,
    RENDER,
    ROLL,
    ROLLED,
    SETTLING,
    SITE,
    STATUS,
    UNCHANGED,
)
from bench.measuring import Row

TITLES = {
    f"{ONE}, {FRESH}": "One nginx release (environment dev: 2 replicas one after the other), fresh",
    f"{ONE}, {UNCHANGED}": "The same again: nothing has changed",
    f"{MANY}, {FRESH}": "100 StatefulSets of one replica, each with a headless Service, fresh",
    f"{MANY}, {UNCHANGED}": "The same again: nothing has changed",
    f"{ROLL}, {AT_ONCE}": f"A canary of 1 of {ROLLED} nginx pods, then the other {ROLLED - 1}, ready once they run",
    f"{ROLL}, {SETTLING}": "The same with pods that take 2 s to be available",
    STATUS: f"How {RELEASES} releases stand (berth status)",
    f"{SITE}, {site.RENDER}": f"A site of {site.COUNT} releases of {len(site.PROFILES)} profiles: render",
    f"{SITE}, {site.PLAN}": "The same site: its plan, before anything is there (helm: a dry run on the server)",
    f"{SITE}, {site.FRESH}": "The same site: brought up",
    f"{SITE}, {site.AGAIN}": "The same site: its plan, once all is there",
    f"{SITE}, {site.UNCHANGED}": "The same site: brought up again; nothing has changed",
    RENDER: "Render of those 200 documents (berth render, helm template)",
    LIST: "The list of tasks (--list)",
}
MEMORY_LIMIT = 150.0
#: Of a site of 50 releases: seconds of each step, and MiB of all.
SITE_LIMITS = {site.RENDER: 1.0, site.PLAN: 5.0, site.AGAIN: 5.0, site.UNCHANGED: 3.0}
SITE_MEMORY_LIMIT = 200.0


@dataclass(frozen=True, slots=True)
class Target:
    """Something to reach: a figure that is to be at most ``limit``."""

    what: str
    figure: float
    limit: float
    unit: str = ""

    @property
    def reached(self) -> bool:
        return self.figure <= self.limit

    def line(self) -> str:
        verdict = "reached" if self.reached else "**not reached**"
        return f"| {self.what} | {self.limit:g}{self.unit} | {self.figure:.2f}{self.unit} | {verdict} |"


def targets(rows: Sequence[Row]) -> list[Target]:
    """The targets that these rows can say something about."""
    found: list[Target] = []
    by_case = _by_case(rows)
    for run in (FRESH, UNCHANGED):
        one = by_case.get(f"{ONE}, {run}")
        if one:
            time = one["berth"].wall
            found.append(Target(f"one release, {run}: time over helm's", time / one["helm"].wall, 0.5))
            found.append(Target(f"one release, {run}: time over kubectl's pair", time / one["kubectl"].wall, 1.3))
    many = by_case.get(f"{MANY}, {FRESH}")
    if many:
        fastest = min((row for row in many.values() if row.contender != "berth"), key=lambda row: row.wall)
        what = f"100 StatefulSets, fresh: time over the fastest peer's ({fastest.contender})"
        found.append(Target(what, many["berth"].wall / fastest.wall, 1.0))
    many = by_case.get(f"{MANY}, {UNCHANGED}")
    if many:
        found.append(Target("100 StatefulSets, unchanged: time", many["berth"].wall, 1.0, " s"))
    for kind in (AT_ONCE, SETTLING):
        rolls = by_case.get(f"{ROLL}, {kind}")
        if rolls:
            ratio = rolls["berth"].wall / rolls["kubectl"].wall
            found.append(Target(f"a canary, then the others, {kind}: time over kubectl's patch and wait", ratio, 1.2))
    statuses = by_case.get(STATUS)
    if statuses:
        found.append(Target(f"status of {RELEASES} releases: time", statuses["berth"].wall, 2.0, " s"))
    lists = by_case.get(LIST, {})
    for name in lists:
        if name != BARE:
            found.append(Target(f"--list, {name}: time over bare", lists[name].wall / lists[BARE].wall, 1.3))
    own = [row for row in rows if row.contender == "berth"]
    sites = {row.case: row for row in own if row.case.startswith(f"{SITE}, ")}
    for step, limit in SITE_LIMITS.items():
        if row := sites.get(f"{SITE}, {step}"):
            found.append(Target(f"a site of {site.COUNT} releases, {step}: time", row.wall, limit, " s"))
    if sites:
        peak = max(row.memory for row in sites.values())
        what = f"a site of {site.COUNT} releases: peak memory"
        found.append(Target(what, peak, SITE_MEMORY_LIMIT, " MiB"))
    own = [row for row in own if row.case not in sites]
    if own:
        top = max(own, key=lambda row: row.memory)
        found.append(Target(f"peak memory, highest of all cases ({top.case})", top.memory, MEMORY_LIMIT, " MiB"))
    return found


def markdown(rows: Sequence[Row], machine: Mapping[str, str], date: str) -> str:
    """The report."""
    lines = [
        "# How fast berth is beside its peers",
        "",
        f"Written by `invoke bench` on {date}; do not edit. Ratios hold between commands of one run on one machine;",
        "times on their own say as much about the machine as about the programs.",
        "",
        "## Targets",
        "",
        "| what | at most | measured | |",
        "|---|---:|---:|---|",
        *(target.line() for target in targets(rows)),
        "",
        "## Ratios",
        "",
        "Time and processor time of berth over those of each peer; below 1 berth is faster.",
        "",
        "| case | peer | time | processor time |",
        "|---|---|---:|---:|",
        *_ratios(rows),
        "",
        "## Measurements",
    ]
    for case, found in _by_case(rows).items():
        lines += ["", f"### {TITLES[case]}", "", *_table(found.values())]
    lines += ["", "## Machine and versions", "", *(f"- {name}: {value}" for name, value in machine.items()), "", _HOW]
    return "\n".join(lines)


def as_json(rows: Sequence[Row], machine: Mapping[str, str], date: str) -> str:
    """Every single measurement."""
    body = {
        "date": date,
        "machine": dict(machine),
        "targets": [
            {"what": target.what, "limit": target.limit, "figure": round(target.figure, 4), "reached": target.reached}
            for target in targets(rows)
        ],
        "measurements": [
            {"case": row.case, "contender": row.contender, "samples": [sample.to_json() for sample in row.samples]}
            for row in rows
        ],
    }
    return json.dumps(body, indent=1) + "\n"


def _by_case(rows: Iterable[Row]) -> dict[str, dict[str, Row]]:
    found: dict[str, dict[str, Row]] = {}
    for row in rows:
        found.setdefault(row.case, {})[row.contender] = row
    return found


def _ratios(rows: Sequence[Row]) -> list[str]:
    lines = []
    for case, found in _by_case(rows).items():
        own = found.get("berth")
        for name, row in found.items():
            if own and name != "berth":
                lines.append(f"| {case} | {name} | {own.wall / row.wall:.2f} | {own.cpu / row.cpu:.2f} |")
    return lines


def _table(rows: Iterable[Row]) -> list[str]:
    lines = [
        "| command | time, median | min - max | processor time | peak memory | sets ready when it returned |",
        "|---|---:|---:|---:|---:|---|",
    ]
    for row in rows:
        low, high = row.spread
        ready = sorted({sample.ready for sample in row.samples if sample.ready is not None})
        lines.append(
            f"| {row.contender} | {row.wall:.3f} s | {low:.3f} - {high:.3f} | {row.cpu:.3f} s | {row.memory:.0f} MiB "
            f"| {', '.join(map(str, ready)) or '-'} |"
        )
    return lines


_HOW = """## How it was measured

- Every contender gets the same manifests: what `berth render` prints is kubectl's file, and the chart's only template.
- Whole commands as a user types them, start of the program included. `kubectl` is `kubectl apply` and then
  `kubectl rollout status` for all sets at once; `helm` is `helm upgrade --install --wait`; `python client` is a loop
  over the official client (`plain_client.py`): create, else patch, then list every 0.2 s until all sets are available.
- A real control plane on the same machine, whose controllers may send 2,000 requests a second; nodes are simulated, so
  that "ready" costs no image and no process. Server, controllers and contenders share the processor.
- One repetition is a fresh namespace, in which each command runs twice (fresh, unchanged), and its removal; making and
  removing it are not timed. The order of the contenders rotates with each repetition. One round before is not counted.
- A rollout is `berth rollout --canary 1 --pause` and `berth rollout.promote`, which goes ordinal by ordinal; beside it
  `kubectl patch` of image and partition, `kubectl rollout status`, and both again for partition 0.
  `kubectl rollout status` looks at readyReplicas: it does not wait until the canary is available, and berth does.
- Most of a fresh nginx release is the cluster's own time, the same for all: where a volume is made for its first
  consumer, the scheduler looks once a second whether it is bound, and the two pods come one after the other. helm looks
  every 2 s whether all is ready.
- The site is one file for `berth render`, `plan` and `up --site`. Beside it, as helmfile does, one command a release
  over the charts in `charts/`, with the same values: `helm template`, `helm upgrade --install --dry-run=server` (which
  shows manifests and no difference), `helm upgrade --install --wait`. The loop goes one after the other; helmfile can
  run several at a time. It is measured half as often.
- Processor time and peak memory are the command's own, as the kernel counts them (`wait4`), not the server's.
- Figures are medians; peak memory is the highest of all repetitions.
"""
