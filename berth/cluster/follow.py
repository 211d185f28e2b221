"""The logs of containers: once, and followed through restarts, replacements and lost connections.

Source: https://kubernetes.io/docs/reference/kubernetes-api/workload-resources/pod-v1/#get-read-log-of-the-specified-pod
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from queue import Full, Queue
from typing import TypeAlias
from urllib.parse import quote, urlencode

from berth.cluster.kube import Kube
from berth.cluster.transport import WireError
from berth.cluster.watch import Gone, Synced, Trouble, Watcher, WatchEvent
from berth.core.errors import BerthError, DeniedError
from berth.core.loglines import Seen
from berth.core.objects import Json, ObjectRef, dig

#: Seconds of silence after which a log is asked for anew: a connection that died without a word costs no more.
_SILENCE = 300.0
#: Seconds between two tries where a log was lost.
_AGAIN = 1.0
#: Lines that wait for whoever prints them; then the containers' logs wait, too.
_WAITING = 1000

_KEYS = ("containerStatuses", "initContainerStatuses", "ephemeralContainerStatuses")
_VERB = "read"


@dataclass(frozen=True, slots=True)
class Line:
    """One line of a container's log, without its end, as the container wrote it."""

    pod: str
    text: str


@dataclass(frozen=True, slots=True)
class Said:
    """Something about the following itself; no more comes where it is ``final``."""

    text: str
    final: BerthError | None = None


Followed: TypeAlias = Line | Said


def read_log(
    kube: Kube, namespace: str, pod: str, container: str, *, tail: int | None = None, previous: bool = False
) -> list[str]:
    """The last lines (None: all) that a container has written, or, ``previous``, the run before it.

    Raises:
        ClusterError: there is no log; it says why.
    """
    path = _path(namespace, pod, container, tailLines=tail, previous=previous)
    what = _what(namespace, pod)
    text = str(kube.session.checked(kube.session.ask("GET", path, _VERB, what, text=True).answer, _VERB, what))
    return text.removesuffix("\n").split("\n") if text else []


class Following:
    """The logs of pods, as they grow; iterate over it inside of the block, and leave it to end.

    ``container`` says which container of a pod is followed, None for a pod that is not. Of those that run at the
    beginning the last ``tail`` lines come first; of containers that start later, all.
    """

    def __init__(
        self,
        kube: Kube,
        namespace: str,
        selector: str | None,
        container: Callable[[Json], str | None],
        tail: int | None,
    ) -> None:
        """Prepare; nothing is asked before the block begins."""
        self._kube, self._namespace, self._container, self._tail = kube, namespace, container, tail
        self._lines: Queue[Followed] = Queue(_WAITING)
        self._stopped = threading.Event()
        self._lock = threading.Lock()
        #: By a pod's name, the run of its container that is followed.
        self._runs: dict[str, _Run] = {}
        self._begun = False
        self._watcher = Watcher(kube, "", "Pod", namespace, self._see, label_selector=selector)

    def __enter__(self) -> Following:
        """Begin."""
        self._watcher.start()
        return self

    def __exit__(self, *_: object) -> None:
        """End every thread's waiting."""
        self._stopped.set()
        self._watcher.stop()
        with self._lock:
            runs = list(self._runs.values())
        for run in runs:
            run.over.set()
            run.close()

    def __iter__(self) -> Iterator[Followed]:
        """What comes, without an end.

        Raises:
            DeniedError: the pods or a log may not be read.
        """
        while True:
            item = self._lines.get()
            if isinstance(item, Said) and item.final is not None:
                raise item.final
            yield item

    def idle(self) -> bool:
        """Whether nothing more has come so far."""
        return self._lines.empty()

    def _see(self, event: WatchEvent) -> None:
        if isinstance(event, Trouble):
            final = DeniedError("the pods can no longer be followed", why=event.message) if event.final else None
            self._tell(Said(event.message, final))
            return
        if isinstance(event, Gone):
            self._gone(event.object)
            return
        for pod in event.items if isinstance(event, Synced) else (event.object,):
            self._look(pod)
        self._begun = True

    def _look(self, pod: Json) -> None:
        """Follow the container's run, where it is a new one."""
        container, name = self._container(pod), str(pod["metadata"]["name"])
        status = {} if container is None else _status(pod, container)
        identity = str(status.get("containerID") or "")  # Nothing has been written before there is one.
        if container is None or not identity:
            return
        uid, alive = str(pod["metadata"]["uid"]), dig(status, "state", "running") is not None
        with self._lock:
            before = self._runs.get(name)
            if before is not None and (before.uid, before.identity) == (uid, identity):
                before.alive = alive
                return
            tail = None if self._begun else self._tail
            run = self._runs[name] = _Run(name, uid, container, identity, tail, alive)
        if before is not None:
            before.over.set()
            how = "was replaced" if before.uid != uid else "was started again"
            self._tell(Said(f"{name} {how}; its log goes on"))
        threading.Thread(target=self._follow, args=(run, before), daemon=True).start()

    def _gone(self, pod: Json) -> None:
        with self._lock:
            run = self._runs.get(str(pod["metadata"]["name"]))
        if run is not None and run.uid == pod["metadata"]["uid"]:
            run.over.set()
            self._tell(Said(f"{run.pod} is gone; its log goes on when it is back"))

    def _follow(self, run: _Run, before: _Run | None) -> None:
        """Pass one run's lines on until it is over, whatever happens to the connection."""
        if before is not None:
            before.ended.wait(_AGAIN)  # Its last lines come first.
        troubled = False
        try:
            while not self._stopped.is_set():
                try:
                    self._read(run)
                    troubled = False
                    if not run.alive:
                        run.ended.set()
                        run.over.wait()
                except DeniedError as error:
                    self._tell(Said(str(error), error))
                    return
                except (BerthError, WireError) as error:
                    if not troubled and not run.over.is_set() and not self._stopped.is_set():
                        why = error.problems[0].why if isinstance(error, BerthError) else str(error)
                        self._tell(Said(f"{run.pod}: its log is lost for now: {why}"))
                    troubled = True
                if run.over.wait(_AGAIN):
                    return
        finally:
            run.ended.set()

    def _read(self, run: _Run) -> None:
        """One request, until the server ends it."""
        run.seen.again()
        path = _path(
            self._namespace,
            run.pod,
            run.container,
            tailLines=run.tail if not run.seen.since else None,
            sinceTime=run.seen.since or None,
            follow=True,
            timestamps=True,
        )
        stream = self._kube.session.open(path, _VERB, _what(self._namespace, run.pod), read_timeout=_SILENCE)
        with stream:
            run.close = stream.close
            if self._stopped.is_set():
                return
            for raw in stream.lines(last=True):
                stamp, _, text = raw.decode("utf-8", "replace").partition(" ")
                if run.seen.new(stamp):
                    self._tell(Line(run.pod, text))

    def _tell(self, item: Followed) -> None:
        """Hand it over, and wait where nobody takes it, but not once all is over."""
        while not self._stopped.is_set():
            try:
                self._lines.put(item, timeout=0.5)
                return
            except Full:
                continue


@dataclass(slots=True, eq=False)
class _Run:
    """One run of a container: from its start to its end."""

    pod: str
    uid: str
    container: str
    identity: str
    tail: int | None
    #: Whether it has not ended, by the pod's own words.
    alive: bool
    seen: Seen = field(default_factory=Seen)
    #: Set when another run has taken its place, or the pod is gone; set when all its lines were passed on.
    over: threading.Event = field(default_factory=threading.Event)
    ended: threading.Event = field(default_factory=threading.Event)
    close: Callable[[], None] = lambda: None


def _status(pod: Json, container: str) -> Json:
    for key in _KEYS:
        for status in dig(pod, "status", key, default=None) or ():
            if status["name"] == container:
                found: Json = status
                return found
    return {}


def _path(namespace: str, pod: str, container: str, **options: str | int | bool | None) -> str:
    query = {"container": container}
    for name, value in options.items():
        if value is not None and value is not False:
            query[name] = "true" if value is True else str(value)
    return f"/api/v1/namespaces/{quote(namespace)}/pods/{quote(pod)}/log?{urlencode(query)}"


def _what(namespace: str, pod: str) -> str:
    return f"the log of {ObjectRef('', 'Pod', namespace, pod)}"
