# Copies the configuration to where it can be written, chooses the seeds, and waits for one where the node must join.
# From the environment: SET and DOMAIN (names).
#
# Seeds are ordinals 0 and 1. A node that counts itself among its seeds never copies data from the others, so that a
# node does so only once it has joined. The exception is ordinal 0 while there is no ring yet: it founds it.
set -eu
ordinal=${HOSTNAME##*-}
first=$SET-0.$DOMAIN
second=$SET-1.$DOMAIN
say() { echo "prepare: $*"; }
gossips() { timeout 3 bash -c "exec 3<>/dev/tcp/$1/7000" 2>/dev/null; }

cp -R "$CASSANDRA_CONF/." /conf-copy/
chmod -R u+rwX /conf-copy/* # the image's entry point writes into these files
seeds=$first,$second
if [ -e /var/lib/cassandra/.joined ]; then
  say "starting with its data"
elif [ "$ordinal" = 0 ] && ! gossips "$second"; then
  say "founding the ring"
else
  case $ordinal in
    0) seeds=$second;;
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
