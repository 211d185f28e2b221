"""A throw-away cluster in this very process: for trying an action out, and for watching what comes of it."""

from __future__ import annotations

import secrets
import tempfile
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from berth.core.objects import Json
from berth.rehearsal import bootstrap, kinds, kubeconfig
from berth.rehearsal.clock import INSTANT, Pace, seconds_of
from berth.rehearsal.controllers.director import Director
from berth.rehearsal.controllers.kubelet import Kubelet
from berth.rehearsal.paths import Layout
from berth.rehearsal.refusal import ApiError
from berth.rehearsal.scenario import DEFAULT, Scenario
from berth.rehearsal.server import certificate, serve
from berth.rehearsal.store import Store
from berth.rehearsal.world import World

#: How much time passes at most before whoever waits looks at the clock again, in virtual seconds.
STEP = 5.0
#: How long to hold time for news that are on their way, in seconds: a watch may have failed.
_LATE = 2.0


class Trial:
    """A simulated cluster below a directory, behind the API that any client speaks.

    It is opened calm, made what it should be at the beginning, and then ``begin`` lets the scenario happen, whose times
    count from there. At the instant pace its time stands still but for ``pass_time``: who acts on it lets it pass when
    there is nothing to do but wait, so that nothing depends on how fast anybody works. To be closed.
    """

    def __init__(
        self, root: Path, scenario: Scenario, *, pace: Pace, seed: int | None, objects: Iterable[Json] = ()
    ) -> None:
        """Open it, with these objects in it, or with what every cluster has at its beginning.

        Raises:
            LocalError: no certificate can be made, or the directory cannot be written.
        """
        self._layout = Layout("trial", root)
        self._passed = time.monotonic()
        self._scenario, self._instant = scenario, pace.instant
        taken = [(kind, body) for body in objects if (kind := kinds.of(body)) is not None]
        # From a whole second: objects have no smaller ones, and the same things are to happen at the same times.
        started = scenario.begin if scenario.begin is not None else float(int(time.time()))
        made = [seconds_of(when) for _, body in taken if (when := body["metadata"].get("creationTimestamp"))]
        started = max([started, *made])  # A rehearsal that they were copied from may be ahead of us.
        store = Store(self._layout.state)
        for kind, body in taken:
            try:
                store.create(kind, body)
            except ApiError:
                continue  # listed twice, while it was being moved from page to page
        if taken:
            store.remember(bootstrap.BEGAN, repr(started))
        calm = replace(scenario, pods=(), claims=(), happenings=(), api=(), quotas=())
        self.world = World(store, pace=pace, seed=seed, scenario=calm, start=started)
        secured = certificate.ensure(root)
        token = secrets.token_urlsafe(32)
        self._server = serve(self.world, token=token, certificate=secured)
        url = f"https://127.0.0.1:{self._server.port}"
        kubeconfig.write(self._layout, url, token, secured.certificate.read_text(encoding="ascii"))
        self.world.start(held=pace.instant)

    @property
    def kubeconfig(self) -> Path:
        """The kubeconfig whose current context this cluster is."""
        return self._layout.kubeconfig

    def now(self) -> float:
        """The cluster's own time, in seconds since the epoch."""
        with self.world.lock:
            return self.world.clock.now()

    def pass_time(self, seconds: float = STEP) -> None:
        """At the instant pace: let time pass until something happens, or for so many virtual seconds."""
        self.world.pass_time(seconds)

    def wait(self, seen: Mapping[str, int] | None) -> None:
        """Let time pass for somebody who has seen these versions, by kind, and all of them; None: not even listed all.

        As long as something is on its way to whoever waits nothing more happens, or how fast this machine is would
        decide what is seen of it.
        """
        with self.world.lock:
            ready = seen is not None and all(self._has_heard(kind, version) for kind, version in seen.items())
        now = time.monotonic()
        if ready or now - self._passed > _LATE:
            self.world.pass_time(STEP)
            self._passed = time.monotonic()

    def _has_heard(self, kind: str, version: int) -> bool:
        latest = next((one for one in reversed(self.world.audience) if one.listens_to == kind), None)
        return latest is not None and latest.has_told(version)

    def watch(self, seconds: float) -> None:
        """Let so many virtual seconds go by."""
        if self._instant:
            self.world.advance(seconds)
            return
        until = self.now() + seconds
        while self.now() < until:
            time.sleep(0.05)

    def settle(self) -> None:
        """At the instant pace: let time pass until nothing is left to be done."""
        self.world.settle()

    def lookup(self, name: str, kind: str = "A") -> list[str]:
        """The data of the records that the cluster's DNS gives for an absolute name; none where there is none."""
        from berth.rehearsal import dns
        from berth.rehearsal.dns_server import StoreView

        with self.world.lock:
            return [record.data for record in dns.answer(StoreView(self.world.store), name, kind).records]

    def begin(self) -> None:
        """Let the scenario happen from now on."""
        with self.world.request():
            self.world.scenario = self._scenario
            for controller in self.world.controllers:
                if isinstance(controller, Director):
                    controller.begin()
                elif isinstance(controller, Kubelet):
                    controller.look_at_all()

    def close(self) -> None:
        """End it; its directory is the caller's to remove."""
        self._server.close()
        self.world.close()


@contextmanager
def throw_away(scenario: Scenario = DEFAULT, *, seed: int = 0) -> Iterator[Trial]:
    """A trial at the instant pace, in a temporary directory; nothing is left of it.

    Raises:
        LocalError: no certificate can be made, or there is no room for the directory.
    """
    with tempfile.TemporaryDirectory(prefix="berth-rehearsal-") as directory:
        trial = Trial(Path(directory), scenario, pace=INSTANT, seed=seed)
        try:
            yield trial
        finally:
            trial.close()
