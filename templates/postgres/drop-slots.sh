# On the primary: drops the slots of standbys whose pods are gone. A pod that is gone has no DNS record, not even
# while it starts, since the headless Service publishes pods that are not ready.
set -eu
sql() { psql --no-psqlrc -v ON_ERROR_STOP=1 -U "$POSTGRES_USER" -d postgres -Atqc "$1"; }
[ "$(sql 'SELECT pg_is_in_recovery()')" = f ] || { echo "this is not the primary" >&2; exit 1; }
getent hosts "$HOSTNAME.$DOMAIN" > /dev/null || { echo "DNS does not know this pod itself, so its silence means nothing" >&2; exit 1; }
waited=0
while :; do
  kept=
  for slot in $(sql "SELECT slot_name FROM pg_replication_slots WHERE slot_type = 'physical' AND NOT active AND slot_name ~ '^pg_[0-9]+$' ORDER BY slot_name"); do
    if getent hosts "$SET-${slot#pg_}.$DOMAIN" > /dev/null; then
      kept="$kept $slot"
      continue
    fi
    sql "SELECT pg_drop_replication_slot('$slot')" > /dev/null
    echo "dropped $slot"
  done
  # DNS servers remember a name for up to half a minute after its pod has gone.
  [ -n "$kept" ] && [ $waited -lt 40 ] || break
  sleep 2
  waited=$((waited + 2))
done
for slot in $kept; do
  echo "kept $slot: DNS knows its pod"
done
