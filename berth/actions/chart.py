"""Charts of profiles: made, written to directories of their own, or compared with what is there."""

from __future__ import annotations

import errno
import os
import shutil
import tempfile
from collections.abc import Sequence
from pathlib import Path

from berth.core.chart.convert import Chart, convert
from berth.core.chart.package import MARK
from berth.core.errors import InputError, LocalError, Problem, ProfileError
from berth.library import PROJECT, Library, find_project, shown


def chosen(library: Library, names: Sequence[str], everything: bool) -> list[str]:
    """The profiles meant: those named, or all of the project, or all built-in ones where it has none of its own.

    Raises:
        InputError: none is named, or both are asked for.
    """
    if everything and names:
        raise InputError("--all and --profile exclude each other", hint="leave one of them away")
    if not everything:
        if not names:
            raise InputError("which profile?", hint="--profile NAME, or --all; `invoke profiles` lists them")
        return list(dict.fromkeys(names))
    own = [name for name in library.names() if (library.roots[0].profiles / f"{name}.yaml").is_file()]
    return own if library.roots[0].origin == PROJECT and own else library.names()


def charts_of(library: Library, names: Sequence[str], environment: str | None) -> list[Chart]:
    """The charts of profiles.

    Raises:
        InputError: with the problems of every profile.
    """
    made: list[Chart] = []
    problems: list[Problem] = []
    kinds: list[type[InputError]] = []
    for name in names:
        try:
            profile = library.load(name)
            if profile.abstract:
                raise ProfileError(
                    f"the profile {name} is only there to be extended",
                    where=str(profile.position),
                    hint=f"write a profile that says `extends: {name}`",
                )
            made.append(convert(profile, library.loader, environment))
        except InputError as error:
            problems += error.problems
            kinds.append(type(error))
    if problems:
        raise (kinds[0] if len(set(kinds)) == 1 else InputError)(problems)
    return made


def directory_of(written: str | None) -> Path:
    """Where charts go: what the user says, else `charts` in the project, else in the current directory."""
    return Path(written) if written else (find_project() or Path.cwd()) / "charts"


def write(charts: Sequence[Chart], directory: Path) -> None:
    """Each chart in its directory; files of an earlier one that are no longer part of it are removed.

    All files are written beside the directory first, and then moved: a full disk leaves everything as it was.

    Raises:
        InputError: a chart's directory holds files that are not ours.
        LocalError: it cannot be written.
    """
    earlier = {chart.name: _earlier(directory / chart.name) for chart in charts}
    waiting = None
    try:
        directory.mkdir(parents=True, exist_ok=True)
        waiting = Path(tempfile.mkdtemp(prefix=".charts-", dir=directory))
        for chart in charts:
            for name, text in chart.files.items():
                path = waiting / chart.name / name
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_text(text, encoding="utf-8")
        for chart in charts:
            for name in chart.files:
                path = directory / chart.name / name
                path.parent.mkdir(parents=True, exist_ok=True)
                os.replace(waiting / chart.name / name, path)
            for name in earlier[chart.name] - chart.files.keys():
                (directory / chart.name / name).unlink(missing_ok=True)
    except OSError as error:
        full = error.errno in (errno.ENOSPC, errno.EDQUOT)
        hint = "free some space" if full else "check the path and its permissions"
        raise LocalError(f"cannot write to {directory}: {error.strerror or error}", hint=hint) from None
    finally:
        if waiting is not None:
            shutil.rmtree(waiting, ignore_errors=True)


def stale(charts: Sequence[Chart], directory: Path) -> list[str]:
    """What differs between the charts and the files in a directory, a line each; nothing is written.

    Raises:
        InputError: a chart's directory holds files that are not ours.
    """
    found = []
    for chart in charts:
        for name in sorted(chart.files.keys() | _earlier(directory / chart.name)):
            path = directory / chart.name / name
            if name not in chart.files:
                found.append(f"{shown(path)} is left over")
            elif not path.is_file():
                found.append(f"{shown(path)} is missing")
            elif path.read_text(encoding="utf-8", errors="replace") != chart.files[name]:
                found.append(f"{shown(path)} is stale")
    return found


def _earlier(directory: Path) -> set[str]:
    """The files of an earlier chart.

    Raises:
        InputError: there are others, or this is no directory.
    """
    if directory.is_symlink():
        raise InputError(f"{directory} is a link", hint="choose another --output-dir")
    if not directory.exists():
        return set()
    if not directory.is_dir():
        raise InputError(f"{directory} is a file, not a directory", hint="choose another --output-dir")
    found = sorted(path for path in directory.rglob("*") if not path.is_dir() or path.is_symlink())
    others = [str(path.relative_to(directory)) for path in found if not _ours(path)]
    if others:
        more = f" and {len(others) - 3} more" if len(others) > 3 else ""
        raise InputError(
            f"{directory} holds files that berth chart did not write: {', '.join(others[:3])}{more}",
            hint="choose another --output-dir, or move them away",
        )
    return {path.relative_to(directory).as_posix() for path in found}


def _ours(path: Path) -> bool:
    try:
        with path.open(encoding="utf-8", errors="replace") as file:
            return not path.is_symlink() and MARK in file.read(400)
    except OSError:
        return False
