"""The files of a control plane; see `berth.local.files` for where they lie."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from berth.local import files

#: The directory of control planes below the state and the cache directory.
ROOM = "controlplane"


def cache_home() -> Path:
    """The directory that holds the programs built here."""
    return files.cache_home(ROOM)


@dataclass(frozen=True, slots=True)
class Layout:
    """The files of one control plane, all below ``root``, which only its user can enter."""

    name: str
    root: Path

    @classmethod
    def of(cls, name: str) -> Layout:
        """The layout of the control plane with this name. Raises InputError when it is no lower-case DNS label."""
        return cls(files.check_name(name, "control plane"), files.state_home(ROOM) / name)

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
        files.private_dir(self.root)
        for part in (self.pki, self.conf, self.root / "logs", self.root / "run"):
            files.private_dir(part)
