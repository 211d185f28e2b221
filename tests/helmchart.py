"""A chart as others write them, for tests of profiles that take their objects from one."""

from __future__ import annotations

from pathlib import Path

CHART = "apiVersion: v2\nname: thing\nversion: 1.2.3\nappVersion: '1.29'\n"

VALUES = """\
# How many servers there are
replicaCount: 2
image: {repository: nginx, tag: ""}
greeting: hello
auth:
  # -- What clients log in with
  password: ""
podAnnotations: {}
nodeSelector: {kubernetes.io/os: linux}
resources: {}
"""

HELPERS = """\
{{- define "thing.name" -}}
{{ eq .Release.Name .Chart.Name | ternary .Chart.Name (printf "%s-%s" .Release.Name .Chart.Name) }}
{{- end }}
{{- define "thing.selector" -}}
app.kubernetes.io/name: {{ .Chart.Name }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}
{{- define "thing.labels" -}}
{{ include "thing.selector" . }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
{{- end }}
"""

OBJECTS = """\
apiVersion: v1
kind: Service
metadata:
  name: {{ include "thing.name" . }}
  labels: {{- include "thing.labels" . | nindent 4 }}
  annotations:
spec:
  clusterIP: None
  ports: [{name: http, port: 8080}]
  selector: {{- include "thing.selector" . | nindent 4 }}
---
apiVersion: v1
kind: ConfigMap
metadata: {name: {{ include "thing.name" . }}}
data: {greeting: {{ .Values.greeting | quote }}}
---
apiVersion: v1
kind: Secret
metadata: {name: {{ include "thing.name" . }}}
data: {password: {{ required "auth.password is required" .Values.auth.password | b64enc }}}
"""

SET = """\
apiVersion: apps/v1
kind: StatefulSet
metadata:
  name: {{ include "thing.name" . }}
  labels: {{- include "thing.labels" . | nindent 4 }}
spec:
  serviceName: {{ include "thing.name" . }}
  replicas: {{ .Values.replicaCount }}
  selector:
    matchLabels: {{- include "thing.selector" . | nindent 6 }}
  template:
    metadata:
      labels: {{- include "thing.labels" . | nindent 8 }}
      annotations: {{- toYaml .Values.podAnnotations | nindent 8 }}
    spec:
      automountServiceAccountToken: false
      securityContext:
        {runAsNonRoot: true, runAsUser: 10101, fsGroup: 10101, seccompProfile: {type: RuntimeDefault}}
      containers:
        - name: server
          image: "{{ .Values.image.repository }}:{{ .Values.image.tag | default .Chart.AppVersion }}"
          ports: [{name: http, containerPort: 8080}]
          envFrom:
            - configMapRef: {name: {{ include "thing.name" . }}}
            - secretRef: {name: {{ include "thing.name" . }}}
          securityContext: {allowPrivilegeEscalation: false, capabilities: {drop: [ALL]}}
          resources: {{- toYaml .Values.resources | nindent 12 }}
          volumeMounts: [{name: data, mountPath: /data}]
  volumeClaimTemplates:
    - metadata: {name: data}
      spec:
        accessModes: [ReadWriteOnce]
        resources: {requests: {storage: 1Gi}}
"""

TEST = """\
apiVersion: v1
kind: Pod
metadata: {name: {{ include "thing.name" . }}-test, annotations: {helm.sh/hook: test}}
spec: {restartPolicy: Never, containers: [{name: wget, image: busybox}]}
"""

PROFILE = """\
name: thing
description: A small server, from its own chart
version: "1.0.0"
chart:
  path: charts/thing
  values: {replicas: replicaCount}
schema:
  properties:
    auth: {properties: {password: {x-secret: true}}}
values:
  auth: {password: {generate: 24}}
environments:
  prod: {replicas: 3}
operations:
  ready: {command: ["true"], container: server, timeout: 5s, description: It answers}
"""


def write_project(root: Path) -> Path:
    """A project with the chart and a profile that takes its objects from there."""
    chart = root / "charts" / "thing"
    files = {
        root / "profiles" / "thing.yaml": PROFILE,
        chart / "Chart.yaml": CHART,
        chart / "values.yaml": VALUES,
        chart / "templates" / "_helpers.tpl": HELPERS,
        chart / "templates" / "objects.yaml": OBJECTS,
        chart / "templates" / "statefulset.yaml": SET,
        chart / "templates" / "NOTES.txt": "It is there.\n",
        chart / "templates" / "tests" / "test.yaml": TEST,
    }
    for path, text in files.items():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    return root
