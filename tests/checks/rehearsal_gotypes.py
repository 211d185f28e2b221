"""Writes ``berth/rehearsal/data/gotypes.json``: how the API server's Go types hold the kinds of a rehearsal.

The OpenAPI document does not say which fields are pointers (whether an explicit zero is kept or dropped), which are
written even when they are empty, how Go names a type (decoding errors quote it), nor the layout of the internal types
(the difference that a refused update prints is one of them, field by field). All four are facts of the sources that
building the local control plane leaves in Go's module cache.

Run it as ``python tests/checks/rehearsal_gotypes.py MODULE_CACHE/k8s.io KUBERNETES_VERSION`` (such as ``1.36.3``).
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

#: The package of each API group's version that a rehearsal serves, by the name it gets in the table.
GROUPS = {
    "core": "core/v1",
    "apps": "apps/v1",
    "policy": "policy/v1",
    "storage": "storage/v1",
    "networking": "networking/v1",
    "autoscaling": "autoscaling/v2",
    "scheduling": "scheduling/v1",
    "coordination": "coordination/v1",
    "discovery": "discovery/v1",
}
#: Where the walk through the versioned types begins.
ROOTS = (
    *(f"core.{kind}" for kind in "Namespace Node PersistentVolume Pod PersistentVolumeClaim Service".split()),
    *(f"core.{kind}" for kind in "Endpoints ConfigMap Secret ServiceAccount Event ResourceQuota".split()),
    *("apps.StatefulSet", "apps.ControllerRevision", "autoscaling.HorizontalPodAutoscaler", "coordination.Lease"),
    *("discovery.EndpointSlice", "networking.NetworkPolicy", "policy.PodDisruptionBudget"),
    *("scheduling.PriorityClass", "storage.StorageClass"),
)
#: The internal types whose layout the server's messages show.
SHOWN = (
    *("core.PodSpec", "core.PersistentVolumeClaimSpec", "core.PersistentVolumeSource", "core.ServicePort"),
    *("core.Taint", "core.NodeAddress", "core.VolumeNodeAffinity", "core.ScopeSelector", "core.PodIP", "core.HostIP"),
    *("core.ObjectReference", "core.EventSource"),
    *("apps.StatefulSetUpdateStrategy", "policy.PodDisruptionBudgetSpec"),
)
#: Types that are taken as they are; the code that reads the table knows them.
LEAVES = {
    *("meta.Time", "meta.MicroTime", "meta.FieldsV1", "resource.Quantity", "intstr.IntOrString"),
    *("runtime.RawExtension", "types.UID", "meta.Duration"),
}
_PACKAGES = {"metav1": "meta", "v1": "core", "corev1": "core", "apiv1": "core", "api": "core"}
#: How Go's own messages name the packages.
GO_PACKAGES = {name: path.rpartition("/")[2] for name, path in GROUPS.items()} | {"meta": "v1"}
_BASIC = {"string", "bool", "int32", "int64", "int", "byte", "float64", "uint8", "[]byte"}


@dataclass(slots=True)
class Package:
    """The structs and the named types of one Go package."""

    structs: dict[str, list[tuple[str, str, str]]] = field(default_factory=dict)
    named: dict[str, str] = field(default_factory=dict)


def read(folder: Path) -> Package:
    """The types that a folder of Go sources declares. An embedded field has no name."""
    package = Package()
    for path in sorted(folder.glob("*.go")):
        if path.name.startswith("zz_") or path.name.endswith("_test.go") or "generated" in path.name:
            continue
        text = re.sub(r"//[^\n]*", "", re.sub(r"/\*.*?\*/", "", path.read_text("utf-8"), flags=re.S))
        for name, body in re.findall(r"^type (\w+) struct \{\n(.*?)^\}", text, flags=re.M | re.S):
            package.structs.setdefault(name, [found for line in body.splitlines() for found in _fields(line.strip())])
        package.named |= dict(re.findall(r"^type (\w+) (?:= )?([\w\[\]*.]+)$", text, flags=re.M))
    return package


def _fields(line: str) -> Iterator[tuple[str, str, str]]:
    if embedded := re.fullmatch(r"([\w.]+)\s*(?:`(.*)`)?", line):
        yield "", embedded[1], embedded[2] or ""
    elif plain := re.fullmatch(r"((?:\w+(?:, )?)+)\s+([^\s`]+)\s*(?:`(.*)`)?", line):
        for name in plain[1].split(", "):
            yield name, plain[2], plain[3] or ""


class Sources:
    """The packages, and type expressions in which every name says its package."""

    def __init__(self, packages: dict[str, Package]) -> None:
        self.packages = packages

    def absolute(self, expression: str, home: str) -> str:
        """A type expression with full names: ``[]Container`` in core is ``[]core.Container``."""

        def name(found: re.Match[str]) -> str:
            package, _, short = found[0].rpartition(".")
            if not package and (short in _BASIC or short == "map"):
                return short
            return f"{_PACKAGES.get(package, package) or home}.{short}"

        return re.sub(r"[A-Za-z_][\w.]*", name, expression)

    def embedded(self, name: str) -> dict[str, str]:
        """The Go name of the embedded struct in which a field of the struct is, by JSON name."""
        package, _, short = name.partition(".")
        found: dict[str, str] = {}
        for go_name, expression, tag in self.packages[package].structs[short]:
            kind = self.absolute(expression, package)
            if not go_name and self.is_struct(kind) and kind != "meta.TypeMeta" and not re.search(r'json:"(\w+)', tag):
                found |= {_label(inner): expression.rpartition(".")[2] for _, _, inner in self.fields(kind)}
        return found

    def fields(self, name: str) -> Iterator[tuple[str, str, str]]:
        """The fields of a struct, those of embedded structs among them: Go name, type, tag."""
        package, _, short = name.partition(".")
        for go_name, expression, tag in self.packages[package].structs[short]:
            kind = self.absolute(expression, package)
            if go_name:
                yield go_name, kind, tag
            elif kind not in ("meta.TypeMeta",) and re.search(r'json:"(\w+)', tag):
                yield expression.rpartition(".")[2], kind, tag
            elif kind == "meta.TypeMeta" and package != "meta" and not tag:
                continue
            elif kind == "meta.ObjectMeta" and not tag:
                yield "ObjectMeta", kind, tag
            else:
                yield from self.fields(kind)

    def is_struct(self, name: str) -> bool:
        """Whether the name is that of a struct that the packages declare."""
        package, _, short = name.partition(".")
        return name not in LEAVES and short in self.packages.get(package, Package()).structs

    def basic(self, name: str) -> str:
        """What a named type is made of; empty for structs and basic types."""
        package, _, short = name.partition(".")
        found = self.packages.get(package, Package()).named.get(short, "")
        return self.absolute(found, package) if found else ""


def _label(tag: str) -> str:
    found = re.search(r'json:"(\w+)', tag)
    return found[1] if found else ""


def _names(expression: str) -> list[str]:
    return re.findall(r"\w+\.\w+", expression)


def versioned(sources: Sources) -> dict[str, dict[str, str]]:
    """What the OpenAPI document leaves out of the structs that the roots lead to, by JSON name of the field.

    "*" is a pointer to a scalar, "!" a value that is written although it is empty and has no default; the name is
    that of a named type, in Go's words for it. What follows a "~" is the embedded struct that the field is in.
    """
    found: dict[str, dict[str, str]] = {}
    todo = list(ROOTS)
    while todo:
        name = todo.pop()
        if name in found or name in LEAVES:
            continue
        if not sources.is_struct(name):
            todo += _names(sources.basic(name))
            continue
        found[name] = {}
        embedded = sources.embedded(name)
        for _, kind, tag in sources.fields(name):
            label, *rest = re.search(r'json:"([^"]*)"', tag)[1].split(",")  # type: ignore[index]
            todo += _names(kind)
            inside = f"~{embedded[label]}" if label in embedded else ""
            if said := _unsaid(sources, kind, rest) + inside:
                found[name][label] = said
    return found


def _unsaid(sources: Sources, kind: str, tag: list[str]) -> str:
    inner = kind.lstrip("*[]")
    made_of = sources.basic(inner)
    named = GO_PACKAGES.get(inner.partition(".")[0], "") + "." + inner.partition(".")[2] if made_of else ""
    if kind.startswith("*"):
        return ("" if sources.is_struct(inner) else "*") + named + ("!" if "omitempty" not in tag else "")
    empty = "omitempty" not in tag and kind.startswith(("[", "map"))
    leaf = kind in LEAVES and kind not in ("types.UID", "runtime.RawExtension") and "omitzero" not in tag
    return named + ("!" if empty or leaf else "")


def internal(sources: Sources, outer: Sources) -> dict[str, list[str]]:
    """The layout of the internal structs that messages show: Go name, JSON name and type of each field, in order."""
    found: dict[str, list[str]] = {}
    todo = list(SHOWN)
    while todo:
        name = todo.pop()
        if name in found or name.startswith("meta.") or not sources.is_struct(name):
            continue
        found[name] = []
        labels = _labels(outer, name) if outer.is_struct(name) else {}
        for go_name, kind, _ in sources.fields(name):
            label = labels.get(go_name, go_name[:1].lower() + go_name[1:])
            made_of = sources.basic(kind.lstrip("*[]"))
            if made_of:
                kind = kind.replace(kind.lstrip("*[]"), made_of)
            found[name].append(f"{go_name} {label} {kind}")
            todo += _names(kind)
    return found


def _labels(sources: Sources, name: str) -> dict[str, str]:
    return {go: found[1] for go, _, tag in sources.fields(name) if (found := re.search(r'json:"(\w+)', tag))}


def main(cache: Path, version: str) -> None:
    """Read the sources and write the table beside this file."""
    minor = version.partition(".")[2]
    api, machinery = cache / f"api@v0.{minor}", cache / f"apimachinery@v0.{minor}"
    meta = read(machinery / "pkg/apis/meta/v1")
    outer = Sources({name: read(api / path) for name, path in GROUPS.items()} | {"meta": meta})
    inside = cache / f"kubernetes@v{version}" / "pkg/apis"
    inner = Sources({name: read(inside / name) for name in GROUPS} | {"meta": meta})
    fields = versioned(outer)
    said = {name: unsaid for name, unsaid in fields.items() if unsaid}
    table = {"version": version, "fields": said, "internal": internal(inner, outer)}
    lines = [f' "version": {json.dumps(version)}']
    for part in ("fields", "internal"):
        rows = (f"  {json.dumps(key)}: {json.dumps(value)}" for key, value in sorted(table[part].items()))  # type: ignore[attr-defined]
        lines.append(f' "{part}": {{\n' + ",\n".join(rows) + "\n }")
    target = Path(__file__).resolve().parents[2] / "berth/rehearsal/data/gotypes.json"
    target.write_text("{\n" + ",\n".join(lines) + "\n}\n", "utf-8")
    print(f"{target}: {len(table['fields'])} types, {len(table['internal'])} internal ones")


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2])
