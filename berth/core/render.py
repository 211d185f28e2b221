"""A profile and values become manifests, each field knowing its template line and the values in it."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol, runtime_checkable

from jinja2 import BaseLoader, UndefinedError

from berth.core.complete import complete
from berth.core.draft import Draft, Origins
from berth.core.errors import InputError, Position, Problem, TemplateError, did_you_mean
from berth.core.explain import FailedOnPurpose, explain, hide, origins
from berth.core.masking import is_covered
from berth.core.objects import Json, Manifest, Origin
from berth.core.order import phases
from berth.core.profile import Profile
from berth.core.provenance import OPEN, paths_of, track
from berth.core.secretvalues import Copied, Generated
from berth.core.strictyaml import OMIT, Hooks, Path, Rejected, caret, read_all
from berth.core.templating import Environment, environment_of
from berth.core.tokens import SESSION, TOKEN, Session, unmark
from berth.core.values import Values


@dataclass(frozen=True, slots=True)
class Release:
    """One installation of a profile, ready to be applied; ``manifests`` are in apply order.

    ``again`` renders it with some values changed, where it was made from a profile's files. ``site`` is the name of the
    site that it belongs to, if any.
    """

    name: str
    namespace: str
    profile: Profile
    environment: str | None
    values: Values
    manifests: tuple[Manifest, ...]
    again: Callable[[Json], Release] | None = field(default=None, compare=False, repr=False)
    site: str = ""


@runtime_checkable
class Selecting(Protocol):
    """A loader that knows which templates belong to which profile."""

    def select(self, pattern: str, origin: str) -> list[str]:
        """Names of templates that match a glob, those beside the profile first."""
        ...


def render(
    profile: Profile,
    values: Values,
    release_name: str,
    namespace: str,
    environment: str | None,
    loader: BaseLoader,
    others: Sequence[Draft] = (),
) -> tuple[Manifest, ...]:
    """The manifests of a release, complete and in apply order. The same arguments give the same result.

    ``others`` are objects that no template of ours makes; they are taken over and changed.

    Raises:
        TemplateError: with the problems of every template.
    """
    run = _Run(profile, values, release_name, namespace, environment, environment_of(loader))
    drafts = [*run.drafts(templates_of(profile, loader)), *others]
    if not drafts:
        raise TemplateError(f"the profile {profile.name} renders no object", where=str(profile.position))
    try:
        manifests = complete(drafts, release_name, namespace, run.session.generates or bool(others))
        _refuse_hidden_names(manifests, values)
        return tuple(manifest for phase in phases(manifests) for manifest in phase)
    except InputError as error:
        raise TemplateError([hide(problem, values) for problem in error.problems]) from None


def _refuse_hidden_names(manifests: Sequence[Manifest], values: Values) -> None:
    """Names are everywhere: in records, plans and lists of objects."""
    problems = []
    for manifest in manifests if values.secret_paths else ():
        origin = manifest.origins.get("metadata.name", Origin(manifest.position))
        if any(is_covered(values.secret_paths, path) for path in origin.values):
            what = f"the name of a {manifest.ref.kind} is made of a secret value: {', '.join(origin.values)}"
            problems.append(
                Problem(what, str(origin.template), hint="names are shown: leave it out of what is encrypted")
            )
    if problems:
        raise TemplateError(problems)


def templates_of(profile: Profile, loader: BaseLoader) -> list[str]:
    """The names of the templates that a profile renders, in order.

    Raises:
        TemplateError: a glob matches nothing.
    """
    found: dict[str, None] = {}
    problems = []
    for index, pattern in enumerate(profile.templates):
        if isinstance(loader, Selecting):
            names = loader.select(pattern, profile.origin)
        else:
            names = matching(pattern, loader.list_templates())
        if not names:
            where = profile.positions.get(("templates", index), profile.position)
            hint = did_you_mean(pattern, loader.list_templates()) if ("templates",) in profile.positions else ""
            problems.append(Problem(f"no template matches templates/{pattern}", str(where), hint=hint))
        found.update(dict.fromkeys(names))
    if problems:
        raise TemplateError(problems)
    return list(found)


def matching(pattern: str, names: Iterable[str]) -> list[str]:
    """The names that a glob matches, sorted: ``*`` stays in a directory, ``**`` does not."""
    parts = re.split(r"(\*\*/|\*|\?)", pattern)
    wild = {"**/": "(?:.*/)?", "*": "[^/]*", "?": "[^/]"}
    compiled = re.compile("".join(wild.get(part, re.escape(part)) for part in parts))
    return sorted(name for name in names if compiled.fullmatch(name))


class _Run:
    """The templates of one release while they run."""

    def __init__(
        self,
        profile: Profile,
        values: Values,
        release_name: str,
        namespace: str,
        environment: str | None,
        engine: Environment,
    ) -> None:
        self.values = values
        self.engine = engine
        self.session = Session()
        self.variables: dict[str, Any] = {
            "values": track(values.data),
            "release": {
                "name": release_name,
                "namespace": namespace,
                "profile": profile.name,
                "profile_version": profile.version,
                "environment": environment,
            },
            "omit": OMIT,
            "named": lambda name: str(name) if release_name == profile.name else f"{release_name}-{name}",
            "generate": _generate,
            "fail": _fail,
            "include_text": self._include_text,
        }
        self.profile = profile

    def drafts(self, names: Sequence[str]) -> list[Draft]:
        """The objects of all templates.

        Raises:
            TemplateError: with the problems of every template.
        """
        drafts: list[Draft] = []
        problems: list[Problem] = []
        token = SESSION.set(self.session)
        try:
            for name in names:
                try:
                    drafts += self._template(name)
                except TemplateError as error:
                    problems += error.problems
        finally:
            SESSION.reset(token)
        if problems:
            raise TemplateError(list(dict.fromkeys(problems)))
        return drafts

    def _template(self, name: str) -> Iterator[Draft]:
        engine = self.engine
        try:
            rendered = engine.run(name, self.variables)
        except Exception as error:
            # Templates can raise anything; all of it is the template's fault and needs its line.
            raise explain(error, engine, self.values, name) from None
        text, lines = unmark(rendered, self.session, engine.number_of)
        last = len(lines) - 1

        def locate(line: int, column: int = 0) -> Position:
            template, number = lines[min(line, last)]
            return Position(engine.file_of(engine.names[template]), number)

        def reason(line: int) -> tuple[str, str]:
            template, number = lines[min(line, last)]
            source = engine.sources[engine.names[template]]
            written = source.split("\n")[number - 1] if number <= source.count("\n") + 1 else ""
            used = origins(engine.reads.get((engine.names[template], number), ()), self.values)
            return caret(source, number - 1, len(written) - len(written.lstrip())), used

        notes: list[dict[Path, tuple[str, ...]]] = []

        def note(path: Path, paths: tuple[str, ...]) -> None:
            if paths:
                notes[-1][path] = paths

        def substitute(written: str, plain: bool, path: Path | None) -> Any:
            try:
                return fill(written, plain, path)
            except UndefinedError as error:
                raise Rejected(str(error)) from None
            except RecursionError:
                raise Rejected("this value is nested too deeply") from None

        def fill(written: str, plain: bool, path: Path | None) -> Any:
            if path is None:
                made = self.session.text(written)
                if any(is_covered(self.values.secret_paths, one) for one in self._paths_in(written, made)):
                    raise Rejected("this key is made of a secret value", "keys are shown: let it be a value")
                return str(made)
            whole = TOKEN.fullmatch(written)
            # In quotes a value is its text; what has none yet will be text.
            if whole is None or not (plain or isinstance(self.session.tokens[int(whole[1])][0], Generated | Copied)):
                made = self.session.text(written)
                note(path, self._paths_in(written, made))
                return str(made)
            value, site = self.session.tokens[int(whole[1])]
            made = self.session.plain(value, path, note)
            if made is not OMIT:
                note(path, self.session.paths(value, site))
            return made

        hooks = Hooks(
            watch=OPEN, substitute=substitute, null=OMIT, locate=locate, explain=reason, start=lambda: notes.append({})
        )
        try:
            documents = read_all(text, name, error=TemplateError, hooks=hooks)
        except TemplateError as error:
            raise TemplateError([hide(problem, self.values) for problem in error.problems]) from None
        for document, noted in zip(documents, notes, strict=True):
            if document.data is None or document.data is OMIT:
                continue
            marks = document.marks
            yield Draft(document.data, locate(marks[()][0]), Origins(marks, locate, noted))

    def _paths_in(self, written: str, made: str) -> tuple[str, ...]:
        named = [self.session.tokens[int(index)][1][2] for index in TOKEN.findall(written)]
        return tuple(dict.fromkeys((*paths_of(made), *(path for paths in named for path in paths))))

    def _include_text(self, name: Any, **extra: Any) -> str:
        """Another template as text, for the data of a ConfigMap."""
        return self.session.text(self.engine.run(name, {**self.variables, **extra}))


def _generate(length: Any = 32) -> Generated:
    if not isinstance(length, int) or isinstance(length, bool) or not 8 <= length <= 256:
        raise Rejected("generate takes a number of characters from 8 to 256")
    return Generated(int(length))


def _fail(message: Any = "the template failed on purpose") -> None:
    raise FailedOnPurpose(str(message))


__all__ = ["Release", "matching", "render", "templates_of"]
