"""The verbs of the rollout tests, on an nginx of three pods, and a gate that answers in the containers' place."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable, Sequence

import pytest

from berth.actions import rollout as actions
from berth.actions.applying import Options
from berth.actions.clock import Clock
from berth.actions.operations import Outcome, Result, ordinal
from berth.actions.prepare import recorded
from berth.actions.restart import restart as restarting
from berth.actions.rollout import Wanted
from berth.cluster.kube import Kube
from berth.cluster.record import ReleaseRecord
from berth.cluster.release import load
from berth.cluster.waiting import Patience
from berth.core.errors import ExitCode, FailedError, InterruptedRunError
from berth.core.events import Event, Notice
from berth.core.objects import Json, ObjectRef, dig
from berth.core.operations import Operation
from berth.core.render import Release
from berth.core.rollout import image_values, partition_of
from berth.library import open_library
from tests.contract.support import PATIENCE, ROOT, bring_up, done, pods, release, statefulset, versions

#: Long enough for a pod to come, short enough to wait for one that never does.
SHORT = Patience(timeout=60, suspect=2)
#: A set of three, and what takes its pods to another revision, and what breaks them.
THREE = ("replicas=3",)
NEW, BAD = ("image.tag=1.30",), ("image.tag=nope",)


def three(kube: Kube, space: str, *sets: str) -> Release:
    """Bring up an nginx of three pods."""
    made = release("nginx", space, *THREE, *sets)
    bring_up(kube, made)
    return made


def the_record(kube: Kube, space: str, name: str = "nginx") -> ReleaseRecord:
    record = load(kube, space, name)
    assert record is not None
    return record


def changed(kube: Kube, space: str, *sets: str, image: str = "", name: str = "nginx") -> Release:
    """The recorded release with other values, as the command renders it."""
    record = the_record(kube, space, name)
    values = image_values(record.values.get("image"), image) if image else {}
    return recorded(open_library(ROOT), record, values, "--image", (), sets)


def rolling(
    kube: Kube,
    space: str,
    *sets: str,
    wanted: Wanted | None = None,
    patience: Patience = PATIENCE,
    unstick: bool = False,
    name: str = "nginx",
) -> Generator[Event, None, None]:
    """What `berth rollout` does, for a test that does something in its middle."""
    library, record = open_library(ROOT), the_record(kube, space, name)
    made, options = changed(kube, space, *sets, name=name), Options(patience, unstick=unstick)
    return actions.rollout(kube, library, record, made, wanted or Wanted(), options, Clock())


def roll(
    kube: Kube,
    space: str,
    *sets: str,
    wanted: Wanted | None = None,
    patience: Patience = PATIENCE,
    unstick: bool = False,
    name: str = "nginx",
) -> list[Event]:
    """What `berth rollout` does."""
    return list(rolling(kube, space, *sets, wanted=wanted, patience=patience, unstick=unstick, name=name))


def promote(
    kube: Kube, space: str, by: int | None = None, *, soak: float = 0.0, patience: Patience = PATIENCE
) -> list[Event]:
    """What `berth rollout.promote` does."""
    library, record = open_library(ROOT), the_record(kube, space)
    return list(actions.promote(kube, library, record, by, soak, Options(patience), Clock()))


def back(
    kube: Kube,
    space: str,
    to: int | None = None,
    *,
    options: Options | None = None,
    unstick: bool = False,
    patience: Patience = PATIENCE,
    word: str = "undo",
    name: str = "nginx",
) -> list[Event]:
    """What `berth rollout.undo` and `berth rollback` do."""
    chosen = options or Options(patience, unstick=unstick)
    return list(backing(kube, space, to, options=chosen, word=word, name=name))


def backing(
    kube: Kube,
    space: str,
    to: int | None = None,
    *,
    options: Options,
    word: str = "undo",
    name: str = "nginx",
) -> Generator[Event, None, None]:
    """The same, for a test that does something in its middle."""
    library, record = open_library(ROOT), the_record(kube, space, name)
    return actions.go_back(kube, library, record, to, options, Clock(), word)


def restart(
    kube: Kube,
    space: str,
    *named: int,
    soak: float = 0.0,
    insist: bool = False,
    patience: Patience = PATIENCE,
    name: str = "nginx",
) -> list[Event]:
    """What `berth restart` does."""
    library, record = open_library(ROOT), the_record(kube, space, name)
    return list(restarting(kube, library, record, named, soak, insist, Options(patience), Clock()))


def uids(kube: Kube, space: str) -> dict[str, str]:
    """The uids of pods by name."""
    return {name: body["metadata"]["uid"] for name, body in pods(kube, space).items()}


def replaced(kube: Kube, space: str, before: dict[str, str]) -> list[int]:
    """The ordinals whose pods are not the ones of before."""
    now = uids(kube, space)
    assert now.keys() == before.keys()
    return sorted(int(name.rpartition("-")[2]) for name in now if now[name] != before[name])


def images(kube: Kube, space: str) -> list[str]:
    """The tags of the pods' images, by ordinal."""
    found = sorted(pods(kube, space).items())
    return [str(body["spec"]["containers"][0]["image"]).rpartition(":")[2] for _, body in found]


def partition(kube: Kube, wanted: Release) -> int:
    return partition_of(statefulset(kube, wanted))


def state(kube: Kube, space: str) -> tuple[str, str | None]:
    """What the record says: its status, and why a rollout stands still."""
    record = the_record(kube, space)
    return record.status, record.rollout.held if record.rollout else None


def notices(events: Iterable[Event], level: str = "") -> list[str]:
    return [event.message for event in events if isinstance(event, Notice) and level in ("", event.level)]


def settled(kube: Kube, space: str, *sets: str) -> None:
    """All pods are ready, the record says deployed, and `up` with these values writes nothing."""
    wanted = release("nginx", space, *THREE, *sets)
    assert state(kube, space) == ("deployed", None)
    before = versions(kube, wanted)
    assert done(bring_up(kube, wanted)).changed == 0
    assert versions(kube, wanted) == before


def broken(kube: Kube, space: str, *sets: str) -> Release:
    """A rollout to an image that cannot be pulled, which its canary held; the release that stood before."""
    made = three(kube, space, *sets)
    with pytest.raises(FailedError, match="is held"):
        roll(kube, space, *BAD, patience=SHORT)
    assert state(kube, space)[0] == "held"
    return made


def interrupted(run: Generator[Event, None, None], where: Callable[[Event], bool]) -> str:
    """Press Ctrl-C at the first such event of a run; what is said then."""
    with pytest.raises(InterruptedRunError) as caught:
        for event in run:
            if where(event):
                run.throw(KeyboardInterrupt)  # Whatever it yields first, it raises at last.
                list(run)
    assert caught.value.exit_code is ExitCode.INTERRUPTED
    return str(caught.value)


class Gate:
    """In the place of containers: which pods were new each time the gate was asked; it can be told to fail.

    ``failing`` is the number of new pods at which it fails.
    """

    def __init__(self, failing: int = -1) -> None:
        self.failing, self.before, self.seen = failing, set[str](), list[list[int]]()

    def __call__(self, kube: Kube, namespace: str, operation: Operation, due: Sequence[Json]) -> list[Result]:
        there = pods(kube, namespace)
        ready = [dig(body, "status", "conditions", default=[]) for body in there.values()]
        assert all({"Ready": "True"}.items() <= {c["type"]: c["status"] for c in one}.items() for one in ready)
        new = sorted(ordinal(body) for body in there.values() if body["metadata"]["uid"] not in self.before)
        if not self.seen or self.seen[-1] != new:
            self.seen.append(new)
        outcome, why = (Outcome.FAILED, "not well") if len(new) == self.failing else (Outcome.PASSED, "")
        return [
            Result(operation.name, pod["metadata"]["name"], ordinal(pod), outcome, int(bool(why)), "", why, 0.1)
            for pod in due
        ]


def budget(kube: Kube, wanted: Release, space: str, least: int) -> ObjectRef:
    """A PodDisruptionBudget of the test's own over the release's pods."""
    selector = {"matchLabels": dig(statefulset(kube, wanted), "spec", "selector", "matchLabels")}
    meta = {"name": "mine", "namespace": space}
    spec = {"minAvailable": least, "selector": selector}
    body = {"apiVersion": "policy/v1", "kind": "PodDisruptionBudget", "metadata": meta, "spec": spec}
    return ObjectRef.of(kube.create(body))
