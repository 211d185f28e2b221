# Streams this node's data to the others and leaves the ring.
# The engine itself refuses while any keyspace has more replicas than nodes would remain, its own bookkeeping with three
# replicas included. Here the keyspaces of users decide.
set -eu
nodes=$(nodetool status | grep -c '^UN')
replicas=$(cqlsh -e 'SELECT JSON keyspace_name, replication FROM system_schema.keyspaces' |
  grep -v '"keyspace_name": "system' | grep -oE "\"(replication_factor|$CASSANDRA_DC)\": \"[0-9]+\"" |
  grep -oE '[0-9]+"$' | tr -d '"' | sort -n | tail -n 1)
if [ "${replicas:-0}" -ge "$nodes" ]; then
  echo "refused: a keyspace keeps $replicas replicas, and $((nodes - 1)) nodes would remain: lower it first with ALTER KEYSPACE" >&2
  exit 1
fi
exec nodetool decommission --force
