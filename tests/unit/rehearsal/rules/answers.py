"""What a real API server said to the cases of this folder, and the same from the rules of the rehearsal.

``data/rules.json`` is written by ``python -m tests.contract.rehearsal.record`` and compared with the live server by the
contract tests.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any

from berth.core.objects import Json
from berth.rehearsal import defaults, refusal, validation
from berth.rehearsal.kinds import Kind
from berth.rehearsal.refusal import FieldError

RECORD = Path(__file__).resolve().parents[1] / "data" / "rules.json"
#: What each object has of its own, and what the kind of a test says nothing of.
_OWN = ("uid", "creationTimestamp", "resourceVersion", "managedFields", "generation", "selfLink", "namespace")
#: When everything happened.
THEN = "2026-01-02T03:04:05Z"


@cache
def recorded() -> Json:
    """The whole record."""
    found: Json = json.loads(RECORD.read_text("utf-8"))
    return found


def granted(code: int) -> Json:
    """An answer that is none of interest: it was done."""
    return {"code": code}


def refused(kind: Kind, name: str, errors: Sequence[FieldError]) -> Json:
    """The answer to something with errors in its fields."""
    return of_status(refusal.invalid(kind, name, errors).to_status())


def of_status(status: Json) -> Json:
    """What of a Status is compared."""
    answer: Json = {key: status[key] for key in ("code", "reason", "message") if key in status}
    causes = (status.get("details") or {}).get("causes")
    if causes:
        answer["causes"] = [
            [cause.get("reason", ""), cause.get("field", ""), cause.get("message", "")] for cause in causes
        ]
    return answer


def packed(kind: Kind, name: str, answer: Json) -> Json | int:
    """An answer in few words: what follows from the causes is left out."""
    if set(answer) == {"code"}:
        code: int = answer["code"]
        return code
    errors = [FieldError(*cause) for cause in answer.get("causes", ())]
    if errors and refused(kind, name, errors) == answer:
        return {"causes": answer["causes"]}
    return answer


def unpacked(kind: Kind, name: str, answer: Json | int) -> Json:
    """The whole answer again."""
    if isinstance(answer, int):
        return granted(answer)
    if set(answer) == {"causes"}:
        return refused(kind, name, [FieldError(*cause) for cause in answer["causes"]])
    return answer


def created(kind: Kind, body: Json, namespace: str) -> Json:
    """What the rules say of a new object."""
    if broken := validation.decode_errors(kind, body):
        return of_status(refusal.bad_request(broken[0]).to_status())
    meta = {**body["metadata"], "creationTimestamp": THEN}
    if kind.namespaced:
        meta.setdefault("namespace", namespace)
    errors = validation.check_create(kind, defaults.apply_defaults(kind, {**body, "metadata": meta}))
    return refused(kind, meta.get("name", ""), errors) if errors else granted(201)


def updated(kind: Kind, new: Json, old: Json, subresource: str) -> Json:
    """What the rules say of a change, when everything that is not the client's is as the server keeps it."""
    new = defaults.apply_defaults(kind, new)
    meta, before = new["metadata"], old["metadata"]
    for key in ("uid", "creationTimestamp", "generation"):
        meta.pop(key, None)
    new["metadata"] = meta | {key: before[key] for key in ("uid", "creationTimestamp", "generation") if key in before}
    if subresource == "status":
        new = {**old, "metadata": new["metadata"], "status": new.get("status")}
    elif "status" in old:
        new["status"] = old["status"]
    errors = validation.check_update(kind, new, old, subresource)
    return refused(kind, before["name"], errors) if errors else granted(200)


def plain(body: Json, namespace: str) -> Json:
    """An object without what is its own and of its time, its namespace called as in the cases."""
    found: Json = json.loads(json.dumps(body).replace(f'"{namespace}"', '"rules"'))
    found["metadata"] = {key: value for key, value in found["metadata"].items() if key not in _OWN}
    _timeless(found.get("status"))
    return found


def settled(body: Json) -> Json:
    """An object with one identity, version and time in the place of the real ones, for the record to stay the same."""
    found: Json = json.loads(re.sub(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", THEN, json.dumps(body)))
    found["metadata"].pop("managedFields", None)
    for owner in (found["metadata"], (found.get("spec") or {}).get("claimRef") or {}):
        owner |= {key: value for key, value in (("uid", "u"), ("resourceVersion", "1")) if key in owner}
    return found


def _timeless(tree: Any) -> None:
    if isinstance(tree, dict):
        for key, value in tree.items():
            if key.endswith(("Time", "Timestamp")) and isinstance(value, str):
                tree[key] = THEN
            _timeless(value)
    elif isinstance(tree, list):
        for value in tree:
            _timeless(value)


def unadmitted(kind: Kind, body: Json, sent: Json) -> Json:
    """The object without what admission plug-ins and allocators of addresses add to the one that was sent."""
    spec = dict(body.get("spec") or {})
    added = {
        "Pod": ("serviceAccount", "serviceAccountName", "tolerations", "priority", "preemptionPolicy"),
        "PersistentVolumeClaim": ("storageClassName",),
        "Service": ("clusterIP", "clusterIPs", "ipFamilies", "ipFamilyPolicy"),
        "Node": ("taints",),
    }
    for key in added.get(kind.kind, ()):
        spec.pop(key, None)
    if kind.kind == "Service" and "ports" in spec:
        spec["ports"] = [{key: value for key, value in port.items() if key != "nodePort"} for port in spec["ports"]]
    new = {**body, "metadata": dict(body["metadata"])}
    if "finalizers" not in sent["metadata"] or not sent["metadata"]["finalizers"]:
        new["metadata"].pop("finalizers", None)
    return {**new, "spec": spec} if "spec" in body else new
