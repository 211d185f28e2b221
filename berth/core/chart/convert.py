"""A profile becomes the files of a chart; what cannot be carried is fixed, and the templates run again."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from jinja2 import BaseLoader
from jinja2 import TemplateError as JinjaError
from jinja2.exceptions import SecurityError

from berth.core.chart import package
from berth.core.chart.execute import Executor, Unsupported
from berth.core.chart.expressions import Writer
from berth.core.chart.helpers import LIBRARY, defined
from berth.core.chart.objects import ChartObject, completed, written
from berth.core.chart.regions import Document, documents
from berth.core.chart.symbols import NotCarried, Space
from berth.core.errors import InputError, TemplateError
from berth.core.profile import Profile
from berth.core.render import render, templates_of
from berth.core.secretvalues import Generated
from berth.core.strictyaml import Rejected
from berth.core.templating import environment_of
from berth.core.tokens import SESSION, Session
from berth.core.values import Values, dotted, get, merge, split_path

#: How often values may be fixed before something must be wrong with this module instead.
_MAX_RUNS = 200


@dataclass(frozen=True, slots=True)
class Fixed:
    """A value that the chart takes from the profile; ``path`` is dotted."""

    path: str
    value: Any
    reason: str


@dataclass(frozen=True, slots=True)
class Chart:
    """The files of a chart by their path in it, and the values that users of it cannot set."""

    name: str
    files: dict[str, str]
    fixed: tuple[Fixed, ...]


def convert(profile: Profile, loader: BaseLoader, environment: str | None = None) -> Chart:
    """The chart of a profile, with an environment's values as its defaults if one is named.

    Raises:
        InputError: the profile, its values or its templates are wrong, or hold what no chart can.
    """
    if profile.chart is not None:
        raise InputError(
            f"the profile {profile.name} takes its objects from a chart",
            where=str(profile.position),
            hint="take that chart",
        )
    values = merge(profile, environment)
    fixed = _secrets(profile, values)
    render(profile, values, profile.name, "default", environment, loader)
    for _ in range(_MAX_RUNS):
        try:
            return _attempt(profile, values, loader, environment, fixed)
        except _Again as again:
            fixed |= again.fixed
    raise AssertionError(f"{profile.name}: values are fixed without end")


def _secrets(profile: Profile, values: Values) -> dict[tuple[str, ...], str]:
    """The secret values that are generated: they are fixed from the start.

    Raises:
        InputError: the profile holds the text of others, which a chart would show to everybody.
    """
    found: dict[tuple[str, ...], str] = {}
    for path in sorted(values.secret_paths):
        value = get(values.data, path)
        if isinstance(value, Generated):
            found[tuple(split_path(path))] = "it is made by the first install, and kept"
        elif value not in (None, ""):
            raise InputError(
                f"{path} is secret, and a chart would hold what the profile has for it",
                where=str(values.source_of(path) or profile.position),
                hint="let the profile say null, or {generate: 32}",
            )
    return found


class _Again(Exception):
    """These values are to be fixed."""

    def __init__(self, fixed: dict[tuple[str, ...], str]) -> None:
        super().__init__()
        self.fixed = fixed


def _attempt(
    profile: Profile,
    values: Values,
    loader: BaseLoader,
    environment: str | None,
    fixed: dict[tuple[str, ...], str],
) -> Chart:
    engine = environment_of(loader)
    space = Space(profile.schema, values.data, frozenset(fixed))
    release = {"profile": profile.name, "profile_version": profile.version, "environment": environment}
    executor = Executor(engine, space, release)
    writer = Writer(profile.name)
    session = SESSION.set(Session())
    at = ""
    try:
        read: list[Document] = []
        for name in templates_of(profile, loader):
            at = f"templates/{name}"
            rendered = executor.run(name)
            at = f"templates/{name}"
            for document in documents(rendered):
                document.file = at
                read.append(document)
        objects = completed(read, space, writer)
        _pass_on_checks(read, objects)
        files = {}
        for found in objects:
            at = found.document.file
            files[f"templates/{found.stem}.yaml"] = written(found, writer, package.HEADER)
        files["templates/_helpers.tpl"] = _helpers(writer)
        for name in writer.texts:
            file = f"templates/_{name.removeprefix(f'{profile.name}.')}.tpl"
            files[file] = f"{{{{- /* {package.HEADER} */}}}}\n{defined(name, writer.helpers[name])}"
        noted = tuple(Fixed(dotted(path), _at(values.data, path), reason) for path, reason in sorted(fixed.items()))
        about = package.About(profile, values, environment, noted, executor.asked_environment)
        return Chart(profile.name, package.files(about, objects, writer) | files, noted)
    except NotCarried as refusal:
        where = str(executor.at) or refusal.where or at
        paths = {_held(values.data, tuple(split_path(path))) for path in refusal.paths}
        new = {path: f"{refusal.reason} ({where})" for path in paths if path}
        new = {path: why for path, why in new.items() if not any(path[:n] in fixed for n in range(1, len(path) + 1))}
        if not new:
            raise InputError(
                f"no chart can be made of {profile.name}: {refusal.reason}", where=where,
                hint="write it in another way; docs/how-to/charts.md says what a chart can carry",
            ) from None  # fmt: skip
        raise _Again(new) from None
    except Unsupported as refusal:
        raise TemplateError(
            refusal.what, where=str(refusal.where), hint="write it with if, for, set and macros"
        ) from None
    except (JinjaError, SecurityError, Rejected) as error:
        raise TemplateError(f"{error}", where=str(executor.at) or at) from None
    except (ArithmeticError, AttributeError, LookupError, RecursionError, TypeError, ValueError) as error:
        # With the values that the profile has, the templates ran: it is a symbol that somebody took for data.
        what = f"no chart can be made of {profile.name}: {type(error).__name__}: {error}"
        raise InputError(what, where=str(executor.at) or at, hint="write it in another way") from None
    finally:
        SESSION.reset(session)


def _held(data: Any, path: tuple[str, ...]) -> tuple[str, ...]:
    """The longest part of a path that the values have."""
    for length, part in enumerate(path):
        if not isinstance(data, dict) or part not in data:
            return path[:length]
        data = data[part]
    return path


def _at(data: Any, path: tuple[str, ...]) -> Any:
    for part in path:
        data = data[part]
    return data


def _pass_on_checks(read: list[Document], objects: list[ChartObject]) -> None:
    """A template may check values before its first object: then that object's file does."""
    bearers = {id(found.document) for found in objects}
    waiting: list[Any] = []
    last: Document | None = None
    for document in read:
        if id(document) not in bearers:
            waiting += document.checks
            continue
        document.checks = [*waiting, *document.checks]
        waiting, last = [], document
    if waiting and last is not None:
        last.checks += waiting


def _helpers(writer: Writer) -> str:
    """The named templates of a chart."""
    made = [f"{{{{- /* {package.HEADER} */}}}}\n"]
    for name in sorted(writer.library):
        made.append(LIBRARY[name].replace("CHART", writer.chart))
    for name, body in sorted(writer.helpers.items()):
        if name not in writer.texts:
            made.append(defined(name, body))
    return "\n".join(made)
