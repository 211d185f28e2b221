"""A directory of files that berth writes as a whole: written anew, compared, and never mixed with files of others."""

from __future__ import annotations

import errno
import os
import re
import shutil
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from berth.core.errors import InputError, LocalError

_WRITTEN_BY = re.compile(r"# Written by (.+), which replaces or removes the files listed here\.")


@dataclass(frozen=True, slots=True)
class Listing:
    """The file ``name`` in which ``command`` notes what it wrote, so that the next run may replace it."""

    name: str
    command: str

    def text(self, names: Iterable[str]) -> str:
        """What the file says of these names."""
        header = f"# Written by {self.command}, which replaces or removes the files listed here."
        return "\n".join([header, *names]) + "\n"


@dataclass(frozen=True, slots=True)
class Difference:
    """A file that is not as it would be written: ``old`` is None for one that is missing, ``new`` for a leftover."""

    name: str
    old: str | None
    new: str | None


def write_files(directory: Path, files: Mapping[str, str], listing: Listing) -> list[Path]:
    """Files by their path below the directory, "/" between its parts; what the last run wrote there is replaced.

    All files are written beside the directory first, and then moved: a full disk leaves everything as it was. A run
    that is killed while it moves them is taken up by the next one.

    Raises:
        InputError: the directory holds files that others wrote.
        LocalError: it cannot be written.
    """
    try:
        old = _earlier(directory, listing, frozenset())
        directory.parent.mkdir(parents=True, exist_ok=True)
        waiting = Path(tempfile.mkdtemp(prefix=f".{directory.name}-", dir=directory.parent))
    except OSError as error:
        raise _failure(directory, error) from None
    left = sorted(old - files.keys())
    # While files are moved, the list has those of before and of now: whatever is there then is known to be ours.
    during = f"{listing.name}.during"
    try:
        for name, text in {**files, listing.name: listing.text(files), during: listing.text([*files, *left])}.items():
            path = waiting / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")
        for place in sorted({directory, *((directory / name).parent for name in (*files, *old))}):
            place.mkdir(parents=True, exist_ok=True)
            if not os.access(place, os.W_OK | os.X_OK, effective_ids=os.access in os.supports_effective_ids):
                raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))
        os.replace(waiting / during, directory / listing.name)
        for name in files:
            os.replace(waiting / name, directory / name)
        for name in left:
            _remove(directory, name)
        os.replace(waiting / listing.name, directory / listing.name)
    except OSError as error:
        raise _failure(directory, error) from None
    finally:
        shutil.rmtree(waiting, ignore_errors=True)
    return [directory / name for name in files]


def differences(directory: Path, files: Mapping[str, str], listing: Listing) -> list[Difference]:
    """What `write_files` would change in the directory; nothing is written.

    Raises:
        InputError: the directory holds files that others wrote.
        LocalError: it cannot be read.
    """
    wanted = {**files, listing.name: listing.text(files)}
    try:
        old = _earlier(directory, listing, frozenset(files))
        found = {name: _text(directory / name) for name in sorted({*wanted, *old})}
    except OSError as error:
        raise LocalError(f"cannot read {directory}: {error.strerror or error}") from None
    changed = [Difference(name, text, wanted.get(name)) for name, text in found.items() if text != wanted.get(name)]
    # The list follows from the files: it is worth a word only where it is all that differs.
    return [one for one in changed if one.name != listing.name] or changed


def _text(path: Path) -> str | None:
    # Bytes that are no text are a difference, not an error.
    return path.read_bytes().decode("utf-8", "backslashreplace") if path.is_file() else None


def _earlier(directory: Path, listing: Listing, expected: frozenset[str]) -> set[str]:
    """The files of an earlier run; ``expected`` ones may be there without being listed.

    Raises:
        InputError: there are others, another command wrote them, or this is no directory.
    """
    if not directory.exists():
        return set()
    if not directory.is_dir():
        raise InputError(f"{directory} is a file, not a directory", hint="choose another --output-dir")
    noted = directory / listing.name
    lines = noted.read_text(encoding="utf-8", errors="replace").splitlines() if noted.is_file() else []
    writer = _WRITTEN_BY.fullmatch(lines[0]) if lines else None
    if writer and writer[1] != listing.command:
        raise InputError(
            f"{directory} was written by {writer[1]}, not by {listing.command}",
            hint="choose another directory, or delete this one first",
        )
    listed = {name for name in lines[1:] if _is_below(name)}
    others = sorted(name for name in _present(directory) if name not in {*listed, *expected, listing.name})
    if others:
        more = f" and {len(others) - 3} more" if len(others) > 3 else ""
        raise InputError(
            f"{directory} holds files that {listing.command} did not write: {', '.join(others[:3])}{more}",
            hint="choose an empty or a new directory",
        )
    return listed


def _is_below(name: str) -> bool:
    """Whether a listed name leads to a file below the directory: a list can be written by anyone."""
    parts = name.split("/")
    return bool(name) and str(PurePosixPath(name)) == name and not {"", ".", ".."} & set(parts)


def _present(directory: Path) -> Iterator[str]:
    """All files below, and links to directories, which are not followed: what they hold is somebody else's."""

    def fail(error: OSError) -> None:
        raise error

    for place, inner, names in os.walk(directory, onerror=fail):
        links = [name for name in inner if (Path(place) / name).is_symlink()]
        for name in (*names, *links):
            yield (Path(place) / name).relative_to(directory).as_posix()


def _remove(directory: Path, name: str) -> None:
    """A file that is not written any more, and the directories that it leaves empty."""
    path = directory / name
    path.unlink(missing_ok=True)
    for parent in path.relative_to(directory).parents[:-1]:
        place = directory / parent
        if not place.is_dir() or any(place.iterdir()):
            break
        place.rmdir()


def _failure(directory: Path, error: OSError) -> LocalError:
    full = error.errno in (errno.ENOSPC, errno.EDQUOT)
    hint = "free some space; nothing was changed" if full else "check the path and its permissions"
    return LocalError(f"cannot write to {directory}: {error.strerror or error}", hint=hint)
