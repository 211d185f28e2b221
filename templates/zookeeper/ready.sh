# Ready for OrderedReady: in the quorum; or answering, while a member does not exist yet. A pod that exists has a DNS
# record even before it is ready, so that in a whole ensemble a member without a quorum is not ready.
set -eu
asked() { echo "$1" | nc -w 2 localhost 2181; }
if asked srvr | grep -q ^Mode; then exit 0; fi
asked ruok | grep -q imok
for server in $ZOO_SERVERS; do
  host=${server#*=}
  getent hosts "${host%%:*}" > /dev/null || exit 0
done
exit 1
