{{- /* Written by berth chart; do not edit. Change the profile, and write the chart anew. */}}
{{- define "zookeeper.start.sh" -}}
# Ids begin at 1, ordinals at 0. The image writes myid and zoo.cfg only where they are missing.
set -eu
export ZOO_MY_ID=$(( ${HOSTNAME##*-} + 1 ))
if [ -s /data/myid ] && [ "$(cat /data/myid)" != "$ZOO_MY_ID" ]; then
  echo "start: refused: the volume belongs to member $(cat /data/myid), and this pod is member $ZOO_MY_ID" >&2
  exit 1
fi
rm -f /conf/zoo.cfg /conf/zoo.cfg.dynamic*
{{- if eq .Values.podManagementPolicy "Parallel" }}
# All start together. A member that votes for one whose name it cannot resolve yet cannot follow it: two leaders wait in
# vain, until initLimit. So wait for the names, but not for ever: a member may be down for long.
for server in $ZOO_SERVERS; do
  host=${server#*=}
  until getent hosts "${host%%:*}" > /dev/null || [ $SECONDS -ge 30 ]; do sleep 0.5; done
done
{{- end }}
exec /docker-entrypoint.sh zkServer.sh start-foreground
{{ end }}
