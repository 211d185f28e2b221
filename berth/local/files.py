"""Where clusters of this machine keep their things, and files that only their user can read.

State (data, keys, logs) lives in ``${XDG_STATE_HOME:-~/.local/state}/berth/ROOM/NAME``, or below BERTH_STATE_DIR where
that is set. What can be made again lives in ``${XDG_CACHE_HOME:-~/.cache}/berth/ROOM``.
"""

from __future__ import annotations

import os
import re
from pathlib import Path

from berth.core.errors import InputError, LocalError

NAME = re.compile(r"[a-z0-9]([-a-z0-9]{0,30}[a-z0-9])?")


def state_home(room: str) -> Path:
    """The directory that holds one directory per cluster of the room, such as `controlplane`."""
    own = os.environ.get("BERTH_STATE_DIR")
    if own:
        return Path(own).absolute() / room
    return _xdg("XDG_STATE_HOME", ".local/state") / "berth" / room


def cache_home(room: str) -> Path:
    """The directory of the room for what can be made again."""
    return _xdg("XDG_CACHE_HOME", ".cache") / "berth" / room


def _xdg(variable: str, fallback: str) -> Path:
    # The XDG specification says to ignore a relative path.
    value = os.environ.get(variable, "")
    if os.path.isabs(value):
        return Path(value)
    try:
        return Path.home() / fallback
    except RuntimeError as error:
        raise LocalError(
            "this user has no home directory",
            why=str(error),
            hint="set HOME, or BERTH_STATE_DIR to a directory for the state of local clusters",
        ) from error


def check_name(name: str, what: str) -> str:
    """The name. Raises InputError when it cannot name a directory: it is no lower-case DNS label of at most 32."""
    if not NAME.fullmatch(name):
        raise InputError(
            f"{name!r} cannot name a {what}",
            why="it becomes the name of a directory",
            hint="lower-case letters, digits and inner dashes, at most 32",
        )
    return name


def private_dir(path: Path) -> None:
    """Make the directory, and take everyone else's access to it away."""
    path.mkdir(mode=0o700, parents=True, exist_ok=True)
    path.chmod(0o700)


def write_private(path: Path, text: str) -> None:
    """Replace the file in one step; nobody else can read it at any moment, and no reader sees half of it."""
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write(text)
    draft.replace(path)
