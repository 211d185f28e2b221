"""Asks a cluster's API what it says to the cases of ``tests/unit/rehearsal/rules``."""

from __future__ import annotations

import base64
import json
import re
import tempfile
import time
from pathlib import Path
from typing import Any
from uuid import uuid4

import urllib3
import yaml

from berth.core.objects import Json
from berth.rehearsal.kinds import CLAIMS, NAMESPACES, SERVICE_ACCOUNTS, VOLUMES, Kind
from tests.unit.rehearsal.rules.answers import granted, of_status
from tests.unit.rehearsal.rules.objects import NAMESPACE, edited
from tests.unit.rehearsal.rules.updates import LIVE, UPDATES, live

#: Nothing is stored, and what is odd in a body is an error.
STRICT = "dryRun=All&fieldManager=rules&fieldValidation=Strict"
WARN = "dryRun=All&fieldManager=rules&fieldValidation=Warn"


class Asking:
    """A connection to a cluster, with a namespace of its own. The names of cluster-scoped objects get an end of it."""

    def __init__(self, kubeconfig: Path) -> None:
        self.token = uuid4().hex[:6]
        self.namespace = f"t-{self.token}"
        config = yaml.safe_load(kubeconfig.read_text("utf-8"))
        cluster, user = config["clusters"][0]["cluster"], config["users"][0]["user"]
        self._server: str = cluster["server"]
        self._headers = {"Authorization": f"Bearer {user['token']}"} if "token" in user else {}
        self._folder = tempfile.TemporaryDirectory()
        options: dict[str, Any] = {}
        if ca := self._file(cluster, "certificate-authority"):
            options["ca_certs"] = ca
        if certificate := self._file(user, "client-certificate"):
            options |= {"cert_file": certificate, "key_file": self._file(user, "client-key")}
        self._pool = urllib3.PoolManager(**options)
        self.send(
            "POST",
            _path(NAMESPACES, ""),
            {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": self.namespace}},
        )

    def _file(self, where: Json, key: str) -> str:
        if f"{key}-data" not in where:
            return str(where.get(key, ""))
        path = Path(self._folder.name) / key
        path.write_bytes(base64.b64decode(where[f"{key}-data"]))
        return str(path)

    def close(self) -> None:
        """Everything that was made goes again."""
        for name, (kind, _) in LIVE.items():
            if not kind.namespaced:
                self.send("DELETE", self.path(kind, self.named(kind, name), "gracePeriodSeconds=0"))
        self.send("DELETE", _path(NAMESPACES, "", self.namespace))
        self._pool.clear()
        self._folder.cleanup()

    def send(self, method: str, path: str, body: Json | str | None = None) -> tuple[int, Json, list[str]]:
        """The code, the body and the warnings of the answer."""
        text = body if body is None or isinstance(body, str) else json.dumps(body)
        headers = {**self._headers, "Content-Type": "application/json", "Accept": "application/json"}
        answer = self._pool.request(method, f"{self._server}{path}", body=text, headers=headers)
        warnings = [value for key, value in answer.headers.items() if key.lower() == "warning"]
        found: Json = json.loads(answer.data)
        return answer.status, found, [_unquoted(warning) for warning in warnings]

    def path(self, kind: Kind, name: str = "", query: str = "") -> str:
        """Where the kind's objects are."""
        return _path(kind, self.namespace, name) + (f"?{query}" if query else "")

    def named(self, kind: Kind, name: str) -> str:
        """What an object of the cases is called on this cluster."""
        return name if kind.namespaced else f"{name}-{self.token}"

    def ours(self, tree: Any) -> Any:
        """What the cases say, with the names of this cluster."""
        return json.loads(json.dumps(tree).replace(f'"{NAMESPACE}"', f'"{self.namespace}"'))

    def theirs(self, tree: Any) -> Any:
        """What this cluster says, with the names of the cases."""
        text = json.dumps(tree).replace(f'"{self.namespace}"', f'"{NAMESPACE}"')
        return json.loads(text.replace(self.namespace, NAMESPACE).replace(f"-{self.token}", ""))

    def create(self, kind: Kind, body: Json | str, query: str = STRICT) -> tuple[Json, Json, list[str]]:
        """The answer to a new object, the object, and the warnings. Nothing is stored."""
        sent = body.replace(f'"{NAMESPACE}"', f'"{self.namespace}"') if isinstance(body, str) else self.ours(body)
        code, found, warnings = self.send("POST", self.path(kind, query=query), sent)
        return self.theirs(granted(code) if code < 400 else of_status(found)), self.theirs(found), warnings

    def make_all(self) -> None:
        """The objects that are changed afterwards; for real."""
        for _ in range(100):
            if self.send("GET", self.path(SERVICE_ACCOUNTS, "default"))[0] == 200:
                break
            time.sleep(0.05)
        for name, (kind, _) in LIVE.items():
            body = self.ours(live(name, self.namespace))
            body["metadata"]["name"] = self.named(kind, name)
            if kind is CLAIMS and "volumeName" in body["spec"]:
                body["spec"]["volumeName"] = self.named(VOLUMES, body["spec"]["volumeName"])
            code, answer, _ = self.send("POST", self.path(kind), body)
            assert code == 201, answer
        for _ in range(200):
            _, claim, _ = self.send("GET", self.path(CLAIMS, "bound-claim"))
            if claim["status"].get("phase") == "Bound":
                return
            time.sleep(0.05)
        raise AssertionError("bound-claim is not bound")

    def get(self, name: str) -> Json:
        """One of those, with the names of the cases."""
        kind = LIVE[name][0]
        code, found, _ = self.send("GET", self.path(kind, self.named(kind, name)))
        assert code == 200, found
        seen: Json = self.theirs(found)
        return seen

    def change(self, case: str) -> Json:
        """The answer to a change of one of those. Nothing is stored."""
        name, subresource, edits = UPDATES[case]
        kind = LIVE[name][0]
        path = self.path(kind, "/".join(filter(None, (self.named(kind, name), subresource))), STRICT)
        for _ in range(5):
            code, old, _ = self.send("GET", self.path(kind, self.named(kind, name)))
            assert code == 200, old
            code, found, _ = self.send("PUT", path, edited(old, edits))
            if code != 409:
                break
        answer: Json = self.theirs(granted(code) if code < 400 else of_status(found))
        return answer


def _path(kind: Kind, namespace: str, name: str = "") -> str:
    start = f"/apis/{kind.api_version}" if kind.group else f"/api/{kind.version}"
    space = f"/namespaces/{namespace}" if kind.namespaced else ""
    return f"{start}{space}/{kind.plural}" + (f"/{name}" if name else "")


def _unquoted(warning: str) -> str:
    found = re.fullmatch(r'299 \S+ "(.*)"', warning, flags=re.S)
    return re.sub(r"\\(.)", r"\1", found[1]) if found else warning
