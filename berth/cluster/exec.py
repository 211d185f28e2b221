"""Runs a command in a container: the API's ``pods/exec`` over WebSocket.

The channels are those of the protocols v5.channel.k8s.io and v4.channel.k8s.io: a message's first byte says whether it
is standard output, standard error, or the Status with which the command ended; or, to the command, what is typed and
the size of its terminal. Nothing is sent to a command that `execute` runs.
Source: k8s.io/apimachinery/pkg/util/remotecommand/constants.go.
"""

from __future__ import annotations

import json
import re
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from urllib.parse import quote, urlencode

from berth.cluster.kube import Kube
from berth.cluster.refusals import Status, read_status, refusal
from berth.cluster.transport import Broken, Stalled
from berth.cluster.websocket import WebSocket, open_socket
from berth.core.errors import ClusterError, TimedOutError
from berth.core.objects import Json, ObjectRef, dig

#: Bytes of each output that are kept: its beginning and its end.
HEAD = 48 * 1024
TAIL = 16 * 1024
#: How long a connection that has told the command's end may take to close, in seconds.
_GOODBYE = 2.0

PROTOCOLS = ("v5.channel.k8s.io", "v4.channel.k8s.io")
#: The first byte of each message: the channel.
IN, OUT, ERR, STATUS, RESIZE = b"\0", b"\1", b"\2", b"\3", b"\4"
_VERB = "run a command in"
_NOT_THERE = r"container not found|is not created or running|does not have a host assigned|pod does not exist"
#: What a rehearsal says for a command that its scenario has no answer for, and the cause's reason where it has none
#: for any command.
NOTHING_RUNS, _NO_ANSWERS = "nothing runs in a rehearsal", "NoAnswers"


@dataclass(frozen=True, slots=True)
class Executed:
    """How a command ended, and what it printed; too long an output has a line in its middle that says what is left out.

    Bytes that are not UTF-8 are replaced.
    """

    code: int
    out: str
    err: str


class ExecError(ClusterError):
    """The command was not run, or nobody knows how it ended."""


class NotRunningError(ExecError):
    """The container does not run at this moment."""


class NothingRunsError(ExecError):
    """The cluster runs no containers, or no process in this one; ``everywhere``: nor will it in any other pod."""

    def __init__(self, why: str, *, everywhere: bool) -> None:
        """Say what kind of cluster it is."""
        super().__init__("no command can be run", why=why)
        self.why, self.everywhere = why, everywhere


class ExecTimedOut(TimedOutError):
    """The command did not end in time; what it had printed by then is in ``out`` and ``err``."""

    def __init__(self, what: str, seconds: float, out: str, err: str) -> None:
        """Keep what was printed."""
        super().__init__(f"the command in {what} did not end in {seconds:g} s")
        self.out, self.err = out, err


@dataclass(slots=True)
class _Kept:
    """The beginning and the end of an output."""

    head: bytearray = field(default_factory=bytearray)
    tail: bytearray = field(default_factory=bytearray)
    total: int = 0

    def add(self, data: bytes) -> None:
        self.total += len(data)
        room = HEAD - len(self.head)
        self.head += data[:room]
        self.tail += data[room:]
        del self.tail[:-TAIL]

    def text(self) -> str:
        lost = self.total - len(self.head) - len(self.tail)
        middle = f"\n... {lost} bytes left out ...\n".encode() if lost else b""
        return bytes(self.head + middle + self.tail).decode("utf-8", "replace")


def execute(kube: Kube, namespace: str, pod: str, container: str, command: Sequence[str], timeout: float) -> Executed:
    """Run a command in a pod's container ("" for its only one), and wait until it ends.

    Where ``timeout`` seconds are over, the waiting ends and the process in the container goes on: nothing stops it but
    the container's own end. The command is in the address of the request, and so in the audit log of the API server:
    it is no place for secrets.

    Raises:
        ExecTimedOut: it did not end in time.
        NotRunningError: the container does not run.
        NothingRunsError: the cluster runs no containers.
        MissingError: the pod does not exist.
        DeniedError: no permission for pods/exec, or something on the way to the cluster stops WebSockets.
        TargetError: the API server cannot be reached.
        ExecError: it could not be started, or the connection was lost before its end.
    """
    what = words(namespace, pod, container)
    wanted = {"stdout": ["true"], "stderr": ["true"], "command": command}
    deadline = time.monotonic() + timeout
    out, err = _Kept(), _Kept()
    try:
        with open_exec(kube, namespace, pod, container, wanted, timeout) as socket:
            status = _listen(socket, out, err, deadline)
    except Stalled:  # It is the command that is waited for, not the API server.
        raise ExecTimedOut(what, timeout, out.text(), err.text()) from None
    except Broken as error:
        raise lost(what, error) from error
    return Executed(exit_code(status, what), out.text(), err.text())


def open_exec(
    kube: Kube, namespace: str, pod: str, container: str, wanted: Mapping[str, Sequence[str]], timeout: float
) -> WebSocket:
    """Begin a command; ``wanted`` are the parameters of ``pods/exec``. Its channels are those of the module.

    Raises:
        Stalled, Broken: see `open_socket`.
        NotRunningError, NothingRunsError, MissingError, DeniedError, TargetError, ExecError: see `execute`.
    """
    query = {"container": [container] if container else [], **wanted}
    path = f"/api/v1/namespaces/{quote(namespace)}/pods/{quote(pod)}/exec?{urlencode(query, doseq=True)}"
    ref = str(ObjectRef("", "Pod", namespace, pod))
    opened = open_socket(kube, path, PROTOCOLS, _VERB, ref, timeout)
    if isinstance(opened, Status):
        raise _known(opened, words(namespace, pod, container)) or refusal(opened, _VERB, ref, kube.description)
    return opened


def nothing_runs(pod: Json, container: str = "") -> str:
    """Why no command can be run in a pod, where its own status says so; "" where it does not.

    Whatever runs containers gives each of them an id whose scheme is its own name.
    """
    for status in dig(pod, "status", "containerStatuses", default=[]):
        if container in ("", status["name"]) and dig(status, "state", "running"):
            scheme = str(status.get("containerID") or "").partition("://")[0]
            if scheme in ("", "kwok"):
                return "its node is simulated, and runs no containers"
    return ""


def words(namespace: str, pod: str, container: str) -> str:
    """The container as errors name it."""
    ref = ObjectRef("", "Pod", namespace, pod)
    return f"container {container} of {ref}" if container else str(ref)


def lost(what: str, error: Broken) -> ExecError:
    """The error for a connection that ended before the command."""
    hint = "nobody knows whether the command ended, or goes on"
    return ExecError(f"the connection to the command in {what} was lost", why=str(error), hint=hint)


def _listen(socket: WebSocket, out: _Kept, err: _Kept, deadline: float) -> Json:
    """Gather what is printed, until the Status has come and the server closes."""
    status: Json | None = None
    while True:
        try:
            message = socket.receive(deadline)
        except (Broken, Stalled):
            if status is not None:
                return status
            raise
        if message is None and status is not None:
            return status
        if message is None:
            raise Broken("the server closed it before the command had ended")
        channel, data = message[:1], message[1:]
        if channel == OUT:
            out.add(data)
        elif channel == ERR:
            err.add(data)
        elif channel == STATUS and data:
            status = read_end(data)
            deadline = min(deadline, time.monotonic() + _GOODBYE)


def read_end(data: bytes) -> Json:
    """The Status with which a command ended, from the channel that tells it.

    Raises:
        Broken: it is none.
    """
    try:
        body = json.loads(data)
    except ValueError:
        body = None
    if not isinstance(body, dict):
        raise Broken("how the command ended was told in a form that is not known")
    return body


def exit_code(status: Json, what: str) -> int:
    """The exit code that a Status tells.

    Raises:
        ExecError: it tells of another end.
    """
    if status.get("status") == "Success":
        return 0
    refused = read_status(int(status.get("code") or 500), {**status, "kind": "Status"})
    if refused.reason == "NonZeroExitCode":
        codes = [cause.message for cause in refused.causes if cause.reason == "ExitCode"]
        if codes and codes[0].isdecimal():
            return int(codes[0])
    raise _known(refused, what) or ExecError(f"the command cannot be run in {what}", why=_plain(refused.message))


def _known(status: Status, what: str) -> ExecError | None:
    """The error that a refusal means, where it is one of those that callers tell apart."""
    if NOTHING_RUNS in status.message:
        everywhere = any(cause.reason == _NO_ANSWERS for cause in status.causes)
        why = NOTHING_RUNS if everywhere else _plain(status.message)
        return NothingRunsError(why, everywhere=everywhere)
    if re.search(_NOT_THERE, status.message):
        return NotRunningError(f"{what} does not run", why=_plain(status.message))
    return None


def _plain(message: str) -> str:
    """A message without what each layer between the API server and the container has put in front of it."""
    return re.sub(r"^.*(Internal error occurred|unable to start container process): ", "", message)
