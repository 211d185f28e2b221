"""Values that only the cluster has, on their way through a program that wants text: it gets stand-ins."""

from __future__ import annotations

from base64 import b64encode
from binascii import Error as NoBase64
from binascii import a2b_base64
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Any

from berth.core.draft import Draft
from berth.core.errors import Problem
from berth.core.objects import KEEP_ANNOTATION, Json, dig, field_path
from berth.core.secretvalues import Copied, Generated
from berth.core.strictyaml import Path
from berth.core.values import dotted

Token = Generated | Copied
#: As many characters keep stand-ins apart from each other and from all else.
_SHORTEST = 24


@dataclass(frozen=True, slots=True)
class StandIns:
    """Data with texts in the place of tokens; ``tokens`` leads from each text to its value's path and its token."""

    data: Any
    tokens: Mapping[str, tuple[str, Token]] = field(default_factory=dict)

    def put_back(self, draft: Draft) -> Iterator[Problem]:
        """Put the tokens back into an object; a text that holds one as a part of it is a problem.

        A Secret with a generated value is kept as long as there is data, which nobody can open with another one.
        """
        encoded = {b64encode(text.encode()).decode(): token for text, (_, token) in self.tokens.items()}
        secret = isinstance(draft.body, dict) and draft.body.get("kind") == "Secret"
        for path, holder, key in _texts(draft.body, ()) if self.tokens else ():
            text = holder[key]
            if text in self.tokens or (secret and path[0] == "data" and text in encoded):
                holder[key] = token = encoded[text] if text in encoded else self.tokens[text][1]
                if secret and isinstance(token, Generated):
                    _keep(draft.body)
            elif names := [name for it, (name, _) in self.tokens.items() if it in text or it in _decoded(text)]:
                name = f"{dig(draft.body, 'kind')}/{dig(draft.body, 'metadata', 'name')}"
                what = f"{name}: {field_path(path)} holds {', '.join(names)} inside of a text"
                why = "only the cluster has that value, so that it can only be all of a key of a Secret"
                yield Problem(
                    what, str(draft.position), why, f"give {names[0]} as text, or from a file or the environment"
                )


def stand_ins(data: Any, turn: int) -> StandIns:
    """Data for a program that takes text. Another ``turn`` has other texts."""
    tokens: dict[str, tuple[str, Token]] = {}

    def copy(value: Any, path: Path) -> Any:
        if isinstance(value, dict):
            return {key: copy(item, (*path, key)) for key, item in value.items()}
        if isinstance(value, list):
            return [copy(item, (*path, index)) for index, item in enumerate(value)]
        if isinstance(value, Generated | Copied):
            name = dotted(path)
            length = max(value.length if isinstance(value, Generated) else 0, _SHORTEST)
            text = ("S" + sha256(f"{turn}\0{name}".encode()).hexdigest() * 4)[:length]
            tokens[text] = (name, value)
            return text
        return value

    return StandIns(copy(data, ()), tokens)


def _keep(secret: Json) -> None:
    metadata = secret.get("metadata")
    if isinstance(metadata, dict) and isinstance(metadata.setdefault("annotations", {}), dict):
        metadata["annotations"].setdefault(KEEP_ANNOTATION, "data")


def _texts(value: Any, path: Path) -> Iterator[tuple[Path, Any, Any]]:
    """Every text, by its path, what holds it, and its place there."""
    items = (
        list(value.items()) if isinstance(value, dict) else list(enumerate(value)) if isinstance(value, list) else ()
    )
    for key, item in items:
        if isinstance(item, str):
            yield (*path, key), value, key
        else:
            yield from _texts(item, (*path, key))


def _decoded(text: str) -> str:
    try:
        return a2b_base64(text, strict_mode=True).decode()
    except (NoBase64, ValueError):
        return ""
