"""The verbs of the lifecycle tests: bring up, take down, look."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest

from berth.actions import teardown as teardowns
from berth.actions.applying import Options
from berth.actions.clock import Clock
from berth.actions.prepare import Request, prepare
from berth.actions.up import up
from berth.cluster.kube import Kube
from berth.cluster.release import load
from berth.cluster.waiting import Patience
from berth.core.events import Event, OrdinalState, ReleaseDone, StepDone
from berth.core.objects import Json, ObjectRef, dig
from berth.core.render import Release
from berth.library import open_library

ROOT = Path(__file__).resolve().parents[2]
PROFILES = ("nginx", "httpd", "postgres", "zookeeper", "cassandra")
#: Long enough for a busy machine, short enough that a hung test is noticed.
PATIENCE = Patience(timeout=180, suspect=20)

#: What makes a profile quick and small; the simulated nodes run no containers.
QUICK = ("minReadySeconds=0",)


def release(profile: str, space: str, *sets: str, name: str | None = None, quick: bool = True) -> Release:
    """One rendered release."""
    wanted = Request(profile, name, space, None, (), (*(QUICK if quick else ()), *sets))
    return prepare(open_library(ROOT), [wanted])[-1]


def bring_up(
    kube: Kube, wanted: Release, *, force: bool = False, resize: bool = False, patience: Patience = PATIENCE
) -> list[Event]:
    """Run `up` to its end, and return what happened."""
    return list(up(kube, [wanted], Options(patience, force, resize), Clock()))


def take_down(
    kube: Kube, space: str, name: str, *, data: bool = False, volumes: bool = False, orphan: bool = False
) -> list[Event]:
    """Run `teardown` to its end, and return what happened."""
    record = load(kube, space, name)
    assert record is not None
    seen = teardowns.inspect(kube, record, data, volumes)
    options = teardowns.Options(data, volumes, orphan, PATIENCE)
    return list(teardowns.teardown(kube, seen, options, Clock(), f"invoke teardown --name {name} --data delete"))


def done(events: Sequence[Event]) -> ReleaseDone:
    """The recap, which comes last."""
    last = events[-1]
    assert isinstance(last, ReleaseDone)
    return last


def steps(events: Sequence[Event], action: str) -> list[str]:
    """Kind/name of the objects that an action was taken on, in order."""
    return [f"{e.ref.kind}/{e.ref.name}" for e in events if isinstance(e, StepDone) and e.action == action]


def stages(events: Sequence[Event], stage: str) -> list[int]:
    """The ordinals in the order in which they reached a stage."""
    return [e.ordinal for e in events if isinstance(e, OrdinalState) and e.stage == stage]


def statefulset(kube: Kube, wanted: Release) -> Json:
    """The live StatefulSet of a release that has one."""
    ref = next(manifest.ref for manifest in wanted.manifests if manifest.ref.kind == "StatefulSet")
    body = kube.get(ref)
    assert body is not None
    return body


def pods(kube: Kube, space: str) -> dict[str, Json]:
    """Pods by name."""
    return {body["metadata"]["name"]: body for body in kube.list("", "Pod", space).items}


def claims(kube: Kube, space: str) -> dict[str, Json]:
    """Claims by name."""
    return {body["metadata"]["name"]: body for body in kube.list("", "PersistentVolumeClaim", space).items}


def versions(kube: Kube, wanted: Release) -> dict[str, str]:
    """The resourceVersion of every object of a release, its record, pods and claims included."""
    space = wanted.namespace
    bodies = [kube.get(manifest.ref) for manifest in wanted.manifests]
    for kind in ("Pod", "PersistentVolumeClaim", "Secret"):
        bodies += kube.list("", kind, space).items
    bodies += kube.list("coordination.k8s.io", "Lease", space).items
    return {str(ObjectRef.of(body)): dig(body, "metadata", "resourceVersion") for body in bodies if body}


def leftovers(kube: Kube, space: str) -> list[str]:
    """What is in a namespace beyond what every namespace has."""
    kinds = [
        ("", kind) for kind in ("Pod", "PersistentVolumeClaim", "Service", "ConfigMap", "Secret", "ServiceAccount")
    ]
    kinds += [("apps", "StatefulSet"), ("apps", "ControllerRevision"), ("policy", "PodDisruptionBudget")]
    kinds += [("networking.k8s.io", "NetworkPolicy"), ("coordination.k8s.io", "Lease")]
    bodies = [body for group, kind in kinds for body in kube.list(group, kind, space).items]
    found = {f"{body['kind']}/{body['metadata']['name']}" for body in bodies}
    return sorted(found - {"ConfigMap/kube-root-ca.crt", "ServiceAccount/default"})


#: For what the simulated cluster does not have, on purpose: other users, and kinds that nothing of ours needs.
kubernetes_only = pytest.mark.parametrize(
    "plane", [pytest.param("control_plane", marks=pytest.mark.controlplane, id="kubernetes")], indirect=True
)
#: For what berth decides by itself: the control plane, which takes its time, says nothing new of it.
rehearsal_only = pytest.mark.parametrize(
    "plane", [pytest.param("rehearsed", marks=pytest.mark.rehearsal, id="rehearsal")], indirect=True
)
