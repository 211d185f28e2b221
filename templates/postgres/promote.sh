# Makes this standby the primary. Refuses while another server takes writes, and while another standby has more data.
# Silence of the old primary is no proof that it is off: whoever runs this must know that it is.
set -eu
sql() { psql --no-psqlrc -v ON_ERROR_STOP=1 -U "$POSTGRES_USER" -d postgres -Atqc "$1"; }
refuse() { echo "refused: $*" >&2; exit 1; }
had="greatest(pg_last_wal_receive_lsn(), pg_last_wal_replay_lsn())"

if [ "$(sql 'SELECT pg_is_in_recovery()')" = f ]; then
  echo "$HOSTNAME is the primary already"
  exit 0
fi
own=$(hostname -i | tr ' ' '\n' | sort -u)
members=$(getent ahosts "$DOMAIN" | awk '{print $1}' | sort -u)
[ -n "$members" ] || refuse "DNS knows no member of $DOMAIN, not even this one, so that silence of the others means nothing"
ends=
for peer in $(echo "$members" | grep -vxF "$own" || :); do
  code=0; pg_isready -q -h "$peer" -p 5432 -t 3 || code=$?
  [ $code -ne 1 ] || refuse "the server at $peer is starting; wait until it serves"
  [ $code -eq 0 ] || continue
  end=$(psql --no-psqlrc -w -Atqc "SELECT CASE WHEN pg_is_in_recovery() THEN $had ELSE '0/0' END" \
    "host=$peer port=5432 dbname=postgres user=replicator passfile=/etc/postgresql-standby/passfile connect_timeout=5") \
    || refuse "the server at $peer answers, but does not say how much it has"
  [ "$end" != 0/0 ] || refuse "the server at $peer takes writes: there would be two primaries. It must be off first"
  ends="$ends $peer=$end"
done
for known in $ends; do
  [ "$(sql "SELECT '${known#*=}'::pg_lsn > $had")" != t ] || refuse "the standby at ${known%=*} has more of the log, up to ${known#*=}: promote that one, or what only it has is lost"
done
[ "$(sql 'SELECT pg_promote(true, 60)')" = t ] || refuse "the server did not become the primary within 60s; its log says why"
echo "promoted; now run up with primaryOrdinal=${HOSTNAME##*-}"
