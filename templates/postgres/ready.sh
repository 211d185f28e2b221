set -eu
state=$(psql --no-psqlrc -v ON_ERROR_STOP=1 -U "$POSTGRES_USER" -d postgres -Atqc \
  "SELECT CASE WHEN NOT pg_is_in_recovery() THEN 'primary' ELSE coalesce((SELECT status FROM pg_stat_wal_receiver), 'disconnected') END")
case $state in
  primary|streaming) ;;
  *)
    primary=$(sed -n "s/^primary_conninfo = .*host=\([^ ]*\) .*/\1/p" /etc/postgresql-standby/standby.conf)
    pg_isready -q -h "$primary" -p 5432 -t 3 || { echo "standby does not stream: the primary $primary does not answer" >&2; exit 1; }
    echo "standby does not stream: $state. Its log says why; where the primary has removed log that it needs, delete its claim and its pod, and it is copied anew" >&2
    exit 1;;
esac
