"""Releases as text: on standard output, or one file an object."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from pathlib import Path

from berth.actions.files import Listing, write_files
from berth.core.export.model import file_part
from berth.core.masking import HIDDEN, copies, hides, masked
from berth.core.objects import Json, Manifest
from berth.core.render import Release
from berth.core.yamltext import dump_all

#: Lists the files of a render in their directory.
LISTING = ".berth-render"


def as_yaml(releases: Sequence[Release]) -> str:
    """YAML, one document an object, in apply order; secret text is hidden, and a comment says so."""
    return dump_all((comment, body) for _, comment, body in _shown(releases))


def as_json(releases: Sequence[Release]) -> str:
    """A Kubernetes List of the objects in apply order; secret text is hidden."""
    items = [body for _, _, body in _shown(releases)]
    return json.dumps({"apiVersion": "v1", "kind": "List", "items": items}, indent=2, ensure_ascii=False)


def _shown(releases: Sequence[Release]) -> Iterator[tuple[Manifest, str, Json]]:
    for release in releases:
        for manifest in release.manifests:
            body = masked(manifest, release.values.secret_paths)
            lines = []
            if hides(manifest, body):
                lines.append(
                    f"Secret text reads {HIDDEN} here, which no API server accepts; berth up applies the real one."
                )
            if manifest.generated:
                lines.append(f"berth up makes these keys once: {', '.join(sorted(manifest.generated))}")
            if manifest.copied:
                lines.append(f"berth up copies these keys: {copies(manifest)}")
            yield manifest, "\n".join(lines), body


def write(releases: Sequence[Release], directory: Path) -> list[Path]:
    """One YAML file an object, numbered in apply order; what an earlier render left there is replaced.

    Raises:
        InputError: the directory holds files that no render wrote.
        LocalError: it cannot be written.
    """
    files = {
        f"{number:03d}-{body['kind'].lower()}-{file_part(body['metadata']['name'])}.yaml": dump_all([(comment, body)])
        for number, (_, comment, body) in enumerate(_shown(releases), 1)
    }
    return write_files(directory, files, Listing(LISTING, "berth render"))
