"""A client that shows everything of an answer, and what it sends."""

from __future__ import annotations

import http.client
import json
from dataclasses import dataclass
from typing import Any

from berth.core.objects import Json

TOKEN = "a-token"
JSON = "application/json"
MERGE = "application/merge-patch+json"
TABLE = "application/json;as=Table;g=meta.k8s.io;v=v1"
#: 2026-11-21T14:00:00Z
BEGINNING = 1795269600.0


@dataclass(frozen=True)
class Reply:
    """An answer, read whole."""

    code: int
    headers: dict[str, str]
    warnings: list[str]
    body: bytes

    @property
    def json(self) -> Json:
        found: Json = json.loads(self.body)
        return found

    @property
    def lines(self) -> list[Json]:
        """The events of a watch."""
        return [json.loads(line) for line in self.body.splitlines()]

    @property
    def message(self) -> str:
        return str(self.json["message"])


class Caller:
    """One kept connection."""

    def __init__(self, port: int, token: str = TOKEN) -> None:
        self.port = port
        self.token = token
        self._connection = http.client.HTTPConnection("127.0.0.1", port, timeout=20)

    def __call__(self, method: str, path: str, body: Any = None, **headers: str) -> Reply:
        """A request; a body that is no bytes is sent as JSON. ``Content_Type="..."`` sets a header."""
        named = {key.replace("_", "-"): value for key, value in headers.items()}
        data = body
        if body is not None and not isinstance(body, bytes):
            data = json.dumps(body).encode()
            named.setdefault("Content-Type", JSON)
        if self.token:
            named.setdefault("Authorization", f"Bearer {self.token}")
        self._connection.request(method, path, data, named)
        answer = self._connection.getresponse()
        found = answer.read()
        pairs = answer.getheaders()
        return Reply(
            answer.status,
            {key.lower(): value for key, value in pairs},
            [value for key, value in pairs if key == "Warning"],
            found,
        )

    def close(self) -> None:
        self._connection.close()


def config_map(name: str, **more: Any) -> Json:
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name, **more}, "data": {"k": "v"}}


def stateful_set(name: str = "web", replicas: int = 1) -> Json:
    pod = {"metadata": {"labels": {"app": name}}, "spec": {"containers": [{"name": "main", "image": "nginx:1.27"}]}}
    return {
        "apiVersion": "apps/v1",
        "kind": "StatefulSet",
        "metadata": {"name": name},
        "spec": {
            "serviceName": name,
            "replicas": replicas,
            "selector": {"matchLabels": {"app": name}},
            "template": pod,
        },
    }


SPACE = "/api/v1/namespaces/default"
MAPS = f"{SPACE}/configmaps"
SETS = "/apis/apps/v1/namespaces/default/statefulsets"
