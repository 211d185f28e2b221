{{- define "sets.selector" -}}
app.kubernetes.io/name: sets
app.kubernetes.io/instance: {{ .release }}
app.kubernetes.io/component: {{ .name }}
{{- end }}
{{- define "sets.labels" -}}
{{ include "sets.selector" . }}
app.kubernetes.io/managed-by: berth
{{- end }}
