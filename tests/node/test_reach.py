"""Into pods from outside: their logs, a shell in them, their ports."""

from __future__ import annotations

import os
import pty
import re
import signal
import subprocess
import sys
import termios
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from hashlib import sha256
from http.client import HTTPConnection

import pytest

from tests.node.conftest import OpenSpace
from tests.node.support import Done, Space, promise, until
from tests.node.web import NGINX

pytestmark = pytest.mark.node

#: Bytes of a download that no buffer on the way holds.
LARGE = 30_000_000

#: The web servers of nginx, which call themselves something.
PROFILE = r"""
name: shop
description: The web servers of a shop
version: "1.0.0"
extends: nginx
templates: ["nginx/*.yaml"]
operations:
  role: {command: [sh, -c, '[ "$HOSTNAME" = web-1 ] && echo primary || echo standby'], container: nginx}
"""


@pytest.fixture(scope="module")
def space(open_space: OpenSpace) -> Space:
    opened = open_space("reach")
    (opened.home / "profiles").mkdir()
    (opened.home / "profiles/shop.yaml").write_text(PROFILE)
    opened.up("shop", "--set", "minReadySeconds=0", "--set", "replicas=3")
    return opened


@dataclass(slots=True)
class Running:
    """A command that goes on until Ctrl-C, and what it has printed so far."""

    process: subprocess.Popen[str]
    lines: list[str] = field(default_factory=list)

    def says(self, pattern: str) -> re.Match[str]:
        """Wait for a line in which a pattern is found."""

        def look() -> re.Match[str] | None:
            assert self.process.poll() is None or any(re.search(pattern, line) for line in self.lines), self.lines
            return next((found for line in self.lines if (found := re.search(pattern, line))), None)

        return until(look, 60)


@contextmanager
def going_on(space: Space, *arguments: str) -> Iterator[Running]:
    """`berth ARGUMENTS...` as long as the block lasts; Ctrl-C must end it with exit code 0."""
    command = [sys.executable, "-m", "berth", *arguments, "--namespace", space.name]
    with subprocess.Popen(
        command,
        cwd=space.home,
        env=space.environment(),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    ) as process:
        running = Running(process)

        def read() -> None:
            assert process.stdout is not None
            for line in process.stdout:
                running.lines.append(line.rstrip("\n"))

        reader = threading.Thread(target=read)
        reader.start()
        try:
            running.says("^target: ")
            yield running
        finally:
            process.send_signal(signal.SIGINT)
            try:
                code = process.wait(20)
            finally:
                process.kill()
                reader.join(10)
        assert code == 0 and not any("Traceback" in line for line in running.lines), running.lines


def get(port: int, path: str = "/") -> bytes:
    """What a web server behind a port of this machine answers."""
    connection = HTTPConnection("127.0.0.1", port, timeout=30)
    try:
        connection.request("GET", path)
        answer = connection.getresponse()
        assert answer.status == 200
        return answer.read()
    finally:
        connection.close()


def gets(port: int) -> bytes | None:
    """The same, None while connections are lost."""
    try:
        return get(port)
    except OSError:
        return None


@promise(
    "`logs` shows what each pod's container, or an init container, has written, and writes control characters out",
    on="kubelet, containerd, nginx",
)
def test_logs(space: Space) -> None:
    for ordinal in (0, 1):
        space.shell(NGINX.pod(ordinal), rf"printf 'from {ordinal}\033[2J\n' > /proc/1/fd/2")

    def both() -> list[str] | None:
        named = ("--ordinal", "0", "--ordinal", "1")
        lines = space.berth("logs", "--profile", "shop", "--tail", "1", *named).out.splitlines()
        return lines if len(lines) == 2 and all("from" in line for line in lines) else None

    assert until(both) == [rf"web-{ordinal} | from {ordinal}\x1b[2J" for ordinal in (0, 1)]
    alone = space.berth("logs", "--profile", "shop", "--ordinal", "1", "--tail", "all").out.splitlines()
    assert alone[-1] == r"from 1\x1b[2J" and len(alone) > 3 and not any("web-" in line for line in alone)
    space.berth("logs", "--profile", "shop", "--container", "welcome-page")
    before = space.berth("logs", "--profile", "shop", "--previous", "--ordinal", "0", code=1)
    assert 'previous terminated container "nginx" in pod "web-0" not found' in before.err


@promise("`logs --follow` goes on when a pod is replaced, and says so", on="kubelet, containerd, nginx")
def test_logs_that_are_followed(space: Space) -> None:
    with going_on(space, "logs", "--profile", "shop", "--follow", "--tail", "0") as following:
        for ordinal in (0, 1):
            # Asked twice: what is written before a log is followed is no news.
            until(lambda ordinal=ordinal: _heard(space, following, ordinal))  # type: ignore[misc]
        space.delete_pod("web-1")
        following.says("^web-1 was replaced; its log goes on$")
        following.says(r"^web-1 \| .*start worker process")
        until(lambda: _heard(space, following, 1, "again"))


def _heard(space: Space, following: Running, ordinal: int, word: str = "hello") -> bool | None:
    space.shell(NGINX.pod(ordinal), f"echo {word} {ordinal} > /proc/1/fd/1")
    return True if f"web-{ordinal} | {word} {ordinal}" in following.lines else None


@promise("`shell --command` passes outputs and exit code on as they are", on="kubelet, containerd, nginx")
def test_a_command(space: Space) -> None:
    shell = ("shell", "--profile", "shop", "--ordinal", "0")
    done = space.berth(*shell, "--command", "printf 'a\\033[1m\\r\\n'; echo bad >&2; exit 7", code=7)
    assert done.out == "a\x1b[1m\n" and done.err.splitlines()[1:] == ["bad"]
    done = space.berth(*shell, "--command", f"head -c {LARGE} /dev/zero | tr '\\0' x")
    assert done.out == "x" * LARGE
    assert "needs a terminal" in space.berth(*shell, code=2).err
    several = space.berth("shell", "--profile", "shop", "--command", "true", code=2)
    assert "has several: web-0, web-1, web-2" in several.err and "one of 0, 1, 2, or --role ROLE" in several.err
    assert "it has nginx" in space.berth(*shell, "--command", "true", "--container", "x", code=2).err
    gone = space.berth(*shell, "--command", "true", "--container", "welcome-page", code=1)
    assert "does not run" in gone.err


@promise("A pod is found by what it calls itself", on="kubelet, containerd, nginx")
def test_roles(space: Space) -> None:
    def named(role: str, code: int = 0) -> Done:
        return space.berth("shell", "--name", "shop", "--role", role, "--command", "hostname", code=code)

    assert named("primary").out == "web-1\n"
    one = named("standby")
    assert one.out == "web-0\n" and "web-0 and web-2 call themselves standby; this is web-0\n" in one.err
    said = (
        "no pod of release shop calls itself 'leader'\n  because the operation role says web-0: standby; web-1: primary"
    )
    assert said in named("leader", 1).err
    lines = space.berth("logs", "--name", "shop", "--role", "standby").out.splitlines()
    assert {line.partition(" | ")[0] for line in lines} == {"web-0", "web-2"}


@promise(
    "`shell` is a terminal: keys, Ctrl-C, its size and the exit code go through, and it is restored",
    on="kubelet, containerd, nginx",
)
def test_a_shell_on_a_terminal(space: Space) -> None:
    ours, theirs = pty.openpty()
    termios.tcsetwinsize(theirs, (31, 101))
    before = termios.tcgetattr(theirs)
    command = [sys.executable, "-m", "berth", "shell", "--profile", "shop", "--ordinal", "0"]
    with subprocess.Popen(
        [*command, "--namespace", space.name],
        cwd=space.home,
        env=space.environment(),
        stdin=theirs,
        stdout=theirs,
        stderr=subprocess.PIPE,
    ) as process:
        shown = bytearray()

        def read() -> None:
            while data := os.read(ours, 4096):
                shown.extend(data)
                if b"the reader may go" in data:
                    return

        reader = threading.Thread(target=read)
        reader.start()

        def types(text: bytes, until_shown: bytes) -> None:
            os.write(ours, text)
            until(lambda: until_shown in shown or None, 60)

        types(b"echo $((40+2)); stty size\n", b"31 101")
        assert b"42\r\n" in shown
        termios.tcsetwinsize(theirs, (20, 77))
        process.send_signal(signal.SIGWINCH)  # As the kernel does for whoever a terminal controls.
        until(lambda: (os.write(ours, b"stty size\n"), b"20 77" in shown)[1] or None, 60)
        types(b"echo slee''ps; sleep 600\n", b"sleeps\r\n")
        types(b"\x03echo awa''ke\n", b"awake\r\n")
        os.write(ours, b"exit 3\n")
        assert process.stderr is not None
        err = process.stderr.read().decode()
        assert process.wait(30) == 3 and "in web-0, container nginx" in err
    assert termios.tcgetattr(theirs) == before
    os.write(theirs, b"the reader may go")
    reader.join(10)
    os.close(theirs)
    os.close(ours)


@promise(
    "`port-forward` carries several connections at once and large bodies, names ports by name, and says what is lost",
    on="kubelet, containerd, nginx",
)
def test_ports(space: Space) -> None:
    space.shell("web-0", f"head -c {LARGE} /dev/urandom > {NGINX.store}/large")
    wanted = space.shell("web-0", f"sha256sum < {NGINX.store}/large").split()[0]
    ports = ("--port", ":web", "--port", ":80", "--port", ":81")
    with going_on(space, "port-forward", "--profile", "shop", "--ordinal", "0", *ports) as forwarding:
        forwarding.says("-> web-0:81$")
        found = [re.fullmatch(r"forwarding 127\.0\.0\.1:(\d+) -> web-0:(\d+)", line) for line in forwarding.lines[1:]]
        (one, behind), (two, same), (dead, nothing) = [(int(match[1]), match[2]) for match in found if match]
        assert (behind, same, nothing) == ("80", "80", "81")
        assert get(one) == get(two) == b"<h1>web-0</h1>\n"
        with ThreadPoolExecutor(3) as pool:
            bodies = list(pool.map(lambda port: get(port, "/large"), (one, two, one)))
        assert [sha256(body).hexdigest() for body in bodies] == [wanted] * 3
        with pytest.raises(ConnectionResetError):
            get(dead)
        forwarding.says(r"^a connection to web-0:81 was lost: nothing listens on port 81 there")
        taken = space.berth(*("port-forward", "--profile", "shop", "--ordinal", "0", "--port", f"{one}:80"), code=1)
        assert f"cannot listen on 127.0.0.1 port {one}" in taken.err and "another program" in taken.err
    assert gets(one) is None


@promise("`port-forward` finds the pod again that was replaced under its name", on="kubelet, containerd, nginx")
def test_ports_of_a_pod_that_is_replaced(space: Space) -> None:
    with going_on(space, "port-forward", "--profile", "shop", "--ordinal", "1", "--port", ":80") as forwarding:
        port = int(forwarding.says(r"^forwarding 127\.0\.0\.1:(\d+) -> web-1:80$")[1])
        assert get(port) == b"<h1>web-1</h1>\n"
        space.delete_pod("web-1")
        forwarding.says("^web-1 was replaced; new connections go to the new one$")
        assert until(lambda: gets(port), 60) == b"<h1>web-1</h1>\n"
