"""The names of a template while it runs: what conditions and loops over symbols leave in them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from jinja2 import nodes
from jinja2.utils import Namespace
from markupsafe import Markup

from berth.core.chart.scalars import as_text
from berth.core.chart.symbols import (
    NUMBER,
    TEXT,
    WHOLE,
    Choice,
    Combined,
    Each,
    Loop,
    NotCarried,
    Op,
    Symbol,
    Text,
    Unsure,
    attributes,
    kinds_of,
    symbolic,
)

Scope = dict[str, Any]


def remembered(target: nodes.Node, value: Any) -> Any:
    """A symbol with the name that a template gives it, which its helper gets in the chart."""
    if not isinstance(target, nodes.Name):
        return value
    if isinstance(value, Combined) and not value.hint:
        return Combined(value.parts, target.name)
    if isinstance(value, (Text, Choice)) and kinds_of(value) == TEXT and not getattr(value, "hint", ""):
        return Text(value.parts if isinstance(value, Text) else (value,), target.name)
    if isinstance(value, Op) and value.name != "let" and kinds_of(value) in (WHOLE, NUMBER):
        return Op("let", (target.name, value), value.kinds)
    return value


def assign(target: nodes.Node, value: Any, scope: Scope) -> None:
    """Give a name, several names, or an attribute of a `namespace()` its value."""
    if isinstance(target, nodes.NSRef):
        attributes(scope[target.name])[target.attr] = value
    elif isinstance(target, nodes.Name):
        scope[target.name] = value
    elif isinstance(target, nodes.Tuple):
        if symbolic(value) and isinstance(value, Symbol):
            raise NotCarried("several names for one value", value)
        for part, item in zip(target.items, value, strict=True):
            assign(part, item, scope)


State = tuple[Scope, list[tuple[Namespace, dict[str, Any]]]]


def namespaces(scope: Scope) -> Iterator[tuple[Namespace, dict[str, Any]]]:
    """Each `namespace()` that has a name, and what it holds."""
    seen: set[int] = set()
    for value in scope.values():
        if isinstance(value, Namespace) and id(value) not in seen:
            seen.add(id(value))
            yield value, dict(attributes(value))


def state(scope: Scope) -> State:
    """What `restore` goes back to."""
    return dict(scope), list(namespaces(scope))


def restore(scope: Scope, state: State) -> None:
    """Take back what happened to names since."""
    scope.clear()
    scope.update(state[0])
    for namespace, held in state[1]:
        attributes(namespace).clear()
        attributes(namespace).update(held)


def merge(scope: Scope, test: Any, yes: State) -> None:
    """After both sides of a condition: names that they gave different values become a choice."""
    _choose(scope, test, yes[0])
    for namespace, held in yes[1]:
        _choose(attributes(namespace), test, held)


def _choose(now: dict[str, Any], test: Any, yes: dict[str, Any]) -> None:
    for name in {**yes, **now}:
        if name not in now or name not in yes:
            now[name] = Unsure(test)
        elif yes[name] is not now[name] and not isinstance(now[name], Namespace):
            chosen = [as_text(side) if isinstance(side, Markup) else side for side in (yes[name], now[name])]
            if any(callable(side) for side in chosen):
                raise NotCarried(f"a macro {name} under a condition", test)
            now[name] = Choice(test, *chosen)


def appended(namespace: Namespace, held: dict[str, Any], before: State, loop: Loop) -> None:
    """After a loop over symbols: what it appended to a list stands for each item's."""
    earlier = next((attributes_before for known, attributes_before in before[1] if known is namespace), {})
    for name, value in held.items():
        old = earlier.get(name)
        if value is old:
            continue
        if not isinstance(value, list) or not isinstance(old, list) or not _begins(value, old):
            raise NotCarried("a loop that changes a value from item to item", loop)
        attributes(namespace)[name] = [*old, Each(loop.names, loop.over, tuple(value[len(old) :]))]


def _begins(value: list[Any], old: list[Any]) -> bool:
    return len(value) >= len(old) and all(one is other for one, other in zip(value, old, strict=False))
