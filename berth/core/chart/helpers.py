"""Named templates that every chart may need."""

from __future__ import annotations

#: By name; CHART stands for the chart's own.
LIBRARY = {
    "named": """\
{{- /* The name of an object: the release's name goes before it, unless that is the chart's own. */}}
{{- define "CHART.named" -}}
{{- $release := (index . 0).Release.Name }}
{{- if not (regexMatch "^[a-z0-9]([a-z0-9-]{0,38}[a-z0-9])?$" $release) }}
{{- fail (printf "the release name %q: lower case letters, digits and -, at most 40" $release) }}
{{- end }}
{{- if eq $release "CHART" }}{{ index . 1 }}{{ else }}{{ $release }}-{{ index . 1 }}{{ end }}
{{- end }}
""",
    "combine": """\
{{- /* Mappings as one, later ones over earlier ones. */}}
{{- define "CHART.combine" -}}
{{- $all := dict }}
{{- range . }}{{ range $key, $value := . }}
{{- if kindIs "invalid" $value }}{{ $_ := unset $all $key }}{{ else }}{{ $_ := set $all $key $value }}{{ end }}
{{- end }}{{ end }}
{{- toYaml $all }}
{{- end }}
""",
    "text": """\
{{- /* A value as text. */}}
{{- define "CHART.text" -}}
{{- if kindIs "string" . }}{{ . }}{{ else }}{{ toJson . }}{{ end }}
{{- end }}
""",
    "int": """\
{{- /* The whole number that a text begins as, 0 for what is none. */}}
{{- define "CHART.int" -}}
{{- if kindIs "bool" . }}{{ ternary 1 0 . }}{{ else }}{{ int64 (float64 (trim (toString .))) }}{{ end }}
{{- end }}
""",
    "quantity": """\
{{- /* The number that a quantity such as 500m or 2Gi stands for. */}}
{{- define "CHART.quantity" -}}
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
""",
    "shell": """\
{{- /* A word that a shell reads as it is. */}}
{{- define "CHART.shell" -}}
{{- if regexMatch "^[A-Za-z0-9_@%+=:,./-]+$" . }}{{ . }}{{ else }}'{{ replace "'" "'\\"'\\"'" . }}'{{ end }}
{{- end }}
""",
    "digest": """\
{{- /* The checksum over configuration, as berth makes it: a mapping of lists of kind, name and data. */}}
{{- define "CHART.digest" -}}
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
""",
}


def defined(name: str, body: str) -> str:
    """A named template; a body that ends with an opened action has its last blanks eaten."""
    # Blanks at the start belong to the text, and a dash would eat them.
    opening = f'{{{{- define "{name}"' + ("}}" if body[:1].isspace() else " -}}\n")
    trimmed = body.removesuffix("\n{{- ")
    return f"{opening}{trimmed}{'{{ ' if trimmed == body else chr(10) + '{{- '}end }}}}\n"
