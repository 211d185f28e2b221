"""Where Kubernetes' schemas come from: the files that the package kubernetes-validate carries, without importing it.

Its own checker parses 1.6 MB of JSON for each object and imports a slower JSON Schema library; see
docs/decisions/0004-lint-schemas.md.
"""

from __future__ import annotations

import json
import re
from importlib.util import find_spec
from pathlib import Path

from berth.core.errors import InputError, LocalError
from berth.core.kubeschema import Schemas
from berth.core.lint.model import Version, format_version
from berth.core.objects import OLDEST_KUBERNETES

PACKAGE = "kubernetes_validate"


def installed() -> dict[Version, Path]:
    """The versions of Kubernetes whose schemas are installed, of those that berth supports; none without the extra."""
    spec = find_spec(PACKAGE)
    found: dict[Version, Path] = {}
    for location in (spec.submodule_search_locations or ()) if spec else ():
        for directory in (Path(location) / "kubernetes-json-schema").glob("v*-local-strict"):
            named = re.fullmatch(r"v(\d+)\.(\d+)\.\d+-local-strict", directory.name)
            if named and (int(named[1]), int(named[2])) >= OLDEST_KUBERNETES:
                found[int(named[1]), int(named[2])] = directory / "_definitions.json"
    return dict(sorted(found.items()))


def open_schemas(version: Version) -> Schemas | None:
    """The schemas of a version of Kubernetes, or None when no schemas are installed.

    Raises:
        InputError: berth does not support that version, or the installed schemas do not know it.
        LocalError: the installed files cannot be read.
    """
    if version < OLDEST_KUBERNETES:
        oldest = format_version(OLDEST_KUBERNETES)
        raise InputError(f"Kubernetes {format_version(version)} is not supported", hint=f"{oldest} or later")
    files = installed()
    if not files:
        return None
    if version not in files:
        known = ", ".join(format_version(known) for known in files)
        raise InputError(
            f"there are no schemas for Kubernetes {format_version(version)}",
            hint=f"one of {known}; for a newer one: pip install -U kubernetes-validate",
        )
    try:
        return Schemas(json.loads(files[version].read_bytes()))
    except (ValueError, KeyError) as error:
        raise LocalError(f"{files[version]} is damaged", hint="reinstall kubernetes-validate") from error
