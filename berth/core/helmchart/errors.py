"""What Helm says when a chart does not render, as problems with a place."""

from __future__ import annotations

import re
from collections.abc import Iterator

from berth.core.errors import Position, Problem
from berth.core.explain import hide
from berth.core.helmchart.objects import template_file
from berth.core.helmchart.source import ChartSource
from berth.core.helmchart.values import Chart, own_name
from berth.core.values import Values, dotted

_FRAME = re.compile(
    r"template: (?P<file>[^\s:]+):(?P<line>\d+)(?::(?P<column>\d+))?: "
    r'(?:executing "[^"]*" at <(?P<at>.*?)>: (?:error calling (?:include|template|tpl): (?=template: ))?)?'
)
_AT = re.compile(
    r"(?:execution|parse) error at \((?P<file>[^\s:)]+):(?P<line>\d+)(?::(?P<column>\d+))?\): (?P<what>.*)"
)
_YAML = re.compile(r"YAML parse error on (?P<file>\S+): (?:error converting YAML to JSON: )?(?:yaml: )?(?P<what>.*)")
_SCHEMA = re.compile(r"^\s*- at '(?P<path>[^']*)': (?P<what>.*)$", re.MULTILINE)
_MISSING = re.compile(r"missing in charts/ directory: (?P<names>.*)")
_NOISE = re.compile(r"^(Use --debug flag.*|\S+\.go:\d+: warning: .*|level=.*)?$")


def explain(stderr: str, source: ChartSource, chart: Chart, values: Values) -> list[Problem]:
    """The problems that Helm names; none of them shows a secret value."""
    lines = [line for line in stderr.strip().splitlines() if not _NOISE.match(line)]
    text = "\n".join(lines).removeprefix("Error: ")
    return [hide(problem, values) for problem in _problems(text, source, chart, values)]


def _problems(text: str, source: ChartSource, chart: Chart, values: Values) -> Iterator[Problem]:
    if "meet the specifications of the schema" in text:
        found = [_refused(match["path"], match["what"], source, values) for match in _SCHEMA.finditer(text)]
        yield from [problem for problem in found if problem.what.rpartition(": ")[2] != "validation failed"] or [
            Problem(f"the chart's schema refuses the values: {text}", str(source.position))
        ]
        return
    missing = _MISSING.search(text)
    if missing:
        what = f"the chart is not whole: {missing['names']} is missing in {chart.label}/charts"
        yield Problem(what, str(source.position), hint=f"`helm dependency build {chart.label}`")
        return
    told = _AT.search(text)
    if told:
        yield Problem(told["what"], _place(told, chart), "the chart's template stops here")
        return
    yaml = _YAML.search(text)
    if yaml:
        what = f"what the chart's template writes is not valid YAML: {yaml['what']}"
        hint = "lines are those of what it writes, not of the template; look at indentation and quotes"
        yield Problem(what, template_file(yaml["file"], chart), hint=hint)
        return
    frames = list(_FRAME.finditer(text))
    if frames:
        inner, where = frames[-1], _place(frames[-1], chart)
        where += "".join(f"\n     included from {_place(frame, chart)}" for frame in reversed(frames[:-1]))
        what = text[inner.end() :].split("\n")[0]
        yield Problem(f"{inner['at']}: {what}" if inner["at"] else what, where, "the chart's template fails here")
        return
    hint = ""
    if "kubeVersion" in text:
        hint = 'say which version the chart is to be told, under chart: kubernetes: "1.36"'
    yield Problem(f"helm cannot render the chart: {text or 'it says nothing of why'}", str(source.position), hint=hint)


def _refused(pointer: str, what: str, source: ChartSource, values: Values) -> Problem:
    """A value that the chart's own schema does not take, by the name that it has in the profile."""
    parts = [part.replace("~1", "/").replace("~0", "~") for part in pointer.strip("/").split("/") if part]
    name = dotted(own_name(tuple(parts), source))
    setter = values.source_of(name)
    where = str(setter.position) if setter else str(source.position)
    why = f"it is set by {setter.layer}" if setter and not setter.layer.startswith("--") else ""
    return Problem(f"{name or 'the values'}: the chart's schema says: {what}", where, why)


def _place(found: re.Match[str], chart: Chart) -> str:
    return str(Position(template_file(found["file"], chart), int(found["line"]), int(found["column"] or 0)))
