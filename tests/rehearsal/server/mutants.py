"""Requests that nobody would send: objects that are almost right, patches that are none, odd paths and options.

Everything comes of one seed. Objects begin as right ones, grow by what the schemas allow, and are then spoiled.
"""

from __future__ import annotations

import json
from random import Random
from typing import Any
from urllib.parse import quote

from berth.core.objects import Json
from berth.rehearsal import schema
from berth.rehearsal.jsontree import clone
from berth.rehearsal.kinds import CLAIMS, KINDS, NAMESPACES, NODES, PODS, STATEFUL_SETS, VOLUMES, Kind
from berth.rehearsal.registry import APPLY_PATCH, JSON_PATCH, MERGE_PATCH, STRATEGIC_PATCH
from berth.rehearsal.schema import Node
from berth.rehearsal.server.messages import Request
from berth.rehearsal.store import Store
from tests.unit.rehearsal.rules.objects import base

SPACE = "default"
NAMES = ("x", "web", "web-0", "data-web-0", "other")
#: What means something somewhere.
_WORDS = (
    *NAMES,
    *(
        "default",
        "kubernetes",
        "local",
        "standard",
        "berth-node-1",
        "a",
        "app",
        "example.com/a",
        "nginx:1",
        "c",
        "data",
    ),
    *("10.0.0.1", "10.0.0.0/24", "fd00::1", "1Gi", "500m", "0", "-1", "1e3", "50%", "100%", "http", "https", "TCP"),
    *("UDP", "None", "Always", "Never", "OnFailure", "IfNotPresent", "In", "NotIn", "Exists", "DoesNotExist", "Gt"),
    *("NoExecute", "NoSchedule", "Delete", "Retain", "Recycle", "WaitForFirstConsumer", "Immediate", "ReadWriteOnce"),
    *("ReadWriteMany", "ReadWriteOncePod", "Filesystem", "Block", "RollingUpdate", "OnDelete", "Parallel"),
    *("OrderedReady", "ClusterIP", "NodePort", "LoadBalancer", "ExternalName", "ClientIP", "IPv4", "IPv6", "Local"),
    *("SingleStack", "PreferDualStack", "RequireDualStack", "Utilization", "AverageValue", "Value", "Resource", "Pods"),
    *("cpu", "memory", "storage", "pods", "requests.storage", "kubernetes.io/hostname", "topology.kubernetes.io/zone"),
    *("DoNotSchedule", "ScheduleAnyway", "Opaque", "kubernetes.io/tls", "dmFsdWU=", "2026-01-01T00:00:00Z"),
    *("2026-01-01T00:00:00.000000Z", "Pod", "StatefulSet", "PersistentVolumeClaim", "v1", "apps/v1", "metadata.name"),
    *("Pending", "Running", "Failed", "Succeeded", "Bound", "Available", "Released", "Active", "Terminating", "True"),
    *("False", "Unknown", "Ready", "foregroundDeletion", "orphan", "kubernetes.io/pvc-protection", "Terminating"),
    *("PriorityClass", "BestEffort", "IfHealthyBudget", "AlwaysAllow", "Min", "Max", "Percent", "$(POD_NAME)"),
)
_FORMATTED: dict[str, tuple[Any, ...]] = {
    "date-time": ("2026-01-01T00:00:00Z", "2026-11-21T14:00:05Z", "2026-01-01T00:00:00.000000Z"),
    "byte": ("dmFsdWU=", ""),
    schema.QUANTITY: ("1Gi", "500m", 1, "0", "1e3"),
    schema.INT_OR_STRING: (1, 0, 80, "50%", "http"),
}
#: Of metadata, what most objects may say about themselves.
_SAYABLE = ("labels", "annotations", "finalizers", "ownerReferences")
#: Text that few expect.
_ODD_TEXT = (
    *("", " ", ".", "..", "/", "a/b", "A", "-", "_", "%", "%s", "%2e", "\x00", "\n", "\u202e", "\u00e9", "e\u0301"),
    *("\U0001f600", "\ufeff", "\ud800", "\u0661", "x" * 64, "x" * 254, "y" * 70_000, "a.b.c.", "1.2.3", "::", "0x10"),
    *("+1", "1_0", "1e999", "NaN", "00:00", "9999-99-99T99:99:99Z", "0001-01-01T00:00:00Z", "{}", "[]", "null", "~"),
    *("'", '"', "\\", "$", "$patch", "*", "<script>", "10.0.0.01", "300.1.1.1", "1.1.1.1/33", "256Ei", "9" * 400),
)
#: What of it a URL can carry: no half of a character.
_SENDABLE = tuple(text for text in _ODD_TEXT if text.isprintable() or text.isascii())
_ODD_NUMBERS = (0, 1, -1, 80, 65536, 2**31 - 1, 2**31, -(2**31) - 1, 2**63 - 1, 2**63, 10**400, 0.5, -0.0, 1e300, 1e-9)
#: Keys that mean something to merges and to Python, if not to Kubernetes.
_ODD_KEYS = (
    *("$patch", "$retainKeys", "$setElementOrder/containers", "$deleteFromPrimitiveList/finalizers", "__class__"),
    *("name", "namespace", "key", "", "a b", "x/y/z", "unheard", "uid", "labels", "Spec", "metadata", "\ud800"),
)
_PATCHES = (APPLY_PATCH, JSON_PATCH, MERGE_PATCH, STRATEGIC_PATCH)
_OPTIONS = (
    *("dryRun", "fieldManager", "fieldValidation", "force", "pretty", "limit", "continue", "resourceVersion", "watch"),
    *("resourceVersionMatch", "labelSelector", "fieldSelector", "timeoutSeconds", "allowWatchBookmarks", "container"),
    *("sendInitialEvents", "gracePeriodSeconds", "propagationPolicy", "orphanDependents", "includeObject", "tailLines"),
    *("sinceSeconds", "sinceTime", "limitBytes", "previous", "timestamps", "command", "stdout", "unheard", "timeout"),
)
_OPTION_VALUES = (
    *("All", "true", "false", "0", "1", "-1", "Strict", "Warn", "Ignore", "Exact", "NotOlderThan", "99999999999999999"),
    *("a=b", "a in (b,c)", "!a", "a notin ()", "a,,b", "a>5", "metadata.name=x", "spec.nodeName!=", "a.b=c", "=,="),
    *("eyJ2IjoibWV0YS5rOHMuaW8vdjEiLCJydiI6MSwic3RhcnQiOiJ4In0", "Background", "Orphan", "Foreground", "None"),
    *("Object", "Metadata", "1000000000000000000000000", "1s", "\x00"),
)
_HEADERS = ("Accept", "Content-Type", "User-Agent", "Impersonate-User", "If-Match", "X-Unheard", "Accept-Encoding")
_HEADER_VALUES = (
    *("", "*/*", "application/json", "application/yaml", "text/html", "application/json;as=Table;g=meta.k8s.io;v=v1"),
    *("application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1", "application/json;as=;v", ";;;", "a/b;q=nine"),
    *("application/vnd.kubernetes.protobuf", "application/apply-patch+cbor", "application/json;as=Table;g=x;v=v9"),
    *("\xff\xfe", "x" * 5000, "kubectl/v1.36", "/", ",,,", "application/json;stream=watch", *_PATCHES),
)


def grown(node: Node | None, rng: Random, depth: int = 0) -> Any:
    """A value that is of a type, by the schema if not by the rules."""
    if node is None:
        return rng.choice(_WORDS)
    if node.format in _FORMATTED and rng.random() < 0.95:
        return rng.choice(_FORMATTED[node.format])
    if node.type == "array":
        return [grown(node.items, rng, depth + 1) for _ in range(rng.choice((1, 1, 2)))]
    if node.fields:
        wanted = 0.5 / (1 + depth)
        return {
            key: grown(child, rng, depth + 1)
            for key, child in node.fields.items()
            if key in node.required or (depth < 6 and rng.random() < wanted)
        }
    if node.type == "object":
        below = node.additional
        return {rng.choice(_WORDS): grown(below, rng, depth + 1) for _ in range(rng.choice((0, 1, 2)))}
    if node.type in ("integer", "number"):
        return rng.choice((0, 1, 2, 5, 80, 8080, 300))
    if node.type == "boolean":
        return rng.random() < 0.5
    return rng.choice((3, *_WORDS) if node.type == "" else node.enum or _WORDS)


def junk(rng: Random, depth: int = 0) -> Any:
    """Any JSON at all."""
    match rng.randrange(9 if depth < 4 else 6):
        case 0:
            return None
        case 1:
            return rng.random() < 0.5
        case 2:
            return rng.choice(_ODD_NUMBERS)
        case 3 | 4:
            return rng.choice(_ODD_TEXT)
        case 5:
            return rng.choice(_WORDS)
        case 6:
            return [junk(rng, depth + 1) for _ in range(rng.randrange(4))]
        case 7:
            return {rng.choice((*_ODD_KEYS, *_WORDS)): junk(rng, depth + 1) for _ in range(rng.randrange(4))}
    deep: Any = rng.choice(_WORDS)
    for _ in range(rng.choice((3, 60, 400))):
        deep = [deep] if rng.random() < 0.5 else {"a": deep}
    return deep


def _places(tree: Any, node: Node | None) -> list[tuple[Any, Any, Node | None]]:
    """Every place of a tree: what holds it, its key there, and its type as far as the schema knows one."""
    found: list[tuple[Any, Any, Node | None]] = []
    if isinstance(tree, dict):
        for key, value in tree.items():
            below = node.child(key) if node is not None and isinstance(key, str) else None
            found += [(tree, key, below), *_places(value, below)]
    elif isinstance(tree, list):
        below = node.items if node is not None else None
        for index, value in enumerate(tree):
            found += [(tree, index, below), *_places(value, below)]
    return found


def _spoil(tree: Json, node: Node, rng: Random) -> None:
    """Change one place."""
    places = _places(tree, node)
    if not places:
        return
    # Whatever is added deep inside would else hide what is near the root.
    holder, key, below = rng.choice(places if rng.random() < 0.6 else places[: 1 + len(places) // 4])
    match rng.randrange(13):
        case 0:
            del holder[key]
        case 1:
            holder[key] = None
        case 2 | 3:
            holder[key] = junk(rng)
        case 4:
            holder[key] = rng.choice(_ODD_TEXT)
        case 5:
            holder[key] = rng.choice(_WORDS)
        case 6:
            holder[key] = rng.choice(_ODD_NUMBERS)
        case 7:
            holder[key] = rng.choice(([], {}, [None], [{}], "", 0, False))
        case 8 | 9 | 10:
            holder[key] = grown(below, rng)
        case 11 if isinstance(holder, list):
            holder.insert(rng.randrange(len(holder) + 1), rng.choice((None, {}, clone(holder[key]), junk(rng))))
        case 11:
            holder[rng.choice(_ODD_KEYS)] = junk(rng)
        case 12 if isinstance(holder, dict):
            known = list(node.fields) if holder is tree else ["metadata", "spec", "status", "name", "namespace"]
            holder[rng.choice(known or ["a"])] = junk(rng)


def mutant(kind: Kind, rng: Random, live: Json | None = None) -> Json:
    """An object of a kind, or the one that is there, right but for some places."""
    body: Json = clone(live) if live is not None else base(kind)
    if live is None:
        body["metadata"]["name"] = rng.choice(NAMES)
    node = schema.of(kind)
    for key in ("spec", "status", "metadata"):
        if key in node.fields and rng.random() < 0.3:
            more = grown(node.fields[key], rng)
            if key == "metadata" and rng.random() < 0.9:
                more = {key: value for key, value in more.items() if key in _SAYABLE}
            body[key] = {**more, **body.get(key, {})}
    if rng.random() < 0.15:
        body["metadata"]["namespace"] = SPACE
    for _ in range(rng.choice((0, 1, 1, 1, 2, 3))):
        _spoil(body, node, rng)
    return body


def _patch(kind: Kind, patch_type: str, rng: Random, live: Json | None) -> Any:
    if patch_type == JSON_PATCH and rng.random() < 0.95:
        return [_operation(kind, rng) for _ in range(rng.choice((1, 1, 2, 3)))]
    if rng.random() < 0.05:
        return junk(rng)
    body = mutant(kind, rng, live if patch_type != APPLY_PATCH else None)
    if patch_type != APPLY_PATCH:
        keys = [key for key in body if rng.random() < 0.5]
        body = {key: body[key] for key in keys}
        for _ in range(rng.randrange(3)):
            places = [holder for holder, key, _ in _places(body, schema.of(kind)) if isinstance(holder, dict)]
            if places:
                holder = rng.choice(places)
                holder[rng.choice(_ODD_KEYS)] = rng.choice(("delete", "replace", "merge", [], [{}], None, {}, ["a"]))
    return body


def _operation(kind: Kind, rng: Random) -> Any:
    if rng.random() < 0.03:
        return junk(rng)
    places = _places(mutant(kind, rng), schema.of(kind))
    steps = [rng.choice(("metadata", "spec", "status"))]
    node = schema.of(kind).child(steps[0])
    for _ in range(rng.randrange(4)):
        if node is not None and node.fields:
            step = rng.choice(list(node.fields))
            node = node.fields[step]
        elif node is not None and node.type == "array":
            step, node = rng.choice(("0", "-", "1", "-1", "00", "99999999999999999999", "x")), node.items
        else:
            step, node = rng.choice(("a", "app", "~0", "~1", "~", "", "\ud800")), None
        steps.append(step)
    operation: Json = {"op": rng.choice(("add", "replace", "remove", "test", "copy", "move", "spoil"))}
    operation["path"] = rng.choice(("/" + "/".join(steps), "/" + "/".join(steps), "", "spec", "/", "//"))
    if rng.random() < 0.8:
        operation["value"] = rng.choice((junk(rng), grown(node, rng), None, places[0][0] if places else 1))
    if rng.random() < 0.3:
        operation["from"] = rng.choice(("/metadata", "/spec", "/metadata/labels", "", "x", None, 5))
    return operation


def _query(rng: Random) -> dict[str, list[str]]:
    if rng.random() < 0.5:
        return {}
    values = (*_OPTION_VALUES, *_SENDABLE)
    return {
        rng.choice(_OPTIONS): [rng.choice(values) for _ in range(rng.choice((1, 1, 2)))]
        for _ in range(rng.randrange(4))
    }


def _path(kind: Kind, name: str, subresource: str = "") -> str:
    root = f"/apis/{kind.api_version}" if kind.group else f"/api/{kind.version}"
    space = f"/namespaces/{SPACE}" if kind.namespaced else ""
    return "/".join(filter(None, (f"{root}{space}/{kind.plural}", name, subresource)))


def _odd_path(rng: Random) -> str:
    kind = rng.choice(KINDS)
    steps = _path(kind, rng.choice(NAMES), rng.choice(("", "status", "scale", "log"))).split("/")
    for _ in range(rng.choice((1, 1, 2))):
        at = rng.randrange(1, len(steps) + 1)
        match rng.randrange(4):
            case 0:
                steps.insert(at, rng.choice((*_SENDABLE, "watch", "namespaces", "proxy")))
            case 1:
                steps[at - 1 :] = steps[at:]
            case 2:
                steps[at - 1] = rng.choice(_SENDABLE)
            case 3:
                steps = steps[:at]
    return rng.choice(
        ("/".join(steps), "/".join(steps), "/openapi/v3/" + "/".join(steps), "/healthz/" + "".join(steps[-1:]))
    )


def request(rng: Random, store: Store) -> Request:
    """Any request to a server with these objects."""
    kind = rng.choice((*KINDS, PODS, CLAIMS, VOLUMES, STATEFUL_SETS))
    there = store.list(kind, SPACE if kind.namespaced else None)
    live = rng.choice(there) if there and rng.random() < 0.8 else None
    name = str(live["metadata"]["name"]) if live is not None else rng.choice(NAMES)
    query = _query(rng)
    headers = {"User-Agent": "mutants/1"}
    body: Any = None
    verb = rng.choice(
        ("create", "create", "create", "update", "update", "patch", "patch", "patch", "delete", "get", "list", "odd")
    )
    part = rng.choice(sorted(kind.subresources)) if kind.subresources and rng.random() < 0.3 else ""
    match verb:
        case "create":
            method, path, body = "POST", _path(kind, ""), mutant(kind, rng)
            if part in ("eviction", "binding", "exec"):
                path, body = (
                    _path(kind, name, part),
                    rng.choice((junk(rng), {"target": junk(rng)}, _eviction(name, rng))),
                )
        case "update":
            method, path, body = "PUT", _path(kind, name, part), mutant(kind, rng, live)
            body = (
                {**body, "metadata": {**meta, "name": name}} if isinstance(meta := body.get("metadata"), dict) else body
            )
            if part == "scale":
                body = rng.choice(
                    (junk(rng), {"metadata": {"name": name}, "spec": rng.choice((junk(rng), {"replicas": junk(rng)}))})
                )
        case "patch":
            method, path = "PATCH", _path(kind, name, part)
            headers["Content-Type"] = rng.choice(_PATCHES)
            body = _patch(kind, headers["Content-Type"], rng, live)
            if headers["Content-Type"] == APPLY_PATCH:
                query.setdefault("fieldManager", [rng.choice(("one", "two"))])
                if isinstance(body, dict) and isinstance(body.get("metadata"), dict) and rng.random() < 0.9:
                    body = {**body, "metadata": {**body["metadata"], "name": name}}
        case "delete":
            method, path = (
                "DELETE",
                _path(kind, name if kind in (NAMESPACES, NODES) else rng.choice((name, name, name, name, ""))),
            )
            if kind in (NAMESPACES, NODES) and name not in NAMES:
                path = _path(kind, "x")
            if rng.random() < 0.3:
                body = rng.choice((junk(rng), {"gracePeriodSeconds": junk(rng)}, {"preconditions": junk(rng)}))
        case "get":
            method, path = "GET", _path(kind, name, part)
        case "list":
            method, path = "GET", _path(kind, "")
        case _:
            method, path = (
                rng.choice(("GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS", "BREW")),
                _odd_path(rng),
            )
            body = junk(rng)
    if rng.random() < 0.1:
        headers[rng.choice(_HEADERS)] = rng.choice(_HEADER_VALUES)
    if rng.random() < 0.4:
        query.setdefault("fieldValidation", [rng.choice(("Strict", "Ignore"))])
    data = b"" if body is None else json.dumps(body).encode()
    if body is not None and method in ("POST", "PUT") and rng.random() < 0.1:
        # JSON is YAML, too.
        headers["Content-Type"] = "application/yaml"
    if rng.random() < 0.02:
        data = _damaged(data, rng)
    return Request(method, path, query, _Headers(headers), data)


def _eviction(name: str, rng: Random) -> Json:
    return {"apiVersion": "policy/v1", "kind": "Eviction", "metadata": {"name": name}, "deleteOptions": junk(rng)}


def _damaged(data: bytes, rng: Random) -> bytes:
    spoiled = bytearray(data or b"{}")
    for _ in range(rng.choice((1, 2, 8))):
        spoiled[rng.randrange(len(spoiled))] = rng.randrange(256)
    return bytes(spoiled[: rng.randrange(1, len(spoiled) + 1)])


class _Headers(dict[str, str]):
    """Headers, whatever their case."""

    def __init__(self, found: dict[str, str]) -> None:
        super().__init__({key.lower(): value for key, value in found.items()})

    def get(self, key: str, default: Any = None) -> Any:
        return super().get(key.lower(), default)


def shown(request: Request) -> str:
    """A request as a person can send it again."""
    query = "&".join(
        f"{quote(key)}={quote(value, errors='replace')}" for key, values in request.query.items() for value in values
    )
    return f"{request.method} {request.path!r}?{query} {dict(request.headers)} {request.body[:3000]!r}"
