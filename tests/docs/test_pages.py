"""Pages lead to one another, name only what exists, and show no command that nobody ran."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from itertools import groupby
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from berth.cli import namespace
from tests.docs.pages import NOT_RUN, ROOT, Page, anchor, commands, not_run, pages

pytestmark = pytest.mark.unit

LANGUAGES = {"console", "yaml", "json", "python", "text", ""}
#: What a reader would type; such a line outside a console block is a command that nobody ran.
_COMMAND = re.compile(r"^(invoke|berth|kubectl|pip|pytest|git|docker|helm|eval) ")
#: Tasks of this repository, which berth itself does not bring.
_OWN_TASKS = {"test", "test-node", "check", "checkov", "bench"}

PAGES = pages()


@pytest.mark.parametrize("page", PAGES, ids=str)
def test_links_lead_somewhere(page: Page) -> None:
    """Files and headings that are linked exist; addresses are https."""
    wrong = []
    for link in page.links:
        target = urlsplit(link)
        if target.scheme:
            if target.scheme != "https":
                wrong.append(f"{link}: not https")
            continue
        path = (page.path.parent / target.path).resolve() if target.path else page.path
        if not path.exists() or not path.is_relative_to(ROOT):
            wrong.append(f"{link}: no such file")
        elif target.fragment and target.fragment not in Page(path, path.read_text(encoding="utf-8")).anchors:
            wrong.append(f"{link}: no such heading")
    assert not wrong


def test_every_page_can_be_reached() -> None:
    """From the README, by links, one comes to every page."""
    seen: set[Path] = set()
    due = [ROOT / "README.md"]
    while due:
        path = due.pop()
        if path in seen or path.suffix != ".md":
            continue
        seen.add(path)
        page = Page(path, path.read_text(encoding="utf-8"))
        due += [
            (path.parent / urlsplit(link).path).resolve()
            for link in page.links
            if not urlsplit(link).scheme and urlsplit(link).path
        ]
    lonely = {str(page) for page in PAGES if page.path not in seen}
    assert lonely <= {"charts/README.md"}, lonely


@pytest.mark.parametrize("page", PAGES, ids=str)
def test_blocks_are_of_known_kinds(page: Page) -> None:
    """A block with commands is a console block, so that it is run; a title is a path below the reader's directory."""
    for fence in page.fences:
        assert fence.language in LANGUAGES, f"{page}:{fence.line}: {fence.language}"
        assert fence.title is None or not Path(fence.title).is_absolute()
        if fence.language == "console":
            commands(fence)


def test_every_command_is_run() -> None:
    """A line that looks like a command is in a console block, or the same command is in one elsewhere."""
    run = {command.text for page in PAGES for command in page.commands}
    stray = [
        f"{page}:{fence.line + number}: {line}"
        for page in PAGES
        for fence in page.fences
        if fence.language != "console"
        for number, line in enumerate(fence.text.splitlines())
        if _COMMAND.match(line) and line.split("#")[0].strip() not in run
    ]
    assert not stray


def test_what_is_not_run_is_in_its_page_and_has_a_reason() -> None:
    """The list of commands that no test runs has nothing in it that is not needed."""
    shown = {(str(page), command.text) for page in PAGES for command in page.commands}
    assert set(not_run()) <= shown, f"{NOT_RUN.name} names commands that no page shows"
    assert all(len(reason.split()) >= 4 for reason in not_run().values())


def test_pages_that_are_run_say_on_what() -> None:
    """Settings of a page are known words."""
    for page in PAGES:
        settings = page.settings
        assert {"plane", "directory"} <= set(settings) <= {"plane", "directory", "also", "needs"}, page
        assert settings.get("also", "rehearsal") == "rehearsal" and settings.get("needs", "helm") == "helm"
        assert settings["plane"] in ("none", "rehearsal", "shared", "own", "node") and settings["directory"] in (
            "checkout",
            "empty",
            "team",
        )


def _mentioned(page: Page) -> Iterator[list[str]]:
    for code in [*page.inline_code, *(command.text for command in page.commands)]:
        for part in re.split(r"&&|\|\||;|\||\$\(", code):
            # In prose a value may be left open: --name NAME, --set replicas=...
            words = part.strip().split()
            while words and "=" in words[0] and not words[0].startswith("-"):
                words = words[1:]
            if len(words) > 1 and words[0] in ("invoke", "berth") and not words[1].startswith("-"):
                words = [word.strip("`\"')") for word in words[1:]]
                # Behind two dashes come the actions of a rehearsal.
                rest = words.index("--") if "--" in words else len(words)
                yield words[:rest]
                for is_then, action in groupby(words[rest + 1 :], lambda word: word == "then"):
                    if not is_then:
                        yield list(action)


@pytest.mark.parametrize("page", PAGES, ids=str)
def test_tasks_and_options_that_are_named_exist(page: Page) -> None:
    """Also in running text: `invoke teardown --data keep` names a task and an option that exist."""
    for words in _mentioned(page):
        name, *rest = words
        if name in _OWN_TASKS or name in ("TASK", "..."):
            continue
        assert name in namespace.task_names or name in {a for al in namespace.task_names.values() for a in al}, (
            f"{page}: there is no task {name}"
        )
        known = {f"--{argument.name.replace('_', '-')}" for argument in namespace[name].get_arguments()}
        for word in rest:
            if word.startswith("--"):
                assert word.split("=")[0] in known, f"{page}: {name} has no option {word}"


def test_generated_pages_are_current() -> None:
    """`python docs/generate.py` would change nothing."""
    done = subprocess.run(
        [sys.executable, "docs/generate.py", "--check"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_every_test_on_a_node_is_in_the_table_of_promises() -> None:
    """A test of real containers that says no promise would be missing there."""
    page = (ROOT / "docs" / "reference" / "promises.md").read_text(encoding="utf-8")
    names = [
        f"{path.name}::{name}"
        for path in (ROOT / "tests" / "node").glob("test_*.py")
        for name in re.findall(r"^def (test_\w+)", path.read_text(encoding="utf-8"), re.MULTILINE)
    ]
    assert [name for name in names if f"`{name}`" not in page] == []


def test_decisions_are_numbered_and_complete() -> None:
    """Each has its number, and context, decision and consequences."""
    found = sorted((ROOT / "docs" / "decisions").glob("*.md"))
    assert [path.name[:4] for path in found] == [f"{number:04}" for number in range(1, len(found) + 1)]
    for path in found:
        headings = re.findall(r"^## (.+)$", path.read_text(encoding="utf-8"), re.MULTILINE)
        assert headings[:3] == ["Context", "Decision", "Consequences"], path.name


def test_the_picture_is_light_and_of_the_command_that_the_readme_shows() -> None:
    """It loads on a slow line, and is a recording of the first command."""
    picture = ROOT / "docs" / "images" / "up.svg"
    assert picture.stat().st_size < 150 * 1024
    assert "invoke up --profile postgres" in picture.read_text(encoding="utf-8")


def test_the_rehearsed_picture_is_what_its_command_draws(tmp_path: Path) -> None:
    """The command stands in the README; only the hashes of revisions may differ."""
    [command] = [
        command.text
        for command in Page(ROOT / "README.md", (ROOT / "README.md").read_text(encoding="utf-8")).commands
        if "--picture docs/images/rehearsal.svg" in command.text
    ]
    words = command.partition(" >")[0].split()[1:]
    drawn = tmp_path / "rehearsal.svg"
    words[words.index("docs/images/rehearsal.svg")] = str(drawn)
    environment = {**os.environ, "HOME": str(tmp_path)}
    done = subprocess.run(
        [sys.executable, "-m", "berth", *words],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 1, done.stderr

    def plain(path: Path) -> str:
        return re.sub(r"(?<=revision )[0-9a-z]{6,10}", "HASH", path.read_text(encoding="utf-8"))

    assert plain(drawn) == plain(ROOT / "docs" / "images" / "rehearsal.svg"), f"run it again: {command}"


def test_anchors_are_those_of_github() -> None:
    """Lower case, punctuation gone, blanks to dashes."""
    assert anchor("How to: a `profile`, 2nd part") == "how-to-a-profile-2nd-part"
