"""The lock of a release: a Lease that expires, so that a killed run blocks nobody for long.

Whether a foreign Lease has expired is judged by one clock, the API server's: holders write ``renewTime`` by its Date
header and contenders compare with its Date header, so that the clocks of two laptops never matter. (client-go's leader
election instead watches a Lease for its whole duration before it believes that it is stale, which would make every run
after a crash wait 30 s.) Takeover and renewal are compare-and-swaps, so two contenders cannot both win.
"""

from __future__ import annotations

import os
import re
import socket
import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from pathlib import Path
from types import TracebackType

from berth.cluster.kube import Kube
from berth.cluster.refusals import ExistsError, MissingError, StaleError
from berth.core.errors import BerthError, LockedError
from berth.core.objects import MANAGED_BY_LABEL, Json, ObjectRef, dig, lease_name

#: Seconds for which the lock is ours after each renewal, and between two renewals.
DURATION = 30
RENEW = 10.0
#: Seconds that are granted to a holder beyond that: the Date header has whole seconds, and a request takes time.
GRACE = 2.0

#: The clock that goes on while a laptop sleeps: a lock that we slept through is lost.
_BOOT_CLOCK = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)

_HOLDER = re.compile(r".*/(?P<pid>\d+)/(?P<machine>[0-9a-f]{12})/[0-9a-f]+")


class Lock:
    """A lock on one release, for ``with``; raises LockedError on entry when another run has it.

    ``check`` is to be called before each write: the lock may be lost while we hold it, when renewing fails for longer
    than it lasts.
    """

    def __init__(
        self,
        kube: Kube,
        namespace: str,
        release: str,
        holder: str = "",
        *,
        duration: int = DURATION,
        renew: float = RENEW,
        clock: Callable[[], float] = lambda: time.clock_gettime(_BOOT_CLOCK),
    ) -> None:
        """Prepare; nothing is sent. ``holder`` names us in other runs' errors; times are seconds."""
        self.ref = ObjectRef("coordination.k8s.io", "Lease", namespace, lease_name(release))
        self.holder = holder or own_holder()
        self._kube, self._release = kube, release
        #: For renewals, where one connection that stalls must not take longer than the lock lasts, and for giving back.
        self._hasty = kube.hasty(min(renew, RENEW) / 2)
        self._duration, self._renew, self._clock = duration, renew, clock
        self._lease: Json = {}
        self._renewed = 0.0
        self._why_lost = ""
        self._guard = threading.Lock()
        self._ended = threading.Event()
        self._thread: threading.Thread | None = None

    def __enter__(self) -> Lock:
        """Acquire."""
        self.acquire()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Release, whatever happened."""
        self.release()

    @property
    def lost(self) -> bool:
        """Whether the lock was ours and is no longer, or may no longer be."""
        return bool(self._why_lost) or self._clock() - self._renewed >= self._duration

    def check(self) -> None:
        """Return if the lock is ours.

        Raises:
            LockedError: it was lost; nothing more may be written.
        """
        if self.lost:
            raise LockedError(
                f"lost the lock on release {self._release}",
                where=str(self.ref),
                why=self._why_lost or f"it could not be renewed for {self._duration} s",
                hint="nothing more was written; run the same command again",
            )

    def acquire(self) -> None:
        """Take the lock if it is free or expired, and renew it in the background from then on.

        Raises:
            LockedError: another run holds it: who, since when, until when.
        """
        for _ in range(5):
            live = self._kube.get(self.ref)
            begun = self._clock()
            try:
                if live is None:
                    lease = self._kube.create(self._body(None))
                else:
                    self._require_free(live)
                    lease = self._kube.replace(self._body(live))
            except (ExistsError, StaleError):
                continue  # Somebody was faster: look again at what it is now.
            self._lease, self._renewed = lease, begun
            self._thread = threading.Thread(target=self._keep, name="lease", daemon=True)
            self._thread.start()
            return
        raise LockedError(
            f"release {self._release} is fought over by other runs", where=str(self.ref), hint="try again"
        )

    def release(self) -> None:
        """Give the lock back, only if it is still ours. What fails here is left to expire."""
        self._ended.set()
        # A renewal that is under way against a server in trouble is not worth waiting for: the lock expires.
        if not self._guard.acquire(timeout=self._renew):
            return
        lease, self._lease = self._lease, {}
        self._guard.release()
        if not lease or self._why_lost:
            return
        try:
            self._delete(lease)
        except StaleError:
            self._delete_if_ours()
        except BerthError:
            pass

    def _delete(self, lease: Json) -> None:
        meta = lease["metadata"]
        self._hasty.delete(self.ref, uid=meta["uid"], resource_version=meta["resourceVersion"])

    def _delete_if_ours(self) -> None:
        """Once more, after someone changed the Lease: a label perhaps, perhaps its holder."""
        try:
            live = self._hasty.get(self.ref)
            if live is not None and dig(live, "spec", "holderIdentity") == self.holder:
                self._delete(live)
        except BerthError:
            pass

    def _keep(self) -> None:
        while not self._ended.wait(self._renew):
            with self._guard:
                if not self._lease or not self._renew_once():
                    return

    def _renew_once(self) -> bool:
        """Renew; False when the lock is lost for good."""
        begun = self._clock()
        try:
            try:
                lease = self._hasty.replace(self._body(self._lease))
            except (StaleError, MissingError):
                live = self._hasty.get(self.ref)
                if live is None or dig(live, "spec", "holderIdentity") != self.holder:
                    self._why_lost = f"{_holder_of(live)} took it" if live else "somebody deleted it"
                    return False
                # Someone changed something else of the Lease, say a label.
                lease = self._hasty.replace(self._body(live))
        except BerthError:
            return True  # Try again at the next turn; ``lost`` tells when that is too late.
        self._lease, self._renewed = lease, begun
        return True

    def _require_free(self, live: Json) -> None:
        holder = str(dig(live, "spec", "holderIdentity", default="") or "")
        if not holder or holder == self.holder or _is_dead(holder):
            return
        renewed = _parse(dig(live, "spec", "renewTime"))
        seconds = float(dig(live, "spec", "leaseDurationSeconds") or DURATION)
        now = self._kube.server_time()
        if renewed is None:
            return
        expires = renewed + timedelta(seconds=seconds + GRACE)
        if now >= expires:
            return
        left = max(1, round((expires - now).total_seconds()))
        since = _parse(dig(live, "spec", "acquireTime")) or renewed
        raise LockedError(
            f"release {self._release} is locked by {holder.split('/')[0]}",
            where=str(self.ref),
            why=f"that run began at {since:%Y-%m-%d %H:%M:%S} UTC (process {holder})",
            hint=f"wait for it to end; if it was killed, the lock expires in {left} s",
        )

    def _body(self, live: Json | None) -> Json:
        now = _format(self._kube.server_time())
        meta: Json = {"name": self.ref.name, "namespace": self.ref.namespace, "labels": {MANAGED_BY_LABEL: "berth"}}
        spec = {
            "holderIdentity": self.holder,
            "leaseDurationSeconds": self._duration,
            "acquireTime": now,
            "renewTime": now,
            "leaseTransitions": 0,
        }
        if live is not None:
            meta = {key: value for key, value in live["metadata"].items() if key != "managedFields"}
            ours = dig(live, "spec", "holderIdentity") == self.holder
            transitions = int(dig(live, "spec", "leaseTransitions") or 0)
            spec["leaseTransitions"] = transitions if ours else transitions + 1
            if ours:
                spec["acquireTime"] = live["spec"].get("acquireTime") or now
        return {"apiVersion": "coordination.k8s.io/v1", "kind": "Lease", "metadata": meta, "spec": spec}


def held_by(lease: Json, now: datetime) -> str:
    """Who holds a release by its Lease, as user@host; "" where nobody does any more. ``now`` is the server's time."""
    holder = str(dig(lease, "spec", "holderIdentity", default="") or "")
    renewed = _parse(dig(lease, "spec", "renewTime"))
    seconds = float(dig(lease, "spec", "leaseDurationSeconds") or DURATION)
    if not holder or renewed is None or now >= renewed + timedelta(seconds=seconds + GRACE) or _is_dead(holder):
        return ""
    return holder.split("/")[0]


def own_holder() -> str:
    """Who this process is: user@host/pid/machine/random."""
    import getpass  # Only runs that write need it.

    try:
        user = getpass.getuser()
    except (OSError, KeyError):
        user = str(os.getuid())  # A container's uid may have no name.
    return f"{user}@{socket.gethostname()}/{os.getpid()}/{_machine()}/{os.urandom(4).hex()}"


def _machine() -> str:
    """This boot of this machine and this namespace of process numbers; zeros where neither can be known."""
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii")
        return sha256((boot + os.readlink("/proc/self/ns/pid")).encode()).hexdigest()[:12]
    except OSError:
        return "0" * 12


def _is_dead(holder: str) -> bool:
    """Whether the holder was a process of this very machine that no longer runs: its lock need not expire first."""
    match = _HOLDER.fullmatch(holder)
    if match is None or match["machine"] != _machine() or match["machine"] == "0" * 12:
        return False
    try:
        os.kill(int(match["pid"]), 0)
    except ProcessLookupError:
        return True
    except OSError:
        return False
    return False


def _holder_of(lease: Json) -> str:
    return str(dig(lease, "spec", "holderIdentity", default="") or "somebody").split("/")[0]


def _format(moment: datetime) -> str:
    """A MicroTime, as the Lease API wants it."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def _parse(text: object) -> datetime | None:
    try:
        return datetime.fromisoformat(str(text)) if text else None
    except ValueError:
        return None
