# Copies the configuration to where it can be written, chooses the seeds, and waits for one where the node must join.
# From the environment: SET and DOMAIN (names), POLICY (podManagementPolicy).
#
# Seeds are ordinals 0 and 1. A node that counts itself among its seeds never copies data from the others, so that a
# node does so only once it has joined. The exception is ordinal 0 while there is no ring yet: it founds it.
set -eu
ordinal=${HOSTNAME##*-}
first=$SET-0.$DOMAIN
second=$SET-1.$DOMAIN
self=$(hostname -i | cut -d' ' -f1)
say() { echo "prepare: $*"; }
gossips() { timeout 3 bash -c "exec 3<>/dev/tcp/$1/7000" 2>/dev/null; }

# Sets `member` to a member of the ring that answers; fails where there is no ring yet. An empty ordinal 0 that founded
# a second ring beside nodes that are just starting again would answer for data that it does not have. So it waits for
# them, without end where they cannot have come before it.
find_ring() {
  tries=0
  while :; do
    others=$(getent ahosts "$DOMAIN" | cut -d' ' -f1 | sort -u | grep -vxF "$self" || true)
    [ -n "$others" ] || return 1
    for member in $others; do
      if gossips "$member"; then return 0; fi
    done
    [ "$POLICY" = OrderedReady ] || [ $tries -lt 15 ] || return 1
    [ $((tries % 15)) -ne 0 ] || say "there are other nodes; waiting for one to answer"
    tries=$((tries + 1))
    sleep 2
  done
}

cp -R "$CASSANDRA_CONF/." /conf-copy/
chmod -R u+rwX /conf-copy/* # the image's entry point writes into these files
seeds=$first,$second
if [ -e /var/lib/cassandra/.joined ]; then
  say "starting with its data"
elif [ "$ordinal" = 0 ] && ! find_ring; then
  say "founding the ring"
else
  case $ordinal in
    0) seeds=$member;;
    1) seeds=$first;;
  esac
  waited=0
  until for seed in ${seeds//,/ }; do if gossips "$seed"; then break; fi; false; done; do
    [ $((waited % 30)) -ne 0 ] || say "waiting for a seed ($seeds) to answer (${waited}s)"
    sleep 2
    waited=$((waited + 2))
  done
  say "joining the ring through $seeds"
fi
echo "$seeds" > /conf-copy/seeds
