{{- /* Written by berth chart; do not edit. Change the profile, and write the chart anew. */}}

{{- /* Mappings as one, later ones over earlier ones. */}}
{{- define "postgres.combine" -}}
{{- $all := dict }}
{{- range . }}{{ range $key, $value := . }}
{{- if kindIs "invalid" $value }}{{ $_ := unset $all $key }}{{ else }}{{ $_ := set $all $key $value }}{{ end }}
{{- end }}{{ end }}
{{- toYaml $all }}
{{- end }}

{{- /* The checksum over configuration, as berth makes it: a mapping of lists of kind, name and data. */}}
{{- define "postgres.digest" -}}
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
{{- define "postgres.int" -}}
{{- if kindIs "bool" . }}{{ ternary 1 0 . }}{{ else }}{{ int64 (float64 (trim (toString .))) }}{{ end }}
{{- end }}

{{- /* The name of an object: the release's name goes before it, unless that is the chart's own. */}}
{{- define "postgres.named" -}}
{{- $release := (index . 0).Release.Name }}
{{- if not (regexMatch "^[a-z0-9]([a-z0-9-]{0,38}[a-z0-9])?$" $release) }}
{{- fail (printf "the release name %q: lower case letters, digits and -, at most 40" $release) }}
{{- end }}
{{- if eq $release "postgres" }}{{ index . 1 }}{{ else }}{{ $release }}-{{ index . 1 }}{{ end }}
{{- end }}

{{- /* The number that a quantity such as 500m or 2Gi stands for. */}}
{{- define "postgres.quantity" -}}
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
{{- define "postgres.text" -}}
{{- if kindIs "string" . }}{{ . }}{{ else }}{{ toJson . }}{{ end }}
{{- end }}

{{- define "postgres.checksum.statefulset" -}}
{{- $objects := dict }}
{{- if not .Values.auth.existingSecret }}
{{- $name := include "postgres.named" (list . "postgres-auth") }}
{{- $_ := set $objects (printf "Secret %s" $name) (list "Secret" $name (dict)) }}
{{- end }}
{{- $name := include "postgres.named" (list . "postgres-config") }}
{{- $_ := set $objects (printf "ConfigMap %s" $name) (list "ConfigMap" $name (include "postgres.data.configmap-postgres-config" . | fromYaml)) }}
{{- $name := include "postgres.named" (list . "postgres-scripts") }}
{{- $_ := set $objects (printf "ConfigMap %s" $name) (list "ConfigMap" $name (include "postgres.data.configmap-postgres-scripts" . | fromYaml)) }}
{{- $name := include "postgres.named" (list . "postgres-first-boot") }}
{{- $_ := set $objects (printf "ConfigMap %s" $name) (list "ConfigMap" $name (include "postgres.data.configmap-postgres-first-boot" . | fromYaml)) }}
{{- include "postgres.digest" $objects }}
{{- end }}

{{- define "postgres.image" -}}
{{ .Values.image.repository }}:{{ .Values.image.tag }}{{ if .Values.image.digest }}@{{ .Values.image.digest }}{{ end }}{{ end }}

{{- define "postgres.labels.all" -}}
{{- include "postgres.combine" (list
  .Values.labels
  (dict
    "app" "postgres"
    "app.kubernetes.io/name" "postgres"
    "app.kubernetes.io/instance" .Release.Name
    "app.kubernetes.io/component" "database"
    "app.kubernetes.io/part-of" .Release.Name
    "app.kubernetes.io/managed-by" "berth"
    "app.kubernetes.io/version" .Values.image.tag
  )
) }}
{{- end }}

{{- define "postgres.major" -}}
{{- int64 (include "postgres.int" (regexFind "(?s)^.{0,2}" .Values.image.tag)) }}
{{- end }}

{{- define "postgres.mebibytes" -}}
{{- int64 (divf (float64 (include "postgres.quantity" .Values.resources.limits.memory)) 1048576.0) }}
{{- end }}

{{- define "postgres.pgdata" -}}
{{ if ge (int64 (include "postgres.major" .)) 18 }}{{ include "postgres.volume" . }}/{{ int64 (include "postgres.major" .) }}/docker{{ else }}{{ include "postgres.volume" . }}/pgdata{{ end }}{{ end }}

{{- define "postgres.reserved" -}}
{{- add (int64 (include "postgres.int" (ternary (get (include "postgres.settings" . | fromYaml) "superuser_reserved_connections") 3 (hasKey (include "postgres.settings" . | fromYaml) "superuser_reserved_connections")))) (int64 (include "postgres.int" (ternary (get (include "postgres.settings" . | fromYaml) "reserved_connections") 0 (hasKey (include "postgres.settings" . | fromYaml) "reserved_connections")))) }}
{{- end }}

{{- define "postgres.settings" -}}
{{- include "postgres.combine" (list
  (dict
    "shared_buffers" (printf "%dMB" (div (int64 (include "postgres.mebibytes" .)) 4))
    "effective_cache_size" (printf "%dMB" (div (mul (int64 (include "postgres.mebibytes" .)) 3) 4))
  )
  .Values.settings
) }}
{{- end }}

{{- define "postgres.volume" -}}
{{ if ge (int64 (include "postgres.major" .)) 18 }}/var/lib/postgresql{{ else }}/var/lib/postgresql/data{{ end }}{{ end }}
