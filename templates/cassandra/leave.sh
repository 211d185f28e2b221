# Streams this node's data to the others and leaves the ring. It may be run again: it goes on where the last run stopped.
#
# The engine itself refuses while any keyspace has more replicas than nodes would remain, its own bookkeeping with three
# replicas included. Here the keyspaces of users decide.
set -euo pipefail
left=/var/lib/cassandra/.left
refuse() {
  echo "refused: $*" >&2
  exit 1
}
mode() { nodetool netstats | sed -n 's/^Mode: //p'; }
leave_for_good() {
  echo "this node has left the ring; its volume is of no more use"
  : > $left
  exit 0
}

[ ! -e $left ] || leave_for_good
mode=$(mode)
while [ "$mode" = LEAVING ]; do # an earlier run's call goes on in the engine
  sleep 5
  mode=$(mode)
done
case $mode in
  DECOMMISSIONED) leave_for_good;;
  NORMAL | DECOMMISSION_FAILED) ;;
  *) refuse "the node is in mode $mode; it can leave once it is NORMAL";;
esac

self=$(hostname -i | cut -d' ' -f1)
remain=0
while read -r state address _; do
  [[ $state =~ ^[UD][NLJM]$ && $address != "$self" ]] || continue
  [ "$state" = UN ] || refuse "node $address is $state, not UN (up and normal): while one node leaves, all others must be there to take its data"
  remain=$((remain + 1))
done <<< "$(nodetool status)"
[ "$remain" -gt 0 ] || refuse "this is the last node of the ring; nobody could take its data"

keyspaces=$(cqlsh --connect-timeout=30 --request-timeout=60 -e 'SELECT JSON keyspace_name, replication FROM system_schema.keyspaces')
while read -r line; do
  [[ $line =~ \"keyspace_name\":\ \"([^\"]+)\" ]] || continue
  keyspace=${BASH_REMATCH[1]}
  case $keyspace in system | system_auth | system_distributed | system_schema | system_traces) continue;; esac
  [[ $line =~ \"(replication_factor|$CASSANDRA_DC)\":\ \"([0-9]+) ]] || continue
  [ "${BASH_REMATCH[2]}" -le "$remain" ] || refuse "keyspace $keyspace keeps ${BASH_REMATCH[2]} replicas, and $remain nodes would remain;" \
    "lower it first: ALTER KEYSPACE $keyspace WITH replication = {'class': 'NetworkTopologyStrategy', '$CASSANDRA_DC': $remain}"
done <<< "$keyspaces"

nodetool decommission --force
leave_for_good
