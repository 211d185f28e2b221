"""Runs a page's commands as its reader would, in one shell, and compares what they print with what the page shows.

What counts as the same (the page "How these pages are tested" says it for readers, see docs/README.md):

1. ``...`` alone on a line stands for any number of lines, inside a line for any text.
2. Masked on both sides: durations and ages, UIDs, ports of 127.0.0.1, addresses of Services and pods, the number of a
   node, hashes of revisions, dates; the home directory is /home/you; runs of blanks count as one.
3. Lines of an ordinal that is on its way (claim, scheduling, image, start, settling, stopping) are left out: how many
   of them there are is a matter of milliseconds. The last one that says ready or gone is compared.
4. What happens at the same time comes in any order: neighbouring lines of objects that were created, updated or
   deleted, and rows of volumes, whose names are random.
5. A command succeeds, unless the page shows ``$ echo $?`` after it.
"""

from __future__ import annotations

import os
import queue
import re
import signal
import subprocess
import threading
import time
from collections.abc import Mapping, Sequence
from difflib import unified_diff
from itertools import groupby
from pathlib import Path

from tests.docs.pages import Command, Fence, Page, not_run

#: Seconds that one command may take.
DEADLINE = 240.0
_END = "@@berth-docs-end"

_MASKS = (
    (re.compile(r"\b[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}\b"), "<uid>"),
    (re.compile(r"127\.0\.0\.1:\d+"), "127.0.0.1:<port>"),
    (re.compile(r"\b(?:10\.\d{1,3}|172\.(?:1[6-9]|2\d|3[01])|192\.168)\.\d{1,3}\.\d{1,3}\b"), "<address>"),
    # Kubernetes' own alphabet of hashes has no vowels.
    (re.compile(r"(?<=-)(?=[a-z]*\d)[bcdfghjklmnpqrstvwxz2456789]{8,10}\b"), "<hash>"),
    (re.compile(r"\bberth-node-\d\b"), "berth-node-<n>"),
    (re.compile(r"\b\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d[\d.]*(?:Z|[+-]\d\d:\d\d)?"), "<date>"),
    (
        re.compile(r"\b(?:\d+d)?(?:\d+h)?(?:\d+m)?\d+(?:\.\d+)? ?s\b|\b(?:\d+d)?(?:\d+h)?\d+m(?!i)\b|\b\d+d\d+h\b"),
        "<time>",
    ),
    (re.compile(r"\bpid \d+"), "pid <pid>"),
    (re.compile(r"(?<=\S)\s+"), " "),
)
_ON_ITS_WAY = re.compile(r"^  \S+-\d+ +(waiting|claim|scheduling|image|init|start|settling|stopping)\b")
_KINDS = {
    **dict.fromkeys(("created", "updated", "unchanged"), "applied"),
    **dict.fromkeys(("deleted", "kept"), "removed"),
    "pvc": "volume",
}
_ARRIVED = re.compile(r"^  (\S+-\d+) +(?:ready|gone) *(?!.* \d+[KMGTP]i)")
_UNORDERED = re.compile(
    r"^ *(created|updated|deleted|unchanged|kept) \w+/|^(?:persistentvolume/|  volume )?(pvc)-<uid> "
)


class Shell:
    """A bash that keeps its directory and variables from one command to the next."""

    def __init__(self, directory: Path, environment: Mapping[str, str]) -> None:
        """Start it."""
        self._process = subprocess.Popen(
            ["bash", "--noprofile", "--norc"],
            cwd=directory,
            env=dict(environment),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            start_new_session=True,
        )
        self._lines: queue.SimpleQueue[str | None] = queue.SimpleQueue()
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def run(self, command: str, deadline: float = DEADLINE) -> tuple[int, list[str]]:
        """The exit code and the lines of a command, standard error among them.

        Raises:
            TimeoutError: it was not done after ``deadline`` seconds.
        """
        assert self._process.stdin is not None
        # The exit code is set again afterwards, so that the page may ask for it.
        self._process.stdin.write(f"{{ {command}\n}} </dev/null; code=$?; echo; echo {_END} $code; (exit $code)\n")
        self._process.stdin.flush()
        until, lines = time.monotonic() + deadline, list[str]()
        while True:
            try:
                line = self._lines.get(timeout=max(0.01, until - time.monotonic()))
            except queue.Empty:
                raise TimeoutError(
                    f"{command}: not done after {deadline:.0f} s; so far:\n" + "\n".join(lines)
                ) from None
            if line is None:
                raise RuntimeError(f"{command}: ended the shell; it said:\n" + "\n".join(lines))
            if line.startswith(f"{_END} "):
                if lines and not lines[-1]:
                    lines.pop()
                return int(line.split()[1]), lines
            lines.append(line)

    def close(self) -> None:
        """End it, with everything that it still runs in its own session."""
        try:
            os.killpg(self._process.pid, signal.SIGTERM)
        except ProcessLookupError:
            pass
        self._process.wait(10)
        self._reader.join(10)
        for stream in (self._process.stdin, self._process.stdout):
            if stream is not None:
                stream.close()

    def _read(self) -> None:
        for line in self._process.stdout or ():
            self._lines.put(line.rstrip("\n"))
        self._lines.put(None)


def run_page(
    page: Page,
    shell: Shell,
    directory: Path,
    renames: Mapping[str, str],
    typed: Mapping[str, str] | None = None,
    deadline: float = DEADLINE,
) -> dict[int, list[str]]:
    """Do what the page says; the output of each command by its line, the page's own names put in.

    ``renames`` says what of the output the page calls otherwise, ``typed`` what of its commands is called otherwise
    here.

    Raises:
        AssertionError: a command failed that the page does not show failing.
    """
    outputs: dict[int, list[str]] = {}
    steps = page.steps
    for step, following in zip(steps, [*steps[1:], None], strict=True):
        if isinstance(step, Fence):
            assert step.title is not None
            path = directory / step.title
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(step.text, encoding="utf-8")
            continue
        if (str(page), step.text) in not_run():
            continue
        text = step.text
        for shown, own in (typed or {}).items():
            text = text.replace(shown, own)
        code, lines = shell.run(text, deadline)
        for own, shown in renames.items():
            lines = [line.replace(own, shown) for line in lines]
        outputs[step.line] = lines
        shows_code = isinstance(following, Command) and following.asks_exit_code
        assert code == 0 or shows_code or step.asks_exit_code, (
            f"{page}:{step.line}: `{step.text}` ended with exit code {code}:\n" + "\n".join(lines)
        )
    return outputs


def difference(expected: Sequence[str], actual: Sequence[str]) -> str:
    """What tells the lines of a page from those of a command; empty when they count as the same."""
    wanted, got = normalised(expected), normalised(actual)
    pattern = "".join(_pattern(line) for line in wanted)
    if re.fullmatch(pattern, "".join(f"{line}\n" for line in got)):
        return ""
    return "\n".join(unified_diff(wanted, got, "the page", "the command", lineterm=""))


def normalised(lines: Sequence[str]) -> list[str]:
    """Lines with all that varies masked, left out or sorted."""
    made: list[str] = []
    arrived = {found[1]: number for number, line in enumerate(lines) if (found := _ARRIVED.match(line))}
    for number, line in enumerate(lines):
        there = _ARRIVED.match(line)
        if _ON_ITS_WAY.match(line) or (there and arrived[there[1]] != number):
            continue
        masked = line.rstrip()
        for pattern, mask in _MASKS:
            masked = pattern.sub(mask, masked)
        made.append(masked)
    while made and not made[-1]:
        made.pop()
    ordered: list[str] = []
    for kind, group in groupby(made, key=_at_the_same_time):
        same = list(group)
        ordered += sorted(same) if kind else same
    return ordered


def _at_the_same_time(line: str) -> str:
    found = _UNORDERED.match(line)
    return _KINDS.get(found[1] or found[2], "") if found else ""


def _pattern(line: str) -> str:
    if line.strip() == "...":
        return r"(?:.*\n)*?"
    return ".*?".join(re.escape(part) for part in line.split("...")) + r"\n"
