"""YAML as the API server reads it: one document of YAML 1.1, without dates, as JSON has it."""

from __future__ import annotations

import math
from typing import Any

#: Levels of lists and mappings in a body. The API server takes 10,000, of which no object has a use for 50.
DEEPEST = 128
#: Values that a YAML document may unfold to by its aliases; a body of 3 MiB has no more of its own.
_MAX_NODES = 1_500_000


class NotReadable(ValueError):
    """A body that is no JSON or YAML; the text is what Go would say of it."""


def read(data: bytes) -> tuple[Any, list[str]]:
    """YAML as the API server takes it (YAML 1.1, one document, no dates), as JSON has it; and of keys twice in it.

    Raises:
        NotReadable: it is none, is no JSON, or unfolds to more than a body can hold.
    """
    import yaml as pyyaml

    try:
        _check_depth(data)
        loader = _loader()(data)
        try:
            tree = loader.get_single_data()
        finally:
            loader.dispose()
    except (pyyaml.YAMLError, ValueError, RecursionError) as error:
        raise NotReadable(f"yaml: {_line(error)}{getattr(error, 'problem', None) or error}") from None
    _count(tree, {})
    return _plain(tree), [words for _, words in sorted(loader.twice)]


def _check_depth(data: bytes) -> None:
    """See that a document is not so deep that libyaml's composer, which knows no bound, would end the process."""
    import yaml as pyyaml

    depth = 0
    for event in pyyaml.parse(data, Loader=getattr(pyyaml, "CSafeLoader", pyyaml.SafeLoader)):
        if isinstance(event, pyyaml.CollectionStartEvent):
            depth += 1
            if depth > DEEPEST:
                raise ValueError("exceeded max depth")
        elif isinstance(event, pyyaml.CollectionEndEvent):
            depth -= 1


def _line(error: Exception) -> str:
    """Where the API server's YAML library says that the fault is: what is being read began there."""
    marks = [getattr(error, name, None) for name in ("context_mark", "problem_mark")]
    line = next((mark.line for mark in marks if mark is not None and mark.line), 0)
    if line and type(error).__name__ == "ScannerError":
        line += 1
    return f"line {line}: " if line else ""


_loaders: list[Any] = []


def _loader() -> Any:
    """The loader without times: "2026-11-21" is text to the API server."""
    import yaml as pyyaml

    if not _loaders:
        base: Any = getattr(pyyaml, "CSafeLoader", pyyaml.SafeLoader)
        loader: Any = type("Loader", (base,), {"construct_mapping": _construct_mapping, "__init__": _begin})
        loader.yaml_implicit_resolvers = {
            first: [(tag, pattern) for tag, pattern in found if tag != "tag:yaml.org,2002:timestamp"]
            for first, found in base.yaml_implicit_resolvers.items()
        }
        _loaders.append(loader)
    return _loaders[0]


def _begin(loader: Any, data: bytes) -> None:
    super(type(loader), loader).__init__(data)
    loader.twice = []


def _construct_mapping(loader: Any, node: Any, deep: bool = False) -> Any:
    seen: set[str] = set()
    for key, _ in node.value:
        if isinstance(key.value, str) and key.value in seen:
            line = key.start_mark.line + 1
            loader.twice.append((line, f'line {line}: key "{key.value}" already set in map'))
        elif isinstance(key.value, str):
            seen.add(key.value)
    return super(type(loader), loader).construct_mapping(node, deep)


def _count(tree: Any, known: dict[int, int]) -> int:
    """How many values a tree unfolds to."""
    if not isinstance(tree, (dict, list)):
        return 1
    if id(tree) in known:
        if known[id(tree)] == 0:
            raise NotReadable("yaml: anchor contains itself")
        return known[id(tree)]
    known[id(tree)] = 0
    total = 1 + sum(_count(value, known) for value in (tree.values() if isinstance(tree, dict) else tree))
    if total > _MAX_NODES:
        raise NotReadable("yaml: document contains excessive aliasing")
    known[id(tree)] = total
    return total


def _plain(tree: Any) -> Any:
    if isinstance(tree, dict):
        return {_key(key): _plain(value) for key, value in tree.items()}
    if isinstance(tree, list):
        return [_plain(value) for value in tree]
    if tree is None or isinstance(tree, (str, bool, int)):
        return tree
    if isinstance(tree, float) and math.isfinite(tree):
        return tree
    raise NotReadable(f"json: unsupported value: {tree}")


def _key(key: Any) -> str:
    if isinstance(key, bool):
        return "true" if key else "false"
    if isinstance(key, (str, int)):
        return str(key)
    raise NotReadable(f"unsupported map key of type: {type(key).__name__}")
