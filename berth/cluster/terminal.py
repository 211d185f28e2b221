"""A command in a container on this process's own terminal, or with its outputs passed on as they are."""

from __future__ import annotations

import fcntl
import json
import math
import os
import select
import signal
import termios
import time
import tty
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import BinaryIO

from berth.cluster.exec import ERR, IN, OUT, RESIZE, STATUS, ExecError, exit_code, lost, open_exec, read_end, words
from berth.cluster.kube import Kube
from berth.cluster.transport import Broken, Stalled
from berth.cluster.websocket import PING, WebSocket
from berth.core.objects import Json

#: Seconds in which a command must begin.
_BEGIN = 30.0
#: Seconds that a connection which has told the command's end may take to close.
_GOODBYE = 2.0
_CHUNK = 1 << 12
#: Bytes typed (or pasted) that the server has not taken yet, from which on no more are read.
_ROOM = 1 << 16


def interact(
    kube: Kube, namespace: str, pod: str, container: str, command: Sequence[str], keyboard: int, screen: int
) -> int:
    """Run a command on the terminal behind two file descriptors, and return its exit code.

    Every key goes to the command, Ctrl-C too, and so does the terminal's size whenever it changes. The terminal is as
    before when this returns or raises.

    Raises:
        ExecError: it did not begin, or the connection was lost before its end.
        NotRunningError, NothingRunsError, MissingError, DeniedError, TargetError: see `execute`.
    """
    wanted = {"stdin": ["true"], "stdout": ["true"], "tty": ["true"], "command": command}
    what = words(namespace, pod, container)
    try:
        with (
            open_exec(kube, namespace, pod, container, wanted, _BEGIN) as socket,
            _raw(keyboard),
            _resizes() as resized,
        ):
            status = _converse(socket, keyboard, screen, resized)
    except Stalled as error:
        raise ExecError(f"nothing began in {what} in {_BEGIN:g} s", why=str(error)) from None
    except Broken as error:
        raise lost(what, error) from error
    return exit_code(status, what)


def pass_on(
    kube: Kube, namespace: str, pod: str, container: str, command: Sequence[str], out: BinaryIO, err: BinaryIO
) -> int:
    """Run a command without input, write what it prints as it comes, and return its exit code.

    Raises:
        ExecError and others: as `interact`.
    """
    wanted = {"stdout": ["true"], "stderr": ["true"], "command": command}
    what = words(namespace, pod, container)
    try:
        with open_exec(kube, namespace, pod, container, wanted, _BEGIN) as socket:
            status = _listen(socket, out, err)
    except Stalled as error:
        raise ExecError(f"nothing began in {what} in {_BEGIN:g} s", why=str(error)) from None
    except Broken as error:
        raise lost(what, error) from error
    return exit_code(status, what)


def _listen(socket: WebSocket, out: BinaryIO, err: BinaryIO) -> Json:
    status: Json | None = None
    deadline = math.inf
    while True:
        try:
            message = socket.receive(deadline)
        except (Broken, Stalled):
            if status is None:
                raise
            return status
        if message is None:
            return _ended(status)
        channel, data = message[:1], message[1:]
        if channel in (OUT, ERR) and data:
            file = out if channel == OUT else err
            file.write(data)
            file.flush()
        elif channel == STATUS and data:
            status, deadline = read_end(data), time.monotonic() + _GOODBYE


def _converse(socket: WebSocket, keyboard: int, screen: int, resized: int) -> Json:
    """Pass on keys, output and sizes, until the Status has come and the server closes."""
    status: Json | None = None
    deadline = math.inf
    _send_size(socket, screen)
    while True:
        try:
            while (message := socket.take()) is not None:
                channel, data = message[:1], message[1:]
                if channel in (OUT, ERR):
                    _write(screen, data)
                elif channel == STATUS and data:
                    status, deadline = read_end(data), time.monotonic() + _GOODBYE
        except Broken:
            if status is None:
                raise
            return status
        left = deadline - time.monotonic()
        if socket.closed or left <= 0:
            return _ended(status)
        poll = select.poll()
        poll.register(socket, socket.events)
        poll.register(resized, select.POLLIN)
        if status is None and socket.unsent < _ROOM:
            poll.register(keyboard, select.POLLIN)
        ready = dict(poll.poll(math.ceil(min(left, PING) * 1000)))
        if not ready:
            socket.ping()
        if resized in ready:
            os.read(resized, _CHUNK)
            _send_size(socket, screen)
        if keyboard in ready:
            socket.send(IN + _read(keyboard))


def _ended(status: Json | None) -> Json:
    if status is None:
        raise Broken("the server closed it before the command had ended")
    return status


def _read(keyboard: int) -> bytes:
    try:
        typed = os.read(keyboard, _CHUNK)
    except OSError:  # EIO: whoever held the terminal open is gone.
        typed = b""
    if not typed:
        raise Broken("this terminal was closed")
    return typed


def _write(screen: int, data: bytes) -> None:
    while data:
        data = data[os.write(screen, data) :]


def _send_size(socket: WebSocket, screen: int) -> None:
    columns, rows = os.get_terminal_size(screen)
    if columns and rows:
        socket.send(RESIZE + json.dumps({"Width": columns, "Height": rows}).encode())


@contextmanager
def _raw(keyboard: int) -> Iterator[None]:
    """Give every key to who reads, as long as the block lasts."""
    before = termios.tcgetattr(keyboard)
    try:
        # Not FLUSH: what was typed before is meant for the command.
        tty.setraw(keyboard, termios.TCSADRAIN)
        yield
    finally:
        termios.tcsetattr(keyboard, termios.TCSADRAIN, before)


@contextmanager
def _resizes() -> Iterator[int]:
    """A file descriptor that can be read when the terminal's size has changed."""
    read, write = os.pipe()
    for end in (read, write):
        fcntl.fcntl(end, fcntl.F_SETFL, os.O_NONBLOCK)

    def note(*_: object) -> None:
        try:
            os.write(write, b"x")
        except BlockingIOError:
            pass  # So many unread ones say it already.

    before = signal.signal(signal.SIGWINCH, note)
    try:
        yield read
    finally:
        signal.signal(signal.SIGWINCH, before)
        os.close(read)
        os.close(write)
