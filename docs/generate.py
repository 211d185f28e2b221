"""Writes the pages of docs/reference that follow from the code: tasks, values, exit codes, profile file, promises.

``python docs/generate.py`` writes them; with ``--check`` it names those that are not current, and ends with 1.
"""

from __future__ import annotations

import ast
import inspect
import json
import sys
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
if str(ROOT) not in sys.path:
    sys.path.insert(0, str(ROOT))

from berth.cli import namespace  # noqa: E402
from berth.core import errors  # noqa: E402
from berth.core import schema as schemas  # noqa: E402
from berth.core.operations import OPERATION_SCHEMA  # noqa: E402
from berth.core.profile import PROFILE_SCHEMA, Profile, merge  # noqa: E402
from berth.core.provenance import escape_key  # noqa: E402
from berth.library import Library, Root  # noqa: E402

_NOTE = "<!-- Made by docs/generate.py; a test holds it to the code. -->"

_CODES = {
    errors.ExitCode.DONE: "done",
    errors.ExitCode.FAILED: "the cluster did not get there: it refused, or something failed or is stuck; also: this "
    "machine is in the way (disk full, a program missing)",
    errors.ExitCode.BAD_INPUT: "bad input: a profile, a value, a template, an option. Nothing was changed",
    errors.ExitCode.NO_TARGET: "no cluster to talk to, it does not answer, or it denies access. Nothing was changed, "
    "unless access was lost in the middle of a run",
    errors.ExitCode.TIMED_OUT: "not there in time (`--timeout`). What was applied stands",
    errors.ExitCode.CHANGES: "there are changes, said by `plan` and `drift` with `--exit-code`; "
    "or files are stale, said by `export` and `chart` with `--check`",
    errors.ExitCode.INTERRUPTED: "interrupted (Ctrl-C). What was applied is stated; the same command goes on there",
}


def tasks_page() -> str:
    """Every task with its options."""
    lines = [
        "# Tasks",
        _NOTE,
        "",
        "`invoke TASK` in a directory whose `tasks.py` imports them, or `berth TASK` anywhere. No option has a short",
        "form: a letter that means one thing today and another tomorrow is how data is lost. Several tasks may follow",
        "one another on one line; they run in that order until one fails.",
        "",
        "What `invoke.yaml` and the environment can set instead is in [configuration](configuration.md).",
    ]
    for name in sorted(namespace.task_names, key=lambda name: ("." in name, name)):
        task = namespace[name]
        also = [alias for alias in namespace.task_names[name] if alias]
        lines += ["", f"## {name}", ""]
        if also:
            lines += [f"Also: {', '.join(f'`{alias}`' for alias in also)}.", ""]
        lines += [*inspect.cleandoc(task.__doc__ or "").splitlines(), ""]
        rows = []
        for argument in task.get_arguments():
            word = "" if argument.kind is bool else f" {argument.name.split('-')[-1].upper()}"
            rows.append(f"| `--{argument.name.replace('_', '-')}{word}` | {_cell(argument.help or '')} |")
        lines += ["| option | meaning |", "|---|---|", *sorted(rows)] if rows else ["It has no options."]
    return "\n".join(lines) + "\n"


def values_page() -> str:
    """Every value of every built-in profile."""
    library = Library((Root(ROOT, "built in"),))
    profiles = [library.load(name) for name in library.all_names()]
    bases = [profile for profile in profiles if profile.abstract]
    lines = [
        "# Values",
        _NOTE,
        "",
        "What can be set with `--set path=value` or in a file given with `--values`. A dot in a key is written `\\.`,",
        "an item of a list `list.0`; `null` takes a value away where the table says *or null*. A value that is not in",
        "these tables is an error, also in a file.",
        "",
        "Later layers win: profile, what it extends coming first; environment; `--values` files, in order; `--set`, in",
        "order.",
        "`invoke profiles.show --profile NAME --env ENV` prints the result, and who set each value, file and line.",
    ]
    for base in bases:
        users = [profile.name for profile in profiles if base.name in profile.extends]
        lines += ["", f"## Values of all: {', '.join(users)}", ""]
        lines += _value_table(base.schema, base.schema, _defaults(base), _paths(base.schema, base.schema))
        lines += _environments(base)
    for profile in profiles:
        if profile.abstract:
            continue
        known = {path for base in bases if base.name in profile.extends for path in _paths(base.schema, base.schema)}
        own = {path: part for path, part in _paths(profile.schema, profile.schema).items() if path not in known}
        defaults = _defaults(profile)
        lines += ["", f"## {profile.name}", "", f"{profile.description}.", ""]
        if own:
            lines += ["Values of its own:", "", *_value_table(profile.schema, profile.schema, defaults, own), ""]
        changed = [
            (path, _get(defaults, path))
            for base in bases
            if base.name in profile.extends
            for path in _paths(base.schema, base.schema)
            if _get(defaults, path) != _get(_defaults(base), path)
        ]
        if changed:
            lines += ["Other defaults than those above:", "", "| value | default |", "|---|---|"]
            lines += [f"| `{path}` | {_code(value)} |" for path, value in changed]
        lines += _environments(profile)
    return "\n".join(lines) + "\n"


def exit_codes_page() -> str:
    """The exit codes, and which error has which."""
    lines = ["# Exit codes", _NOTE, "", "| code | meaning |", "|---|---|"]
    lines += [f"| {code.value} | {_CODES[code]} |" for code in errors.ExitCode]
    lines += [
        "",
        "An error says what is wrong, where, why, and what to try. It goes to standard error. Every problem that can",
        "be found is found before the run ends, not only the first one.",
        "",
        "In a script, ask for the number, not for the words:",
        "",
        "| class of error | code | when |",
        "|---|---|---|",
    ]
    for error in _tree(errors.BerthError):
        summary = inspect.cleandoc(error.__doc__ or "").splitlines()[0]
        lines.append(f"| {error.__name__} | {error.exit_code.value} | {_cell(summary)} |")
    lines += [
        "",
        "Two more come from elsewhere: 141 when the reader of the output went away (`invoke plan ... | head`), and 1",
        "when Invoke itself does not find a `tasks.py`. `shell` ends with the exit code of what it ran in the",
        "container.",
    ]
    return "\n".join(lines) + "\n"


def profile_page() -> str:
    """The fields of a profile file."""
    lines = ["| field | type | meaning |", "|---|---|---|"]
    for name, part in PROFILE_SCHEMA["properties"].items():
        needed = " (required)" if name in PROFILE_SCHEMA["required"] else ""
        lines.append(f"| `{name}` | {part['type']}{needed} | {_cell(part['description'])} |")
    return "\n".join(lines)


def operation_fields() -> str:
    """The fields of an operation."""
    lines = ["| field | type | meaning |", "|---|---|---|"]
    for name, part in OPERATION_SCHEMA["properties"].items():
        words = ", ".join(f"`{word}`" for word in part.get("enum", ())) or part.get("format") or part["type"]
        lines.append(f"| `{name}` | {words} | {_cell(part['description'])} |")
    return "\n".join(lines)


def promises() -> str:
    """What the tests on real containers prove, read from their decorators `promise`: a table for each file."""
    lines: list[str] = []
    for path in sorted((ROOT / "tests" / "node").glob("test_*.py")):
        module = ast.parse(path.read_text(encoding="utf-8"))
        rows = [row for node in module.body if isinstance(node, ast.FunctionDef) for row in _promise_rows(path, node)]
        if rows:
            title = (ast.get_docstring(module) or path.stem).splitlines()[0].rstrip(".")
            lines += [f"### {title}", "", "| promise | test | on |", "|---|---|---|", *rows, ""]
    return "\n".join(lines).rstrip()


def _promise_rows(path: Path, test: ast.FunctionDef) -> Iterator[str]:
    name = path.relative_to(ROOT).as_posix()
    for decorator in test.decorator_list:
        if isinstance(decorator, ast.Call) and isinstance(decorator.func, ast.Name) and decorator.func.id == "promise":
            said = [*decorator.args, *(word.value for word in decorator.keywords)]
            text, component = (_cell(str(ast.literal_eval(part))) for part in said)
            yield f"| {text} | [`{path.name}::{test.name}`](../../{name}) | {component} |"


PAGES = {"tasks.md": tasks_page, "values.md": values_page, "exit-codes.md": exit_codes_page}
#: What is made inside a page that people write, between two comments that name it.
PARTS = {
    "profile-format.md": ("fields", profile_page),
    "operations.md": ("fields", operation_fields),
    "promises.md": ("promises", promises),
}


@cache
def made() -> Mapping[Path, str]:
    """The text of each page by its path. Once only: Invoke gives away the help of an option when it is first asked."""
    reference = ROOT / "docs" / "reference"
    texts = {reference / name: page() for name, page in PAGES.items()}
    for name, (part, make) in PARTS.items():
        head, begin, rest = (
            (reference / name).read_text(encoding="utf-8").partition(f"<!-- {part}: made by docs/generate.py -->")
        )
        _, end, tail = rest.partition(f"<!-- end of {part} -->")
        texts[reference / name] = f"{head}{begin}\n\n{make()}\n\n{end}{tail}"
    return texts


def _tree(error: type[errors.BerthError]) -> Iterator[type[errors.BerthError]]:
    for below in error.__subclasses__():
        if below.__module__ == errors.__name__:
            yield below
            yield from _tree(below)


def _defaults(profile: Profile) -> Any:
    found: Any = {}
    for layer in profile.layers:
        found = merge(found, layer.data)
    return found


def _paths(root: Any, part: Any, path: str = "") -> dict[str, Any]:
    """The schema of each value that is no group of values, by its dotted path."""
    found: dict[str, Any] = {}
    for key, inner in part.get("properties", {}).items():
        here = f"{path}.{escape_key(key)}" if path else escape_key(key)
        found.update(_paths(root, inner, here) if inner.get("properties") else {here: inner})
    return found


def _value_table(root: Any, part: Any, defaults: Any, paths: Mapping[str, Any]) -> list[str]:
    lines = ["| value | default | meaning |", "|---|---|---|"]
    for path, inner in paths.items():
        meaning = f"{inner.get('description', '')} ({schemas.describe(inner)})"
        lines.append(f"| `{path}` | {_code(_get(defaults, path))} | {_cell(meaning)} |")
    return lines


def _environments(profile: Profile) -> list[str]:
    rows = []
    for name, layers in profile.environments.items():
        own = [layer for layer in layers if layer.name.endswith(f" of {profile.name}")]
        sets = ", ".join(f"`{path}={_plain(value)}`" for layer in own for path, value in _leaves(layer.data))
        rows.append(f"| {name} | {_cell(sets) or 'nothing'} |")
    return ["", "| environment | sets |", "|---|---|", *rows] if rows else []


def _leaves(data: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    for key, value in data.items():
        here = f"{path}.{escape_key(key)}" if path else escape_key(key)
        if isinstance(value, dict) and value:
            yield from _leaves(value, here)
        else:
            yield here, value


def _get(data: Any, path: str) -> Any:
    for key in path.split("."):
        data = data.get(key) if isinstance(data, dict) else None
    return data


def _plain(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value)


def _code(value: Any) -> str:
    return f"`{_plain(value)}`" if value != "" else "empty"


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")


def main(arguments: list[str]) -> int:
    """Write the pages, or check them."""
    stale = [path for path, text in made().items() if not path.is_file() or path.read_text(encoding="utf-8") != text]
    for path in stale:
        if "--check" in arguments:
            print(f"{path.relative_to(ROOT)} is not current: python docs/generate.py")
        else:
            path.write_text(made()[path], encoding="utf-8")
            print(f"wrote {path.relative_to(ROOT)}")
    return 1 if stale and "--check" in arguments else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
