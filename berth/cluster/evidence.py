"""Reads what explains why an ordinal is not there, beyond its pod and its claims."""

from __future__ import annotations

from berth.cluster.kube import Kube
from berth.cluster.runner import all_of
from berth.core.diagnosis import LogsOf, Scene
from berth.core.errors import BerthError
from berth.core.objects import Json

#: Lines of a log that are read.
LINES = 10


def read_evidence(kube: Kube, namespace: str | None) -> Scene:
    """Events of a namespace (None: of all), and classes, volumes, attachments and nodes, at the same time.

    What may not be read is left out: the diagnosis does without.
    """

    def read(kind: tuple[str, str, str | None]) -> list[Json] | None:
        try:
            return kube.list(*kind).items
        except BerthError:
            return None

    storage = "storage.k8s.io"
    events, classes, volumes, attachments, nodes = all_of(
        [
            ("", "Event", namespace),
            (storage, "StorageClass", None),
            ("", "PersistentVolume", None),
            (storage, "VolumeAttachment", None),
            ("", "Node", None),
        ],
        read,
    )
    return Scene(
        events=events or (),
        classes=_by_name(classes),
        volumes=_by_name(volumes),
        attachments=attachments or (),
        nodes=_by_name(nodes),
    )


def last_lines(kube: Kube, namespace: str, wanted: LogsOf) -> tuple[str, ...]:
    """The last lines that a container wrote; none where there is no log, which is no reason to hide a cause."""
    try:
        text = kube.logs(namespace, wanted.pod, wanted.container, tail=LINES, previous=wanted.previous)
    except BerthError:
        return ()
    return tuple(text.rstrip().splitlines()[-LINES:])


def _by_name(bodies: list[Json] | None) -> dict[str, Json] | None:
    return None if bodies is None else {body["metadata"]["name"]: body for body in bodies}
