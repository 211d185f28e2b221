"""Releases as text: on standard output, or one file an object."""

from __future__ import annotations

import errno
import json
import os
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

from berth.core.errors import InputError, LocalError
from berth.core.masking import HIDDEN, hides, masked
from berth.core.objects import Json, Manifest
from berth.core.render import Release
from berth.core.yamltext import dump_all

#: Lists the files of a render in their directory, so that the next one may replace them.
LISTING = ".berth-render"
_HEADER = "# Written by berth render, which replaces or removes the files listed here."


def as_yaml(releases: Sequence[Release]) -> str:
    """YAML, one document an object, in apply order; secret text is hidden, and a comment says so."""
    return dump_all((comment, body) for _, comment, body in _shown(releases))


def as_json(releases: Sequence[Release]) -> str:
    """A Kubernetes List of the objects in apply order; secret text is hidden."""
    items = [body for _, _, body in _shown(releases)]
    return json.dumps({"apiVersion": "v1", "kind": "List", "items": items}, indent=2, ensure_ascii=False)


def _shown(releases: Sequence[Release]) -> Iterator[tuple[Manifest, str, Json]]:
    for release in releases:
        for manifest in release.manifests:
            body = masked(manifest, release.values.secret_paths)
            lines = []
            if hides(manifest, body):
                lines.append(
                    f"Secret text reads {HIDDEN} here, which no API server accepts; berth up applies the real one."
                )
            if manifest.generated:
                lines.append(f"berth up makes these keys once: {', '.join(sorted(manifest.generated))}")
            yield manifest, "\n".join(lines), body


def write(releases: Sequence[Release], directory: Path) -> list[Path]:
    """One YAML file an object, numbered in apply order; what an earlier render left there is replaced.

    All files are written beside the directory first, and then moved: a full disk leaves everything as it was.

    Raises:
        InputError: the directory holds files that no render wrote.
        LocalError: it cannot be written.
    """
    files = {
        f"{number:03d}-{body['kind'].lower()}-{_file_part(body['metadata']['name'])}.yaml": dump_all([(comment, body)])
        for number, (_, comment, body) in enumerate(_shown(releases), 1)
    }
    try:
        old = _earlier(directory)
        directory.parent.mkdir(parents=True, exist_ok=True)
        waiting = Path(tempfile.mkdtemp(prefix=f".{directory.name}-", dir=directory.parent))
    except OSError as error:
        raise _failure(directory, error) from None
    try:
        for name, text in {**files, LISTING: "\n".join([_HEADER, *files]) + "\n"}.items():
            path = waiting / name
            path.write_text(text, encoding="utf-8")
        directory.mkdir(exist_ok=True)
        for name in (*files, LISTING):
            os.replace(waiting / name, directory / name)
        for name in old - files.keys():
            (directory / name).unlink(missing_ok=True)
    except OSError as error:
        raise _failure(directory, error) from None
    finally:
        shutil.rmtree(waiting, ignore_errors=True)
    return [directory / name for name in files]


def _earlier(directory: Path) -> set[str]:
    """The files of an earlier render.

    Raises:
        InputError: there are others, or this is no directory.
    """
    if not directory.exists():
        return set()
    if not directory.is_dir():
        raise InputError(f"{directory} is a file, not a directory", hint="choose another --output-dir")
    listing = directory / LISTING
    listed = set(listing.read_text(encoding="utf-8").splitlines()[1:]) if listing.is_file() else set()
    listed = {name for name in listed if name and "/" not in name and name not in (".", "..")}
    others = sorted(path.name for path in directory.iterdir() if path.name not in listed | {LISTING})
    if others:
        more = f" and {len(others) - 3} more" if len(others) > 3 else ""
        raise InputError(
            f"{directory} holds files that berth render did not write: {', '.join(others[:3])}{more}",
            hint="choose an empty or a new directory",
        )
    return listed


def _file_part(name: str) -> str:
    return "".join(letter if letter.isalnum() or letter in "-." else "_" for letter in name)


def _failure(directory: Path, error: OSError) -> LocalError:
    full = error.errno in (errno.ENOSPC, errno.EDQUOT)
    hint = "free some space; nothing was changed" if full else "check the path and its permissions"
    return LocalError(f"cannot write to {directory}: {error.strerror or error}", hint=hint)
