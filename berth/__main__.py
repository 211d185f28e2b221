"""``python -m berth`` is ``berth``."""

from berth.cli.program import main

main()
