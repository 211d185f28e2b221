"""Runs a template's statements, with symbols where values are; what comes out is text with tokens and marks."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from jinja2 import TemplateNotFound, nodes
from jinja2.parser import Parser
from markupsafe import Markup

from berth.core.chart.evaluate import Evaluator
from berth.core.chart.scalars import as_text, token
from berth.core.chart.scopes import Scope, appended, assign, merge, namespaces, remembered, restore, state
from berth.core.chart.symbols import (
    LIST,
    MAPPING,
    TEXT,
    Branch,
    Builtin,
    Choice,
    Combined,
    Each,
    Loop,
    Mark,
    NotCarried,
    Op,
    Place,
    Space,
    Symbol,
    Text,
    Verbatim,
    kinds_of,
    symbolic,
)
from berth.core.errors import Position
from berth.core.secretvalues import Generated
from berth.core.strictyaml import OMIT
from berth.core.templating import Environment, check_name
from berth.core.tokens import SESSION, TOKEN


class Unsupported(Exception):
    """A statement that no chart has a word for, whatever the values; ``where`` is its place."""

    def __init__(self, what: str, where: Position) -> None:
        super().__init__(what)
        self.what = what
        self.where = where


class _Asked(dict[str, Any]):
    """`release`; notes whether a template asked for the environment, which Helm does not know."""

    environment = False

    def __getitem__(self, key: str) -> Any:
        self.environment |= key == "environment"
        return super().__getitem__(key)


class Executor(Evaluator):
    """Templates of one profile."""

    def __init__(self, engine: Environment, space: Space, release: dict[str, Any]) -> None:
        super().__init__(engine, space)
        self.parsed: dict[str, nodes.Template] = {}
        self.at = Position("")
        self.names: set[str] = set()
        self.scope: Scope = {
            "values": space.root(),
            "release": _Asked({**release, "name": Builtin("Name"), "namespace": Builtin("Namespace")}),
            "omit": OMIT,
            "named": _symbolic(lambda name: Op("named", (name,), TEXT)),
            "generate": _symbolic(_generate),
            "fail": _symbolic(lambda message="the template failed on purpose": Op("fail", (message,), TEXT)),
            "include_text": _symbolic(lambda name, **extra: self._include_text(name, extra)),
        }

    @property
    def asked_environment(self) -> bool:
        """Whether the templates asked for the environment."""
        return bool(self.scope["release"].environment)

    def run(self, name: str, scope: Scope | None = None) -> Markup:
        """The text of a template."""
        return self._block(self._template(name).body, dict(self.scope) if scope is None else scope)

    def _template(self, name: str) -> nodes.Template:
        name = check_name(name)
        if name not in self.parsed:
            source, filename, _ = self.engine.loader.get_source(self.engine, name)  # type: ignore[union-attr]
            self.parsed[name] = Parser(self.engine, source, name, filename).parse()
            self._place(self.parsed[name], f"templates/{name}")
        return self.parsed[name]

    def _place(self, template: nodes.Template, file: str) -> None:
        for node in template.find_all(nodes.Node):
            object.__setattr__(node, "berth_file", file)

    def _include_text(self, name: Any, extra: Scope) -> Any:
        if symbolic(name):
            raise NotCarried("a template chosen by a value", name)
        made = as_text(self.run(str(name), {**self.scope, **extra}))
        if isinstance(made, Text):
            return Text(made.parts, f"file {name}")
        verbatim = Verbatim(made)
        verbatim.hint = f"file {name}"
        return verbatim

    def _block(self, statements: Iterable[nodes.Node], scope: Scope) -> Markup:
        parts: list[str] = []
        for statement in statements:
            known = getattr(statement, "berth_file", self.at.file)
            outer, self.at = self.at, Position(known, statement.lineno)
            visit: Callable[[Any, Scope], str] | None = getattr(self, f"_do_{type(statement).__name__}", None)
            if visit is None:
                raise Unsupported(f"a chart cannot carry this statement ({type(statement).__name__})", self.at)
            part = visit(statement, scope)
            SESSION.get().spend(len(part))
            parts.append(part)
            self.at = outer
        return Markup("".join(parts))

    def _do_Output(self, node: nodes.Output, scope: Scope) -> str:
        parts = []
        for part in node.nodes:
            if isinstance(part, nodes.TemplateData):
                parts.append(part.data)
            else:
                self.at = Position(self.at.file, part.lineno)
                parts.append(self._emit(self.evaluate(part, scope)))
        return "".join(parts)

    def _emit(self, value: Any) -> str:
        if isinstance(value, Markup):
            return value
        if isinstance(value, (dict, list, tuple, Symbol, Generated)) or value is None or value is OMIT:
            return token(value)
        return SESSION.get().emit(value, ("", 0, ()))

    def _do_If(self, node: nodes.If, scope: Scope) -> str:
        test = self.condition(node.test, scope)
        otherwise: list[Any] = node.else_
        if node.elif_:
            first, *rest = node.elif_
            nested = nodes.If(first.test, first.body, rest, node.else_, lineno=first.lineno)
            object.__setattr__(nested, "berth_file", self.at.file)
            otherwise = [nested]
        if not isinstance(test, Symbol):
            return self._block(node.body if test else otherwise, scope)
        before = state(scope)
        yes = self._side(test, True, node.body, scope)
        after_yes = state(scope)
        restore(scope, before)
        no = self._side(test, False, otherwise, scope)
        merge(scope, test, after_yes)
        return "".join(
            [token(Branch(test)), yes, *([token(Mark("else")), no] if otherwise else []), token(Mark("end"))]
        )

    def _side(self, test: Any, holds: bool, body: list[nodes.Node], scope: Scope) -> str:
        try:
            with self.knowing(test, holds):
                return self._block(body, scope)
        except (NotCarried, Unsupported):
            raise
        except Exception as error:
            # No release may ever come here: then it is no error either.
            raise NotCarried(f"what stands under this condition: {error}", test) from None

    def _do_For(self, node: nodes.For, scope: Scope) -> str:
        over = self.data(self.evaluate(node.iter, scope))
        if isinstance(over, Choice) and over.yes is over.test and over.no in ([], {}, ()):
            over = over.test  # `x or []`: nothing is nothing
        if isinstance(over, Symbol):
            return self._symbolic_loop(node, over, scope)
        if symbolic(over) and any(isinstance(item, Each) for item in over):
            raise NotCarried("a loop over what a loop made", over)
        if node.recursive:
            raise Unsupported("a chart cannot carry a recursive loop", self.at)
        items = list(self.engine.filters["berth counted"](over))
        chosen = []
        for item in items:
            inner = dict(scope)
            assign(node.target, item, inner)
            test = True if node.test is None else self.condition(node.test, inner)
            if isinstance(test, Symbol):
                raise NotCarried("a loop that leaves out some items", test)
            chosen += [item] if test else []
        parts = []
        for index, item in enumerate(chosen):
            inner = dict(scope)
            assign(node.target, item, inner)
            inner["loop"] = {
                "index": index + 1, "index0": index, "first": index == 0, "last": index == len(chosen) - 1,
                "length": len(chosen), "revindex": len(chosen) - index, "revindex0": len(chosen) - index - 1,
            }  # fmt: skip
            parts.append(self._block(node.body, inner))
        return "".join(parts) if chosen else self._block(node.else_, scope)

    def _symbolic_loop(self, node: nodes.For, over: Symbol, scope: Scope) -> str:
        pairs = isinstance(over, Op) and over.name == "pairs"
        known = isinstance(over, (Place, Combined)) and over.kinds in (LIST, MAPPING)
        simple = isinstance(over, Op) and over.name in ("until", "concat")
        if node.test is not None or node.else_ or node.recursive or not (pairs or known or simple):
            raise NotCarried("this loop", over)
        inner = dict(scope)
        source = over.args[0] if isinstance(over, Op) and pairs else over
        if pairs:
            if not isinstance(node.target, nodes.Tuple) or len(node.target.items) != 2:
                raise NotCarried("a loop over entries as one", over)
            names = tuple(self._unused(part.name) for part in node.target.items)  # type: ignore[attr-defined]
            items = [self.space.item(names[0], source, key=True), self.space.item(names[1], source)]
            for target, item in zip(node.target.items, items, strict=True):
                assign(target, item, inner)
        else:
            if not isinstance(node.target, nodes.Name) or kinds_of(over) == MAPPING:
                raise NotCarried("a loop over this", over)
            names = (self._unused(node.target.name),)
            assign(node.target, self.space.item(names[0], source), inner)
        before = state(scope)
        body = self._side(over, True, node.body, inner)
        for namespace, held in namespaces(scope):
            appended(namespace, held, before, Loop(names, source))
        self.names.difference_update(names)
        return "".join([token(Loop(names, source)), body, token(Mark("end"))]) if body else ""

    def _unused(self, name: str) -> str:
        made = name
        while made in self.names:
            made += "_"
        self.names.add(made)
        return made

    def _do_Assign(self, node: nodes.Assign, scope: Scope) -> str:
        value = self.evaluate(node.node, scope)
        assign(node.target, remembered(node.target, value), scope)
        return ""

    def _do_AssignBlock(self, node: nodes.AssignBlock, scope: Scope) -> str:
        made: Any = self._block(node.body, dict(scope))
        assign(node.target, self._through(node.filter, made, scope), scope)
        return ""

    def _do_FilterBlock(self, node: nodes.FilterBlock, scope: Scope) -> str:
        return self._emit(self._through(node.filter, self._block(node.body, dict(scope)), scope))

    def _through(self, applied: Any, value: Any, scope: Scope) -> Any:
        if applied is None:
            return value
        return self.filtered(applied, self._through(applied.node, value, scope), scope)

    def _do_With(self, node: nodes.With, scope: Scope) -> str:
        inner = dict(scope)
        for target, value in zip(node.targets, node.values, strict=True):
            assign(target, self.evaluate(value, scope), inner)
        return self._block(node.body, inner)

    def _do_ExprStmt(self, node: nodes.ExprStmt, scope: Scope) -> str:
        self.evaluate(node.node, scope)
        return ""

    def _do_Scope(self, node: nodes.Scope, scope: Scope) -> str:
        return self._block(node.body, dict(scope))

    def _do_Macro(self, node: nodes.Macro, scope: Scope) -> str:
        scope[node.name] = self._macro(node, scope)
        return ""

    def _macro(self, node: Any, scope: Scope) -> Callable[..., Markup]:
        names = [arg.name for arg in node.args]
        first = len(names) - len(node.defaults)
        file = str(getattr(node, "berth_file", self.at.file))

        def macro(*args: Any, **kwargs: Any) -> Markup:
            SESSION.get().step()
            inner = dict(scope)
            given = {**dict(zip(names, args, strict=False)), **kwargs}
            for index, name in enumerate(names):
                if name in given:
                    inner[name] = given[name]
                elif index >= first:
                    inner[name] = self.evaluate(node.defaults[index - first], inner)
                else:
                    inner[name] = self.engine.undefined(f"the macro is called without {name!r}", name=name)
            inner["caller"] = kwargs.get("caller")
            inner["varargs"], inner["kwargs"] = tuple(args[len(names) :]), {}
            return _hinted(self._block(node.body, inner), f"{file} {getattr(node, 'name', 'caller')}")

        macro.renders = True  # type: ignore[attr-defined]
        return macro

    def _do_CallBlock(self, node: nodes.CallBlock, scope: Scope) -> str:
        called = self.evaluate(node.call.node, scope)
        args, kwargs = self.arguments(node.call, scope)
        return self._emit(called(*args, **kwargs, caller=self._macro(node, scope)))

    def _do_Include(self, node: nodes.Include, scope: Scope) -> str:
        return str(self._named(node, scope, lambda name: self.run(name, dict(scope))))

    def _do_Import(self, node: nodes.Import, scope: Scope) -> str:
        self._named(node, scope, lambda name: scope.__setitem__(node.target, self._module(name)))
        return ""

    def _do_FromImport(self, node: nodes.FromImport, scope: Scope) -> str:
        module: dict[str, Any] = self._named(node, scope, self._module)
        for wanted in node.names:
            name, alias = wanted if isinstance(wanted, tuple) else (wanted, wanted)
            scope[alias] = module[name]
        return ""

    def _module(self, name: str) -> dict[str, Any]:
        inner = dict(self.scope)
        self.run(name, inner)
        return {key: value for key, value in inner.items() if key not in self.scope and not key.startswith("_")}

    def _named(self, node: Any, scope: Scope, then: Callable[[str], Any]) -> Any:
        wanted = self.data(self.evaluate(node.template, scope))
        if symbolic(wanted):
            raise NotCarried("a template chosen by a value", wanted)
        for name in wanted if isinstance(wanted, (list, tuple)) else [wanted]:
            try:
                return then(str(name))
            except TemplateNotFound:
                continue
        if getattr(node, "ignore_missing", False):
            return ""
        raise TemplateNotFound(str(wanted))


def _symbolic(function: Callable[..., Any]) -> Callable[..., Any]:
    """A function of templates that takes symbols."""
    function.symbolic = True  # type: ignore[attr-defined]
    return function


def _generate(length: Any = 32) -> Generated:
    if symbolic(length):
        raise NotCarried("a length that is a value", length)
    return Generated(int(length))


def _hinted(rendered: Markup, hint: str) -> Markup:
    """What a macro wrote, its name noted where that is one value or one line of text with a condition."""
    written = Markup(rendered.strip())
    if TOKEN.fullmatch(written):
        value = SESSION.get().tokens[int(TOKEN.findall(written)[0])][0]
        if isinstance(value, Combined) and not value.hint:
            return Markup(token(Combined(value.parts, hint)))
    return rendered
