"""Compares the rehearsal's schemas with those of a real control plane, and writes them anew with ``--write``.

The schemas are what ``/openapi/v3`` publishes for the kinds below and all that they refer to, without the descriptions.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from berth import controlplane
from berth.controlplane.api import Client

DATA = Path(__file__).resolve().parents[2] / "berth" / "rehearsal" / "data" / "kubernetes.json"
PLANE = "tests"

#: The kinds by the path of their version's document: those that a rehearsal serves, and those that its neighbours read.
KINDS = {
    "api/v1": (
        "Binding ConfigMap Endpoints Event Eviction LimitRange Namespace Node PersistentVolume PersistentVolumeClaim "
        "Pod PodTemplate ResourceQuota Secret Service ServiceAccount"
    ),
    "apis/apps/v1": "ControllerRevision Deployment ReplicaSet StatefulSet Scale",
    "apis/authentication.k8s.io/v1": "SelfSubjectReview TokenReview",
    "apis/authorization.k8s.io/v1": "SelfSubjectAccessReview SelfSubjectRulesReview SubjectAccessReview",
    "apis/autoscaling/v2": "HorizontalPodAutoscaler",
    "apis/batch/v1": "CronJob Job",
    "apis/coordination.k8s.io/v1": "Lease",
    "apis/discovery.k8s.io/v1": "EndpointSlice",
    "apis/events.k8s.io/v1": "Event",
    "apis/networking.k8s.io/v1": "NetworkPolicy",
    "apis/policy/v1": "PodDisruptionBudget",
    "apis/rbac.authorization.k8s.io/v1": "ClusterRole ClusterRoleBinding Role RoleBinding",
    "apis/scheduling.k8s.io/v1": "PriorityClass",
    "apis/storage.k8s.io/v1": "CSINode StorageClass VolumeAttachment",
}
#: Published in every document; of use to those who answer requests.
ALWAYS = ("io.k8s.apimachinery.pkg.apis.meta.v1.DeleteOptions", "io.k8s.apimachinery.pkg.apis.meta.v1.Status")
_IDENTITY = "x-kubernetes-group-version-kind"


def collected(client: Client) -> dict[str, Any]:
    """The document to be kept."""
    chosen: dict[str, Any] = {}
    for path, kinds in KINDS.items():
        published = client.get(f"/openapi/v3/{path}")["components"]["schemas"]
        wanted = [name for name, raw in published.items() if _is_one_of(raw, kinds.split())]
        for name in (*wanted, *ALWAYS):
            _add(name, published, chosen)
    for name in ALWAYS:
        chosen[name][_IDENTITY] = [
            one for one in chosen[name][_IDENTITY] if (one["group"], one["version"]) == ("", "v1")
        ]
    return {"version": client.get("/version")["gitVersion"], "schemas": dict(sorted(chosen.items()))}


def _is_one_of(raw: dict[str, Any], kinds: list[str]) -> bool:
    identities = raw.get(_IDENTITY, ())
    return len(identities) == 1 and identities[0]["kind"] in kinds


def _add(name: str, published: dict[str, Any], chosen: dict[str, Any]) -> None:
    if name in chosen:
        return
    chosen[name] = _bare(published[name])
    for reference in _references(chosen[name]):
        _add(reference, published, chosen)


def _bare(tree: Any) -> Any:
    """The schema without descriptions; a field that is named description has a schema, not a text."""
    if isinstance(tree, dict):
        return {
            key: _bare(value) for key, value in tree.items() if not (key == "description" and isinstance(value, str))
        }
    return [_bare(value) for value in tree] if isinstance(tree, list) else tree


def _references(tree: Any) -> Iterator[str]:
    if isinstance(tree, dict):
        for key, value in tree.items():
            if key == "$ref":
                yield value.rpartition("/")[2]
            else:
                yield from _references(value)
    elif isinstance(tree, list):
        for value in tree:
            yield from _references(value)


def main() -> None:
    """Compare, or write with ``--write``; ``--plane NAME`` takes another control plane than that of the tests."""
    plane = sys.argv[sys.argv.index("--plane") + 1] if "--plane" in sys.argv else PLANE
    status = controlplane.start(plane, report=print)
    client = Client.of(status.server, status.state_dir / "pki", "admin")
    text = json.dumps(collected(client), separators=(",", ":"), sort_keys=True) + "\n"
    if "--write" in sys.argv:
        DATA.parent.mkdir(exist_ok=True)
        DATA.write_text(text, encoding="utf-8")
        print(f"{DATA.name}: {len(text)} bytes")
    elif json.loads(text) != json.loads(DATA.read_text(encoding="utf-8")):
        sys.exit(
            f"{DATA} is not what this control plane publishes; write it anew with --write, and read the difference"
        )


if __name__ == "__main__":
    main()
