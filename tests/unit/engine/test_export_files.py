"""The directory of an export: replaced as a whole, compared, and never mixed with what others keep there."""

from __future__ import annotations

import errno
import os
from pathlib import Path
from typing import Any

import pytest

from berth.actions.export import described
from berth.actions.files import Difference, Listing, differences, write_files
from berth.core.errors import InputError, LocalError

pytestmark = pytest.mark.unit

MINE = Listing(".mine", "berth test")
FILES = {"a/b/one.yaml": "1\n", "a/two.yaml": "2\n", "three.md": "3\n"}


def state(directory: Path) -> dict[str, str]:
    """Every file by its path."""
    return {path.relative_to(directory).as_posix(): path.read_text() for path in directory.rglob("*") if path.is_file()}


def kinds(found: list[Difference]) -> dict[str, str]:
    return {next(described(one)).split("  ")[-1]: next(described(one)).split("  ")[0].strip() for one in found}


def test_files_are_written_below_the_directory(tmp_path: Path) -> None:
    out = tmp_path / "x" / "out"
    assert write_files(out, FILES, MINE) == [out / name for name in FILES]
    assert state(out) == {**FILES, ".mine": MINE.text(FILES)}
    assert [path.name for path in out.parent.iterdir()] == ["out"]
    assert differences(out, FILES, MINE) == []


def test_what_is_not_written_any_more_goes_with_its_empty_directories(tmp_path: Path) -> None:
    out = tmp_path / "out"
    write_files(out, FILES, MINE)
    left = {"a/two.yaml": "new\n"}
    write_files(out, left, MINE)
    assert state(out) == {**left, ".mine": MINE.text(left)}
    assert not (out / "a/b").exists()


@pytest.mark.parametrize("name", ["mine.txt", "a/mine.txt", "new/deep/mine.txt", "a/link"])
def test_files_of_others_stop_it_wherever_they_are(tmp_path: Path, name: str) -> None:
    out = tmp_path / "out"
    write_files(out, FILES, MINE)
    (out / name).parent.mkdir(parents=True, exist_ok=True)
    if name.endswith("link"):
        (out / name).symlink_to(tmp_path, target_is_directory=True)
    else:
        (out / name).write_text("precious")
    before = state(out)
    for act in (write_files, differences):
        with pytest.raises(InputError, match=f"holds files that berth test did not write: {name}"):
            act(out, {"other": "x"}, MINE)
    assert state(out) == before


def test_a_link_in_place_of_a_listed_directory_is_not_followed(tmp_path: Path) -> None:
    out, precious = tmp_path / "out", tmp_path / "precious"
    write_files(out, {"a/one": "1"}, MINE)
    (out / "a/one").unlink()
    (out / "a").rmdir()
    precious.mkdir()
    (precious / "one").write_text("keep")
    (out / "a").symlink_to(precious, target_is_directory=True)
    with pytest.raises(InputError, match="did not write: a"):
        write_files(out, {"b": "2"}, MINE)
    assert (precious / "one").read_text() == "keep"


def test_a_listing_cannot_name_files_elsewhere(tmp_path: Path) -> None:
    out = tmp_path / "out"
    out.mkdir()
    precious = tmp_path / "precious"
    precious.write_text("keep")
    # Nothing of this machine's own: a mistake would delete it.
    (out / ".mine").write_text(f"# x\n../precious\na/../../precious\n{precious}\n./x\na//b\n")
    write_files(out, FILES, MINE)
    assert (tmp_path / "precious").read_text() == "keep"


def test_what_another_command_wrote_is_not_replaced(tmp_path: Path) -> None:
    out = tmp_path / "out"
    write_files(out, FILES, MINE)
    for act in (write_files, differences):
        with pytest.raises(InputError, match="was written by berth test, not by berth test --more"):
            act(out, FILES, Listing(".mine", "berth test --more"))
    with pytest.raises(InputError, match="did not write"):
        write_files(out, FILES, Listing(".other", "berth other"))


@pytest.mark.parametrize("fails_at", range(8))
def test_a_run_that_is_killed_is_taken_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fails_at: int) -> None:
    """Whatever step it stops at: the next run finds nothing there that it takes for somebody else's."""
    out = tmp_path / "out"
    write_files(out, {"old/one.yaml": "0\n", "a/two.yaml": "0\n"}, MINE)
    steps = 0

    def counted(real: Any) -> Any:
        def act(*args: Any, **kwargs: Any) -> Any:
            nonlocal steps
            if args[0] == "count" or str(args[0]).startswith(str(tmp_path)):
                steps += 1
                if steps > fails_at:
                    raise KeyboardInterrupt
            return real(*args, **kwargs)

        return act

    with monkeypatch.context() as patched:
        patched.setattr(os, "replace", counted(os.replace))
        patched.setattr(Path, "unlink", counted(Path.unlink))
        try:
            write_files(out, FILES, MINE)
            stopped = False
        except KeyboardInterrupt:
            stopped = True
    assert stopped == (fails_at < 6), "listing, three files, one to remove, listing"
    write_files(out, FILES, MINE)
    assert state(out) == {**FILES, ".mine": MINE.text(FILES)}
    assert [path.name for path in tmp_path.iterdir()] == ["out"]


def test_a_full_disk_leaves_everything_as_it_was(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    out = tmp_path / "out"
    write_files(out, FILES, MINE)
    before = state(out)

    def full(self: Path, *args: Any, **kwargs: Any) -> int:
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr(Path, "write_text", full)
        with pytest.raises(LocalError, match="No space left"):
            write_files(out, {"a/two.yaml": "new"}, MINE)
    assert state(out) == before
    assert [path.name for path in tmp_path.iterdir()] == ["out"]


def test_a_directory_inside_that_cannot_be_written_changes_nothing(tmp_path: Path) -> None:
    """Also not the files that come before it."""
    out = tmp_path / "out"
    shut = {**FILES, "z/last.yaml": "4\n"}
    write_files(out, shut, MINE)
    before = state(out)
    user = os.geteuid()
    try:
        if user == 0:
            for path in (tmp_path, out, *(p for p in out.rglob("*") if p.is_dir())):
                os.chown(path, 65534, -1)
            for path in tmp_path.parents:
                path.chmod(path.stat().st_mode | 0o011)
            os.seteuid(65534)
        (out / "z").chmod(0o500)
        with pytest.raises(LocalError, match="Permission denied"):
            write_files(out, dict.fromkeys(shut, "new\n"), MINE)
    finally:
        os.seteuid(user)
        (out / "z").chmod(0o700)
    assert state(out) == before


def test_each_kind_of_difference_is_named(tmp_path: Path) -> None:
    out = tmp_path / "out"
    write_files(out, {**FILES, "old.yaml": "x"}, MINE)
    (out / "three.md").unlink()
    before = state(out)
    found = differences(out, {**FILES, "a/two.yaml": "2\nmore\n", "new.yaml": "n"}, MINE)
    assert kinds(found) == {
        "a/two.yaml": "changed",
        "new.yaml": "missing",
        "old.yaml": "left over",
        "three.md": "missing",
    }
    assert list(described(found[0])) == ["changed    a/two.yaml", "  +more"]
    assert state(out) == before


def test_a_directory_that_is_not_there_misses_everything(tmp_path: Path) -> None:
    assert set(kinds(differences(tmp_path / "out", FILES, MINE)).values()) == {"missing"}
    assert list(tmp_path.iterdir()) == []


def test_a_lost_list_is_a_difference(tmp_path: Path) -> None:
    out = tmp_path / "out"
    write_files(out, FILES, MINE)
    (out / ".mine").unlink()
    assert kinds(differences(out, FILES, MINE)) == {".mine": "missing"}


def test_a_difference_is_short_and_harms_no_terminal() -> None:
    lines = list(described(Difference("a", "x\n", "\x1b[2J\n" + "line\n" * 40 + "y" * 400 + "\n")))
    assert lines[:3] == ["changed    a", "  -x", "  +\\x1b[2J"]
    assert lines[-1] == "  ... and 31 more lines" and max(map(len, lines)) < 170


def test_bytes_that_are_no_text_are_a_difference(tmp_path: Path) -> None:
    out = tmp_path / "out"
    write_files(out, FILES, MINE)
    (out / "three.md").write_bytes(b"\xff\xfe")
    assert kinds(differences(out, FILES, MINE)) == {"three.md": "changed"}
