"""What becomes of a volume whose claim is gone, by its policy and by what it is made of.

Source: kubernetes pkg/controller/volume/persistentvolume (deleteVolumeOperation, recycleVolumeOperation) and the volume
plugins that a control plane still has within itself; the texts are theirs.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal

from berth.core.objects import Json
from berth.rehearsal.controllers import volumes


@dataclass(frozen=True, slots=True)
class Fate:
    """What is to be done, and what is said of it. "external": whoever made the volume deletes it."""

    action: Literal["keep", "external", "delete", "fail", "recycle"]
    reason: str = ""
    message: str = ""


def fate_of(volume: Json) -> Fate:
    """The fate of a released volume."""
    spec, name = volume["spec"], volume["metadata"]["name"]
    policy = spec.get("persistentVolumeReclaimPolicy") or "Retain"
    if policy == "Recycle":
        if "hostPath" in spec or "nfs" in spec:
            return Fate("recycle", "VolumeRecycled", "Volume recycled")
        return Fate("fail", "VolumeFailedRecycle", "No recycler plugin found for the volume!")
    if policy != "Delete":
        return Fate("keep")
    if volumes.PROVISIONED_BY in volumes.annotations_of(volume):
        return Fate("external")
    if "csi" in spec:
        # The driver would, but nobody told it that the volume is one of its own.
        return Fate("keep")
    if "hostPath" in spec:
        path = spec["hostPath"].get("path", "")
        if re.match(r"/tmp/.+", path):
            return Fate("delete")
        text = f"host_path deleter only supports /tmp/.+ but received provided {path}"
        return Fate("fail", "VolumeFailedDelete", text)
    text = f'error getting deleter volume plugin for volume "{name}": no deletable volume plugin matched'
    return Fate("fail", "VolumeFailedDelete", text)
