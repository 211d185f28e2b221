# Decides what this pod is before its server starts, and gives a standby its first copy of the data.
# From the environment: SET and DOMAIN (names), PRIMARY_ORDINAL, MAJOR, BOOTSTRAP, VOLUME (the mount), PGDATA (inside it).
set -eu
umask 077
ordinal=${HOSTNAME##*-}
primary=$SET-$PRIMARY_ORDINAL.$DOMAIN
slot=pg_$ordinal
standby=/etc/postgresql-standby
marker=$VOLUME/.first-boot-under-way

say() { echo "prepare: $*"; }
refuse() { echo "prepare: refused: $*" >&2; exit 1; }
answers() { pg_isready -q -h "$1" -p 5432 -t 3; }   # 0: serves, 1: starts up, 2: nobody there

# --- the volume: is it ours, and whole? --------------------------------------------------------------------------
if [ -e "$marker" ] && [ -d "$PGDATA" ]; then
  say "the first boot was cut off before anybody could connect; it starts again"
  rm -rf "$PGDATA"
fi
rm -rf "$PGDATA.tmp"
empty=yes
if [ -s "$PGDATA/PG_VERSION" ]; then
  empty=no
  found=$(cat "$PGDATA/PG_VERSION")
  [ "$found" = "$MAJOR" ] || refuse "the data is PostgreSQL $found's and the image is $MAJOR: dump and restore, or run pg_upgrade; set image.tag back to $found until then"
else
  other=$(find "$VOLUME" -maxdepth 3 -name PG_VERSION 2>/dev/null | head -n 1)
  [ -z "$other" ] || refuse "the volume holds a database of PostgreSQL $(cat "$other") at ${other%/PG_VERSION}, which this image would not use"
  if [ -d "$PGDATA" ]; then
    rmdir "$PGDATA" 2>/dev/null || refuse "$PGDATA is not empty, yet no database"
  fi
fi

# --- the password file: libpq ignores one that others can read, as every file of a Secret is ---------------------
printf '*:*:*:replicator:%s\n' "$(sed 's/[\\:]/\\&/g' /etc/postgresql-auth/replication-password)" > "$standby/passfile.new"
mv "$standby/passfile.new" "$standby/passfile"

# --- the primary --------------------------------------------------------------------------------------------------
# The members that DNS lists, without this pod; fails until DNS lists this pod, for only then it knows what exists.
others() {
  own=$(hostname -i | tr ' ' '\n' | sort -u)
  all=$(getent ahosts "$DOMAIN" | awk '{print $1}' | sort -u)
  for address in $own; do
    ! echo "$all" | grep -qxF "$address" || { echo "$all" | grep -vxF "$own" || :; return 0; }
  done
  return 1
}

login="port=5432 user=replicator passfile=$standby/passfile connect_timeout=10"

rm -f "$standby/standby.conf"
if [ "$ordinal" = "$PRIMARY_ORDINAL" ]; then
  if [ "$empty" = no ]; then
    # The others are in DNS since long, whether this pod is or not yet; an empty answer may be one of a moment.
    tries=0
    while members=$(getent ahosts "$DOMAIN" | awk '{print $1}' | sort -u); [ -z "$members" ] && [ $tries -lt 10 ]; do
      tries=$((tries + 1))
      sleep 1
    done
    for peer in $(echo "$members" | grep -vxF "$(hostname -i | tr ' ' '\n')" || :); do
      answers "$peer" || continue
      state=$(psql --no-psqlrc -w -Atqc "SELECT pg_is_in_recovery()" "$login host=$peer dbname=postgres") || continue
      [ "$state" = t ] || refuse "the member at $peer was promoted and takes writes: two primaries would diverge. Set primaryOrdinal to its ordinal"
    done
    [ ! -e "$PGDATA/standby.signal" ] || refuse "this pod is to be the primary, and its data is a standby's that was not promoted: see the promotion steps of the profile, or set primaryOrdinal back"
    say "primary, with its data"
    exit 0
  fi
  if [ "$BOOTSTRAP" != true ]; then
    say "empty: making sure that no other member exists, whose data would be lost"
    tries=0
    while :; do
      if peers=$(others); then
        [ -n "$peers" ] || break
        for peer in $peers; do
          code=0; answers "$peer" || code=$?
          [ $code -gt 1 ] || refuse "the primary's volume is empty while the member at $peer has data. Promote a standby (see the profile's page), or set bootstrap=true to begin anew without that data"
        done
      fi
      tries=$((tries + 1))
      [ $tries -lt 30 ] || refuse "the primary's volume is empty, and DNS lists other members or does not list this one: ${peers:-no answer}"
      sleep 2
    done
  fi
  : > "$marker"
  say "primary, new"
  exit 0
fi

# --- a standby ----------------------------------------------------------------------------------------------------
conninfo="host=$primary $login application_name=$HOSTNAME"
sql() { psql --no-psqlrc -w -v ON_ERROR_STOP=1 -Atqc "$1" "$conninfo dbname=postgres"; }
# Makes the slot; one that lost its log is of no use and is made anew.
slot_ready() {
  sql "SELECT pg_drop_replication_slot(slot_name) FROM pg_replication_slots WHERE slot_name = '$slot' AND wal_status = 'lost' AND NOT active" > /dev/null
  sql "SELECT pg_create_physical_replication_slot('$slot', true) WHERE NOT EXISTS (SELECT FROM pg_replication_slots WHERE slot_name = '$slot')" > /dev/null
}

# A standby does not start with less of these than its primary has. Lowered, they reach the standbys first, so that a
# standby keeps what the primary has; it takes the lower value with its next start after the primary's.
required="'max_connections', 'max_locks_per_transaction', 'max_prepared_transactions', 'max_wal_senders', 'max_worker_processes'"
remembered=$VOLUME/.required-settings
remember() {
  sql "SELECT name || ' ' || setting FROM pg_settings WHERE name IN ($required)" > "$remembered.new"
  mv "$remembered.new" "$remembered"
}
configure() {
  cat > "$standby/standby.conf" <<CONF
primary_conninfo = '$conninfo'
primary_slot_name = '$slot'
CONF
  [ -e "$remembered" ] || return 0
  while read -r name theirs; do
    ours=$(postgres -C "$name" -c config_file=/etc/postgresql/postgresql.conf)   # Fails, with the line, where it is wrong.
    [ "$ours" -lt "$theirs" ] || continue
    say "keeping $name = $theirs, which the primary has, until this pod starts again after the primary has $ours"
    echo "$name = $theirs" >> "$standby/standby.conf"
  done < "$remembered"
}

if [ "$empty" = no ]; then
  [ -e "$PGDATA/standby.signal" ] || refuse "this pod is to be a standby of ordinal $PRIMARY_ORDINAL, and its data was a primary's: two primaries would diverge. Keep what you need of it, delete its claim, and it is copied anew"
  if answers "$primary"; then
    mine=$(od -An -t u8 -N 8 "$PGDATA/global/pg_control" | tr -d ' ')
    theirs=$(psql --no-psqlrc -w -Atqc IDENTIFY_SYSTEM "$conninfo replication=true" | cut -d '|' -f 1)
    [ "$mine" = "$theirs" ] || refuse "the data is of another database (system $mine) than the primary's ($theirs). If the primary began anew by accident, do not delete this claim: it may be the only data left"
    lost=$(sql "SELECT count(*) FROM pg_replication_slots WHERE slot_name = '$slot' AND wal_status = 'lost'")
    [ "$lost" = 0 ] || refuse "the primary no longer has the log that this standby needs: delete its claim, and it is copied anew"
    slot_ready
    remember
  else
    say "the primary does not answer; starting with the data as it is"
  fi
  configure
  say "standby of $primary"
  exit 0
fi

waited=0
until answers "$primary"; do
  [ $((waited % 30)) -ne 0 ] || say "waiting for the primary at $primary (${waited}s)"
  sleep 2
  waited=$((waited + 2))
done
slot_ready
say "copying the data of $primary"
pg_basebackup -w -D "$PGDATA.tmp" -X stream -c fast -S "$slot" -d "$conninfo"
: > "$PGDATA.tmp/standby.signal"
chmod 0700 "$PGDATA.tmp"
mkdir -p "$(dirname "$PGDATA")"
sync
mv "$PGDATA.tmp" "$PGDATA"
remember
configure
say "standby of $primary, copied"
