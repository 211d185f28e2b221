"""Where a control plane keeps its things.

State (data, keys, logs) lives in ``${XDG_STATE_HOME:-~/.local/state}/berth/controlplane/NAME``, or below
BERTH_STATE_DIR where that is set. Built programs can be made again, so they live in
``${XDG_CACHE_HOME:-~/.cache}/berth/controlplane``.
"""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from pathlib import Path

from berth.core.errors import InputError

NAME = re.compile(r"[a-z0-9]([-a-z0-9]{0,30}[a-z0-9])?")


def state_home() -> Path:
    """The directory that holds one directory per control plane."""
    own = os.environ.get("BERTH_STATE_DIR")
    if own:
        return Path(own).absolute() / "controlplane"
    return _xdg("XDG_STATE_HOME", ".local/state") / "berth" / "controlplane"


def cache_home() -> Path:
    """The directory that holds the programs built here."""
    return _xdg("XDG_CACHE_HOME", ".cache") / "berth" / "controlplane"


def _xdg(variable: str, fallback: str) -> Path:
    # The XDG specification says to ignore a relative path.
    value = os.environ.get(variable, "")
    return Path(value) if os.path.isabs(value) else Path.home() / fallback


@dataclass(frozen=True, slots=True)
class Layout:
    """The files of one control plane, all below ``root``, which only its user can enter."""

    name: str
    root: Path

    @classmethod
    def of(cls, name: str) -> Layout:
        """The layout of the control plane with this name. Raises InputError when it is no lower-case DNS label."""
        if not NAME.fullmatch(name):
            raise InputError(
                f"{name!r} cannot name a control plane",
                why="it becomes the name of a directory",
                hint="lower-case letters, digits and inner dashes, at most 32",
            )
        return cls(name, state_home() / name)

    @property
    def kubeconfig(self) -> Path:
        """The administrator's kubeconfig, mode 0600."""
        return self.root / "kubeconfig"

    @property
    def settings(self) -> Path:
        """Ports and version of the last start, as JSON."""
        return self.root / "settings.json"

    @property
    def lock(self) -> Path:
        """The lock of start, stop and delete. Beside the directory, so that it outlives a delete."""
        return self.root.with_name(f"{self.name}.lock")

    @property
    def pki(self) -> Path:
        """Keys and certificates."""
        return self.root / "pki"

    @property
    def conf(self) -> Path:
        """Configuration of the components, written anew by every start."""
        return self.root / "conf"

    @property
    def etcd(self) -> Path:
        """The data of the cluster."""
        return self.root / "etcd"

    def log(self, component: str) -> Path:
        """What the component wrote since it was last started; what it wrote before that is in `NAME.previous.log`."""
        return self.root / "logs" / f"{component}.log"

    def pid(self, component: str) -> Path:
        """Which process the component is."""
        return self.root / "run" / f"{component}.json"

    def config(self, component: str) -> Path:
        """The kubeconfig with which the component talks to the API server."""
        return self.conf / f"{component}.kubeconfig"

    def create(self) -> None:
        """Make the directories, closed to others."""
        private_dir(self.root)
        for part in (self.pki, self.conf, self.root / "logs", self.root / "run"):
            private_dir(part)


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
