"""What profiles there are, what one of them sets, and a new one to start from."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from berth.actions.prepare import Request, opened
from berth.actions.secrets import Untold
from berth.core import schema as schemas
from berth.core.errors import InputError, LocalError, Problem, ProfileError, ValuesError
from berth.core.masking import HIDDEN
from berth.core.objects import Json
from berth.core.profile import DNS_LABEL, Profile
from berth.core.profile import merge as merge_data
from berth.core.provenance import escape_key
from berth.core.secretvalues import with_sources
from berth.core.values import Values, get, merge, secret_paths
from berth.library import Library, find_project, read_text, shown

_SCAFFOLD = Path(__file__).resolve().parent.parent / "scaffold"
_PLACEHOLDER = "PROFILE_NAME"


@dataclass(frozen=True, slots=True)
class Listed:
    """One line of the list: a profile, or the problems of one that cannot be loaded."""

    name: str
    profile: Profile | None
    problems: tuple[Problem, ...] = ()

    def to_json(self) -> Json:
        """The line for machines."""
        if self.profile is None:
            return {"name": self.name, "error": "\n".join(map(str, self.problems))}
        return {
            "name": self.name,
            "version": self.profile.version,
            "description": self.profile.description,
            "environments": list(self.profile.environments),
            "requires": list(self.profile.requires),
            "extends": list(self.profile.extends),
            "source": self.profile.origin,
            "file": self.profile.position.file,
        }


def listed(library: Library) -> list[Listed]:
    """The profiles that can be installed, and those that are broken."""
    found = []
    for name in library.all_names():
        try:
            profile = library.load(name)
        except ProfileError as error:
            found.append(Listed(name, None, error.problems))
            continue
        if not profile.abstract:
            found.append(Listed(name, profile))
    return found


@dataclass(frozen=True, slots=True)
class Shown:
    """One value of a profile. ``default`` is what the profile itself sets, ``source`` who set it last and where."""

    path: str
    value: Any
    default: Any
    description: str
    expects: str
    secret: bool
    source: str
    layer: str
    file: str
    line: int

    def to_json(self) -> Json:
        """The value for machines."""
        return {
            "path": self.path,
            "value": self.value,
            "default": self.default,
            "description": self.description,
            "expects": self.expects,
            "secret": self.secret,
            "source": {"layer": self.layer, "file": self.file, "line": self.line or None},
        }


def show(library: Library, request: Request) -> tuple[Profile, list[Shown]]:
    """Every value of a profile after merging, in the order of its schema.

    Raises:
        InputError: the profile or the values are wrong.
    """
    profile, _ = opened(library, library.load(request.profile))
    files = [(name, read_text(Path(name), ValuesError)) for name in request.value_files]
    values = merge(profile, request.environment, files, request.sets, reading=Untold())
    # Defaults alone may be incomplete, which only a user's values can mend; they are shown, not checked.
    defaults: Json = {}
    for layer in profile.layers:
        defaults = merge_data(defaults, layer.data)
    own = Values(defaults, secret_paths=secret_paths(profile.schema, defaults)).masked()
    return profile, list(_entries(profile.schema, profile.schema, values, values.masked(), own, ""))


def _entries(root: Json, part: Json, values: Values, data: Any, defaults: Json, path: str) -> Iterator[Shown]:
    properties = part.get("properties", {})
    extra = [key for key in data if key not in properties] if isinstance(data, dict) else []
    for key in (*properties, *extra):
        here = f"{path}.{escape_key(key)}" if path else escape_key(key)
        inner = schemas.descend(root, part, key) or {}
        value = data.get(key) if isinstance(data, dict) else None
        # A schema may refer to itself: what is not there is not looked into by way of a reference.
        absent = value is None and "$ref" not in properties.get(key, {})
        if inner.get("properties") and (isinstance(value, dict) or absent) and not inner.get("x-secret"):
            yield from _entries(root, inner, values, value or {}, defaults, here)
            continue
        secret = any(here == hidden or here.startswith(f"{hidden}.") for hidden in values.secret_paths)
        secret = secret or bool(inner.get("x-secret"))
        default = get(defaults, here)
        source = values.source_of(here) if isinstance(data, dict) and key in data else None
        yield Shown(
            path=here,
            value=HIDDEN if secret and value is not None else value,
            default=HIDDEN if secret and default is not None else default,
            description=str(inner.get("description", "")),
            expects=schemas.describe(inner),
            secret=secret,
            source=str(source) if source else "not set",
            layer=source.layer if source else "",
            file=source.position.file if source else "",
            line=source.position.line if source else 0,
        )


def editor_schema(profile: Profile) -> Json:
    """The whole JSON Schema of a profile's values, for editors and other tools."""
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": f"Values of the profile {profile.name} {profile.version}",
        "description": profile.description,
        **with_sources(profile.schema),
    }


def create(library: Library, name: str, directory: Path | None = None) -> list[Path]:
    """A new profile and its templates, in ``directory`` or the project around the current one; they render at once.

    Raises:
        InputError: the name is none, or something by it is there already.
        LocalError: the files cannot be written.
    """
    if not DNS_LABEL.fullmatch(name) or len(name) > 40:
        hint = "a name has lower case letters, digits and -, starts and ends with a letter or digit, and has at most 40"
        raise InputError(f"{name!r} is no name for a profile", hint=hint)
    root = directory or find_project() or Path.cwd()
    targets = {
        root / "profiles" / f"{name}.yaml": "profile.yaml",
        root / "templates" / name / "objects.yaml": "objects.yaml",
        root / "templates" / name / "statefulset.yaml": "statefulset.yaml",
    }
    there = [path for path in (*targets, root / "templates" / name) if path.exists() or path.is_symlink()]
    if there:
        hint = "choose another name, or remove it first"
        raise InputError(f"{shown(there[0])} is there already; nothing was written", hint=hint)
    if name in library.all_names():
        raise InputError(
            f"there is a profile {name!r} already, in {shown(Path(library.load(name).position.file))}",
            hint="choose another name; a profile that extends it can change what it sets",
        )
    written: list[Path] = []
    try:
        for path, source in targets.items():
            text = (_SCAFFOLD / source).read_text(encoding="utf-8").replace(_PLACEHOLDER, name)
            path.parent.mkdir(parents=True, exist_ok=True)
            with path.open("x", encoding="utf-8") as file:
                written.append(path)
                file.write(text)
    except OSError as error:
        for path in written:
            path.unlink(missing_ok=True)
        raise LocalError(
            f"cannot write {shown(root)}: {error.strerror or error}",
            hint="nothing was kept; check space and permissions",
        ) from None
    return written


def compact(value: Any) -> str:
    """A value on one line, as one would write it in YAML."""
    if isinstance(value, str):
        return (
            value if value and value.strip() == value and "\n" not in value and len(value) <= 60 else json.dumps(value)
        )
    return json.dumps(value, ensure_ascii=False)
