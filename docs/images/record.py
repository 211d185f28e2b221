"""Records a run in a terminal as an animated picture: ``python docs/images/record.py [KUBECONFIG]``.

Starts from a cluster without the release, runs ``berth up --profile postgres`` in a pseudo-terminal, and writes up.svg
beside this file. Without KUBECONFIG the rehearsal is used, and started where need be. The picture plays in a third of
the run's time; where pictures do not move, it shows the end.
"""

from __future__ import annotations

import fcntl
import os
import pty
import re
import select
import struct
import subprocess
import sys
import termios
import time
from html import escape
from pathlib import Path

COLUMNS, ROWS = 112, 60
COMMAND = ("up", "--profile", "postgres")
SHOWN = "invoke " + " ".join(COMMAND)
#: Seconds between two frames, how much faster the picture plays, and how long it rests on the last frame.
STEP, FASTER, REST = 0.5, 3.0, 8.0

#: Pixels.
CELL, LINE, SIZE, MARGIN, BAR = 7.82, 19, 13, 18, 34
COLOURS = {"31": "r", "32": "g", "33": "y", "34": "b", "35": "m", "36": "c"}
STYLE = """
.t{font:13px ui-monospace,SFMono-Regular,Menlo,Consolas,'DejaVu Sans Mono',monospace;fill:#d6dde6;white-space:pre}
.r{fill:#ff8078}.g{fill:#56d364}.y{fill:#e3b341}.b{fill:#79c0ff}.m{fill:#d2a8ff}.c{fill:#56d4dd}.d{fill:#8b97a5}.h{font-weight:700}
"""

_ESCAPE = re.compile(r"\x1b\[([?0-9;]*)([A-Za-z])|\x1b[()][A-Z0-9]|\x1b[=>]")

#: Not every program keeps two blanks in a row.
_WORDS = re.compile(r"\S+(?: \S+)*")

Cell = tuple[str, str]
Frame = tuple[tuple[Cell, ...], ...]


class Screen:
    """As much of a terminal as rich's live display uses: colours, carriage return, cursor up, erase line."""

    def __init__(self) -> None:
        """Begin with nothing."""
        self.rows: list[list[Cell]] = [[]]
        self.row = self.column = 0
        self.style = ""
        self._rest = ""

    def write(self, text: str) -> None:
        """Take what the program wrote."""
        text = self._rest + text
        self._rest = ""
        position = 0
        while position < len(text):
            if text[position] == "\x1b":
                found = _ESCAPE.match(text, position)
                if not found:
                    self._rest = text[position:]
                    return
                self._control(found[1] or "", found[2] or "")
                position = found.end()
                continue
            self._put(text[position])
            position += 1

    def frame(self) -> Frame:
        """The lines as they are now, without empty ones at the end."""
        lines = [tuple(row) for row in self.rows]
        while lines and not "".join(char for char, _ in lines[-1]).strip():
            lines.pop()
        return tuple(lines)

    def _put(self, char: str) -> None:
        if char == "\r":
            self.column = 0
        elif char == "\n":
            self.row += 1
            while len(self.rows) <= self.row:
                self.rows.append([])
        elif char >= " ":
            row = self.rows[self.row]
            row.extend([(" ", "")] * (self.column + 1 - len(row)))
            row[self.column] = (char, self.style)
            self.column += 1

    def _control(self, arguments: str, letter: str) -> None:
        if letter == "A":
            self.row = max(0, self.row - int(arguments or 1))
        elif letter == "K":
            self.rows[self.row] = []
        elif letter == "m":
            for code in arguments.split(";"):
                if code in ("", "0"):
                    self.style = ""
                elif code in ("1", "2"):
                    self.style = f"{self.style} {'h' if code == '1' else 'd'}".strip()
                elif code in COLOURS:
                    self.style = f"{self.style} {COLOURS[code]}".strip()


def run(kubeconfig: str | None) -> list[tuple[float, Frame]]:
    """Run the command in a pseudo-terminal; the frames with the seconds at which they began."""
    environment = os.environ | {"COLUMNS": str(COLUMNS), "LINES": str(ROWS), "TERM": "xterm-256color"}
    if kubeconfig:
        environment["KUBECONFIG"] = kubeconfig
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", ROWS, COLUMNS, 0, 0))
    process = subprocess.Popen(
        [sys.executable, "-m", "berth", *COMMAND],
        stdin=subprocess.DEVNULL,
        stdout=theirs,
        stderr=theirs,
        env=environment,
    )
    os.close(theirs)
    frames: list[tuple[float, Frame]] = []
    screen, began = Screen(), time.monotonic()
    while True:
        ready, _, _ = select.select([ours], [], [], 0.05)
        if ready:
            try:
                screen.write(os.read(ours, 65536).decode("utf-8", "replace"))
            except OSError:  # Linux ends a pseudo-terminal this way.
                break
        now = time.monotonic() - began
        if not frames or now - frames[-1][0] >= STEP:
            frames.append((now, screen.frame()))
    os.close(ours)
    if process.wait():
        raise SystemExit("the run failed:\n" + "\n".join("".join(c for c, _ in row) for row in screen.frame()))
    frames.append((time.monotonic() - began, screen.frame()))
    return frames


def picture(frames: list[tuple[float, Frame]]) -> str:
    """The frames as one SVG: below one another, and moved past a window."""
    unique: list[tuple[float, Frame]] = []
    for when, frame in frames:
        if frame and (not unique or unique[-1][1] != frame):
            unique.append((when, frame))
    height = (max(len(frame) for _, frame in unique) + 1) * LINE
    width = round(COLUMNS * CELL + 2 * MARGIN)
    names: dict[tuple[Cell, ...], str] = {}
    strips = []
    for number, (_, frame) in enumerate(unique):
        uses = [
            f'<use href="#{names.setdefault(row, f"l{len(names)}")}" y="{number * height + (index + 2) * LINE}"/>'
            for index, row in enumerate(frame)
            if row
        ]
        strips.append("".join(uses))
    prompt = f'<text class="t" y="{{}}"><tspan class="g h">$</tspan> {SHOWN}</text>'
    prompts = "".join(prompt.format(number * height + LINE) for number in range(len(unique)))
    defs = "".join(f'<text class="t" id="{name}">{_spans(row)}</text>' for row, name in names.items())
    play = [when / FASTER for when, _ in unique]
    total = play[-1] + REST
    keys = "".join(
        f"{when / total * 100:.2f}%{{transform:translateY({-number * height}px)}}" for number, when in enumerate(play)
    )
    keys = keys.replace(f"{play[0] / total * 100:.2f}%", "0%", 1)
    last = -(len(unique) - 1) * height
    animation = (
        f"@keyframes play{{{keys}100%{{transform:translateY({last}px)}}}}"
        f"@media (prefers-reduced-motion:no-preference){{.s{{animation:play {total:.1f}s steps(1,end) infinite}}}}"
    )
    full = height + BAR + MARGIN
    dots = "".join(
        f'<circle cx="{20 + 18 * i}" cy="17" r="5.5" fill="{c}"/>'
        for i, c in enumerate(("#f47067", "#e3b341", "#56d364"))
    )
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {full}" '
        f'width="{width}" height="{full}" role="img">'
        f"<title>{SHOWN}: three pods come up one after the other, each with its claim</title>"
        f"<style>{STYLE}{animation}</style><defs>{defs}"
        f'<clipPath id="w"><rect x="0" y="{BAR}" width="{width}" height="{height + 4}"/></clipPath></defs>'
        f'<rect x=".5" y=".5" width="{width - 1}" height="{full - 1}" rx="9" fill="#12171e" stroke="#343d48"/>{dots}'
        f'<text class="t d" x="{width / 2}" y="21" text-anchor="middle">berth</text>'
        f'<g clip-path="url(#w)"><g transform="translate({MARGIN} {BAR})"><g class="s" transform="translate(0 {last})">'
        f"{prompts}{''.join(strips)}</g></g></g></svg>\n"
    )


def _spans(row: tuple[Cell, ...]) -> str:
    """A line as text; each run of one style sits on its column, whatever font the reader has."""
    made, start = [], 0
    while start < len(row):
        end = start
        while end < len(row) and row[end][1] == row[start][1]:
            end += 1
        text = "".join(char for char, _ in row[start:end])
        style = f' class="{row[start][1]}"' if row[start][1] else ""
        for words in _WORDS.finditer(text):
            made.append(
                f'<tspan x="{(start + words.start()) * CELL:.1f}" textLength="{len(words[0]) * CELL:.1f}" '
                f'lengthAdjust="spacingAndGlyphs"{style}>{escape(words[0])}</tspan>'
            )
        start = end
    return "".join(made)


if __name__ == "__main__":
    target = Path(__file__).with_name("up.svg")
    target.write_text(picture(run(sys.argv[1] if len(sys.argv) > 1 else None)), encoding="utf-8")
    print(f"wrote {target.name}: {target.stat().st_size // 1024} KB")
