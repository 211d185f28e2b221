"""``python -m berth`` is the program `berth`."""

from berth.cli.program import main

if __name__ == "__main__":
    main()
