"""Words of Go templates: functions by operation, literals, names, and how text is put together."""

from __future__ import annotations

import json

PLAIN = {
    "has": "has", "contains": "contains", "haskey": "hasKey", "key": "get", "not": "not", "concat": "concat",
    "join": "join", "replace": "replace", "b64encode": "b64enc", "sha256": "sha256sum", "startswith": "hasPrefix",
    "endswith": "hasSuffix", "len": "len",
}  # fmt: skip
ON_WHOLE = {name: name for name in ("add", "sub", "mul", "div", "mod", "max", "min")}
ON_NUMBERS = {
    "addf": "addf", "subf": "subf", "mulf": "mulf", "divf": "divf", "float": "float64", "eqnumber": "eq",
    "ltnumber": "lt", "gtnumber": "gt", "lenumber": "le", "genumber": "ge",
}  # fmt: skip
FORMS = {
    "bool": "not (not {0})",
    "eqjson": "eq (toJson {0}) (toJson {1})",
    "isnone": 'kindIs "invalid" {0}',
    "isboolean": 'kindIs "bool" {0}',
    "isstring": 'kindIs "string" {0}',
    "ismapping": 'kindIs "map" {0}',
    "isnumber": 'has (kindOf {0}) (list "float64" "int64" "int" "bool")',
    "firstletters": 'regexFind "(?s)^.{{0,{1}}}" {0}',
    "butlast": 'regexReplaceAll "(?s).$" {0} ""',
    "lastletter": 'regexFind "(?s).$" {0}',
}


def literal(text: str) -> str:
    """A string of Go."""
    return json.dumps(str(text), ensure_ascii=False).replace("\x7f", "\\u007f")


def bare(shown: str) -> str:
    """An argument as a whole expression."""
    return shown[1:-1] if shown.startswith("(") and shown.endswith(")") else shown


def helper_name(hint: str) -> str:
    """The name that a helper gets of a macro or file."""
    kind, _, name = hint.rpartition(" ")
    if kind == "file":
        return name.replace("/", ".")
    if not kind:
        return name
    return f"{kind.rpartition('/')[2].partition('.')[0]}.{name}"


def joined(before: str, head: str, sides: list[str], silent: bool = False) -> str:
    """Text, and after it a condition or loop over other text, on lines of their own where that changes nothing.

    ``silent``: the condition writes nothing.
    """
    yes, no = sides

    def ends(text: str) -> bool:
        return len(text) > 1 and text[-1] == "\n" and not text[-2].isspace()

    if silent and ends(before):
        return f"{before}{{{{- {head} }}}}{yes}{{{{ end }}}}\n"
    if ends(before) and ends(yes) and (not no or ends(no)):
        otherwise = f"{{{{- else }}}}\n{no}" if no else ""
        return f"{before}{{{{- {head} }}}}\n{yes}{otherwise}{{{{- end }}}}\n"
    otherwise = f"{{{{ else }}}}{no}" if no else ""
    return f"{before}{{{{ {head} }}}}{yes}{otherwise}{{{{ end }}}}"
