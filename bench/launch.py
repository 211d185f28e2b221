"""Runs commands one after the other and prints what they took, as JSON.

A process of its own, and a small one: Linux counts the memory of the process that forks into the peak of its child, so
that a large parent would hide what the child needs.
"""

import json
import os
import sys
import time


def main(commands: list[list[str]], log: str) -> None:
    output = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    quiet = os.open(os.devnull, os.O_RDONLY)
    streams = [(os.POSIX_SPAWN_DUP2, quiet, 0), (os.POSIX_SPAWN_DUP2, output, 1), (os.POSIX_SPAWN_DUP2, output, 2)]
    cpu, peak, codes = 0.0, 0, []
    began = time.monotonic()
    for command in commands:
        child = os.posix_spawn(command[0], command, os.environ, file_actions=streams)
        _, status, used = os.wait4(child, 0)
        cpu += used.ru_utime + used.ru_stime
        peak = max(peak, used.ru_maxrss)
        codes.append(os.waitstatus_to_exitcode(status))
    wall = time.monotonic() - began
    print(json.dumps({"wall": wall, "cpu": cpu, "memory": peak / 1024, "codes": codes}))


main(json.loads(sys.argv[1]), sys.argv[2])
