"""HTTP to an API server as it is: status, headers and body of every answer, refusals too, and watches line by line."""

from __future__ import annotations

import http.client
import json
import socket
import threading
from base64 import b64decode
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlencode, urlsplit

import yaml

from berth.cluster.endpoint import Endpoint
from berth.core.objects import Json

MERGE = "application/merge-patch+json"
STRATEGIC = "application/strategic-merge-patch+json"
JSON_PATCH = "application/json-patch+json"
APPLY = "application/apply-patch+yaml"
TABLE = "application/json;as=Table;g=meta.k8s.io;v=v1"


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back; ``body`` is the JSON, or the text where it is none."""

    status: int
    headers: Mapping[str, str]
    body: Any = field(repr=True)

    @property
    def message(self) -> str:
        """The words of a refusal."""
        return str(self.body["message"])

    @property
    def refusal(self) -> Json:
        """The Status of a refusal without what all of them have."""
        body: Json = self.body
        assert (body["apiVersion"], body["kind"], body["status"]) == ("v1", "Status", "Failure")
        assert body["code"] == self.status
        return {key: body[key] for key in body if key not in ("apiVersion", "kind", "metadata", "status")}

    @property
    def causes(self) -> list[tuple[str, str, str]]:
        """Reason, field and message of each cause of a refusal."""
        found = (self.body.get("details") or {}).get("causes") or ()
        return [(cause.get("reason", ""), cause.get("field", ""), cause.get("message", "")) for cause in found]

    @property
    def warnings(self) -> list[str]:
        """The texts of the Warning headers."""
        return [entry for entry in self.headers.get("Warning", "").split("\n") if entry]


class Wire:
    """One API server, by the kubeconfig that the local clusters write; for any number of threads."""

    def __init__(self, kubeconfig: Path) -> None:
        """Read the kubeconfig; nothing is sent."""
        config = yaml.safe_load(kubeconfig.read_text())
        cluster, user = config["clusters"][0]["cluster"], config["users"][0]["user"]
        text = {key: b64decode(value).decode() for key, value in (cluster | user).items() if key.endswith("-data")}
        authority = text.get("certificate-authority-data")
        certificate, key = text.get("client-certificate-data", ""), text.get("client-key-data", "")
        endpoint = Endpoint(cluster["server"], authority, certificate=certificate, key=key)
        self._url = urlsplit(endpoint.server)
        self._tls = endpoint.tls()
        self._token = user.get("token", "")
        self._kept = threading.local()
        self._all: list[http.client.HTTPSConnection] = []

    def close(self) -> None:
        """Close the connections of all threads."""
        for connection in self._all:
            connection.close()

    def call(
        self,
        method: str,
        path: str,
        body: Any = None,
        *,
        query: Mapping[str, str] | None = None,
        type: str = "application/json",
        headers: Mapping[str, str] | None = None,
    ) -> Answer:
        """One request; a body that is bytes goes as it is, any other as JSON."""
        data = body if body is None or isinstance(body, bytes) else json.dumps(body).encode()
        sent = {"Accept": "application/json", "User-Agent": "behaviour/1", **(headers or {})}
        if data is not None:
            sent["Content-Type"] = type
        if self._token:
            sent.setdefault("Authorization", f"Bearer {self._token}")
        target = f"{path}?{urlencode(query)}" if query else path
        for attempt in (1, 2):
            connection = self._connection()
            try:
                connection.request(method, target, data, sent)
                answer = connection.getresponse()
                break
            except (http.client.RemoteDisconnected, BrokenPipeError, ConnectionResetError):
                # A connection that was idle may have been closed at the other end.
                connection.close()
                if attempt == 2:
                    raise
        raw = answer.read()
        found = {name: "\n".join(answer.headers.get_all(name) or ()) for name in answer.headers}
        try:
            parsed = json.loads(raw)
        except ValueError:
            parsed = raw.decode("utf-8", "replace")
        return Answer(answer.status, found, parsed)

    @contextmanager
    def watch(self, path: str, query: Mapping[str, str], *, table: bool = False) -> Iterator[Iterator[Json]]:
        """The events of a watch, until the server ends it (``timeoutSeconds``) or the block is left."""
        connection = self._fresh(60)
        headers = {"Accept": TABLE if table else "application/json"}
        if self._token:
            headers["Authorization"] = f"Bearer {self._token}"
        connection.request("GET", f"{path}?{urlencode({'watch': '1', **query})}", headers=headers)
        answer = connection.getresponse()
        try:
            assert answer.status == 200, answer.read()
            yield (json.loads(line) for line in answer if line.strip())
        finally:
            if connection.sock is not None:
                # close() alone would leave a thread that reads where it is.
                with suppress(OSError):
                    connection.sock.shutdown(socket.SHUT_RDWR)
            connection.close()

    def _connection(self) -> http.client.HTTPSConnection:
        kept: http.client.HTTPSConnection | None = getattr(self._kept, "connection", None)
        if kept is None:
            kept = self._kept.connection = self._fresh(30)
            self._all.append(kept)
        return kept

    def _fresh(self, timeout: float) -> http.client.HTTPSConnection:
        return http.client.HTTPSConnection(self._url.hostname or "", self._url.port, timeout=timeout, context=self._tls)
