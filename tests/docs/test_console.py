"""The harness itself: what counts as the same, and how a shell is kept."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.docs.console import Shell, difference, normalised, run_page
from tests.docs.pages import Command, Fence, Page, commands
from tests.docs.recording import record


@pytest.mark.unit
@pytest.mark.parametrize(
    ("shown", "printed"),
    [
        (["a", "...", "z"], ["a", "b", "c", "z"]),
        (["a", "...", "z"], ["a", "z"]),
        (["at x.yaml:... (from b)"], ["at x.yaml:17 (from b)"]),
        (["recap: web  ok=1  22s"], ["recap: web  ok=1  1m05s"]),
        (["web-0   1/1   Running   0     9s"], ["web-0   1/1     Running   0          2m13s"]),
        (["https://127.0.0.1:16443"], ["https://127.0.0.1:1"]),
        (["pvc-790732b1-2afe-4cee-ae13-64f44bfd11ef  1Gi"], ["pvc-074b4570-afe6-4462-9501-69ebed16b363 1Gi"]),
        (["web-0 on 10.98.0.12, of web-65b6c9f7d"], ["web-0 on 172.18.4.7, of web-7dfc4b9967"]),
        (["  created    A/a", "  created    B/b"], ["  created    B/b", "  created    A/a"]),
        (["  created    A/a", "  updated    B/b"], ["  updated    B/b", "  created    A/a"]),
        (["  web-0  ready  berth-node-1"], ["  web-0  image  on berth-node-2", "  web-0  ready  berth-node-2"]),
        (["  web-0  ready  berth-node-1"], ["  web-0  ready", "  web-1  image", "  web-0  ready  berth-node-1"]),
        (["a"], ["a", ""]),
    ],
)
def test_same(shown: list[str], printed: list[str]) -> None:
    assert difference(shown, printed) == ""


@pytest.mark.unit
@pytest.mark.parametrize(
    ("shown", "printed"),
    [
        (["a"], ["b"]),
        (["a"], ["a", "b"]),
        (["a", "b"], ["a"]),
        (["ok=1"], ["ok=2"]),
        (["  created    A/a"], ["  deleted    A/a"]),
        (["  created    A/a", "  deleted    B/b"], ["  deleted    B/b", "  created    A/a"]),
        (["storage 1Gi"], ["storage 2Gi"]),
        (["  web-0  ready", "  web-1  ready"], ["  web-1  ready", "  web-0  ready"]),
        (["Kubernetes v1.36.3"], ["Kubernetes v1.35.3"]),
        (["to web-1.web"], ["to web-2.web"]),
        (["172.15.0.1"], ["172.15.0.2"]),
        ([], ["error: nothing"]),
    ],
)
def test_different(shown: list[str], printed: list[str]) -> None:
    assert difference(shown, printed)


@pytest.mark.unit
def test_rows_of_volumes_come_in_any_order() -> None:
    first, second = "pvc-790732b1-2afe-4cee-ae13-64f44bfd11ef   2Gi", "pvc-074b4570-afe6-4462-9501-69ebed16b363   1Gi"
    assert normalised([first, second]) == normalised([second, first])


@pytest.mark.unit
def test_commands_of_a_block() -> None:
    fence = Fence("console", 10, "$ cat <<E\n> x\n> E\nx\n$ true\n")
    assert commands(fence) == [Command(10, "cat <<E\nx\nE", ("x",)), Command(14, "true", ())]
    with pytest.raises(ValueError, match="line 10"):
        commands(Fence("console", 10, "output\n"))


def _page(tmp_path: Path, text: str) -> Page:
    path = Path(__file__).with_name("page.md")  # Below the root, for its name; never written.
    return Page(path, text)


@pytest.mark.unit
def test_a_shell_keeps_variables_directory_and_exit_code(tmp_path: Path) -> None:
    shell = Shell(tmp_path, dict(os.environ))
    try:
        assert shell.run("export A=1; cd /") == (0, [])
        assert shell.run("echo $A $PWD; false") == (1, ["1 /"])
        assert shell.run("echo $?") == (0, ["1"])
        assert shell.run("printf 'no newline'; echo error >&2") == (0, ["no newlineerror"])
        with pytest.raises(TimeoutError, match="not done after"):
            shell.run("sleep 60", deadline=0.2)
    finally:
        shell.close()


@pytest.mark.unit
def test_a_page_that_hides_a_failure_does_not_pass(tmp_path: Path) -> None:
    shell = Shell(tmp_path, dict(os.environ))
    try:
        shown = _page(
            tmp_path, "```text title=a/b.txt\nhello\n```\n```console\n$ cat a/b.txt; false\nhello\n$ echo $?\n1\n```\n"
        )
        assert run_page(shown, shell, tmp_path, {"hello": "bye"}) == {5: ["bye"], 7: ["1"]}
        with pytest.raises(AssertionError, match="ended with exit code 1"):
            run_page(_page(tmp_path, "```console\n$ false\n```\n"), shell, tmp_path, {})
    finally:
        shell.close()


@pytest.mark.unit
def test_recording_keeps_what_counts_as_the_same(tmp_path: Path) -> None:
    path = tmp_path / "page.md"
    path.write_text("```console\n$ a\nkept 1s\n$ b\nold\nlines\n$ c\n```\n")
    record(Page(path, path.read_text()), {2: ["kept 2s"], 4: ["new https://127.0.0.1:5"], 7: ["more"]})
    assert path.read_text() == "```console\n$ a\nkept 1s\n$ b\nnew https://127.0.0.1:16443\n$ c\nmore\n```\n"
