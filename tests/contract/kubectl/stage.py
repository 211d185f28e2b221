"""The same command lines of the real kubectl on both clusters at the same time, and what they answer, compared.

A script is one command line of kubectl a line, without the word kubectl, in a namespace of its own. What is compared is
the exit code, standard output and standard error, after `normal.normal`. At the beginning of a line:

- ``~`` runs it on both, and compares only whether it fails: what it prints depends on how fast a cluster is;
- ``&`` lets it run until the script is over (``get -w``); what it has printed by then is compared;
- ``name =`` keeps what it prints as ``$name`` for the lines that follow.

``@ns`` is the namespace. Lines that are indented more deeply than the commands are the standard input of the command
above them.
"""

from __future__ import annotations

import difflib
import os
import re
import shlex
import subprocess
import textwrap
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

from tests.contract.kubectl.normal import normal

MANIFESTS = Path(__file__).with_name("manifests")
#: Verbs that only look: what they show may come a moment later on one cluster than on the other.
READERS = ("get", "describe", "events")
#: Seconds that a reader is asked again while the answers differ, and between two such questions. Not longer: at the
#: instant pace half a minute without a write is most of an hour, after which Events are forgotten.
PATIENCE, PAUSE = 20.0, 0.2
#: Seconds until a command that is left running surely watches, should it have nothing to print before.
START = 2.0
#: Seconds after which a command hangs: longer than the longest --timeout in a script.
LONGEST = 150.0


@dataclass(frozen=True, slots=True)
class Answer:
    """What a command did."""

    code: int
    out: str
    err: str

    def text(self) -> str:
        """All of it, normalised."""
        code = f"exit {self.code}\n" if self.code else ""
        errors = "".join(f"! {line}\n" for line in normal(self.err).splitlines())
        return normal(self.out) + errors + code


@dataclass(frozen=True, slots=True)
class Line:
    """One line of a script."""

    words: str
    mode: str = ""
    variable: str = ""
    standard_input: str | None = None


@dataclass(slots=True)
class Cluster:
    """One of the two, and what a script keeps of it."""

    name: str
    kubectl: Path
    kubeconfig: Path
    home: Path
    variables: dict[str, str] = field(default_factory=dict)

    def arguments(self, line: Line, namespace: str) -> list[str]:
        """The command line to run."""
        words = line.words.replace("@ns", namespace)
        for name, value in self.variables.items():
            words = words.replace(f"${name}", value)
        first, *rest = shlex.split(words)
        return [str(self.kubectl), first, f"--kubeconfig={self.kubeconfig}", f"--namespace={namespace}", *rest]

    def environment(self) -> dict[str, str]:
        """Nothing of the user's own: no preferences, no configuration, a cache of this cluster's own."""
        kept = {name: os.environ[name] for name in ("PATH", "TMPDIR") if name in os.environ}
        cache = {"HOME": str(self.home), "KUBECACHEDIR": str(self.home / self.name), "KUBERC": "off"}
        # Nothing lives long enough to be worth the collection of garbage, which is a third of the processor's time.
        return kept | cache | {"GOGC": "off"} | {"KUBECTL_EXTERNAL_DIFF": "diff -u -N --label LIVE --label MERGED"}

    def run(self, line: Line, namespace: str) -> Answer:
        """Run one command to its end."""
        stdin = (line.standard_input or "").replace("@ns", namespace)
        try:
            done = subprocess.run(
                self.arguments(line, namespace),
                input=stdin,
                capture_output=True,
                text=True,
                timeout=LONGEST,
                cwd=MANIFESTS,
                env=self.environment(),
            )
        except subprocess.TimeoutExpired:
            return Answer(-1, "", f"hangs for {LONGEST:g} s\n")
        answer = Answer(done.returncode, done.stdout, done.stderr)
        if line.variable:
            self.variables[line.variable] = done.stdout.strip()
        return answer


class Background:
    """A command that goes on until it is stopped."""

    def __init__(self, cluster: Cluster, line: Line, namespace: str) -> None:
        self._out = cluster.home / f"{cluster.name}-{namespace}-{time.monotonic_ns()}"
        with self._out.open("w", encoding="utf-8") as out:
            self._process = subprocess.Popen(
                cluster.arguments(line, namespace),
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=subprocess.STDOUT,
                cwd=MANIFESTS,
                env=cluster.environment(),
            )

    def begun(self) -> bool:
        """Whether it has printed what is there: from then on it sees what changes."""
        return self._out.stat().st_size > 0

    def text(self) -> str:
        """What it has printed so far."""
        return normal(self._out.read_text(encoding="utf-8"))

    def stop(self) -> None:
        """End it."""
        self._process.terminate()
        self._process.wait(10)


class Stage:
    """Both clusters, and one namespace that has the same name in both."""

    def __init__(self, real: Cluster, rehearsal: Cluster, namespace: str) -> None:
        self.pair = (real, rehearsal)
        self.namespace = namespace
        for cluster in self.pair:
            cluster.variables = {}

    def play(self, script: str) -> None:
        """Run a script, to its end also where the clusters differ.

        Raises:
            AssertionError: they differed; says in which lines, and how.
        """
        differences = list(self._differences(script))
        assert not differences, "\n\n".join(["kubectl's answers differ", *differences])

    def _differences(self, script: str) -> Iterator[str]:
        followed: list[tuple[Line, tuple[Background, ...]]] = []
        with ThreadPoolExecutor(len(self.pair)) as pool:
            try:
                for line in read(script):
                    if line.mode == "&":
                        running = tuple(Background(cluster, line, self.namespace) for cluster in self.pair)
                        followed.append((line, running))
                        _until(lambda running=running: all(one.begun() for one in running), START)  # type: ignore[misc]
                    elif found := self._compared(pool, line):
                        yield found
                for line, running in followed:
                    _until(lambda running=running: len({one.text() for one in running}) == 1)  # type: ignore[misc]
                    yield from difference(line, [one.text() for one in running])
            finally:
                for _, running in followed:
                    for one in running:
                        one.stop()

    def _compared(self, pool: ThreadPoolExecutor, line: Line) -> str:
        answers: list[Answer] = []

        def same() -> bool:
            answers[:] = pool.map(lambda cluster: cluster.run(line, self.namespace), self.pair)
            return len({one.text() for one in answers}) == 1

        if line.mode == "~":
            same()
            failed = [one.code != 0 for one in answers]
            texts = [one.text() for one in answers] if len(set(failed)) > 1 else []
        else:
            _until(same, PATIENCE if line.words.split()[0] in READERS else 0.0)
            texts = [] if line.variable else [one.text() for one in answers]
        return "\n".join(difference(line, texts))


def difference(line: Line, texts: Sequence[str]) -> list[str]:
    """What to tell where the two texts are not the same: nothing, or one block."""
    if len(set(texts)) <= 1:
        return []
    one, other = (text.splitlines() for text in texts)
    lines = list(difflib.unified_diff(one, other, "kubernetes", "rehearsal", lineterm="", n=2))
    return [f"$ kubectl {line.words}\n" + "\n".join(lines)]


def _until(holds: Callable[[], bool], patience: float = PATIENCE) -> None:
    end = time.monotonic() + patience
    while not holds() and time.monotonic() < end:
        time.sleep(PAUSE)


def read(script: str) -> list[Line]:
    """The lines of a script."""
    found: list[Line] = []
    inputs: list[str] = []

    def close() -> None:
        if inputs:
            last = found.pop()
            text = textwrap.dedent("\n".join(inputs)) + "\n"
            found.append(Line(last.words, last.mode, last.variable, text))
            inputs.clear()

    for text in textwrap.dedent(script).splitlines():
        if text.startswith(" "):
            inputs.append(text)
            continue
        close()
        if not text.strip():
            continue
        mode = text[0] if text[0] in "~&" else ""
        words = text.removeprefix(mode).strip()
        named = re.match(r"(\w+) = (.*)", words)
        found.append(Line(named[2], mode, named[1]) if named else Line(words, mode))
    close()
    return found
