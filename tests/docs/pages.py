"""The documentation as data: pages, their fenced blocks, commands, links and headings."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
NOT_RUN = Path(__file__).with_name("not_run.toml")

#: What a page says of how its commands are to be run: <!-- test: plane=shared directory=team -->
_DIRECTIVE = re.compile(r"^<!-- test:(?P<words>.*)-->$")
_FENCE = re.compile(r"^(?P<indent> *)```(?P<info>.*)$")
_LINK = re.compile(r"(?<!!)\[[^\]]*\]\((?P<target>[^)\s]+)\)")
_IMAGE = re.compile(r"!\[[^\]]*\]\((?P<target>[^)\s]+)\)|<img[^>]*src=\"(?P<source>[^\"]+)\"")
_INLINE = re.compile(r"(?<!`)`(?P<code>[^`\n]+)`(?!`)")


@dataclass(frozen=True, slots=True)
class Fence:
    """A fenced block: ``info`` is what follows the three backticks, ``line`` that of the first line inside (from 1)."""

    info: str
    line: int
    text: str

    @property
    def language(self) -> str:
        """The first word of the info: console, yaml ..."""
        return self.info.split(" ")[0]

    @property
    def title(self) -> str | None:
        """The file that the block is to be saved as: ```yaml title=profiles/redis.yaml."""
        found = re.search(r"\btitle=(\S+)", self.info)
        return found[1] if found else None


@dataclass(frozen=True, slots=True)
class Command:
    """A line ``$ ...`` of a console block, continued by ``> ...``, with the output that the page shows under it."""

    line: int
    text: str
    output: tuple[str, ...]

    @property
    def asks_exit_code(self) -> bool:
        """Whether the command only shows how the one before it ended."""
        return self.text == "echo $?"


@dataclass(frozen=True, slots=True)
class Page:
    """One Markdown file."""

    path: Path
    text: str = field(repr=False)

    def __str__(self) -> str:
        """The path as people write it."""
        return self.path.relative_to(ROOT).as_posix()

    @property
    def settings(self) -> dict[str, str]:
        """How its commands are to be run.

        ``plane``: none, rehearsal, shared, own, node; ``directory``: checkout, empty, team; ``also``: rehearsal;
        ``needs``: a program of the control plane's build, such as helm.
        """
        said = {"plane": "none", "directory": "empty"}
        for line in self.text.splitlines():
            found = _DIRECTIVE.match(line)
            if found:
                for word in found["words"].split():
                    name, _, value = word.partition("=")
                    said[name] = value
        return said

    @property
    def fences(self) -> list[Fence]:
        """The fenced blocks."""
        return list(_fences(self.text))

    @property
    def prose(self) -> str:
        """The page without its fenced blocks; lines keep their numbers."""
        lines = self.text.splitlines()
        inside = False
        for index, line in enumerate(lines):
            fence = _FENCE.match(line)
            if fence or inside:
                lines[index] = ""
            inside = inside != bool(fence)
        return "\n".join(lines)

    @property
    def steps(self) -> list[Fence | Command]:
        """What a reader does, in order: save a block as a file, or type a command."""
        made: list[Fence | Command] = []
        for fence in self.fences:
            if fence.title:
                made.append(fence)
            elif fence.language == "console":
                made += commands(fence)
        return made

    @property
    def commands(self) -> list[Command]:
        """The commands of the page."""
        return [step for step in self.steps if isinstance(step, Command)]

    @property
    def inline_code(self) -> list[str]:
        """Code in running text."""
        return [found["code"] for found in _INLINE.finditer(self.prose)]

    @property
    def links(self) -> list[str]:
        """The targets of links and pictures."""
        found = [match["target"] for match in _LINK.finditer(self.prose)]
        return found + [match["target"] or match["source"] for match in _IMAGE.finditer(self.prose)]

    @property
    def anchors(self) -> set[str]:
        """The anchors that GitHub makes of the headings."""
        return {anchor(line.lstrip("#").strip()) for line in self.prose.splitlines() if line.startswith("#")}


def anchor(heading: str) -> str:
    """A heading's anchor, as GitHub makes it."""
    return re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")


def pages() -> list[Page]:
    """All pages, the README first, then by path."""
    paths = [ROOT / "README.md", ROOT / "CHANGELOG.md", ROOT / "charts" / "README.md", *(ROOT / "docs").rglob("*.md")]
    return sorted(
        (Page(p, p.read_text(encoding="utf-8")) for p in paths), key=lambda page: (page.path.parent != ROOT, str(page))
    )


def _fences(text: str) -> Iterator[Fence]:
    lines = text.splitlines()
    number = 0
    while number < len(lines):
        opened = _FENCE.match(lines[number])
        number += 1
        if not opened:
            continue
        first = number
        while number < len(lines) and not (_FENCE.match(lines[number]) and lines[number].strip() == "```"):
            number += 1
        indent = len(opened["indent"])
        yield Fence(opened["info"].strip(), first + 1, "\n".join(line[indent:] for line in lines[first:number]) + "\n")
        number += 1


def commands(fence: Fence) -> list[Command]:
    """The commands of a console block."""
    made: list[tuple[int, list[str], list[str]]] = []
    for offset, line in enumerate(fence.text.splitlines()):
        if line.startswith("$ "):
            made.append((fence.line + offset, [line[2:]], []))
        elif not made:
            raise ValueError(f"line {fence.line + offset}: a console block begins with a command: $ ...")
        elif line.startswith("> ") and not made[-1][2]:
            made[-1][1].append(line[2:])
        else:
            made[-1][2].append(line)
    return [Command(line, "\n".join(typed), tuple(output)) for line, typed, output in made]


@cache
def not_run() -> dict[tuple[str, str], str]:
    """The commands that no test runs, by page and text, each with the reason."""
    entries = tomllib.loads(NOT_RUN.read_text(encoding="utf-8"))["command"]
    return {(entry["page"], entry["command"]): entry["reason"] for entry in entries}
