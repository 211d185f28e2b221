set -eu
state=$(psql --no-psqlrc -v ON_ERROR_STOP=1 -U "$POSTGRES_USER" -d postgres -Atqc \
  "SELECT CASE WHEN NOT pg_is_in_recovery() THEN 'primary' ELSE coalesce((SELECT status FROM pg_stat_wal_receiver), 'disconnected') END")
case $state in
  primary|streaming) ;;
  *) echo "standby does not stream: $state" >&2; exit 1;;
esac
