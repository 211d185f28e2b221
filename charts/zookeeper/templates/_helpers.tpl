{{- /* Written by berth chart; do not edit. Change the profile, and write the chart anew. */}}

{{- /* Mappings as one, later ones over earlier ones. */}}
{{- define "zookeeper.combine" -}}
{{- $all := dict }}
{{- range . }}{{ range $key, $value := . }}
{{- if kindIs "invalid" $value }}{{ $_ := unset $all $key }}{{ else }}{{ $_ := set $all $key $value }}{{ end }}
{{- end }}{{ end }}
{{- toYaml $all }}
{{- end }}

{{- /* The checksum over configuration, as berth makes it: a mapping of lists of kind, name and data. */}}
{{- define "zookeeper.digest" -}}
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

{{- /* The whole number that a text begins as, 0 for what is none. */}}
{{- define "zookeeper.int" -}}
{{- if kindIs "bool" . }}{{ ternary 1 0 . }}{{ else }}{{ int64 (float64 (trim (toString .))) }}{{ end }}
{{- end }}

{{- /* The name of an object: the release's name goes before it, unless that is the chart's own. */}}
{{- define "zookeeper.named" -}}
{{- $release := (index . 0).Release.Name }}
{{- if not (regexMatch "^[a-z0-9]([a-z0-9-]{0,38}[a-z0-9])?$" $release) }}
{{- fail (printf "the release name %q: lower case letters, digits and -, at most 40" $release) }}
{{- end }}
{{- if eq $release "zookeeper" }}{{ index . 1 }}{{ else }}{{ $release }}-{{ index . 1 }}{{ end }}
{{- end }}

{{- /* The number that a quantity such as 500m or 2Gi stands for. */}}
{{- define "zookeeper.quantity" -}}
{{- $text := trim (toString .) }}
{{- $unit := regexFind "(Ki|Mi|Gi|Ti|Pi|Ei|[numkMGTPE])$" $text }}
{{- $powers := dict "n" -3 "u" -2 "m" -1 "k" 1 "M" 2 "G" 3 "T" 4 "P" 5 "E" 6 "K" 1 }}
{{- $power := int (get $powers (trimSuffix "i" $unit) | default 0) }}
{{- $base := ternary 1024.0 1000.0 (hasSuffix "i" $unit) }}
{{- $number := float64 (trimSuffix $unit $text) }}
{{- range until (int (max 0 $power)) }}{{ $number = mulf $number $base }}{{ end }}
{{- range until (int (max 0 (mul -1 $power))) }}{{ $number = divf $number 1000.0 }}{{ end }}
{{- toJson $number }}
{{- end }}

{{- /* A value as text. */}}
{{- define "zookeeper.text" -}}
{{- if kindIs "string" . }}{{ . }}{{ else }}{{ toJson . }}{{ end }}
{{- end }}

{{- define "zookeeper.checksum.statefulset" -}}
{{- $objects := dict }}
{{- $name := include "zookeeper.named" (list . "zookeeper-scripts") }}
{{- $_ := set $objects (printf "ConfigMap %s" $name) (list "ConfigMap" $name (include "zookeeper.data.configmap" . | fromYaml)) }}
{{- include "zookeeper.digest" $objects }}
{{- end }}

{{- define "zookeeper.heap" -}}
{{- mul (int64 (include "zookeeper.int" (regexReplaceAll "(?s).$" .Values.heap ""))) (int64 (ternary 1073741824 1048576 (contains (regexFind "(?s).$" .Values.heap) "gG"))) }}
{{- end }}

{{- define "zookeeper.image" -}}
{{ .Values.image.repository }}:{{ .Values.image.tag }}{{ if .Values.image.digest }}@{{ .Values.image.digest }}{{ end }}{{ end }}

{{- define "zookeeper.labels.all" -}}
{{- include "zookeeper.combine" (list
  .Values.labels
  (dict
    "app" "zookeeper"
    "app.kubernetes.io/name" "zookeeper"
    "app.kubernetes.io/instance" .Release.Name
    "app.kubernetes.io/component" "ensemble"
    "app.kubernetes.io/part-of" .Release.Name
    "app.kubernetes.io/managed-by" "berth"
    "app.kubernetes.io/version" .Values.image.tag
  )
) }}
{{- end }}

{{- define "zookeeper.value" -}}
{{ range $index, $ordinal := until (int (max (int64 .Values.replicas) 1)) }}{{ if $index }} {{ end }}server.{{ add (int64 $ordinal) 1 }}={{ include "zookeeper.named" (list $ "zookeeper") }}-{{ int64 $ordinal }}.{{ include "zookeeper.named" (list $ "zookeeper") }}.{{ $.Release.Namespace }}.svc.{{ $.Values.clusterDomain }}:2888:3888;2181{{ end }}{{ end }}
