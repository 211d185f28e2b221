"""Writes ``berth/rehearsal/data/protobuf.json``: numbers and types of the fields of a rehearsal's kinds on the wire.

Go's typed clients, some of kubectl's commands among them, send what they create as protobuf. The API server publishes
no numbers of fields; they are facts of the tags in the sources that building the local control plane leaves in Go's
module cache.

Run it as ``python -m tests.checks.rehearsal_protobuf MODULE_CACHE/k8s.io KUBERNETES_VERSION`` (such as ``1.36.3``).
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Iterator
from pathlib import Path

from tests.checks.rehearsal_gotypes import GROUPS, LEAVES, ROOTS, Sources, read

_MORE = {
    "authentication": "authentication/v1",
    "authorization": "authorization/v1",
    "autoscaling1": "autoscaling/v1",
}
_MORE_ROOTS = (
    *("authentication.SelfSubjectReview", "authorization.SelfSubjectAccessReview", "autoscaling1.Scale"),
    *("authorization.SelfSubjectRulesReview", "core.Binding", "policy.Eviction", "meta.DeleteOptions"),
)
_HOSTS = {
    **{name: f"{name}.k8s.io" for name in ("storage", "networking", "scheduling", "coordination", "discovery")},
    **{name: f"{name}.k8s.io" for name in ("authentication", "authorization")},
    "core": "",
    "autoscaling1": "autoscaling",
    "meta": "meta.k8s.io",
}


def fields(sources: Sources, name: str) -> Iterator[tuple[str, str, str]]:
    """The fields of a struct on the wire: number, JSON name ("" for one whose fields are its owner's), type."""
    package, _, short = name.partition(".")
    for _, expression, tag in sources.packages[package].structs[short]:
        wire = re.search(r'protobuf:"\w+,(\d+)', tag)
        label = re.search(r'json:"([^"]*)"', tag)
        if wire is None or label is None:
            continue
        json_name, *rest = label[1].split(",")
        yield wire[1], "" if "inline" in rest else json_name, basic(sources, sources.absolute(expression, package))


def basic(sources: Sources, kind: str) -> str:
    """A type with what named types are made of: ``map[string]resource.Quantity`` for core.ResourceList."""
    bare = kind
    prefix = ""
    while found := re.match(r"\*|\[\]|map\[([\w.]+)\]", bare):
        prefix += "map " if found[1] else found[0]
        bare = bare[found.end() :]
        if prefix == "[]" and bare == "byte":
            return "bytes"
        if prefix == "map []" and bare == "byte":
            return "map bytes"
    made_of = "" if bare in LEAVES else sources.basic(bare)
    if made_of:
        return prefix + basic(sources, made_of)
    return prefix + ("string" if bare == "types.UID" else bare)


def main(cache: Path, version: str) -> None:
    """Read the sources and write the table."""
    minor = version.partition(".")[2]
    api, machinery = cache / f"api@v0.{minor}", cache / f"apimachinery@v0.{minor}"
    packages = {name: read(api / path) for name, path in (GROUPS | _MORE).items()}
    sources = Sources(packages | {"meta": read(machinery / "pkg/apis/meta/v1")})
    types: dict[str, dict[str, str]] = {}
    todo = [*ROOTS, *_MORE_ROOTS]
    while todo:
        name = todo.pop()
        if name in types or not sources.is_struct(name):
            continue
        types[name] = {number: f"{label}:{kind}" for number, label, kind in fields(sources, name)}
        todo += [found for said in types[name].values() for found in re.findall(r"\w+\.\w+", said)]
    kinds = {}
    for root in (*ROOTS, *_MORE_ROOTS):
        package, _, kind = root.partition(".")
        group, folder = _HOSTS.get(package, package), (GROUPS | _MORE).get(package, "meta/v1").rpartition("/")[2]
        kinds[f"{group}/{folder} {kind}" if group else f"{folder} {kind}"] = root
    lines = [f' "version": {json.dumps(version)}']
    for part, rows in (("kinds", kinds), ("types", types)):
        shown = (f"  {json.dumps(key)}: {json.dumps(value)}" for key, value in sorted(rows.items()))
        lines.append(f' "{part}": {{\n' + ",\n".join(shown) + "\n }")
    target = Path(__file__).resolve().parents[2] / "berth/rehearsal/data/protobuf.json"
    target.write_text("{\n" + ",\n".join(lines) + "\n}\n", "utf-8")
    print(f"{target}: {len(kinds)} kinds, {len(types)} types")


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2])
