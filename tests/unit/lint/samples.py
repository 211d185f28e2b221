"""A release in which no rule finds anything, and the means to spoil one thing in it."""

from __future__ import annotations

import json
from collections.abc import Callable
from copy import deepcopy
from dataclasses import replace
from typing import Any

import yaml

from berth.core.errors import Position
from berth.core.lint import Facts, Finding, look
from berth.core.objects import Json, Manifest

CLEAN = """
apiVersion: apps/v1
kind: StatefulSet
metadata: {name: web, namespace: shop, labels: &all {app.kubernetes.io/name: engine, app.kubernetes.io/instance: web, app.kubernetes.io/component: server, app.kubernetes.io/managed-by: berth, app.kubernetes.io/version: "1.2"}}
spec:
  serviceName: engine
  replicas: 3
  podManagementPolicy: OrderedReady
  updateStrategy: {type: RollingUpdate, rollingUpdate: {partition: 0}}
  persistentVolumeClaimRetentionPolicy: {whenDeleted: Retain, whenScaled: Retain}
  selector:
    matchLabels: &selector {app.kubernetes.io/name: engine, app.kubernetes.io/instance: web, app.kubernetes.io/component: server}
  template:
    metadata: {labels: *all}
    spec:
      serviceAccountName: web
      automountServiceAccountToken: false
      enableServiceLinks: false
      terminationGracePeriodSeconds: 60
      securityContext: {runAsNonRoot: true, runAsUser: 10001, fsGroup: 10001, fsGroupChangePolicy: OnRootMismatch, seccompProfile: {type: RuntimeDefault}}
      topologySpreadConstraints:
        - {topologyKey: kubernetes.io/hostname, maxSkew: 1, whenUnsatisfiable: ScheduleAnyway, labelSelector: {matchLabels: *selector}}
      initContainers:
        - name: prepare
          image: registry.example:5000/team/engine:1.2
          command: [sh, -c, "true"]
          securityContext: &context {allowPrivilegeEscalation: false, readOnlyRootFilesystem: true, capabilities: {drop: [ALL]}}
          resources: &resources {requests: {cpu: 100m, memory: 128Mi}, limits: {memory: 256Mi}}
          volumeMounts: [{name: data, mountPath: /data}]
      containers:
        - name: engine
          image: registry.example:5000/team/engine:1.2
          ports: [{name: engine, containerPort: 7000}]
          env:
            - {name: MODE, value: production}
            - {name: PASSWORD, valueFrom: {secretKeyRef: {name: web-auth, key: password}}}
          securityContext: *context
          resources: *resources
          readinessProbe: {tcpSocket: {port: engine}, periodSeconds: 10, failureThreshold: 3, timeoutSeconds: 5}
          livenessProbe: {tcpSocket: {port: 7000}, periodSeconds: 20, failureThreshold: 6, timeoutSeconds: 5}
          lifecycle: {preStop: {exec: {command: [sleep, "5"]}}}
          volumeMounts:
            - {name: data, mountPath: /data}
            - {name: config, mountPath: /etc/engine/engine.conf, subPath: engine.conf}
            - {name: tmp, mountPath: /tmp}
      volumes:
        - {name: config, configMap: {name: web-config}}
        - {name: tmp, emptyDir: {}}
  volumeClaimTemplates:
    - metadata: {name: data}
      spec: {accessModes: [ReadWriteOnce], resources: {requests: {storage: 1Gi}}}
---
apiVersion: v1
kind: Service
metadata: {name: engine, namespace: shop, labels: &all {app.kubernetes.io/name: engine, app.kubernetes.io/instance: web, app.kubernetes.io/managed-by: berth}}
spec:
  clusterIP: None
  selector: &selector {app.kubernetes.io/name: engine, app.kubernetes.io/instance: web, app.kubernetes.io/component: server}
  ports: [{name: engine, port: 7000, targetPort: engine}]
---
apiVersion: v1
kind: Service
metadata: {name: engine-client, namespace: shop, labels: &all {app.kubernetes.io/name: engine, app.kubernetes.io/instance: web, app.kubernetes.io/managed-by: berth}}
spec:
  selector: &selector {app.kubernetes.io/name: engine, app.kubernetes.io/instance: web, app.kubernetes.io/component: server}
  ports: [{name: engine, port: 80, targetPort: 7000}]
---
apiVersion: policy/v1
kind: PodDisruptionBudget
metadata: {name: web, namespace: shop, labels: &all {app.kubernetes.io/name: engine, app.kubernetes.io/instance: web, app.kubernetes.io/managed-by: berth}}
spec:
  maxUnavailable: 1
  selector: {matchLabels: &selector {app.kubernetes.io/name: engine, app.kubernetes.io/instance: web, app.kubernetes.io/component: server}}
---
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {name: web, namespace: shop, labels: &all {app.kubernetes.io/name: engine, app.kubernetes.io/instance: web, app.kubernetes.io/managed-by: berth}}
spec:
  podSelector: {matchLabels: &selector {app.kubernetes.io/name: engine, app.kubernetes.io/instance: web, app.kubernetes.io/component: server}}
  policyTypes: [Ingress, Egress]
  ingress: [{from: [{podSelector: {}}], ports: [{port: engine}]}]
  egress: [{ports: [{port: 53, protocol: UDP}, {port: 53, protocol: TCP}]}]
---
apiVersion: v1
kind: ServiceAccount
metadata: {name: web, namespace: shop, labels: &all {app.kubernetes.io/name: engine, app.kubernetes.io/instance: web, app.kubernetes.io/managed-by: berth}}
---
apiVersion: v1
kind: ConfigMap
metadata: {name: web-config, namespace: shop, labels: &all {app.kubernetes.io/name: engine, app.kubernetes.io/instance: web, app.kubernetes.io/managed-by: berth}}
data: {engine.conf: "listen 7000"}
---
apiVersion: v1
kind: Secret
metadata: {name: web-auth, namespace: shop, labels: &all {app.kubernetes.io/name: engine, app.kubernetes.io/instance: web, app.kubernetes.io/managed-by: berth}}
data: {}
"""  # noqa: E501

FACTS = Facts(release="web", namespace="shop", profile="engine")

Change = Callable[[list[Json]], None]
Step = str | int


def clean() -> list[Json]:
    """The bodies, no two of which share a part."""
    return [deepcopy(body) for body in _BODIES]


# Through JSON, which knows no aliases, so that a change at one place stays there.
_BODIES: list[Json] = json.loads(json.dumps(list(yaml.safe_load_all(CLEAN))))


def manifests(*changes: Change) -> tuple[Manifest, ...]:
    """The clean release, with changes made to it."""
    bodies = clean()
    for change in changes:
        change(bodies)
    made = [Manifest(body, Position(f"templates/engine/{index}.yaml", 1)) for index, body in enumerate(bodies)]
    # The renderer leaves generated keys out of a Secret and lists them here.
    return tuple(
        replace(manifest, generated={"password": 32}) if manifest.body["metadata"]["name"] == "web-auth" else manifest
        for manifest in made
    )


def found(*changes: Change, facts: Facts = FACTS) -> tuple[Finding, ...]:
    """What all rules find in the clean release, with changes made to it."""
    return look(manifests(*changes), facts)


def one(bodies: list[Json], kind: str) -> Json:
    """The object of a kind or of Kind/name."""
    kind, _, name = kind.partition("/")
    return next(body for body in bodies if body["kind"] == kind and name in ("", body["metadata"]["name"]))


def put(kind: str, path: str, value: Any) -> Change:
    """Set a field, making the mappings on the way. Steps are separated by a blank; numbers are indexes."""

    def change(bodies: list[Json]) -> None:
        *parents, last = steps(path)
        body: Any = one(bodies, kind)
        for step in parents:
            body = body[step] if isinstance(step, int) else body.setdefault(step, {})
        body[last] = deepcopy(value)

    return change


def drop(kind: str, path: str) -> Change:
    """Remove a field."""

    def change(bodies: list[Json]) -> None:
        *parents, last = steps(path)
        body: Any = one(bodies, kind)
        for step in parents:
            body = body[step]
        del body[last]

    return change


def push(kind: str, path: str, value: Any) -> Change:
    """Append to a list, making it where it is missing."""

    def change(bodies: list[Json]) -> None:
        *parents, last = steps(path)
        body: Any = one(bodies, kind)
        for step in parents:
            body = body[step] if isinstance(step, int) else body.setdefault(step, {})
        body.setdefault(last, []).append(deepcopy(value))

    return change


def add(text: str) -> Change:
    """Add an object, given as YAML, with the labels that all have unless it brings its own."""

    def change(bodies: list[Json]) -> None:
        body = yaml.safe_load(text)
        body["metadata"].setdefault("labels", deepcopy(one(bodies, "ServiceAccount")["metadata"]["labels"]))
        bodies.append(body)

    return change


def remove(kind: str) -> Change:
    """Remove an object."""
    return lambda bodies: bodies.remove(one(bodies, kind))


def steps(path: str) -> list[Step]:
    """The steps of a written path."""
    return [int(step) if step.isdecimal() else step for step in path.split()]


#: Where things are in the StatefulSet.
POD = "spec template spec"
MAIN = f"{POD} containers 0"
INIT = f"{POD} initContainers 0"
CLAIM = "spec volumeClaimTemplates 0"
SET = "StatefulSet"
