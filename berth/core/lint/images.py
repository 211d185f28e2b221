"""Images: which exactly will run."""

from __future__ import annotations

import re
from collections.abc import Iterator

from berth.core.lint.model import Hit, Severity, rule
from berth.core.lint.scene import Scene

_REFERENCE = re.compile(
    r"(?:[a-zA-Z0-9.-]+(?::\d+)?/)?[a-z0-9]+(?:(?:[._]|__|-+)[a-z0-9]+)*(?:/[a-z0-9]+(?:(?:[._]|__|-+)[a-z0-9]+)*)*"
    r"(?::[\w][\w.-]{0,127})?(?:@sha256:[0-9a-f]{64})?"
)


def _tag(image: str) -> str:
    name, at, _ = image.partition("@")
    return "by digest" if at else name[name.rfind("/") + 1 :].partition(":")[2]


@rule(
    "images/reference",
    "Images have names that a registry understands",
    Severity.ERROR,
    fix="write repository:tag or repository@sha256:digest, the repository in lower case",
    structural=True,
)
def reference(scene: Scene) -> Iterator[Hit]:
    """The kubelet answers InvalidImageName, which no waiting mends."""
    for _, container in scene.containers():
        image = container.part.text("image")
        if not _REFERENCE.fullmatch(image):
            message = f"{image!r} is not an image's name" if image else f"the container {container.name} has no image"
            yield container.part.hit(message, "image")


@rule(
    "images/tag",
    "Images have a tag, and it is not latest",
    Severity.ERROR,
    fix="name the version of the engine in the tag",
)
def tag(scene: Scene) -> Iterator[Hit]:
    """With latest a pod that is rescheduled may come back as another major version over the old one's data.

    In checkov's words: CKV_K8S_14.
    """
    for _, container in scene.containers():
        image = container.part.text("image")
        if image and _tag(image) in ("", "latest"):
            what = "latest" if _tag(image) else "no tag, which means latest"
            yield container.part.hit(f"the image of {container.name} has {what}", "image")


@rule(
    "images/digest",
    "In production images are named by digest",
    Severity.INFO,
    fix="append @sha256:... to the image",
)
def digest(scene: Scene) -> Iterator[Hit]:
    """A tag can be moved: two pods of one set can then run different bytes. In checkov's words: CKV_K8S_43.

    Asked of environments named prod or production.
    """
    if scene.facts.is_production:
        for workload in scene.workloads:
            named = sorted({container.part.text("image") for container in workload.containers} - {""})
            tags = [image for image in named if "@" not in image]
            if tags:
                yield workload.pod.hit(f"not by digest: {', '.join(tags)}", "containers")
