"""Forwards ports of this machine to a pod: the API's ``pods/portforward`` over WebSocket.

Each connection is a WebSocket of its own, to the pod that has the name at that moment. Of the protocol
v4.channel.k8s.io a port has two channels, data and error; the first two bytes of each are the port's number. It has no
word for "one side has said all", as TCP has: see LINGER.
Source: k8s.io/kubelet/pkg/cri/streaming/portforward/websocket.go.
"""

from __future__ import annotations

import errno
import math
import select
import socket
import struct
import threading
import time
from collections.abc import Callable, Sequence
from urllib.parse import quote

from berth.cluster.exec import NOTHING_RUNS, NothingRunsError
from berth.cluster.kube import Kube
from berth.cluster.refusals import InvalidError, Status, refusal
from berth.cluster.transport import Broken, WireError
from berth.cluster.watch import Changed, Gone, Synced, Watcher, WatchEvent
from berth.cluster.websocket import PING, WebSocket, open_socket
from berth.core.errors import BerthError, ClusterError, InputError, LocalError
from berth.core.objects import Json, ObjectRef
from berth.core.reach import Ports
from berth.core.readiness import pod_ready

#: A client that has sent its last byte may still read; after so many seconds of silence it is taken to be gone.
LINGER = 30.0

_PROTOCOLS = ("v4.channel.k8s.io",)
_DATA, _ERROR = 0, 1
#: Seconds for the way to the pod.
_CONNECT = 30.0
#: Bytes that one side has sent and the other has not taken, from which on no more are read.
_ROOM = 1 << 18
_CHUNK = 1 << 16

#: Is told what people should know, one line at a time, from any thread.
Report = Callable[[str], None]


class PortForward:
    """Ports of this machine that lead to one pod, as long as the block lasts. ``ports`` says which they are."""

    def __init__(
        self, kube: Kube, namespace: str, pod: str, uid: str, ports: Sequence[Ports], address: str, report: Report
    ) -> None:
        """Ask for leave, and listen; ``uid`` is the pod's at this moment.

        Raises:
            DeniedError: no permission for pods/portforward.
            NothingRunsError: the cluster runs no containers.
        ClusterError: nothing can be forwarded there: the pod or what runs it says no.
            LocalError, InputError: a port cannot be had at this address.
        """
        self._kube, self._namespace, self._pod, self._report = kube, namespace, pod, report
        self._ref = ObjectRef("", "Pod", namespace, pod)
        self._lock = threading.Lock()
        self._open: dict[socket.socket, threading.Thread] = {}
        self._uid, self._gone = uid, False
        self._check()
        self._listening: list[tuple[socket.socket, int]] = []
        try:
            for wanted in ports:
                self._listening.append((_listen(address, wanted.local), wanted.remote))
        except BaseException:
            self._close()
            raise
        self.ports = [(_name(sock), remote) for sock, remote in self._listening]
        self._watcher = Watcher(kube, "", "Pod", namespace, self._see, field_selector=f"metadata.name={pod}")

    def __enter__(self) -> PortForward:
        """Begin to watch the pod, to say when it is replaced."""
        self._watcher.start()
        return self

    def __exit__(self, *_: object) -> None:
        """Listen no more, and end the connections."""
        self._watcher.stop()
        self._close()

    def serve(self) -> None:
        """Take connections until an exception ends it, such as Ctrl-C."""
        poll = select.poll()
        behind = {sock.fileno(): (sock, remote) for sock, remote in self._listening}
        for descriptor in behind:
            poll.register(descriptor, select.POLLIN)
        while True:
            for descriptor, _ in poll.poll():
                sock, remote = behind[descriptor]
                try:
                    client, _ = sock.accept()
                except OSError as error:  # Gone already; or out of file descriptors, which passes.
                    if error.errno in (errno.EMFILE, errno.ENFILE):
                        self._report(f"a connection has to wait: {error.strerror}")
                        time.sleep(1)
                    continue
                thread = threading.Thread(target=self._carry, args=(client, remote), daemon=True)
                with self._lock:
                    self._open[client] = thread
                thread.start()

    def _carry(self, client: socket.socket, remote: int) -> None:
        """One connection, from its beginning to its end."""
        why = ""
        client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)  # What comes is passed on, however little.
        try:
            opened = self._upgrade(f"?ports={remote}")
            with opened:
                why = relay(opened, client)
        except BerthError as error:
            why = error.problems[0].why or error.problems[0].what
        except WireError as error:
            why = str(error)
        finally:
            with self._lock:
                ended = self._open.pop(client, None) is None
            if why:
                # A reset: what was cut off must not look like an end.
                client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            client.close()
        if why and not ended:
            self._report(f"a connection to {self._pod}:{remote} was lost: {_short(why, remote)}")

    def _upgrade(self, query: str = "") -> WebSocket:
        path = f"/api/v1/namespaces/{quote(self._namespace)}/pods/{quote(self._pod)}/portforward{query}"
        verb = "forward a port of"
        opened = open_socket(self._kube, path, _PROTOCOLS, verb, str(self._ref), _CONNECT)
        if isinstance(opened, Status):
            raise refusal(opened, verb, str(self._ref), self._kube.description)
        return opened

    def _check(self) -> None:
        """Ask without a port: whoever could forward one refuses that, and has connected to nothing."""
        try:
            with self._upgrade():
                pass
        except InvalidError:
            pass
        except ClusterError as error:
            if NOTHING_RUNS in str(error):
                raise NothingRunsError(NOTHING_RUNS, everywhere=True) from None
            raise
        except WireError as error:
            raise ClusterError(f"cannot forward a port of {self._ref}", why=str(error), hint="try again") from error

    def _see(self, event: WatchEvent) -> None:
        pods: Sequence[Json] = ()
        if isinstance(event, Synced):
            pods = event.items
        elif isinstance(event, Changed):
            pods = (event.object,)
        elif isinstance(event, Gone) and event.object["metadata"]["uid"] == self._uid and not self._gone:
            self._gone = True
            self._report(f"{self._pod} is gone; connections are lost until it is back")
        for pod in pods:
            uid = pod["metadata"]["uid"]
            if (self._gone or uid != self._uid) and pod_ready(pod):
                self._uid, self._gone = uid, False
                self._report(f"{self._pod} was replaced; new connections go to the new one")

    def _close(self) -> None:
        for sock, _ in self._listening:
            sock.close()
        with self._lock:
            under_way, self._open = self._open, {}
        for client in under_way:
            try:
                client.shutdown(socket.SHUT_RDWR)  # Its thread sees the end, and closes it.
            except OSError:
                pass
        for thread in under_way.values():
            thread.join(1.0)


def relay(remote: WebSocket, client: socket.socket) -> str:
    """Pass bytes on in both directions until one side has ended; what the error channel said, "" for nothing.

    Neither side is read faster than the other one takes it.

    Raises:
        Broken: the way to the pod was lost.
    """
    client.setblocking(False)
    back, said = bytearray(), bytearray()
    # What is still to come of the port's number.
    head = {_DATA: 2, _ERROR: 2}
    sending, heard = True, time.monotonic()
    while True:
        full = False
        try:
            remote.flush()
            while not (full := len(back) >= _ROOM) and (message := remote.take()) is not None:
                heard = time.monotonic()
                channel = message[0] if message else -1
                if channel in head:
                    start = 1 + min(head[channel], len(message) - 1)
                    head[channel] -= start - 1
                    (back if channel == _DATA else said).extend(message[start:])
        except Broken:
            _give(client, back)
            raise
        if not _give(client, back):
            return ""
        if full and len(back) < _ROOM:
            continue  # More may have been read than there was room for, which no poll tells.
        if not back and (remote.closed or said):
            return said.decode("utf-8", "replace")
        silent = time.monotonic() - heard
        if not sending and silent > LINGER:
            return ""
        poll = select.poll()
        if not remote.closed:
            poll.register(remote, remote.events & (~select.POLLIN if full else ~0))
        reading = sending and remote.unsent < _ROOM and not remote.closed
        poll.register(client, (select.POLLIN if reading else 0) | (select.POLLOUT if back else 0))
        ready = dict(poll.poll(math.ceil((PING if sending else min(PING, LINGER - silent + 0.1)) * 1000)))
        if not ready:
            remote.ping()
        if ready.get(client.fileno(), 0) & (select.POLLHUP | select.POLLERR):
            return ""  # Both directions are over, which a client that still reads does not look like.
        if ready.get(client.fileno(), 0) & select.POLLIN:
            try:
                data = client.recv(_CHUNK)
            except BlockingIOError:
                continue
            except OSError:
                return ""
            if data:
                remote.send(bytes([_DATA]) + data)
            else:
                sending, heard = False, time.monotonic()


def _give(client: socket.socket, back: bytearray) -> bool:
    """Send of ``back`` what the client takes now; whether it is still there."""
    try:
        while back:
            del back[: client.send(back[:_CHUNK])]
    except BlockingIOError:
        pass
    except OSError:
        return False
    return True


def _listen(address: str, port: int) -> socket.socket:
    try:
        family, kind, _, _, where = socket.getaddrinfo(address, port, type=socket.SOCK_STREAM)[0]
    except OSError as error:
        raise InputError(
            f"--address {address} is no address of this machine", why=error.strerror or str(error)
        ) from None
    sock = socket.socket(family, kind)
    try:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        sock.bind(where)
        sock.listen(128)
    except OSError as error:
        sock.close()
        raise _not_had(address, port, error) from None
    return sock


def _not_had(address: str, port: int, error: OSError) -> BerthError:
    what, free = f"cannot listen on {address} port {port}", "--port :REMOTE takes a free one"
    if error.errno == errno.EADDRINUSE:
        return LocalError(
            what, why="another program listens there", hint=f"another LOCAL in --port LOCAL:REMOTE; {free}"
        )
    if error.errno == errno.EACCES:
        return LocalError(
            what, why="ports below 1024 are the system's", hint=f"LOCAL above that: --port 8080:80; {free}"
        )
    if error.errno == errno.EADDRNOTAVAIL:
        return InputError(what, why="that is no address of this machine", hint="127.0.0.1, or 0.0.0.0 for all")
    return LocalError(what, why=error.strerror or str(error))


def _name(sock: socket.socket) -> str:
    host, port = sock.getsockname()[:2]
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def _short(why: str, remote: int) -> str:
    """What the kubelet says in many words, in few."""
    if "connection refused" in why:
        return f"nothing listens on port {remote} there (connection refused)"
    return why.strip().rpartition("\n")[2]
