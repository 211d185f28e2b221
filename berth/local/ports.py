"""Free ports of the loopback interface."""

from __future__ import annotations

import random
import socket
import time
from collections.abc import Iterable
from contextlib import ExitStack
from pathlib import Path

LOOPBACK = "127.0.0.1"

#: Below are the ports of well-known services, also of those that are not running just now.
LOWEST = 20000
ATTEMPTS = 64


def free(count: int) -> list[int]:
    """So many different ports that nobody listens on now. Another process may take one before it is used.

    They lie below the range from which the system gives ports to outgoing connections, where there is room: else any
    client on the machine could have one of them while the plane is stopped, and its kubeconfig would change.
    """
    first_ephemeral = _first_ephemeral()
    chosen: list[int] = []
    if first_ephemeral > LOWEST + 1000:
        for candidate in random.sample(range(LOWEST, first_ephemeral), ATTEMPTS):
            if len(chosen) < count and _is_free(candidate):
                chosen.append(candidate)
    with ExitStack() as stack:
        # All held at once, or the same one could come twice.
        rest = count - len(chosen)
        sockets = [stack.enter_context(socket.socket(socket.AF_INET, socket.SOCK_STREAM)) for _ in range(rest)]
        for one in sockets:
            one.bind((LOOPBACK, 0))
            chosen.append(one.getsockname()[1])
    return chosen


def _first_ephemeral() -> int:
    try:
        return int(Path("/proc/sys/net/ipv4/ip_local_port_range").read_text(encoding="ascii").split()[0])
    except (OSError, ValueError, IndexError):
        return 0


def all_free(ports: Iterable[int]) -> bool:
    """Whether a server could listen on each of the ports now."""
    return all(_is_free(port) for port in ports)


def become_free(ports: Iterable[int], seconds: float) -> bool:
    """Whether a server can listen on each of the ports, at the latest after so many seconds.

    The first thread of a killed process can be gone a moment before its last one, which closes the sockets.
    """
    wanted = list(ports)
    deadline = time.monotonic() + seconds
    while not all_free(wanted):
        if time.monotonic() > deadline:
            return False
        time.sleep(0.05)
    return True


def _is_free(port: int) -> bool:
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        # Go's servers set this too: connections of a server that just ended do not keep its port.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((LOOPBACK, port))
        except OSError:
            return False
        return True


def listening(port: int) -> bool:
    """Whether somebody accepts connections on the port."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.settimeout(1.0)
        return probe.connect_ex((LOOPBACK, port)) == 0
