"""The `berth` program: the same tasks as `invoke` has where a tasks.py imports them, without needing one."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from invoke.exceptions import Exit, ParseError
from invoke.program import Program

from berth import __version__
from berth.cli import namespace
from berth.core.errors import ExitCode


class Berth(Program):
    """Invoke's program with a built-in collection, project configuration included."""

    def parse_core(self, argv: list[str] | None) -> None:
        """Parse the program's own flags; bad ones end with the exit code of bad input."""
        try:
            super().parse_core(argv)
        except ParseError as error:
            raise Exit(str(error), code=ExitCode.BAD_INPUT) from error

    def parse_collection(self) -> None:
        """Use the built-in tasks, and read the invoke.yaml of the project that we are in."""
        super().parse_collection()
        self.config.set_project_location(_project(Path.cwd()))
        self.config.load_project()

    def parse_tasks(self) -> None:
        """Parse tasks and their options; bad ones end with the exit code of bad input."""
        try:
            super().parse_tasks()
        except ParseError as error:
            raise Exit(str(error), code=ExitCode.BAD_INPUT) from error


def _project(start: Path) -> Path:
    """The nearest directory upward with an invoke.yaml, as Invoke finds a tasks.py; else where we are."""
    return next((folder for folder in (start, *start.parents) if (folder / "invoke.yaml").is_file()), start)


def main(argv: Any = None) -> None:
    """Run the program."""
    Berth(name="berth", namespace=namespace, version=__version__).run(argv)
