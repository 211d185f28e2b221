"""What happens to a template between parsing and compiling.

Expressions are compiled into calls of ``environment.emit``; the syntax tree is rewritten so that template text carries
marks, imports see the values, and loops, conditions and comparisons work on data; and the few constructs that would
let a value into the text as text are refused.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from jinja2 import Environment, TemplateSyntaxError, nodes
from jinja2.compiler import CodeGenerator, Frame
from jinja2.visitor import NodeTransformer

from berth.core import functions
from berth.core.provenance import escape_key
from berth.core.tokens import Site, mark_lines


class Generator(CodeGenerator):
    """Writes each expression of an output through ``environment.emit``."""

    def _make_finalize(self) -> CodeGenerator._FinalizeInfo:
        return self._FinalizeInfo(None, None)

    def _output_child_pre(self, node: nodes.Expr, frame: Frame, finalize: CodeGenerator._FinalizeInfo) -> None:
        self.write("environment.emit(")

    def _output_child_post(self, node: nodes.Expr, frame: Frame, finalize: CodeGenerator._FinalizeInfo) -> None:
        site: Site = (self.name or "", node.lineno, tuple(dict.fromkeys(_value_paths(node))))
        self.write(f", {site!r})")

    def visit_Concat(self, node: nodes.Concat, frame: Frame) -> None:
        """``~`` goes through the environment, which sees rendered text as data."""
        self.write("environment.concat_texts((")
        for part in node.nodes:
            self.visit(part, frame)
            self.write(", ")
        self.write("))")


class Rewriter(NodeTransformer):
    """Prepares a syntax tree for compilation.

    ``number`` is what marks call the template. ``reads`` holds afterwards the value paths that each line names.
    """

    def __init__(self, environment: Environment, number: int, name: str, filename: str | None) -> None:
        self.environment = environment
        self.number = number
        self.name = name
        self.filename = filename
        self.reads: dict[int, dict[str, None]] = {}

    def visit_TemplateData(self, node: nodes.TemplateData) -> nodes.Node:
        """Template text carries marks, so that each rendered line knows where it is from."""
        node.data = mark_lines(node.data, self.number, node.lineno)
        return node

    def visit_FilterBlock(self, node: nodes.FilterBlock) -> nodes.Node:
        """Jinja writes the result of a filter block as it is: only what keeps text rendered may filter one."""
        self._only_rendering(node.filter, "{% filter %}")
        return self.generic_visit(node)

    def visit_AssignBlock(self, node: nodes.AssignBlock) -> nodes.Node:
        """What a filter makes of a set block counts as rendered text: the same rule."""
        if node.filter is not None:
            self._only_rendering(node.filter, "{% set %} with a filter")
        return self.generic_visit(node)

    def visit_EvalContextModifier(self, node: nodes.EvalContextModifier) -> nodes.Node:
        """Without escaping Jinja could not tell rendered text from data."""
        raise TemplateSyntaxError("{% autoescape %} does not exist here", node.lineno, self.name, self.filename)

    visit_ScopedEvalContextModifier = visit_EvalContextModifier

    def visit_Include(self, node: Any) -> nodes.Node:
        """Includes and imports see the values, and take a name that is data."""
        self.generic_visit(node)
        node.with_context = True
        node.template = self._as_data(node.template)
        made: nodes.Node = node
        return made

    visit_Import = visit_FromImport = visit_Include

    def visit_Not(self, node: nodes.Not) -> nodes.Node:
        """An operand is data."""
        self.generic_visit(node)
        node.node = self._as_data(node.node)
        return node

    def visit_For(self, node: nodes.For) -> nodes.Node:
        """Loops are counted."""
        self.generic_visit(node)
        node.iter = self._through(functions.COUNTED, node.iter)
        return node

    def visit_If(self, node: nodes.If) -> nodes.Node:
        """A condition is data."""
        self.generic_visit(node)
        node.test = self._as_data(node.test)
        return node

    def visit_CondExpr(self, node: nodes.CondExpr) -> nodes.Node:
        """A condition is data."""
        self.generic_visit(node)
        node.test = self._as_data(node.test)
        return node

    def visit_Compare(self, node: nodes.Compare) -> nodes.Node:
        """What is compared is data."""
        self.generic_visit(node)
        node.expr = self._as_data(node.expr)
        for operand in node.ops:
            operand.expr = self._as_data(operand.expr)
        return node

    def visit_Getitem(self, node: nodes.Getitem) -> nodes.Node:
        """A value read is noted; what is sliced is data."""
        self._read(node)
        self.generic_visit(node)
        if isinstance(node.arg, nodes.Slice):
            node.node = self._as_data(node.node)
        return node

    def visit_Getattr(self, node: nodes.Getattr) -> nodes.Node:
        """A value read is noted."""
        self._read(node)
        return self.generic_visit(node)

    def _read(self, node: nodes.Expr) -> None:
        path = _value_path(node)
        if path:
            self.reads.setdefault(node.lineno, {})[path] = None

    def _as_data(self, node: Any) -> Any:
        if isinstance(node, (nodes.Literal, nodes.Compare, nodes.Test, nodes.Not)) or _value_path(node):
            return node
        return self._through(functions.RESOLVED, node)

    def _through(self, name: str, node: Any) -> nodes.Expr:
        return nodes.Filter(node, name, [], [], None, None, lineno=node.lineno, environment=self.environment)

    def _only_rendering(self, node: nodes.Expr, construct: str) -> None:
        inner: nodes.Expr | None = node
        while isinstance(inner, nodes.Filter):
            if inner.name not in functions.RENDERING:
                raise TemplateSyntaxError(
                    f"{construct} takes only trim and indent, not {inner.name}: "
                    f"write {{% set x %}}...{{% endset %}} and then {{{{ x | {inner.name} }}}}",
                    node.lineno,
                    self.name,
                    self.filename,
                )
            inner = inner.node


def _value_path(node: nodes.Expr) -> str:
    """The dotted path of ``values.x.y`` or ``values.x["y"]``, else ""."""
    parts: list[str] = []
    while True:
        if isinstance(node, nodes.Getattr):
            parts.append(escape_key(node.attr))
        elif isinstance(node, nodes.Getitem) and isinstance(node.arg, nodes.Const):
            parts.append(escape_key(str(node.arg.value)))
        else:
            break
        node = node.node
    return ".".join(reversed(parts)) if isinstance(node, nodes.Name) and node.name == "values" else ""


def _value_paths(node: nodes.Node) -> Iterator[str]:
    """The dotted paths of all values that an expression names."""
    path = _value_path(node) if isinstance(node, nodes.Expr) else ""
    if path:
        yield path
        return
    for child in node.iter_child_nodes():
        yield from _value_paths(child)
