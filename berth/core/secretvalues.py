"""Secret values that are given by where they come from, and what stands for those that only the cluster has.

A value that the profile's schema marks ``x-secret: true`` may be a mapping with one of `KEYS` in the place of its
text. What a source says is read by whoever merges, through `Reading`: nothing here touches a file or a variable.
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Protocol

from berth.core import schema as schemas
from berth.core.errors import InputError, did_you_mean
from berth.core.objects import Json
from berth.core.strictyaml import Path

KEYS = ("fromEnv", "fromFile", "generate", "existingSecret")
#: How the sources are written, for hints.
WAYS = "{fromEnv: NAME}, {fromFile: PATH}, {generate: 32} or {existingSecret: {name: NAME, key: KEY}}"

#: Characters of a generated value.
LENGTHS = range(8, 257)

#: What a text encrypted by sops begins with. Source: getsops/sops, aes/cipher.go.
ENCRYPTED = "ENC[AES256_GCM,"

_SECRET_NAME = re.compile(r"(?=.{1,253}\Z)[a-z0-9]([a-z0-9-]*[a-z0-9])?(\.[a-z0-9]([a-z0-9-]*[a-z0-9])?)*")
_SECRET_KEY = re.compile(r"[A-Za-z0-9._-]{1,253}")


class Given(dict[str, Any]):
    """A source in the place of a secret value, as it is written. A layer replaces it as a whole."""


@dataclass(frozen=True, slots=True)
class Generated:
    """Stands for a Secret value of ``length`` characters that is made when the release is installed."""

    length: int

    def __str__(self) -> str:
        """How a message calls it."""
        return "generated"


@dataclass(frozen=True, slots=True)
class Copied:
    """Stands for what a key of a Secret in the release's namespace holds when the release is applied."""

    name: str
    key: str

    def __str__(self) -> str:
        """How a message calls it."""
        return "copied from a Secret"


class Reading(Protocol):
    """How sources are read. The methods raise InputError, without any secret in its words.

    None stands for a text that is not known here, and for which a stand-in will do.
    """

    def variable(self, name: str) -> str | None:
        """What an environment variable holds."""
        ...

    def file(self, path: str) -> str | None:
        """What a file holds; a relative path begins at the current directory."""
        ...

    def decrypted(self, file: str, text: str) -> Json:
        """The data of a file that sops encrypted, ``text`` being what is in it."""
        ...


class Unread:
    """For checks that need no secret: every source is right, and nothing is read."""

    def variable(self, name: str) -> str | None:
        """Not known."""
        return None

    def file(self, path: str) -> str | None:
        """Not known."""
        return None

    def decrypted(self, file: str, text: str) -> Json:
        """Not known either, and nothing can stand in for a whole file."""
        raise InputError("an encrypted file is not read here")


@dataclass(frozen=True, slots=True)
class Found:
    """What a source says: a text, a token, or None where that is not known; ``via`` says whence, in words.

    ``kept`` is the source as a record keeps it, so that it can be read again.
    """

    value: str | Generated | Copied | None
    via: str
    kept: Json


def find(given: Json, reading: Reading | None, beside: str) -> Found:
    """Read a source; a relative path of a file begins beside the file ``beside``, or "" for the current directory.

    Raises:
        InputError: it is none, or cannot be read. There is no secret in the words.
    """
    match given:
        case {"generate": int(length), **rest} if not rest and length in LENGTHS and not isinstance(length, bool):
            return Found(Generated(length), words_of(given), {"generate": length})
        case {"existingSecret": {"name": str(name), "key": str(key), **more}, **rest} if not rest and not more:
            if not _SECRET_NAME.fullmatch(name) or not _SECRET_KEY.fullmatch(key):
                raise InputError("existingSecret has the name and a key of a Secret", hint=_way("existingSecret"))
            kept = {"existingSecret": {"name": name, "key": key}}
            return Found(Copied(name, key), words_of(given), kept)
        case {"fromEnv": str(name), **rest} if name and not rest:
            text = _required(reading).variable(name)
            return Found(text, words_of(given), {"fromEnv": name})
        case {"fromFile": str(path), **rest} if path and not rest:
            path = (
                path if path.startswith("~/") else posixpath.normpath(posixpath.join(posixpath.dirname(beside), path))
            )
            origin: Json = {"fromFile": path}
            return Found(_required(reading).file(path), words_of(origin), origin)
    raise InputError(_flaw(given), hint=_way(*given))


def words_of(source: Json) -> str:
    """Where a value comes from, in words, for something that has the shape of a source."""
    match source:
        case {"existingSecret": {"name": name, "key": key}}:
            return f"from Secret/{name}, key {key}"
        case {"fromEnv": name}:
            return f"from environment variable {name}"
        case {"fromFile": path}:
            return f"from file {path}"
    return "made once"


def _required(reading: Reading | None) -> Reading:
    if reading is None:
        raise InputError("sources of secret values are not read here")
    return reading


def _flaw(given: Json) -> str:
    if "generate" in given:
        return f"generate takes a number of characters from {LENGTHS[0]} to {LENGTHS[-1]}"
    if "existingSecret" in given:
        return "existingSecret takes a name and a key, and nothing else"
    return f"{next(iter(given), 'a source')} takes text that is not empty"


def _way(*keys: str) -> str:
    return next(
        (way for way in re.findall(r"\{(?:[^{}]|\{[^}]*\})*\}", WAYS) if keys and keys[0] in way), f"one of {WAYS}"
    )


def is_source(data: Any) -> bool:
    """Whether a value has the shape of a source."""
    return isinstance(data, dict) and len(data) == 1 and next(iter(data)) in KEYS


def takes_source(root: Json, path: Path) -> bool:
    """Whether a value may be given as a source: it is secret, and no mapping is meant by one."""
    part = schemas.at(root, path)
    if part is None or not schemas.is_secret(root, path):
        return False
    types = schemas.types_of(root, part)
    named = {key for branch in schemas.branches(root, part) for key in branch.get("properties", ())}
    return ("object" not in types or "string" in types) and not named.intersection(KEYS)


def marked(root: Json, data: Json) -> Json:
    """The data of a layer, each source of a secret value being a `Given`."""
    return _marked(root, data, ()) if _mentions(data) else data


def _mentions(data: Any) -> bool:
    if isinstance(data, dict):
        return is_source(data) or any(map(_mentions, data.values()))
    return isinstance(data, list) and any(map(_mentions, data))


def _marked(root: Json, data: Any, path: Path) -> Any:
    if is_source(data) and takes_source(root, path):
        return Given(data)
    if isinstance(data, dict):
        return {key: _marked(root, item, (*path, key)) for key, item in data.items()}
    return [_marked(root, item, (*path, i)) for i, item in enumerate(data)] if isinstance(data, list) else data


def advice(root: Json, path: Path, value: Any) -> tuple[str, str]:
    """What to say, and to try, where the schema does not allow a mapping that looks like a source; "" for nothing."""
    if isinstance(value, dict) and takes_source(root, path):
        close = [did_you_mean(key, KEYS) for key in value if key not in KEYS]
        hint = next((hint for hint in close if hint.startswith("did")), f"text, or one of {WAYS}")
        return "a secret value is text, or a mapping with exactly one source", hint
    if is_source(value):
        what = f"{next(iter(value))} stands only for a secret value, and the profile does not mark this one as secret"
        return what, "write the value itself; or let the profile's schema say `x-secret: true` of it"
    return "", ""


def generate_flaw(root: Json, path: Path, length: int) -> str:
    """Why a generated text of that length is none that the schema takes; "" when it may be."""
    part = schemas.at(root, path)
    types = schemas.types_of(root, part)
    if types and "string" not in types:
        return f"expected {schemas.describe(part)}, and generate makes text"
    for branch in schemas.branches(root, part):
        if not branch.get("minLength", 0) <= length <= branch.get("maxLength", length):
            return f"expected {schemas.describe(branch)}, and generate makes {length}"
    return ""


def stand_in(root: Json, path: Path) -> Any:
    """Something in the place of a secret value that is not known."""
    types = schemas.types_of(root, schemas.at(root, path))
    return "stand-in" if not types or "string" in types else True if "boolean" in types else 1


def is_encrypted(data: Any) -> bool:
    """Whether a document was encrypted by sops: it has its mapping, with the code that proves it whole."""
    return isinstance(data, dict) and isinstance(data.get("sops"), dict) and "mac" in data["sops"]


def encrypted_paths(root: Json, data: Json) -> Iterator[Path]:
    """The values of an encrypted document that are secret.

    That is all that was encrypted, but for numbers and switches where the schema takes nothing else: replicas can be
    counted by whoever sees the pods.
    """
    for path in _encrypted({key: value for key, value in data.items() if key != "sops"}, ()):
        types = schemas.types_of(root, schemas.at(root, path))
        plain = types and {"integer", "number", "boolean", "null"}.issuperset(types)
        if not plain or schemas.is_secret(root, path):
            yield path


def _encrypted(data: Any, path: Path) -> Iterator[Path]:
    items = data.items() if isinstance(data, dict) else enumerate(data) if isinstance(data, list) else ()
    for key, item in items:
        yield from _encrypted(item, (*path, key))
    if isinstance(data, str) and data.startswith(ENCRYPTED):
        yield path


def with_sources(schema: Any) -> Any:
    """A schema for editors: where it marks a value as secret, that may be a source as well."""
    if isinstance(schema, list):
        return [with_sources(part) for part in schema]
    if not isinstance(schema, dict):
        return schema
    made = {key: with_sources(part) for key, part in schema.items()}
    types = made.get("type", ())
    if made.get("x-secret") is not True or "object" in types:
        return made
    shown = {key: made[key] for key in ("title", "description", "x-secret") if key in made}
    return {**shown, "anyOf": [{key: part for key, part in made.items() if key not in shown}, SOURCE_SCHEMA]}


#: A source of a secret value, for editors.
SOURCE_SCHEMA: Json = {
    "type": "object",
    "description": "Where the value comes from",
    "minProperties": 1,
    "maxProperties": 1,
    "additionalProperties": False,
    "properties": {
        "fromEnv": {"type": "string", "minLength": 1, "description": "An environment variable"},
        "fromFile": {"type": "string", "minLength": 1, "description": "A file, beside the one that names it"},
        "generate": {
            "type": "integer",
            "minimum": LENGTHS[0],
            "maximum": LENGTHS[-1],
            "description": "Made once, of so many letters and digits, and kept in the cluster",
        },
        "existingSecret": {
            "type": "object",
            "description": "A key of a Secret in the release's namespace",
            "additionalProperties": False,
            "required": ["name", "key"],
            "properties": {"name": {"type": "string"}, "key": {"type": "string"}},
        },
    },
}
