# Starts the node with the seeds that prepare.sh chose.
set -eu
# The port for clients opens when the node has joined: from then on it may be its own seed.
( until { exec 3<>/dev/tcp/127.0.0.1/9042; } 2>/dev/null; do sleep 5; done; : > /var/lib/cassandra/.joined ) &
export CASSANDRA_SEEDS="$(cat /etc/cassandra/seeds)"
exec docker-entrypoint.sh cassandra -f
