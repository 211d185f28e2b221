# Ids begin at 1, ordinals at 0. The image writes myid and zoo.cfg only where they are missing.
set -eu
export ZOO_MY_ID=$(( ${HOSTNAME##*-} + 1 ))
if [ -s /data/myid ] && [ "$(cat /data/myid)" != "$ZOO_MY_ID" ]; then
  echo "start: refused: the volume belongs to member $(cat /data/myid), and this pod is member $ZOO_MY_ID" >&2
  exit 1
fi
rm -f /conf/zoo.cfg /conf/zoo.cfg.dynamic*
exec /docker-entrypoint.sh zkServer.sh start-foreground
