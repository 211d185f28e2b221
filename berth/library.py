"""Where profiles and templates are: the user's project first, then those that come with berth."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from jinja2 import BaseLoader, Environment, TemplateNotFound

from berth.core.errors import InputError, ProfileError, TemplateError, did_you_mean
from berth.core.profile import DNS_LABEL, Profile, Source, load
from berth.core.render import matching

if TYPE_CHECKING:
    from berth.core.helmchart.values import Chart

PROJECT, BUILT_IN = "project", "built in"

#: What marks the root of a project.
_MARKERS = ("profiles", "tasks.py", "invoke.yaml", "invoke.yml", "site.yaml")
_PREFIX = "builtin:"


@dataclass(frozen=True, slots=True)
class Root:
    """A directory that may hold ``profiles/`` and ``templates/``; ``origin`` is "project" or "built in"."""

    path: Path
    origin: str

    @property
    def profiles(self) -> Path:
        """Where its profiles are."""
        return self.path / "profiles"

    @property
    def templates(self) -> Path:
        """Where its templates are."""
        return self.path / "templates"


def open_library(start: Path | None = None) -> Library:
    """The library of the project around ``start`` (default: the current directory), and the built-in one below it."""
    roots = []
    built_in = built_in_root()
    project = find_project(start)
    if project is not None and project.resolve() != built_in.resolve():
        roots.append(Root(project, PROJECT))
    return Library((*roots, Root(built_in, BUILT_IN)))


def built_in_root() -> Path:
    """Where the built-in profiles are: inside the package, or beside it in a checkout."""
    package = Path(__file__).resolve().parent
    shipped = package / "_builtin"
    return shipped if shipped.is_dir() else package.parent


def find_project(start: Path | None = None) -> Path | None:
    """The nearest directory, from ``start`` upward, that looks like the root of a project."""
    here = (start or Path.cwd()).absolute()
    for directory in (here, *here.parents):
        if any((directory / marker).exists() for marker in _MARKERS):
            return directory
    return None


class Library:
    """Profiles and templates under one or more roots, earlier roots first."""

    def __init__(self, roots: tuple[Root, ...]) -> None:
        self.roots = roots
        self.loader = TemplateLoader(roots)
        self._loaded: dict[str, Profile] = {}
        #: Charts of profiles, read once; kept here by those who read them.
        self.charts: dict[tuple[str, ...], Chart] = {}

    def all_names(self) -> list[str]:
        """The names of all profile files, also of abstract and broken ones."""
        names: set[str] = set()
        for root in self.roots:
            if root.profiles.is_dir():
                names.update(path.stem for path in root.profiles.iterdir() if path.suffix == ".yaml")
        return sorted(names)

    def names(self) -> list[str]:
        """The names of the profiles that can be installed; a broken one is among them, so that somebody sees it."""
        found = []
        for name in self.all_names():
            try:
                if self.load(name).abstract:
                    continue
            except ProfileError:
                pass
            found.append(name)
        return found

    def load(self, name: str) -> Profile:
        """A profile, on top of what it extends.

        Raises:
            ProfileError: it does not exist, cannot be read, or is wrong.
        """
        if name not in self._loaded:
            self._loaded[name] = load(name, self._fetch)
        return self._loaded[name]

    def _fetch(self, name: str) -> Source:
        if not DNS_LABEL.fullmatch(name):
            raise ProfileError(
                f"{name!r} is no name of a profile",
                hint="a name has lower case letters, digits and -, no path and no .yaml",
            )
        for root in self.roots:
            path = root.profiles / f"{name}.yaml"
            if path.is_file() or path.is_symlink():
                text = read_text(inside(path, root.path, ProfileError), ProfileError)
                schema = root.templates / name / "values.schema.json"
                schema_text = (
                    read_text(inside(schema, root.path, ProfileError), ProfileError) if schema.is_file() else None
                )
                return Source(name, text, shown(path), root.origin, schema_text, shown(schema), str(root.path))
        hint = did_you_mean(name, self.all_names())
        for root in self.roots:
            if (root.profiles / f"{name}.yml").is_file():
                hint = f"rename {shown(root.profiles / name)}.yml to {name}.yaml"
        raise ProfileError(f"there is no profile {name!r}", hint=hint)


class TemplateLoader(BaseLoader):
    """Loads templates by their path below ``templates/``; ``builtin:PATH`` names a built-in one even when shadowed."""

    def __init__(self, roots: tuple[Root, ...]) -> None:
        self._roots = roots
        self._listed: dict[Path, list[str]] = {}

    def get_source(self, environment: Environment, template: str) -> tuple[str, str, Callable[[], bool] | None]:
        """The text of a template and its file.

        Raises:
            TemplateNotFound: no root has it.
            TemplateError: it cannot be read, or is a link out of its root.
        """
        wanted = [root for root in self._roots if root.origin == BUILT_IN or not template.startswith(_PREFIX)]
        name = template.removeprefix(_PREFIX)
        if ".." not in name.split("/") and not name.startswith("/"):
            for root in wanted:
                path = root.templates / name
                if path.is_file():
                    text = read_text(inside(path, root.templates, TemplateError), TemplateError)
                    return text, shown(path), None
        raise TemplateNotFound(template)

    def list_templates(self) -> list[str]:
        """Every template of every root."""
        return sorted({name for root in self._roots for name in self._names(root)})

    def select(self, pattern: str, origin: str) -> list[str]:
        """What a profile's glob means: the templates beside the profile, else those of the first root with any."""
        for root in sorted(self._roots, key=lambda root: root.origin != origin):
            found = matching(pattern, self._names(root))
            if found:
                return found
        return []

    def _names(self, root: Root) -> list[str]:
        if root.path not in self._listed:
            base = root.templates
            self._listed[root.path] = [
                (Path(directory) / file).relative_to(base).as_posix()
                for directory, _, files in os.walk(base)
                for file in files
            ]
        return self._listed[root.path]


def shown(path: Path) -> str:
    """A path as a user would type it: relative when it is below the current directory."""
    try:
        return str(path.absolute().relative_to(Path.cwd()))
    except ValueError:
        return str(path)


def inside(path: Path, root: Path, error: type[InputError]) -> Path:
    """The path, if it stays below a root once links are followed.

    Raises:
        InputError: of the class given; it does not.
    """
    if not path.resolve().is_relative_to(root.resolve()):
        raise error(f"{shown(path)} is a link that leads out of {shown(root)}", hint="copy the file instead")
    return path


def read_text(path: Path, error: type[InputError]) -> str:
    """The text of a file.

    Raises:
        InputError: of the class given; it cannot be read or is no UTF-8 text.
    """
    try:
        return path.read_bytes().decode("utf-8-sig")
    except UnicodeDecodeError as problem:
        raise error("this file is not UTF-8 text", where=f"{shown(path)} (byte {problem.start})") from None
    except OSError as problem:
        raise error(f"this file cannot be read: {problem.strerror or problem}", where=shown(path)) from None
