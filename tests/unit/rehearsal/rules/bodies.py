"""Bodies that the server cannot read as objects of the kind, or only by looking away; as text."""

from __future__ import annotations

import json
from typing import Any

from berth.rehearsal import kinds
from berth.rehearsal.kinds import Kind
from tests.unit.rehearsal.rules.objects import base, edited
from tests.unit.rehearsal.rules.refusals import key_of
from tests.unit.rehearsal.rules.refused_sets import Edits

#: Objects of another kind, or none at all.
_KINDS: dict[Kind, list[Edits]] = {
    kinds.STATEFUL_SETS: [
        {"kind": "Deployment"},
        {"apiVersion": "v1", "kind": "Pod"},
        {"apiVersion": "apps/v9"},
        {"kind": "Odd"},
        {"apiVersion": "odd.example.com/v1", "kind": "Odd"},
        {"apiVersion": "v1"},
        {"apiVersion": "apps/v1beta2"},
        {"apiVersion": "apps/v1", "kind": "Pod"},
        {"apiVersion": 3},
        {"kind": []},
    ],
    kinds.CLASSES: [{"apiVersion": "apps/v1", "kind": "StatefulSet"}, {"apiVersion": "a/b/c"}],
    kinds.AUTOSCALERS: [{"apiVersion": "autoscaling/v1"}],
}

_C = "spec/template/spec/containers/0"

#: Values of the wrong type.
_TYPES: dict[Kind, list[Edits]] = {
    kinds.STATEFUL_SETS: [
        {"spec/replicas": "3"},
        {"spec/replicas": 1.5},
        {"spec/replicas": True},
        {"spec/replicas": 2**31},
        {"spec/replicas": -(2**31) - 1},
        {"spec/serviceName": 5},
        {"spec/podManagementPolicy": 5},
        {"spec/updateStrategy": "RollingUpdate"},
        {"spec/selector": []},
        {"spec/selector": {"matchLabels": {"a": 1}}},
        {"spec/template": "x"},
        {f"{_C}/ports": {"containerPort": 80}},
        {f"{_C}/ports": [{"containerPort": "80"}]},
        {f"{_C}/ports": [80]},
        {f"{_C}/command": "run"},
        {f"{_C}/command": [1]},
        {f"{_C}/resources": {"limits": {"cpu": "much"}}},
        {f"{_C}/resources": {"limits": {"cpu": True}}},
        {f"{_C}/resources": {"limits": []}},
        {f"{_C}/resources": {"limits": {"cpu": "much"}}, "spec/replicas": "3"},
        {f"{_C}/livenessProbe": {"httpGet": {"port": True}}},
        {f"{_C}/livenessProbe": {"httpGet": {"port": 1.5}}},
        {f"{_C}/livenessProbe": {"httpGet": {"port": 99999999999}}},
        {f"{_C}/env": [{"name": "A", "value": 5}]},
        {f"{_C}/env": {"A": "b"}},
        {f"{_C}/imagePullPolicy": []},
        {f"{_C}/securityContext": {"runAsUser": "root"}},
        {f"{_C}/securityContext": {"capabilities": {"drop": "ALL"}}},
        {f"{_C}/securityContext": {"capabilities": {"drop": [1]}}},
        {"spec/template/spec/terminationGracePeriodSeconds": 1.5},
        {"spec/template/spec/terminationGracePeriodSeconds": "30s"},
        {"spec/template/spec/hostNetwork": "yes"},
        {"spec/template/spec/nodeSelector": ["a"]},
        {"spec/template/spec/volumes": [{"name": "a", "emptyDir": "x"}]},
        {"spec/template/spec/tolerations": [{"tolerationSeconds": "5"}]},
        {"spec/volumeClaimTemplates": {"metadata": {}}},
        {"spec/volumeClaimTemplates": [{"spec": {"accessModes": "ReadWriteOnce"}}]},
        {"spec/ordinals": 5},
        {"metadata/labels": {"a": 5}},
        {"metadata/labels": "a"},
        {"metadata/annotations": {"a": True}},
        {"metadata/finalizers": "a"},
        {"metadata/ownerReferences": [{"controller": "yes"}]},
        {"metadata/creationTimestamp": "yesterday"},
        {"metadata/creationTimestamp": "2026-01-02"},
        {"metadata/creationTimestamp": "2026-01-02T03:04:05"},
        {"metadata/creationTimestamp": 5},
        {"metadata/name": 5},
        {"metadata/generation": "1"},
        {"metadata": []},
        {"spec": "x"},
        {"status": []},
    ],
    kinds.CLAIMS: [
        {"spec/resources/requests/storage": "1GB"},
        {"spec/resources/requests/storage": ""},
        {"spec/resources/requests/storage": "1.2.3"},
        {"spec/resources/requests/storage": []},
        {"spec/accessModes": "ReadWriteOnce"},
        {"spec/storageClassName": 5},
    ],
    kinds.SECRETS: [
        {"data": {"a": "!!"}},
        {"data": {"a": "YQ"}},
        {"data": {"a": "YQ="}},
        {"data": {"a": "YWFhYQ=x"}},
        {"data": {"a": "YWFhYQ==x"}},
        {"data": {"a": "YWFh\nYQ=="}},
        {"data": {"a": "YWFhY Q=="}},
        {"data": {"a": 5}},
        {"data": []},
        {"stringData": {"a": 5}},
        {"immutable": "yes"},
        {"type": []},
    ],
    kinds.CONFIG_MAPS: [{"data": {"a": 5}}, {"data": {"a": {"b": "c"}}}, {"binaryData": {"a": "!"}}],
    kinds.SERVICES: [
        {"spec/ports": [{"port": 80, "targetPort": True}]},
        {"spec/ports": [{"port": "http"}]},
        {"spec/clusterIPs": "None"},
        {"spec/selector": "app"},
    ],
    kinds.LEASES: [
        {"spec/renewTime": "2026-01-02T03:04:05Z"},
        {"spec/renewTime": "now"},
        {"spec/leaseDurationSeconds": "5"},
    ],
    kinds.BUDGETS: [{"spec/minAvailable": True}, {"spec/minAvailable": [1]}],
    kinds.REVISIONS: [{"revision": "1"}],
    kinds.EVENTS: [{"count": "many"}, {"involvedObject": "x"}],
}

#: Fields that there are not.
_UNKNOWN: dict[Kind, list[Edits]] = {
    kinds.STATEFUL_SETS: [
        {"spec/replica": 3},
        {"spec/replica": 3, "metadata/label": {}, "extra": 1},
        {f"{_C}/imagePolicy": "x", f"{_C}/ports": [{"containerPort": 1, "port": 2}]},
        {"spec/Replicas": 3},
        {"spec/selector/matchLabel": {}},
        {"spec/template/spec/containers/1": {"name": "d", "image": "i", "env": [{"nam": "a", "name": "A"}]}},
        {"status": {"odd": 1}},
    ],
    kinds.CONFIG_MAPS: [{"dat": {}}, {"data": {"any-key": "is data"}}],
    kinds.REVISIONS: [{"data": {"any": {"thing": 1}}}],
    kinds.PODS: [{"spec/volumes": [{"name": "a", "emptydir": {}}]}, {"spec/affinity": {"node": {}}}],
}

_SET = json.dumps(base(kinds.STATEFUL_SETS))
_CONFIG = json.dumps(base(kinds.CONFIG_MAPS))

#: Fields that come twice, which only the text of a body can show.
_TWICE: dict[str, tuple[Kind, str]] = {
    "a field twice": (kinds.STATEFUL_SETS, _SET.replace('"spec": {', '"spec": {"replicas": 1, "replicas": 2, ', 1)),
    "a field three times": (
        kinds.STATEFUL_SETS,
        _SET.replace('"spec": {', '"spec": {"replicas": 1, "replicas": 2, "replicas": 3, ', 1),
    ),
    "a field of a list's item twice": (
        kinds.STATEFUL_SETS,
        _SET.replace('"name": "c"', '"name": "c", "name": "d", "odd": 1'),
    ),
    "a key of a map twice": (kinds.CONFIG_MAPS, _CONFIG.replace('"data": {', '"data": {"key": "other", ')),
    "a label twice": (
        kinds.CONFIG_MAPS,
        _CONFIG.replace('"metadata": {', '"metadata": {"labels": {"a": "b", "a": "c"}, '),
    ),
    "the spec twice, and something odd": (
        kinds.STATEFUL_SETS,
        _SET.replace('"spec": {', '"odd": 1, "spec": {"more": 1}, "spec": {', 1),
    ),
}


def _bodies(table: dict[Kind, list[Edits]]) -> dict[str, tuple[Kind, str]]:
    found: dict[str, tuple[Kind, Any]] = {}
    for kind, several in table.items():
        for edits in several:
            found[key_of(kind, edits)] = (kind, json.dumps(edited(base(kind), edits)))
    return found


#: Every case by its name: the kind and the text. The strict ones are sent twice: to be refused, and to be warned of.
WRONG_TYPES: dict[str, tuple[Kind, str]] = {
    **_bodies(_KINDS),
    **_bodies(_TYPES),
    "a list": (kinds.SECRETS, "[]"),
    "a number": (kinds.SECRETS, "5"),
    "a text": (kinds.SECRETS, '"x"'),
}
STRICT: dict[str, tuple[Kind, str]] = {**_bodies(_UNKNOWN), **_TWICE}
