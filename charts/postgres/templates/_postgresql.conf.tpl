{{- /* Written by berth chart; do not edit. Change the profile, and write the chart anew. */}}
{{- define "postgres.postgresql.conf" -}}
# Made from the values of the profile; a change rolls the pods, standbys first.
listen_addresses = '*'
port = 5432
unix_socket_directories = '/var/run/postgresql'
hba_file = '/etc/postgresql/pg_hba.conf'
password_encryption = 'scram-sha-256'
dynamic_shared_memory_type = 'posix'
timezone = 'UTC'
log_timezone = 'UTC'
log_line_prefix = '%m [%p] %q%u@%d '

# Replication. A standby that is away makes the primary keep log, up to this bound and no further.
wal_level = 'replica'
hot_standby = on
max_wal_senders = {{ int64 .Values.replication.maxWalSenders }}
max_replication_slots = {{ int64 .Values.replication.maxWalSenders }}
max_slot_wal_keep_size = '{{ .Values.replication.maxSlotWalKeepSize }}'
{{- if lt (int64 (include "postgres.int" (regexFind "(?s)^.{0,2}" .Values.image.tag))) 18 }}
# pg_rewind needs it; from 18 on data checksums, which serve it too, are the default.
wal_log_hints = on
{{- end }}
# A quarter and three quarters of the memory limit, and whatever the settings say.
{{- if le (int64 (include "postgres.int" .Values.settings.max_connections)) (int64 (include "postgres.reserved" .)) }}{{ fail (printf "settings.max_connections is %s: it must be a number above %d, which the server reserves" (include "postgres.text" .Values.settings.max_connections) (int64 (include "postgres.reserved" .))) }}{{ end }}
{{- range $name, $value := include "postgres.settings" . | fromYaml }}
{{ if has $name (list "config_file" "data_directory" "hba_file" "hot_standby" "include" "include_dir" "include_if_exists" "listen_addresses" "max_replication_slots" "max_slot_wal_keep_size" "max_wal_senders" "port" "primary_conninfo" "primary_slot_name" "unix_socket_directories" "wal_level") }}{{ fail (printf "settings.%s is the profile's own: replication and the paths depend on it" $name) }}{{ end }}{{ $name }} = '{{ if kindIs "bool" $value }}{{ if $value }}on{{ else }}off{{ end }}{{ else }}{{ replace "'" "''" (replace "\\" "\\\\" (include "postgres.text" $value)) }}{{ end }}'
{{- end }}
# Where a standby streams from; written by the init container at each start of the pod.
include_if_exists = '/etc/postgresql-standby/standby.conf'
{{ end }}
