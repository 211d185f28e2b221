# Starts the node with the seeds that prepare.sh chose.
set -eu
# The engine would refuse to start on the volume of a node that has left, again and again. Waiting, it can still be asked.
if [ -e /var/lib/cassandra/.left ]; then
  echo "refused: the node of this volume has left the ring, and what is on it is out of date; waiting to be removed." \
    "For an empty node in its place delete the claim data-$HOSTNAME, and then this pod"
  trap 'exit 0' TERM
  sleep infinity &
  wait
fi
# The port for clients opens when the node has joined: from then on it may be its own seed.
( until { exec 3<>/dev/tcp/127.0.0.1/9042; } 2>/dev/null; do sleep 5; done; : > /var/lib/cassandra/.joined ) &
export CASSANDRA_SEEDS="$(cat /etc/cassandra/seeds)"
exec docker-entrypoint.sh cassandra -f
