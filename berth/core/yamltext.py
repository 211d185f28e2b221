"""Objects as YAML text that reads back as exactly the same objects, in every YAML parser alike."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

import yaml

from berth.core.strictyaml import Rejected, resolve_plain

_DUMPER: Any = getattr(yaml, "CSafeDumper", yaml.SafeDumper)
#: What a literal block cannot hold unchanged, or not readably: blanks at line ends, tabs, a blank first line.
_BLANKS_AT_END = re.compile(r"[ \t]+(?:\n|\Z)")
_NOT_IN_BLOCK = re.compile("[^\n\x20-\x7e\xa0-\u2027\u202a-\ud7ff\ue000-\ufefe\uff00-\ufffd]")


class _Dumper(_DUMPER):  # type: ignore[misc]
    """Quotes every string that could be taken for anything else, and writes lines as lines."""

    def ignore_aliases(self, data: Any) -> bool:
        return True


def _string(dumper: Any, text: str) -> Any:
    style = None
    if "\n" in text:
        literal = not text[0].isspace() and not _BLANKS_AT_END.search(text) and not _NOT_IN_BLOCK.search(text)
        style = "|" if literal else '"'
    elif not _reads_as_text(text):
        style = '"'
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style=style)


def _reads_as_text(text: str) -> bool:
    try:
        return isinstance(resolve_plain(text), str)
    except Rejected:
        return False


_Dumper.add_representer(str, _string)


def dump(data: Any) -> str:
    """One document, keys in their order."""
    text: str = yaml.dump(
        data, Dumper=_Dumper, sort_keys=False, allow_unicode=True, default_flow_style=False, width=1_000_000
    )
    return text


def dump_all(bodies: Iterable[tuple[str, Any]]) -> str:
    """Documents, each after a ``---`` and the comment lines that come with it."""
    return "".join(
        "---\n" + "".join(f"# {line}\n" for line in comment.splitlines()) + dump(body) for comment, body in bodies
    )
