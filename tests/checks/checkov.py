"""Render every profile in its production environment and let checkov look at it; what is not waived by name fails.

Run it as ``python tests/checks/checkov.py``. checkov is large and pins many libraries, so that it best has a virtual
environment of its own: ``python -m venv ~/.cache/berth/checkov && ~/.cache/berth/checkov/bin/pip install checkov``.
It is looked for in the variable CHECKOV, in the PATH, and there.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import yaml

from berth.actions.prepare import Request, prepare
from berth.core.errors import BerthError
from berth.core.objects import Manifest, dig
from berth.library import open_library

ENVIRONMENT = "prod"
NAMESPACE = "checkov"
WAIVERS = Path(__file__).with_name("checkov-waivers.yaml")
OWN_VENV = Path.home() / ".cache" / "berth" / "checkov" / "bin" / "checkov"


@dataclass(frozen=True, slots=True, order=True)
class Failed:
    """A check that failed: its id, the object as Kind/name, and what it asks for."""

    check: str
    object: str
    title: str = ""


@dataclass(frozen=True, slots=True)
class Waiver:
    """A check that may fail for the objects named, and why."""

    check: str
    objects: tuple[str, ...]
    reason: str


def main() -> int:
    """Check, print what is wrong, and return 0 when nothing is, 1 when something is, 2 when checkov is not there."""
    program = find_checkov()
    if program is None:
        print(__doc__, file=sys.stderr)
        return 2
    try:
        manifests = rendered()
    except BerthError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    with TemporaryDirectory(prefix="berth-checkov-") as directory:
        for index, manifest in enumerate(manifests):
            (Path(directory) / f"{index:03}.yaml").write_text(yaml.safe_dump(manifest.body), encoding="utf-8")
        report = run_checkov(program, directory)
    problems = [*own_skips(manifests), *judge(report, read_waivers(WAIVERS.read_text(encoding="utf-8")))]
    for problem in problems:
        print(f"error: {problem}")
    print(f"checkov: {summary(report)}, {len(problems)} problems")
    return 1 if problems else 0


def find_checkov() -> str | None:
    """The program, wherever it is installed."""
    beside = Path(sys.executable).with_name("checkov")
    known = (os.environ.get("CHECKOV"), shutil.which("checkov"), beside, OWN_VENV)
    return next((str(path) for path in known if path and Path(path).is_file()), None)


def rendered() -> list[Manifest]:
    """The manifests of every profile in production."""
    library = open_library()
    return [
        manifest
        for name in library.names()
        for release in prepare(library, [Request(name, namespace=NAMESPACE, environment=ENVIRONMENT)])
        for manifest in release.manifests
    ]


def run_checkov(program: str, directory: str) -> list[dict[str, Any]]:
    """What checkov reports, offline: one entry a framework."""
    command = [program, "-d", directory, "--framework", "kubernetes", "--skip-download", "--compact", "-o", "json"]
    # checkov ends with 1 when a check fails; that it broke shows in what it wrote.
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=directory)
    try:
        report = json.loads(done.stdout)
    except ValueError:
        raise SystemExit(f"checkov ended with {done.returncode} and no report:\n{done.stderr[-2000:]}") from None
    return report if isinstance(report, list) else [report]


def read_waivers(text: str) -> list[Waiver]:
    """The waivers of the file."""
    return [
        Waiver(str(entry["check"]), tuple(entry.get("objects", ())), str(entry.get("reason", "")).strip())
        for entry in yaml.safe_load(text) or ()
    ]


def failures(report: Sequence[dict[str, Any]]) -> Iterator[Failed]:
    """The checks that failed. checkov writes an object as Kind.namespace.name."""
    for framework in report:
        for check in dig(framework, "results", "failed_checks", default=()):
            kind, _, name = str(check["resource"]).split(".", 2)
            yield Failed(str(check["check_id"]), f"{kind}/{name}", str(check["check_name"]))


def judge(report: Sequence[dict[str, Any]], waivers: Sequence[Waiver]) -> list[str]:
    """Everything that is wrong: failed checks without a waiver, waivers without need or reason, nothing checked."""
    problems = []
    if not any(dig(framework, "summary", "resource_count", default=0) for framework in report):
        problems.append("checkov looked at no object")
    if any(dig(framework, "summary", "parsing_errors", default=0) for framework in report):
        problems.append("checkov could not read every manifest")
    if any(dig(framework, "summary", "skipped", default=0) for framework in report):
        problems.append("a check was skipped; waive it in the file instead")
    failed = sorted(set(failures(report)))
    for failure in failed:
        if not any(failure.check == waiver.check and failure.object in waiver.objects for waiver in waivers):
            problems.append(f"{failure.check} fails for {failure.object}: {failure.title}")
    found = {(failure.check, failure.object) for failure in failed}
    for waiver in waivers:
        if not waiver.reason:
            problems.append(f"the waiver of {waiver.check} gives no reason")
        if not waiver.objects:
            problems.append(f"the waiver of {waiver.check} names no object")
        for named in waiver.objects:
            if (waiver.check, named) not in found:
                problems.append(f"nothing needs the waiver of {waiver.check} for {named}")
    return problems


def own_skips(manifests: Sequence[Manifest]) -> Iterator[str]:
    """Annotations in the manifests that would hide findings from checkov."""
    for manifest in manifests:
        for path in (("metadata",), ("spec", "template", "metadata")):
            for key in dig(manifest.body, *path, "annotations", default=()) or ():
                if str(key).startswith("checkov.io/skip"):
                    yield f"{manifest.ref} has the annotation {key}; waive it in the file instead"


def summary(report: Sequence[dict[str, Any]]) -> str:
    """How many checks passed and failed, of how many objects."""
    total = {
        key: sum(int(dig(framework, "summary", key, default=0)) for framework in report)
        for key in ("resource_count", "passed", "failed")
    }
    return f"{total['resource_count']} objects, {total['passed']} checks passed, {total['failed']} failed"


if __name__ == "__main__":
    sys.exit(main())
