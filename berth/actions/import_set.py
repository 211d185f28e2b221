"""`import`: a profile of a StatefulSet that runs already, so that `up` takes it over without a restart.

The phases: read -> choose what belongs to the set -> files beside their place -> render, lint, dry run -> move them.
Nothing is written to the cluster.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from berth.actions.lint import lint
from berth.actions.prepare import MAX_RELEASE_NAME, Request, prepare
from berth.actions.survey import dry_run
from berth.cluster.kube import Kube
from berth.cluster.release import list_releases
from berth.core.diff import Change, changes
from berth.core.errors import BerthError, ConflictError, DeniedError, InputError, LocalError, did_you_mean
from berth.core.importing.advice import change_line, managers, mend_lines, own_marks, owners, secrets
from berth.core.importing.convert import Chosen, choose, release_name, require_free
from berth.core.importing.text import files, values_of
from berth.core.lint.model import Finding, Severity
from berth.core.objects import INSTANCE_LABEL, Json, ObjectRef
from berth.core.profile import DNS_LABEL
from berth.core.render import Release
from berth.library import PROJECT, Library, Root, shown

#: Findings that no waiver is for.
_UNWAIVED = ("render/", "waivers/", "schema/unavailable")


@dataclass(frozen=True, slots=True)
class Proof:
    """What the API server says of applying what was written.

    ``marks`` are berth's own labels and annotations, ``others`` all else that would change; ``conflicts`` names fields
    that somebody else owns and that would be taken; ``unproved`` says why there was no dry run.
    """

    marks: tuple[tuple[ObjectRef, Change], ...] = ()
    others: tuple[tuple[ObjectRef, Change], ...] = ()
    conflicts: tuple[str, ...] = ()
    unproved: str = ""

    @property
    def restarts(self) -> bool:
        """Whether pods would be made anew."""
        return any(ref.kind == "StatefulSet" and one.path.startswith("spec.template") for ref, one in self.others)


@dataclass(frozen=True, slots=True)
class Imported:
    """What was found and written. ``texts`` are the files by path; ``written`` where they are now, none on a check."""

    chosen: Chosen
    profile: str
    release: str
    texts: Mapping[str, str]
    findings: tuple[Finding, ...]
    proof: Proof
    notes: tuple[str, ...] = ()
    written: tuple[Path, ...] = ()


def import_set(
    kube: Kube,
    namespace: str,
    name: str | None,
    profile: str | None,
    directory: Path,
    *,
    library: Library,
    check: bool,
    force: bool = False,
) -> Imported:
    """Write a profile and templates that give the objects that run, and prove it by a dry run.

    ``name`` may be left away where the namespace has one set; the profile is named after the set, or what its claims
    are labelled with, unless told otherwise. ``check`` writes no file, ``force`` replaces those that are there.

    Raises:
        InputError: there is no such set, a release has it, a name cannot be, or files are in the way.
        PreflightError: somebody else steers the set, or it is being deleted.
        DeniedError: sets, pods or Services may not be read.
        LocalError: the files cannot be written.
    """
    notes: list[str] = []
    chosen = _look(kube, namespace, name, notes)
    wanted = profile or release_name(chosen.statefulset, chosen.statefulset["metadata"]["name"])
    release = release_name(chosen.statefulset, wanted)
    _check_names(wanted, release, given=profile is not None)
    _check_place(directory, wanted, library, force)
    with tempfile.TemporaryDirectory(prefix="berth-import-") as made:
        trial = _Trial(Path(made), library, wanted, release, namespace)
        findings = trial.waivable(files(chosen, wanted))
        texts = files(chosen, wanted, findings)
        rendered = trial.render(texts)
    proof = _prove(kube, rendered, chosen)
    result = Imported(chosen, wanted, release, texts, findings, proof, tuple(notes))
    return result if check else replace(result, written=tuple(_write(texts, directory)))


def _look(kube: Kube, namespace: str, name: str | None, notes: list[str]) -> Chosen:
    sets = kube.list("apps", "StatefulSet", namespace).items
    found = [body for body in sets if name is None or body["metadata"]["name"] == name]
    names = [str(body["metadata"]["name"]) for body in sets]
    if not found:
        what = f"there is no StatefulSet {name} in {namespace}" if name else f"there is no StatefulSet in {namespace}"
        raise InputError(what, hint=did_you_mean(name or "", names) or "another --namespace or --context?")
    if len(found) > 1:
        raise InputError(f"which StatefulSet? there are {', '.join(sorted(names))}", hint="--statefulset NAME")
    statefulset = found[0]
    require_free(statefulset, _held_by(kube, namespace, ObjectRef.of(statefulset)))
    services = kube.list("", "Service", namespace).items
    pods = kube.list("", "Pod", namespace).items
    try:
        budgets = kube.list("policy", "PodDisruptionBudget", namespace).items
    except DeniedError:
        budgets = []
        notes.append("disruption budgets may not be read, and are left out")
    return choose(statefulset, sets, services, budgets, pods)


def _held_by(kube: Kube, namespace: str, ref: ObjectRef) -> str | None:
    """The release of berth that has the object; None also where records may not be read: its label tells, too."""
    try:
        records = list_releases(kube, namespace)
    except DeniedError:
        return None
    live = [record for record in records if record.status != "removed"]
    return next((record.name for record in live if any(entry.ref == ref for entry in record.inventory)), None)


def _check_names(profile: str, release: str, *, given: bool) -> None:
    for name in dict.fromkeys((profile, release)):
        if DNS_LABEL.fullmatch(name) and len(name) <= MAX_RELEASE_NAME:
            continue
        form = f"at most {MAX_RELEASE_NAME} lower case letters, digits and -"
        if name == release != profile:
            raise InputError(
                f"the claims of the set are labelled {INSTANCE_LABEL}={name}, which is no name for a release: {form}",
                why="claims belong to the release that their label names, and a set's labels for claims are fixed",
            )
        hint = f"--profile NAME, {form}" if not given else form
        raise InputError(f"{name!r} is no name for a profile", hint=hint)


def _check_place(directory: Path, profile: str, library: Library, force: bool) -> None:
    """Refuse to write over the files of others.

    Raises:
        InputError: they are named.
    """
    if directory.exists() and not directory.is_dir():
        raise InputError(f"{directory} is a file, not a directory", hint="choose another --output-dir")
    own = {f"templates/{profile}/statefulset.yaml", f"templates/{profile}/objects.yaml"}
    templates = directory / "templates" / profile
    there = {str(path.relative_to(directory)) for path in templates.glob("*")} if templates.is_dir() else set()
    strangers = sorted(there - own)
    if strangers:
        raise InputError(
            f"{', '.join(strangers)} would be rendered with the imported set",
            hint="--profile NAME writes under another name",
        )
    if (directory / "profiles" / f"{profile}.yaml").exists():
        there.add(f"profiles/{profile}.yaml")
    if there and not force:
        hint = "--profile NAME writes under another name, --force replaces them"
        raise InputError(f"there are files already: {', '.join(sorted(there))}", hint=hint)
    built_in = [
        root for root in library.roots if root.origin != PROJECT and (root.profiles / f"{profile}.yaml").exists()
    ]
    if built_in and not force:
        raise InputError(
            f"{profile} is a profile that comes with berth",
            hint="--profile NAME writes under another name; --force lets yours stand in its place",
        )


class _Trial:
    """A project of its own, in which the files are tried before they go where the user wants them."""

    def __init__(self, root: Path, library: Library, profile: str, release: str, namespace: str) -> None:
        self._root, self._roots = root, [one for one in library.roots if one.origin != PROJECT]
        self._profile, self._release, self._namespace = profile, release, namespace

    def _library(self, texts: Mapping[str, str]) -> Library:
        for name, text in texts.items():
            path = self._root / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")
        return Library((Root(self._root, PROJECT), *self._roots))

    def waivable(self, texts: Mapping[str, str]) -> tuple[Finding, ...]:
        """What lint finds, without notes."""
        report = lint(self._library(texts), [self._profile])
        return tuple(
            one
            for one in report.findings
            if one.severity is not Severity.INFO and not one.rule.startswith(_UNWAIVED) and one.profile == self._profile
        )

    def render(self, texts: Mapping[str, str]) -> Release:
        """The release as `up` would apply it."""
        return prepare(self._library(texts), [Request(self._profile, self._release, self._namespace)])[-1]


def _prove(kube: Kube, release: Release, chosen: Chosen) -> Proof:
    live = {ObjectRef.of(body): body for body in chosen.bodies}
    conflicts: tuple[str, ...] = ()
    try:
        try:
            tried = dry_run(kube, release.manifests, force=False, elsewhere={})
        except ConflictError as error:
            conflicts = tuple(problem.what for problem in error.problems)
            tried = dry_run(kube, release.manifests, force=True, elsewhere={})
    except DeniedError as error:
        return Proof(unproved=error.problems[0].what)
    except BerthError as error:
        return Proof(conflicts=conflicts, unproved="; ".join(problem.what for problem in error.problems))
    marks: list[tuple[ObjectRef, Change]] = []
    others: list[tuple[ObjectRef, Change]] = []
    for ref, body in tried.items():
        own, rest = own_marks(changes(live[ref], body))
        marks += [(ref, one) for one in own]
        others += [(ref, one) for one in rest]
    return Proof(tuple(marks), tuple(others), conflicts)


def _write(texts: Mapping[str, str], directory: Path) -> Iterator[Path]:
    """Write all files beside their place, then move them, the profile last: without it the others are of no effect.

    Raises:
        LocalError: it cannot be done.
    """
    waiting: Path | None = None
    try:
        directory.mkdir(parents=True, exist_ok=True)
        waiting = Path(tempfile.mkdtemp(prefix=".berth-import-", dir=directory))
        for name, text in texts.items():
            (waiting / name.replace("/", "_")).write_text(text, encoding="utf-8")
        for name in sorted(texts, reverse=True):
            path = directory / name
            path.parent.mkdir(parents=True, exist_ok=True)
            os.replace(waiting / name.replace("/", "_"), path)
            yield path
        for name in _stale(texts):
            (directory / name).unlink(missing_ok=True)
    except OSError as error:
        raise LocalError(f"cannot write to {directory}: {error.strerror or error}", hint="check the path") from None
    finally:
        if waiting is not None:
            shutil.rmtree(waiting, ignore_errors=True)


def _stale(texts: Mapping[str, str]) -> Sequence[str]:
    """What an earlier import wrote, and this one does not."""
    template = next(name for name in texts if name.endswith("/statefulset.yaml"))
    objects = template.replace("statefulset.yaml", "objects.yaml")
    return () if objects in texts else (objects,)


def lines(done: Imported, options: Sequence[str]) -> Iterator[str]:
    """What was found, written and proved, for people; ``options`` name the cluster in commands."""
    ref = ObjectRef.of(done.chosen.statefulset)
    yield f"{ref}, applied by {' and '.join(managers(done.chosen.statefulset)) or 'nobody known'}"
    for body in done.chosen.others:
        yield f"  + {body['kind']}/{body['metadata']['name']}"
    for left in done.chosen.left:
        yield f"  - {left.name} stays as it is: {left.why}"
    yield f"values: {' '.join(_values(values_of(done.chosen)))}"
    if done.findings:
        yield f"lint: {len(done.findings)} findings, waived in the profile; what could be mended, with a restart:"
        yield from (f"  {line}" for line in mend_lines(done.findings))
    for where in secrets(done.chosen.statefulset):
        yield (
            f"warning: {where}: this looks like a secret in plain text; it is in templates/{done.profile}/"
            "statefulset.yaml now: move it into a Secret before you commit the file"
        )
    yield from (f"warning: {note}" for note in done.notes)
    for path in done.written:
        yield f"wrote {shown(path)}"
    if not done.written:
        yield f"nothing was written; without --check: {', '.join(done.texts)}"
    yield from _proof_lines(done.proof)
    name = ["--name", done.release] if done.release != done.profile else []
    force = ["--force-conflicts"] if done.proof.conflicts else []
    release = ["--profile", done.profile, *name, "--namespace", ref.namespace]
    yield from (f"warning: {line}" for line in owners(done.chosen.bodies, " ".join(["invoke render", *release])))
    yield f"next: {' '.join(['invoke up', *release, *options, *force])}"


def _proof_lines(proof: Proof) -> Iterator[str]:
    if proof.unproved:
        yield f"warning: no dry run has proved that nothing changes: {proof.unproved}"
        return
    for what in proof.conflicts:
        yield f"  conflict: {what}"
    for ref, change in proof.others:
        yield f"  ! {change_line(ref, change)}"
    if proof.restarts:
        yield "differs: `up` would restart the pods"
    elif proof.others:
        yield "differs: see above; the pod template is the same, so `up` restarts no pod"
    else:
        yield "differs: nothing but berth's own labels and annotations, by a dry run; `up` restarts no pod"


def _values(values: Json, path: str = "") -> Iterator[str]:
    for key, value in values.items():
        inner = f"{path}.{key}" if path else key
        if isinstance(value, dict) and value:
            yield from _values(value, inner)
        else:
            yield f"{inner}={'null' if value is None else value}"
