"""The program `berth`, also as ``python -m berth``."""

from __future__ import annotations

import sys
from types import ModuleType


def main() -> None:
    """Run the program."""
    # invoke.context imports unittest.mock for its MockContext, and that imports asyncio: a fifth of `berth --list`.
    # Only tests of tasks use it, and none run in here; for them, in a process of their own, nothing changes.
    mock = ModuleType("unittest.mock")
    mock.Mock = object  # type: ignore[attr-defined]
    missing = sys.modules.setdefault("unittest.mock", mock) is mock
    from berth.cli.program import main as run

    if missing:
        del sys.modules["unittest.mock"]
    run()


if __name__ == "__main__":
    main()
