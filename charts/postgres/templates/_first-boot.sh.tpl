{{- /* Written by berth chart; do not edit. Change the profile, and write the chart anew. */}}
{{- define "postgres.first-boot.sh" -}}
# Runs once, on an empty primary, against a server that listens on its socket only.
# The password goes from the file into psql: never on a command line, and not into the log if the statement fails.
psql -v ON_ERROR_STOP=1 --no-psqlrc --username "$POSTGRES_USER" --dbname "$POSTGRES_DB" <<'SQL'
\set password `cat /etc/postgresql-auth/replication-password`
SET log_statement = 'none';
SET log_min_error_statement = 'panic';
SET log_min_duration_statement = -1;
CREATE ROLE replicator REPLICATION LOGIN PASSWORD :'password';
SQL
{{ end }}
