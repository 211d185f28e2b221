"""The template language: Jinja, sandboxed, with every expression written as an opaque token.

Three things differ from plain Jinja. The compiler writes ``environment.emit(expression, site)`` for each
``{{ expression }}``, so that nothing else can put a value into the text. The syntax tree is rewritten before
compilation: template text gets a mark per line, imports always see the values, and the few constructs that would let
a value into the text as text are refused. Operators, attributes and calls go through this environment, which turns
rendered text into data first and stops what would not end.
"""

from __future__ import annotations

import re
import sys
from functools import partial
from typing import Any, NoReturn

from jinja2 import BaseLoader, StrictUndefined, TemplateSyntaxError, nodes
from jinja2.runtime import BlockReference, Context, LoopContext, Macro
from jinja2.sandbox import ImmutableSandboxedEnvironment
from jinja2.utils import missing
from markupsafe import Markup

from berth.core import functions
from berth.core.errors import did_you_mean
from berth.core.provenance import RESERVED, carry, derive
from berth.core.strictyaml import Rejected
from berth.core.syntax import Generator, Rewriter
from berth.core.tokens import SESSION, Session, Site, to_text

#: Line ends for YAML, but not for people and editors.
_ODD_LINE_ENDS = re.compile("[\x0b\x0c\x1c-\x1e\x85\u2028\u2029]")

_TEXT_METHODS = frozenset(
    "capitalize count endswith find index isalnum isalpha isdecimal isdigit islower isupper lower lstrip partition "
    "removeprefix removesuffix rpartition rsplit rstrip split splitlines startswith strip title upper".split()
)
_MAPPING_METHODS = frozenset(("get", "items", "keys", "values"))
_LIST_METHODS = frozenset(("count", "index"))


class Missing(StrictUndefined):
    """A name, key or attribute that does not exist; any use of it is an error that says what does."""

    __slots__ = ()

    @property
    def _undefined_message(self) -> str:
        name, owner = self._undefined_name, self._undefined_obj
        if self._undefined_hint:
            return self._undefined_hint
        if isinstance(owner, dict):
            hint = did_you_mean(str(name), [str(key) for key in owner])
            return f"there is no {str(name)!r} here" + (f"; {hint}" if hint else "")
        if isinstance(owner, (list, tuple, str)) and isinstance(name, int):
            return f"there is no item {name} here, there are {len(owner)}"
        if owner is None:
            return f"{str(name)!r} is looked up in null"
        if isinstance(owner, (list, tuple, str, int, float)):
            return f"{functions.kind(owner)} has no {str(name)!r}"
        return super()._undefined_message if owner is missing else f"there is no {str(name)!r} here"


class Environment(ImmutableSandboxedEnvironment):
    """Compiles and runs the templates of one loader; made once for each, see ``environment_of``."""

    code_generator_class = Generator
    intercepted_binops = frozenset(("+", "-", "*", "/", "//", "%", "**"))

    def __init__(self, loader: BaseLoader) -> None:
        super().__init__(
            loader=loader,
            autoescape=True,
            undefined=Missing,
            trim_blocks=True,
            lstrip_blocks=True,
            keep_trailing_newline=True,
            auto_reload=False,
            cache_size=-1,
        )
        table: Any = functions.FILTER_TABLE
        self.filters = table
        table = functions.TEST_TABLE
        self.tests = table
        for name in ("lipsum", "cycler"):
            del self.globals[name]
        #: Numbers, file names and value reads of the templates compiled so far.
        self.number_of: dict[str, int] = {}
        self.names: list[str] = []
        self.files: dict[str, str] = {}
        self.sources: dict[str, str] = {}
        self.reads: dict[tuple[str, int], tuple[str, ...]] = {}

    def file_of(self, name: str) -> str:
        """The file of a template, as a user would type it."""
        return self.files.get(name, f"templates/{name}")

    def emit(self, value: Any, site: Site) -> Markup:
        """Called by compiled templates; see ``Session.emit``."""
        return SESSION.get().emit(value, site)

    def concat_texts(self, parts: tuple[Any, ...]) -> str:
        """The operator ``~``."""
        data = SESSION.get().data
        plain = [data(part) for part in parts]
        texts = [to_text(part) for part in plain]
        functions.limit_text(sum(map(len, texts)))
        return derive("".join(texts), plain)

    def call_binop(self, context: Context, operator: str, left: Any, right: Any) -> Any:
        """An arithmetic operator, on data, within limits."""
        session = SESSION.get()
        left, right = session.data(left), session.data(right)
        if operator == "+":
            if isinstance(left, str) and isinstance(right, str):
                functions.limit_text(len(left) + len(right))
            elif isinstance(left, list) and isinstance(right, list):
                functions.limit_items(len(left) + len(right))
        elif operator == "*":
            for many, count in ((left, right), (right, left)):
                if isinstance(many, (str, list, tuple)) and isinstance(count, int):
                    limit = functions.limit_text if isinstance(many, str) else functions.limit_items
                    limit(len(many) * max(count, 0))
        elif operator == "%" and isinstance(left, str):
            raise Rejected("% does not format text here", "join texts with ~")
        elif operator == "**" and not (abs(right) <= 64 and abs(left) <= 1_000_000):
            raise Rejected("a power this large is no number for a manifest")
        try:
            return carry(super().call_binop(context, operator, left, right), left, right)
        except TypeError:
            hint = "~ joins texts" if operator == "+" and (isinstance(left, str) or isinstance(right, str)) else ""
            kinds = f"{functions.kind(left)} and {functions.kind(right)}"
            raise Rejected(f"{kinds} cannot be combined with {operator}", hint) from None

    def getattr(self, obj: Any, attribute: str) -> Any:
        """``obj.attribute``: keys of mappings first, then the few methods that templates may call."""
        if isinstance(obj, dict):
            if attribute in obj:
                return obj[attribute]
            return getattr(obj, attribute) if attribute in _MAPPING_METHODS else self.undefined(obj=obj, name=attribute)
        if isinstance(obj, str):
            text = SESSION.get().data(obj)
            if attribute in _TEXT_METHODS:
                return getattr(text, attribute)
            if attribute in ("replace", "join"):
                own = functions.replace if attribute == "replace" else lambda parts: functions.join(parts, text)
                return partial(own, text) if attribute == "replace" else own
            return self._no_method("text", attribute)
        if isinstance(obj, (list, tuple)):
            return getattr(obj, attribute) if attribute in _LIST_METHODS else self._no_method("a list", attribute)
        if isinstance(obj, bool):
            return self._no_method("true or false", attribute)
        if isinstance(obj, (int, float)):
            return self._no_method("a number", attribute)
        return super().getattr(obj, attribute)

    def getitem(self, obj: Any, argument: Any) -> Any:
        """``obj[argument]``: a key or an index, never an attribute."""
        data = SESSION.get().data
        obj, argument = data(obj), data(argument)
        if isinstance(obj, (dict, list, tuple, str)):
            try:
                return obj[argument]
            except (TypeError, LookupError):
                return self.undefined(obj=obj, name=argument)
        return super().getitem(obj, argument)

    def _no_method(self, kind: str, attribute: str) -> Any:
        return self.undefined(f"{kind} has no {attribute!r} in templates", name=attribute)

    def call(__self, __context: Context, __obj: Any, *args: Any, **kwargs: Any) -> Any:
        """A call: macros write template text, everything else takes and gives data."""
        session = SESSION.get()
        session.step()
        if isinstance(__obj, (Macro, BlockReference, LoopContext)):
            return super().call(__context, __obj, *args, **kwargs)
        if "caller" in kwargs:
            raise Rejected("{% call %} takes a macro")
        plain = {key: session.data(value) for key, value in kwargs.items()}
        return session.data(super().call(__context, __obj, *map(session.data, args), **plain))

    def handle_exception(self, source: str | None = None) -> NoReturn:
        """Leave exceptions as they are: ``explain`` reads the lines from the traceback."""
        error = sys.exc_info()[1]
        assert error is not None
        raise error

    def _parse(self, source: str, name: str | None, filename: str | None) -> nodes.Template:
        known = name or "template"
        if known not in self.number_of:
            self.number_of[known] = len(self.names)
            self.names.append(known)
        self.sources[known] = source
        if filename:
            self.files[known] = filename
        for pattern, kind in (
            (RESERVED, "berth keeps for itself"),
            (_ODD_LINE_ENDS, "some programs take for a line end"),
        ):
            found = pattern.search(source)
            if found:
                line = source.count("\n", 0, found.start()) + 1
                code = f"U+{ord(found[0]):04X}"
                raise TemplateSyntaxError(f"the character {code}, which {kind}, is not allowed", line, known, filename)
        template = super()._parse(source, name, filename)
        rewriter = Rewriter(self, self.number_of[known], known, filename)
        rewriter.visit(template)
        for line, paths in rewriter.reads.items():
            # An inner part of a longer path says nothing that the longer one does not.
            longest = tuple(path for path in paths if not any(other.startswith(f"{path}.") for other in paths))
            self.reads[known, line] = longest
        return template

    def join_path(self, template: str, parent: str) -> str:
        """The name of a template that another one includes: always from the root, never out of it."""
        return check_name(template)

    def run(self, name: str, variables: dict[str, Any]) -> str:
        """The rendered text of a template, tokens and marks in it; a ``Session`` must be going on."""
        template = self.get_template(check_name(name))
        session: Session = SESSION.get()
        parts: list[str] = []
        for part in template.root_render_func(template.new_context(variables)):
            parts.append(part)
            session.spend(len(part))
        return "".join(parts)


def check_name(name: Any) -> str:
    """A template name that stays below the templates directory.

    Raises:
        Rejected: it does not.
    """
    if not isinstance(name, str):
        raise Rejected("a template is named by text")
    plain = str(name)
    parts = plain.removeprefix("builtin:").split("/")
    if "" in parts or "." in parts or ".." in parts or "\\" in plain or "\0" in plain:
        raise Rejected(f"the template {plain!r} leaves the templates directory", "name a file below templates/")
    return plain


def environment_of(loader: BaseLoader) -> Environment:
    """The environment of a loader, with the templates that it has compiled already; it lives as long as the loader."""
    made = getattr(loader, "_berth_environment", None)
    if not isinstance(made, Environment):
        made = Environment(loader)
        loader._berth_environment = made  # type: ignore[attr-defined]
    return made
