"""How a rehearsal is started, and remembered for the next start."""

from __future__ import annotations

import json
import secrets
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path

from berth.core.errors import InputError
from berth.local.files import write_private

#: Seconds without a request after which the process ends.
IDLE = 3600.0
#: The word with which a scenario that was chosen before is given up.
NO_SCENARIO = "none"


@dataclass(frozen=True, slots=True)
class Wishes:
    """What a start asks for; None stays as it was.

    ``idle`` is in seconds, 0 for never; ``scenario`` is a file, or the name of one that comes with berth.
    """

    pace: str | None = None
    seed: int | None = None
    scenario: str | None = None
    idle: float | None = None
    port: int | None = None


@dataclass(frozen=True, slots=True)
class Settings:
    """What the process is started with.

    ``pace`` is empty, and ``seed`` None, for what the scenario says. The ports are 0 and ``server`` is empty until the
    first start has chosen.
    """

    token: str
    pace: str = ""
    seed: int | None = None
    scenario: str = ""
    idle: float = IDLE
    port: int = 0
    dns_port: int = 0
    server: str = ""

    def with_wishes(self, wishes: Wishes) -> Settings:
        """These settings, changed as wished.

        Raises:
            InputError: a wish that cannot be fulfilled anywhere.
        """
        from berth.rehearsal.clock import Pace

        given = {name: value for name, value in asdict(wishes).items() if value is not None}
        if wishes.pace is not None:
            given["pace"] = str(Pace.parse(wishes.pace))
        if wishes.scenario is not None:
            given["scenario"] = _scenario(wishes.scenario)
        if wishes.port is not None and not 1 <= wishes.port <= 65535:
            raise InputError(f"--port {wishes.port} is no port", hint="1024 to 65535")
        return replace(self, **given)

    def write(self, path: Path) -> None:
        """Keep them for the next start; the file is its user's alone."""
        write_private(path, json.dumps(asdict(self)))


def read(path: Path) -> Settings:
    """The settings of the last start; fresh ones, with a token of their own, where there are none that can be read."""
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
        known = {one.name for one in fields(Settings)}
        made = Settings(**{name: value for name, value in data.items() if name in known})
        if made.token and isinstance(made.token, str):
            return made
    except (OSError, ValueError, TypeError, AttributeError):
        pass
    return Settings(secrets.token_urlsafe(32))


def _scenario(text: str) -> str:
    """What the process can find from anywhere: the name of a built-in scenario, or a whole path."""
    if text in ("", NO_SCENARIO):
        return ""
    from berth.rehearsal import scenariofile

    path = Path(text).expanduser()
    scenariofile.find(str(path))
    return text if text in scenariofile.builtin() else str(path.absolute())
