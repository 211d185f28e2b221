"""What the room tells others: plain values, no effects."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Component:
    """One process of a control plane. ``pid`` is None where it was never started."""

    name: str
    pid: int | None
    alive: bool
    log: Path


@dataclass(frozen=True, slots=True)
class Status:
    """What of a control plane is there. ``running`` means that every component is alive.

    ``server`` and ``version`` are empty and ``since`` is None where the plane was never started; ``since`` is when the
    oldest living process was started.
    """

    name: str
    running: bool
    components: tuple[Component, ...]
    kubeconfig: Path
    server: str
    version: str
    state_dir: Path
    since: datetime | None

    def to_json(self) -> dict[str, object]:
        """The same as one JSON object, for `cluster.status --output json`."""
        return {
            "name": self.name,
            "running": self.running,
            "server": self.server,
            "version": self.version,
            "kubeconfig": str(self.kubeconfig),
            "stateDir": str(self.state_dir),
            "since": self.since.isoformat() if self.since else None,
            "components": [
                {"name": part.name, "pid": part.pid, "alive": part.alive, "log": str(part.log)}
                for part in self.components
            ],
        }
