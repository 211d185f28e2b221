{{- /* Written by berth chart; do not edit. Change the profile, and write the chart anew. */}}

{{- /* Mappings as one, later ones over earlier ones. */}}
{{- define "httpd.combine" -}}
{{- $all := dict }}
{{- range . }}{{ range $key, $value := . }}
{{- if kindIs "invalid" $value }}{{ $_ := unset $all $key }}{{ else }}{{ $_ := set $all $key $value }}{{ end }}
{{- end }}{{ end }}
{{- toYaml $all }}
{{- end }}

{{- /* The checksum over configuration, as berth makes it: a mapping of lists of kind, name and data. */}}
{{- define "httpd.digest" -}}
{{- $objects := list }}
{{- range . }}
{{- $pairs := list }}
{{- range $key, $value := index . 2 }}
{{- $pairs = append $pairs (printf "%s: %s" (toRawJson $key) (toRawJson $value)) }}
{{- end }}
{{- $named := printf "%s, %s" (toRawJson (index . 0)) (toRawJson (index . 1)) }}
{{- $objects = append $objects (printf "[%s, {%s}]" $named (join ", " $pairs)) }}
{{- end }}
{{- printf "[%s]" (join ", " $objects) | sha256sum }}
{{- end }}

{{- /* The name of an object: the release's name goes before it, unless that is the chart's own. */}}
{{- define "httpd.named" -}}
{{- $release := (index . 0).Release.Name }}
{{- if not (regexMatch "^[a-z0-9]([a-z0-9-]{0,38}[a-z0-9])?$" $release) }}
{{- fail (printf "the release name %q: lower case letters, digits and -, at most 40" $release) }}
{{- end }}
{{- if eq $release "httpd" }}{{ index . 1 }}{{ else }}{{ $release }}-{{ index . 1 }}{{ end }}
{{- end }}

{{- /* A value as text. */}}
{{- define "httpd.text" -}}
{{- if kindIs "string" . }}{{ . }}{{ else }}{{ toJson . }}{{ end }}
{{- end }}

{{- define "httpd.checksum.statefulset" -}}
{{- $objects := dict }}
{{- $name := include "httpd.named" (list . "httpd-config") }}
{{- $_ := set $objects (printf "ConfigMap %s" $name) (list "ConfigMap" $name (include "httpd.data.configmap" . | fromYaml)) }}
{{- include "httpd.digest" $objects }}
{{- end }}

{{- define "httpd.image" -}}
{{ .Values.image.repository }}:{{ .Values.image.tag }}{{ if .Values.image.digest }}@{{ .Values.image.digest }}{{ end }}{{ end }}

{{- define "httpd.labels.all" -}}
{{- include "httpd.combine" (list
  .Values.labels
  (dict
    "app" "httpd"
    "app.kubernetes.io/name" "httpd"
    "app.kubernetes.io/instance" .Release.Name
    "app.kubernetes.io/component" "web"
    "app.kubernetes.io/part-of" .Release.Name
    "app.kubernetes.io/managed-by" "berth"
    "app.kubernetes.io/version" .Values.image.tag
  )
) }}
{{- end }}
