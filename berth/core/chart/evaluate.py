"""Runs expressions of a template's syntax tree, with symbols where values are.

What holds no symbol goes through the project's own engine, so that it is what a release would have.
"""

from __future__ import annotations

import operator as operators
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from jinja2 import Undefined, nodes
from jinja2.runtime import Context
from jinja2.utils import Namespace
from markupsafe import Markup

from berth.core import functions
from berth.core.chart import operations
from berth.core.chart.scalars import as_text, moved
from berth.core.chart.scopes import Scope
from berth.core.chart.symbols import (
    ABSENT,
    LIST,
    TEXT,
    WHOLE,
    Choice,
    NotCarried,
    Op,
    Place,
    Space,
    Symbol,
    Unsure,
    attributes,
    kinds_of,
    name_of,
    symbolic,
)
from berth.core.templating import Environment


@dataclass(frozen=True, slots=True)
class Method:
    """A method of a symbol, not called yet."""

    owner: Any
    name: str


class Evaluator:
    """Expressions. `execute` adds statements."""

    def __init__(self, engine: Environment, space: Space) -> None:
        self.engine = engine
        self.space = space
        self.context = Context(engine, {}, "chart", {})

    def evaluate(self, node: nodes.Node, scope: Scope) -> Any:
        """The value of an expression.

        Raises:
            NotCarried: it cannot be computed by Helm.
        """
        visit: Callable[[Any, Scope], Any] | None = getattr(self, f"_{type(node).__name__}", None)
        if visit is None:
            raise NotCarried(f"the expression {type(node).__name__}")
        found = visit(node, scope)
        if isinstance(node, (nodes.Getattr, nodes.Getitem)) and isinstance(found, Op) and found.name == "key":
            raise NotCarried("a part that may be missing, without a default", found)
        return found

    def perhaps(self, node: nodes.Node, scope: Scope) -> Any:
        """The value of an expression that may be missing."""
        if isinstance(node, nodes.Getattr):
            return self._Getattr(node, scope)
        return self._Getitem(node, scope) if isinstance(node, nodes.Getitem) else self.evaluate(node, scope)

    @contextmanager
    def knowing(self, test: Any, holds: bool) -> Iterator[None]:
        """While a condition is known to hold, or not to."""
        added = set(_present(test, holds)) - self.space.present
        self.space.present.update(added)
        try:
            yield
        finally:
            self.space.present.difference_update(added)

    def condition(self, node: nodes.Node, scope: Scope) -> Any:
        """A condition: true or false, or a symbol."""
        return operations.truth(self.data(self.evaluate(node, scope)))

    def data(self, value: Any) -> Any:
        """Rendered text as data."""
        return as_text(value) if isinstance(value, Markup) else value

    def _Const(self, node: nodes.Const, scope: Scope) -> Any:
        return node.value

    def _Name(self, node: nodes.Name, scope: Scope) -> Any:
        if node.name in scope:
            found = scope[node.name]
            if isinstance(found, Unsure):
                raise NotCarried(f"the name {node.name}, which only one side of a condition sets", found.test)
            return found
        if node.name in self.engine.globals:
            return self.engine.globals[node.name]
        return self.engine.undefined(name=node.name)

    def _Getattr(self, node: nodes.Getattr, scope: Scope) -> Any:
        owner = self.evaluate(node.node, scope)
        if isinstance(owner, Symbol):
            if kinds_of(owner) == TEXT or node.attr in ("items", "keys", "values", "get"):
                return Method(owner, node.attr)
            found = operations.attribute(self.space, owner, node.attr)
            return self.engine.undefined(obj={}, name=node.attr) if found is ABSENT else found
        if isinstance(owner, Namespace):
            return attributes(owner)[node.attr]
        if isinstance(owner, Markup) and symbolic(owner):
            return Method(self.data(owner), node.attr)
        return self.engine.getattr(owner, node.attr)

    def _Getitem(self, node: nodes.Getitem, scope: Scope) -> Any:
        owner = self.data(self.evaluate(node.node, scope))
        if isinstance(node.arg, nodes.Slice):
            parts = [
                self.evaluate(part, scope) if part else None for part in (node.arg.start, node.arg.stop, node.arg.step)
            ]
            if isinstance(owner, Symbol) or symbolic(parts):
                return operations.piece(owner, *parts)
            return self.engine.getitem(owner, slice(*parts))
        key = self.data(self.evaluate(node.arg, scope))
        if isinstance(owner, Symbol):
            found = operations.attribute(self.space, owner, key)
            return self.engine.undefined(obj={}, name=key) if found is ABSENT else found
        if isinstance(key, Symbol):
            raise NotCarried("a choice by a value", owner, key)
        return self.engine.getitem(owner, key)

    def _List(self, node: nodes.List, scope: Scope) -> Any:
        return [self.evaluate(item, scope) for item in node.items]

    def _Tuple(self, node: nodes.Tuple, scope: Scope) -> Any:
        return tuple(self.evaluate(item, scope) for item in node.items)

    def _Dict(self, node: nodes.Dict, scope: Scope) -> Any:
        made = {}
        for pair in node.items:
            key = self.data(self.evaluate(pair.key, scope))
            if symbolic(key):
                raise NotCarried("a key that is made of values", key)
            made[key] = self.evaluate(pair.value, scope)
        return made

    def _CondExpr(self, node: nodes.CondExpr, scope: Scope) -> Any:
        test = self.condition(node.test, scope)
        if not isinstance(test, Symbol):
            if test:
                return self.evaluate(node.expr1, scope)
            return self.evaluate(node.expr2, scope) if node.expr2 else self.engine.undefined("an else is missing")
        with self.knowing(test, True):
            yes = self._under(test, node.expr1, scope)
        if node.expr2 is None:
            raise NotCarried("a condition without else", test)
        with self.knowing(test, False):
            return Choice(test, yes, self._under(test, node.expr2, scope))

    def _And(self, node: nodes.And, scope: Scope) -> Any:
        left = self.data(self.evaluate(node.left, scope))
        if not isinstance(left, Symbol):
            return self.evaluate(node.right, scope) if left else left
        with self.knowing(left, True):
            return Choice(left, self._under(left, node.right, scope), left)

    def _Or(self, node: nodes.Or, scope: Scope) -> Any:
        left = self.data(self.evaluate(node.left, scope))
        if not isinstance(left, Symbol):
            return left or self.evaluate(node.right, scope)
        with self.knowing(left, False):
            return Choice(left, left, self._under(left, node.right, scope))

    def _under(self, test: Any, node: nodes.Node, scope: Scope) -> Any:
        """An expression that a run may never come to: what is wrong with it is no error yet."""
        try:
            return self.data(self.evaluate(node, scope))
        except NotCarried:
            raise
        except Exception as error:
            raise NotCarried(f"what stands under this condition: {error}", test) from None

    def _Not(self, node: nodes.Not, scope: Scope) -> Any:
        return operations.negation(self.condition(node.node, scope))

    def _Neg(self, node: nodes.Neg, scope: Scope) -> Any:
        return self._binary("-", 0, self.evaluate(node.node, scope))

    def _Pos(self, node: nodes.Pos, scope: Scope) -> Any:
        return self.evaluate(node.node, scope)

    def _Add(self, node: nodes.BinExpr, scope: Scope) -> Any:
        return self._binary(str(node.operator), self.evaluate(node.left, scope), self.evaluate(node.right, scope))

    _Sub = _Mul = _Div = _FloorDiv = _Mod = _Pow = _Add

    def _binary(self, operator: str, left: Any, right: Any) -> Any:
        left, right = self.data(left), self.data(right)
        if symbolic(left) or symbolic(right):
            return operations.binary(operator, left, right)
        return self.engine.call_binop(self.context, operator, left, right)

    def _Concat(self, node: nodes.Concat, scope: Scope) -> Any:
        parts = [self.data(self.evaluate(part, scope)) for part in node.nodes]
        return operations.text(*parts) if symbolic(parts) else self.engine.concat_texts(tuple(parts))

    def _Compare(self, node: nodes.Compare, scope: Scope) -> Any:
        left = self.data(self.evaluate(node.expr, scope))
        made: Any = True
        for operand in node.ops:
            right = self.data(self.evaluate(operand.expr, scope))
            if symbolic(left) or symbolic(right):
                found = operations.compare(operand.op, left, right)
            else:
                found = _plain(operand.op, left, right)
            if found is False or made is False:
                return False
            made = found if made is True else made if found is True else Choice(made, found, made)
            left = right
        return made

    def _Filter(self, node: nodes.Filter, scope: Scope) -> Any:
        if node.node is None:
            raise NotCarried("a filter without a value")
        default = node.name in ("default", "d")
        value = self.perhaps(node.node, scope) if default else self.evaluate(node.node, scope)
        return self.filtered(node, value, scope)

    def filtered(self, node: nodes.Filter, value: Any, scope: Scope) -> Any:
        """A filter applied to a value."""
        args, kwargs = self.arguments(node, scope)
        if node.name in functions.RENDERING and isinstance(value, Markup):
            return moved(functions.FILTER_TABLE[node.name](value, *args, **kwargs))
        value = self.data(value)
        if not symbolic([value, args, list(kwargs.values())]):
            return self.engine.call_filter(node.name, value, args, kwargs, self.context)
        if node.name == "combine":
            return operations.combine(self.space, value, *args)
        try:
            return operations.FILTERS[node.name](value, *args, **kwargs)
        except (KeyError, TypeError):
            raise NotCarried(f"the filter {node.name}", value, args) from None

    def _Test(self, node: nodes.Test, scope: Scope) -> Any:
        asked = node.name in ("defined", "undefined")
        value = self.data(self.perhaps(node.node, scope) if asked else self.evaluate(node.node, scope))
        args, kwargs = self.arguments(node, scope)
        if symbolic([value, args]):
            return operations.test(node.name, value, tuple(args))
        return self.engine.call_test(node.name, value, args, kwargs, self.context)

    def arguments(self, node: Any, scope: Scope) -> tuple[list[Any], dict[str, Any]]:
        """The arguments of a call, filter or test."""
        args = [self.evaluate(arg, scope) for arg in node.args]
        args += self.evaluate(node.dyn_args, scope) if node.dyn_args else []
        kwargs = {pair.key: self.evaluate(pair.value, scope) for pair in node.kwargs}
        kwargs |= self.evaluate(node.dyn_kwargs, scope) if node.dyn_kwargs else {}
        return args, kwargs

    def _Call(self, node: nodes.Call, scope: Scope) -> Any:
        called = self.evaluate(node.node, scope)
        args, kwargs = self.arguments(node, scope)
        if getattr(called, "renders", False):
            return called(*args, **kwargs)
        args, kwargs = [self.data(arg) for arg in args], {key: self.data(arg) for key, arg in kwargs.items()}
        if isinstance(called, Method):
            return self._method(called, args)
        if getattr(called, "symbolic", False):
            return called(*args, **kwargs)
        if called is self.engine.globals.get("range") and symbolic(args):
            if len(args) == 1 and kinds_of(args[0]) == WHOLE:
                return Op("until", (args[0],), LIST)
            raise NotCarried("a range with a start", *args)
        if symbolic([args, list(kwargs.values())]) and called not in (dict, self.engine.globals["namespace"]):
            raise NotCarried(f"a call of {getattr(called, '__name__', 'this')}", args, list(kwargs.values()))
        if called in (dict, self.engine.globals["namespace"]):
            return called(*args, **kwargs)
        return self.engine.call(self.context, called, *args, **kwargs)

    def _method(self, method: Method, args: list[Any]) -> Any:
        owner, name = method.owner, method.name
        if name in ("startswith", "endswith") and len(args) == 1 and kinds_of(args[0]) == TEXT:
            return Op(name, (args[0], owner), frozenset({"boolean"}))
        if name in ("items", "keys", "values"):
            raise NotCarried("the order of a mapping's entries, which Helm does not keep; dictsort gives one", owner)
        if name == "get" and args and isinstance(args[0], str):
            found = operations.attribute(self.space, owner, args[0])
            other = args[1] if len(args) > 1 else None
            return other if found is ABSENT else operations.default(found, other)
        if name == "replace" and len(args) == 2:
            return operations.FILTERS["replace"](owner, *args)
        if name == "join" and isinstance(owner, str):
            return operations.join(args[0], owner)
        raise NotCarried(f"the method {name}", owner, args)


def _plain(operator: str, left: Any, right: Any) -> bool:
    if isinstance(left, Undefined) or isinstance(right, Undefined):
        str(left), str(right)
    if operator in ("in", "notin"):
        return (left in right) == (operator == "in")
    name = {"lteq": "le", "gteq": "ge"}.get(operator, operator)
    return bool(getattr(operators, name)(left, right))


def _present(test: Any, holds: bool) -> Iterator[str]:
    """The places that are not null where a condition holds, or where it does not."""
    if isinstance(test, Place) and holds:
        yield name_of(test)
    elif isinstance(test, Op) and test.name in ("not", "isnone", "bool"):
        if test.name == "isnone":
            if not holds and isinstance(test.args[0], Place):
                yield name_of(test.args[0])
        else:
            yield from _present(test.args[0], holds == (test.name == "bool"))
    elif isinstance(test, Op) and test.name == "haskey":
        if holds and isinstance(test.args[0], Place) and isinstance(test.args[1], str):
            yield name_of(test.args[0], test.args[1])
    elif isinstance(test, Choice):
        if holds and test.no is test.test:
            yield from _present(test.test, True)
            yield from _present(test.yes, True)
        elif not holds and test.yes is test.test:
            yield from _present(test.test, False)
            yield from _present(test.no, False)
