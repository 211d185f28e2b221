"""The files of a rehearsal; see `berth.local.files` for where they lie."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from berth.local import files

#: The directory of rehearsals below the state directory.
ROOM = "rehearsal"


@dataclass(frozen=True, slots=True)
class Layout:
    """The files of one rehearsal, all below ``root``, which only its user can enter."""

    name: str
    root: Path

    @classmethod
    def of(cls, name: str) -> Layout:
        """The layout of the rehearsal with this name. Raises InputError when it is no lower-case DNS label."""
        return cls(files.check_name(name, "rehearsal"), files.state_home(ROOM) / name)

    @property
    def state(self) -> Path:
        """Every object, in SQLite."""
        return self.root / "state.sqlite"

    @property
    def kubeconfig(self) -> Path:
        """The administrator's kubeconfig with its bearer token, mode 0600."""
        return self.root / "kubeconfig"

    @property
    def settings(self) -> Path:
        """How it was started, its ports and its token, as JSON, mode 0600."""
        return self.root / "settings.json"

    @property
    def record(self) -> Path:
        """Which process it is."""
        return self.root / "server.json"

    @property
    def up(self) -> Path:
        """There while it answers. Its time says when somebody last asked for it with `start`."""
        return self.root / "up.json"

    @property
    def failure(self) -> Path:
        """Why the last start failed, as JSON."""
        return self.root / "failure.json"

    @property
    def log(self) -> Path:
        """What the process wrote since it was last started; what it wrote before that is in `server.previous.log`."""
        return self.root / "server.log"

    @property
    def serving(self) -> Path:
        """The lock that the server holds for as long as it lives."""
        return self.root / "serving.lock"

    @property
    def lock(self) -> Path:
        """The lock of start, stop and delete. Beside the directory, so that it outlives a delete."""
        return self.root.with_name(f"{self.name}.lock")
