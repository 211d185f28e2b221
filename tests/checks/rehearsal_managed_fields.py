"""Sends the sequences of tests/unit/rehearsal/applies.py to a real control plane, and compares with what is recorded.

With ``--write`` the answers are recorded; the unit tests hold the rehearsal to them. Steps are a second apart, because
managedFields tell no shorter time; every sequence does its n-th step in the n-th second.
"""

from __future__ import annotations

import json
import sys
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

from berth import controlplane
from berth.controlplane.api import Client
from berth.core.objects import Json

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

from tests.unit.rehearsal.applies import NAMESPACE, SEQUENCES, Sequence, Step  # noqa: E402

RECORD = ROOT / "tests" / "unit" / "rehearsal" / "managed_fields.json"
PLANE = "tests"
TYPES = {
    "create": ("POST", "application/json"),
    "put": ("PUT", "application/json"),
    "apply": ("PATCH", "application/apply-patch+yaml"),
    "merge": ("PATCH", "application/merge-patch+json"),
    "strategic": ("PATCH", "application/strategic-merge-patch+json"),
    "json": ("PATCH", "application/json-patch+json"),
}
#: What differs between two runs, by its key.
_VARYING: dict[str, Any] = {
    "uid": "uid",
    "resourceVersion": "1",
    "creationTimestamp": "2026-01-01T00:00:00Z",
    "lastTransitionTime": "2026-01-01T00:00:00Z",
    "clusterIP": "10.96.0.1",
    "clusterIPs": ["10.96.0.1"],
}


class Recorder:
    """Walks through the sequences, and remembers when which step was."""

    def __init__(self, client: Client) -> None:
        """Talk to the plane."""
        self._client = client
        self._starts: list[int] = []

    def record(self) -> dict[str, list[Json]]:
        """What came of each step: the object before where it is not the last answer, the code, and the answer."""
        # The namespace of a run just before may still be going.
        while self._send("POST", "/api/v1/namespaces", {"metadata": {"name": NAMESPACE}})[0] != 201:
            self._send("DELETE", f"/api/v1/namespaces/{NAMESPACE}")
            time.sleep(1)
        for one in SEQUENCES.values():
            self._send("DELETE", self._path(one))
        found: dict[str, list[Json]] = {name: [] for name in SEQUENCES}
        last: dict[str, Json | None] = dict.fromkeys(SEQUENCES)
        for number in range(max(len(one.steps) for one in SEQUENCES.values())):
            time.sleep(1.02 - time.time() % 1)
            self._starts.append(int(time.time()))
            for name, one in SEQUENCES.items():
                if number < len(one.steps):
                    said = self._step(one, one.steps[number], last[name])
                    found[name].append(said)
                    last[name] = said["after"] if said["code"] < 400 else said.get("before", last[name])
        for one in SEQUENCES.values():
            self._send("PATCH", self._path(one), {"metadata": {"finalizers": None}}, TYPES["merge"][1])
            self._send("DELETE", self._path(one))
        self._send("DELETE", f"/api/v1/namespaces/{NAMESPACE}")
        return found

    def _step(self, one: Sequence, step: Step, last: Json | None) -> Json:
        code, live = self._send("GET", self._path(one))
        before = self._plain(live) if code == 200 else None
        method, media = TYPES[step.verb]
        path = self._path(one).rpartition("/")[0] if step.verb == "create" else self._path(one)
        query = {"fieldManager": step.manager} if step.manager else {}
        if step.verb == "apply":
            query["force"] = str(step.force).lower()
            query.setdefault("fieldManager", "unknown")
        target = path + (f"/{step.subresource}" if step.subresource else "")
        code, after = self._send(method, f"{target}?{urlencode(query)}", step.body, media)
        if code < 400 and step.subresource == "scale":
            after = self._send("GET", path)[1]
        said = {"code": code, "after": self._plain(after)}
        return said if before == last else {"before": before, **said}

    def _plain(self, tree: Any) -> Any:
        if isinstance(tree, list):
            return [self._plain(item) for item in tree]
        if not isinstance(tree, dict):
            return tree
        found = {}
        for key, value in tree.items():
            if key in _VARYING and isinstance(value, str | list):
                found[key] = _VARYING[key]
            elif key == "time" and isinstance(value, str):
                found[key] = self._moment(value)
            elif key == "causes":
                # Those of several managers come in no order.
                found[key] = sorted(value, key=lambda cause: (cause.get("message"), cause.get("field")))
            else:
                found[key] = self._plain(value)
        return found

    def _moment(self, text: str) -> str:
        """The second of a step, in the place of a time in it."""
        when = datetime.strptime(text, "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=UTC).timestamp()
        number = sum(start <= when for start in self._starts) - 1
        return moment(number) if number >= 0 else text

    @staticmethod
    def _path(one: Sequence) -> str:
        root = f"/apis/{one.kind.api_version}" if one.kind.group else f"/api/{one.kind.version}"
        place = f"/namespaces/{NAMESPACE}" if one.kind.namespaced else ""
        return f"{root}{place}/{one.kind.plural}/{one.name}"

    def _send(self, method: str, target: str, body: Any = None, media: str = "application/json") -> tuple[int, Json]:
        code, payload = self._client._exchange(method, target, body, media)
        return code, json.loads(payload)


def moment(number: int) -> str:
    """When the n-th step was, as it is recorded."""
    return f"2026-01-01T00:01:{number:02}Z"


def main() -> None:
    """Compare, or write with ``--write``; ``--plane NAME`` takes another control plane than that of the tests."""
    plane = sys.argv[sys.argv.index("--plane") + 1] if "--plane" in sys.argv else PLANE
    status = controlplane.start(plane, report=print)
    found = Recorder(Client.of(status.server, status.state_dir / "pki", "admin")).record()
    lines = [
        f"{json.dumps(name)}: [\n"
        + ",\n".join(json.dumps(step, sort_keys=True, separators=(",", ":")) for step in steps)
        for name, steps in found.items()
    ]
    text = "{\n" + "\n],\n".join(lines) + "\n]\n}\n"
    if "--write" in sys.argv:
        RECORD.write_text(text, encoding="utf-8")
        print(f"{RECORD.name}: {len(text)} bytes")
        return
    recorded = json.loads(RECORD.read_text(encoding="utf-8"))
    different = [name for name in found if found[name] != recorded.get(name)]
    if different:
        sys.exit(f"answers differ from {RECORD.name}: {', '.join(different)}; see the difference with --write")


if __name__ == "__main__":
    main()
