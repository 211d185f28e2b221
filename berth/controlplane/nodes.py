"""The nodes: kwok's configuration, put together from the files in `kwok/`.

kwok's own stages would not do: its volumes know one StorageClass, its pods cannot fail, and the failures that berth has
to explain to its users must be producible here.
"""

from __future__ import annotations

import re
from pathlib import Path

import yaml

from berth.controlplane.paths import Layout
from berth.local.files import write_private

SOURCES = Path(__file__).with_name("kwok")
PARTS = ("settings.yaml", "node.yaml", "pod.yaml")

_TOKEN_LINE = re.compile(r"^([ ]*)@([a-z-]+)@$", re.MULTILINE)
_TOKEN = re.compile(r"@([a-z-]+)@")

LOG = "This container is simulated by the local control plane: no process runs in it, and so it writes nothing.\n"
CRASH_LOG = "simulated crash: the pod carries the annotation berth.dev/fault=crash\nexit code 1\n"


def write_config(layout: Layout, version: str) -> None:
    """Write kwok's configuration and the log files that its containers show, all into the plane's `conf` directory."""
    write_private(layout.conf / "kwok.yaml", config(layout.conf, version))
    for name, text in (("container.log", LOG), ("crashed.log", CRASH_LOG)):
        # The format in which a kubelet keeps logs; with any other, `kubectl logs` shows nothing.
        lines = [f"2026-01-01T00:00:00.000000000Z stdout F {line}\n" for line in text.splitlines()]
        write_private(layout.conf / name, "".join(lines))


def config(conf: Path, version: str) -> str:
    """The configuration as YAML documents: settings, stages of the nodes, stages of the pods."""
    snippets: dict[str, str] = yaml.safe_load((SOURCES / "snippets.yaml").read_text(encoding="utf-8"))
    documents = []
    for part in PARTS:
        text = (SOURCES / part).read_text(encoding="utf-8")
        text = text.replace("@CONF@", str(conf)).replace("@VERSION@", version)
        documents.append(_expand(text, snippets))
    return "---\n".join(documents)


def _expand(text: str, snippets: dict[str, str]) -> str:
    def block(match: re.Match[str]) -> str:
        indent, name = match.groups()
        return "\n".join(indent + line for line in snippets[name].splitlines())

    def inline(match: re.Match[str]) -> str:
        # Inside a single-quoted YAML scalar.
        return snippets[match.group(1)].strip().replace("'", "''")

    return _TOKEN.sub(inline, _TOKEN_LINE.sub(block, text))
