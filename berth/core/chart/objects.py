"""What every object of a chart gets: its namespace, the checksum of what its pods read, and what becomes of its data.

It is the counterpart of `complete`, for objects that hold symbols. What belongs to berth's own record is left out.
"""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from berth.core.chart import operations
from berth.core.chart.emit import Emitter, Lines
from berth.core.chart.expressions import Writer
from berth.core.chart.golang import literal
from berth.core.chart.helpers import defined
from berth.core.chart.regions import Document, region
from berth.core.chart.symbols import (
    BOOLEAN,
    TEXT,
    Builtin,
    Choice,
    NotCarried,
    Op,
    Place,
    Space,
    Symbol,
    inside,
    kinds_of,
    symbolic,
)
from berth.core.objects import (
    CHECKSUM_ANNOTATION,
    CLUSTER_SCOPED,
    GENERATED_ANNOTATION,
    KEEP_ANNOTATION,
    MAX_SET_NAME,
    dig,
)
from berth.core.secretvalues import Generated

#: Helm leaves what carries it when a release is uninstalled.
KEEP = {"helm.sh/resource-policy": "keep"}
_FIRST = ("apiVersion", "kind", "metadata", "immutable", "type")
_FIRST_META = ("name", "namespace", "labels", "annotations")


@dataclass(slots=True)
class ChartObject:
    """One object; ``stem`` names its file, ``generated`` are the keys of a Secret that are made once."""

    document: Document
    kind: str
    name: Any
    body: dict[str, Any]
    stem: str = ""
    generated: dict[str, int] = field(default_factory=dict)
    #: The helper that writes its data, where a checksum needs it.
    data_helper: str = ""
    #: Whether Helm leaves it behind.
    kept: bool = False

    @property
    def shared(self) -> bool:
        """Whether it belongs to the whole cluster, and may be there already for somebody else."""
        return self.kind in CLUSTER_SCOPED and not any(
            isinstance(part, Builtin) or _is_named(part) for part in _all(self.name)
        )


def _is_named(part: Any) -> bool:
    return isinstance(part, Op) and part.name == "named"


def _all(value: Any) -> Iterator[Any]:
    yield value
    for part in inside(value):
        yield from _all(part)


def completed(documents: Sequence[Document], space: Space, writer: Writer) -> list[ChartObject]:
    """The objects of the templates.

    Raises:
        NotCarried: an object is one only under a condition.
    """
    made = []
    for document in documents:
        if document.body is None:
            continue
        involved = [part for guard in document.guards for part in (guard.test, guard.loop)]
        body = document.body
        metadata = body.get("metadata") if isinstance(body, dict) else None
        if not isinstance(metadata, dict) or "name" not in metadata or not isinstance(body.get("kind"), str):
            raise NotCarried("an object without a kind and name of its own", body, involved)
        with _noted(document):
            made.append(_object(document, space))
    _stems(made)
    for found in made:
        with _noted(found.document):
            _checksum(found, made, space, writer)
    return made


@contextmanager
def _noted(document: Document) -> Iterator[None]:
    """What is not carried is a matter of this document's template."""
    try:
        yield
    except NotCarried as refusal:
        refusal.where = document.file
        raise


def _object(document: Document, space: Space) -> ChartObject:
    body = document.body
    kind, metadata = body["kind"], dict(body["metadata"])
    made = ChartObject(document, kind, metadata["name"], {})
    if kind not in CLUSTER_SCOPED:
        metadata["namespace"] = Builtin("Namespace")
    annotations = metadata.get("annotations", {})
    if kind == "Secret":
        body = _secret(made, body)
    keep = isinstance(annotations, dict) and annotations.get(KEEP_ANNOTATION) == "data"
    if made.generated:
        annotations = operations.combine(space, annotations, {GENERATED_ANNOTATION: ",".join(sorted(made.generated))})
    made.kept = keep or made.shared
    if made.kept:
        annotations = operations.combine(space, annotations, KEEP)
    if annotations != {} or "annotations" in metadata:
        metadata["annotations"] = annotations
    known = {key: metadata[key] for key in _FIRST_META if key in metadata}
    made.body = {key: body[key] for key in _FIRST if key in body} | body
    made.body["metadata"] = known | metadata
    return made


def _secret(made: ChartObject, body: dict[str, Any]) -> dict[str, Any]:
    """The Secret with `data` only, as berth has it, and without what is generated."""
    data: dict[str, Any] = {}
    for section in ("data", "stringData"):
        held = body.get(section, {})
        if not isinstance(held, dict):
            raise NotCarried(f"a Secret whose {section} is one value", held)
        for key, value in held.items():
            guard = region(key)
            if guard is not None:
                raise NotCarried("keys of a Secret under a condition", guard.test, guard.loop)
            if isinstance(value, Generated):
                made.generated[key] = value.length
                data.pop(key, None)
            elif section == "stringData" and isinstance(value, Symbol):
                if value.kinds != TEXT:
                    raise NotCarried("a value of a Secret that may not be text", value)
                data[key] = Op("b64encode", (value,), TEXT)
            elif section == "stringData":
                data[key] = b64encode(str(value).encode()).decode()
            else:
                data[key] = value
    rest = {key: value for key, value in body.items() if key not in ("data", "stringData")}
    return rest | {"data": data} if data else rest


def _stems(made: list[ChartObject]) -> None:
    """Names of files: the kind, and the name where several have that kind."""
    kinds = [found.kind for found in made]
    taken: set[str] = set()
    for found in made:
        words = [part for part in _all(found.name) if isinstance(part, str) and part]
        name = "".join(letter if letter.isalnum() or letter in "-." else "-" for letter in words[-1]) if words else ""
        stem = found.kind.lower() + (f"-{name}" if name and kinds.count(found.kind) > 1 else "")
        number = 2
        while stem in taken:
            stem, number = f"{stem.rstrip('0123456789').rstrip('.')}.{number}", number + 1
        taken.add(stem)
        found.stem = stem


def _checksum(found: ChartObject, everything: list[ChartObject], space: Space, writer: Writer) -> None:
    spec = found.body.get("spec")
    template = dig(spec, "jobTemplate", "spec", "template") or dig(spec, "template")
    pod = dig(template, "spec")
    if not isinstance(template, dict) or not isinstance(pod, dict) or "containers" not in pod:
        return
    named = list(_references(pod))
    lines: Lines = []
    for other in everything:
        if other.kind not in ("ConfigMap", "Secret"):
            continue
        tests = [_same(name, other, writer) for kind, name in named if kind == other.kind]
        if not any(test is not False for test in tests):
            continue
        data = other.body.get("data", {})
        other.data_helper = other.data_helper or f"{writer.chart}.data.{other.stem}"
        lines += _part(other, data, tests, writer)
    if not lines:
        return
    helper = f"{writer.chart}.checksum.{found.stem}"
    digest = writer.helper("digest")
    writer.helpers[helper] = "\n".join(
        ["{{- $objects := dict }}", *lines, f"{{{{- include {digest} $objects }}}}", "{{- "]
    )
    checksum = {CHECKSUM_ANNOTATION: Op("written", (f"include {literal(helper)} ROOT",), TEXT)}
    metadata = dict(template.get("metadata", {}))
    metadata["annotations"] = operations.combine(space, metadata.get("annotations", {}), checksum)
    template["metadata"] = metadata


def _part(other: ChartObject, data: Any, tests: list[Any], writer: Writer) -> Lines:
    """What adds an object to those that a checksum is made over."""
    emitter = Emitter(writer)
    held = f"(include {literal(other.data_helper)} . | fromYaml)" if data else "(dict)"
    lines = [
        f"{{{{- $name := {writer.expression(other.name)} }}}}",
        f'{{{{- $_ := set $objects (printf "{other.kind} %s" $name) (list "{other.kind}" $name {held}) }}}}',
    ]
    if not any(test is True for test in tests):
        shown = [emitter.test(test) for test in tests if test is not False]
        lines = [f"{{{{- if or {' '.join(f'({test})' for test in shown)} }}}}", *lines, "{{- end }}"]
    return emitter.guarded(other.document.guards, lines)


def _same(name: Any, other: ChartObject, writer: Writer) -> Any:
    """Whether a reference names an object: true, false, or a symbol."""
    if isinstance(name, Choice):
        test = writer.expression(name.test)
        for guard in other.document.guards:
            if guard.loop is None and writer.expression(guard.test) in (test, f"not {writer.arg(name.test)}"):
                holds = guard.holds == (writer.expression(guard.test) == test)
                return _same(name.yes if holds else name.no, other, writer)
        yes, no = _same(name.yes, other, writer), _same(name.no, other, writer)
        return yes if yes is no else Choice(name.test, yes, no)
    if not isinstance(name, (Symbol, str)) or not kinds_of(name) & TEXT:
        return False
    if writer.expression(name) == writer.expression(other.name):
        return True
    if not symbolic(name) and not symbolic(other.name):
        return False
    if _is_named(name) and _is_named(other.name) and not symbolic((*name.args, *other.name.args)):  # type: ignore[union-attr]
        return False
    return Op("eq", (name, other.name), BOOLEAN)


def _references(pod: Any) -> Iterator[tuple[str, Any]]:
    """(kind, name) of the ConfigMaps and Secrets that a pod names, under whatever condition."""
    ways = {
        "configMap": "ConfigMap",
        "configMapRef": "ConfigMap",
        "configMapKeyRef": "ConfigMap",
        "secretRef": "Secret",
        "secretKeyRef": "Secret",
    }
    if isinstance(pod, dict):
        for key, value in pod.items():
            if key in ways and isinstance(value, dict) and "name" in value:
                yield ways[key], value["name"]
            elif key == "secret" and isinstance(value, dict):
                yield "Secret", value.get("secretName", value.get("name"))
            elif key == "imagePullSecrets" and isinstance(value, list):
                yield from (("Secret", item.get("name")) for item in value if isinstance(item, dict))
            else:
                yield from _references(value)
    elif isinstance(pod, list):
        for item in pod:
            yield from _references(item)


def written(found: ChartObject, writer: Writer, header: str) -> str:
    """The file of an object."""
    emitter = Emitter(writer)
    body = dict(found.body)
    lines: Lines = []
    data = body.get("data")
    above = ""
    if found.data_helper and data:
        lines = [f"{{{{ {emitter.whole(data)} }}}}"] if isinstance(data, Symbol) else emitter.entries(data, 0)
        above = defined(found.data_helper, "\n".join(lines) + "\n")
        del body["data"]
        lines = []
    for guard in found.document.guards:
        emitter.known.append(emitter.test(guard.test, guard.holds) if guard.loop is None else "")
    lines += emitter.entries(body, 0)
    if found.generated or (found.data_helper and data):
        lines.append("data:")
    if found.data_helper and data:
        lines.append(f"  {{{{- include {literal(found.data_helper)} . | nindent 2 }}}}")
    checks = _name_checks(found, writer)
    before: Lines = []
    if found.generated:
        before.append('{{- $held := get (lookup "v1" "Secret" .Release.Namespace $name) "data" | default dict }}')
        for key, length in found.generated.items():
            value = f"get $held {literal(key)} | default (randAlphaNum {length} | b64enc) | quote"
            lines.append(f"  {emitter.plain(key)[0]}: {{{{ {value} }}}}")
    if found.shared:
        lines = _unless_there(found, lines)
    if checks or found.generated or found.shared:
        before = [f"{{{{- $name := {writer.expression(found.name)} }}}}", *checks, *before]
    lines = [*emitter.checks(found.document.checks), *emitter.guarded(found.document.guards, [*before, *lines])]
    return f"{{{{- /* {header} */}}}}\n{above}" + "\n".join(lines) + "\n"


#: The form of most names, see `complete`.
_NAME = "^[a-z0-9]([a-z0-9-]*[a-z0-9])?([.][a-z0-9]([a-z0-9-]*[a-z0-9])?)*$"
#: What a release's name, of at most 40, and a dash leave of the longest name.
_LONGEST = {"StatefulSet": MAX_SET_NAME, "Service": 63}


#: Kinds whose names may hold nearly anything.
_FREE = ("Role", "RoleBinding", "ClusterRole", "ClusterRoleBinding")


def _name_checks(found: ChartObject, writer: Writer) -> Lines:
    """Refusals of names that berth would refuse too, where a value is in the name or the release's may make it long."""
    longest = _LONGEST.get(found.kind, 253)
    lines: Lines = []
    if any(isinstance(part, Place) for part in _all(found.name)) and found.kind not in _FREE:
        lines.append(f"{{{{- if not (regexMatch {literal(_NAME)} $name) }}}}")
        lines += [f'{{{{- fail (printf "%q is no name for a {found.kind}" $name) }}}}', "{{- end }}"]
    if symbolic(found.name) and sum(len(part) for part in _all(found.name) if isinstance(part, str)) + 41 > longest:
        lines.append(f"{{{{- if gt (len $name) {longest} }}}}")
        lines += [f'{{{{- fail (printf "%q is too long for a {found.kind}: {longest}" $name) }}}}', "{{- end }}"]
    return lines


def _unless_there(found: ChartObject, lines: Lines) -> Lines:
    """Helm gives an object to one release only; what is shared is left alone where somebody else has it."""
    there = f'lookup {literal(str(found.body["apiVersion"]))} {literal(found.kind)} "" $name'
    return [
        f"{{{{- $there := {there} }}}}",
        '{{- $owner := dig "metadata" "annotations" dict $there }}',
        '{{- $owned := list (get $owner "meta.helm.sh/release-namespace") (get $owner "meta.helm.sh/release-name") }}',
        "{{- if or (not $there) (deepEqual $owned (list .Release.Namespace .Release.Name)) }}",
        *lines,
        "{{- end }}",
    ]
