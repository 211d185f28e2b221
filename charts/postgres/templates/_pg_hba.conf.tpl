{{- /* Written by berth chart; do not edit. Change the profile, and write the chart anew. */}}
{{- define "postgres.pg_hba.conf" -}}
{{ range $line := .Values.hba }}{{ $line }}
{{ end }}# The socket is inside the pod, where the passwords are mounted anyway; the first boot and the operations use it.
local  all          all                       trust
host   all          all         all           scram-sha-256
# "all" in the line above does not mean replication.
host   replication  replicator  all           scram-sha-256
{{ end }}
