{{- /* Written by berth chart; do not edit. Change the profile, and write the chart anew. */}}
{{- define "zookeeper.ready.sh" -}}
# Readiness: in the quorum. What it prints is read in events when it fails.
set -u
if bash /scripts/quorum.sh; then exit 0; fi
if [ "$(printf ruok | nc -w 2 localhost 2181)" != imok ]; then exit 1; fi

# While the ensemble gets another number of members, those restarted already may be too few for a quorum of the new
# number, as long as the others serve with the old one: 2 of 3 serve, and the rest would need 3 of 4. The rollout must go
# on then, so that such a member counts as ready, once it has had the time to join. Any quorum of the old number shares a
# member with any of the new one, one step apart, so that nothing is lost.
members=0
for server in $ZOO_SERVERS; do members=$((members + 1)); done
if [ $(($(date +%s) - $(stat -c %Y /conf/zoo.cfg))) -ge 30 ]; then
  sizes=$(
    for server in $ZOO_SERVERS; do
      host=${server#*=} host=${host%%:*}
      printf mntr | nc -w 1 "$host" 2181 2> /dev/null | sed -n 's/^zk_quorum_size[^0-9]*\([0-9]*\).*/\1/p' &
    done
    wait
  )
  for size in $sizes; do
    if [ "$size" != "$members" ]; then
      echo "waits for the members that serve as an ensemble of $size, and not of $members yet, to be restarted"
      exit 0
    fi
  done
fi
{{- if eq .Values.podManagementPolicy "OrderedReady" }}

# One after the other: a member that answers is ready while another one does not exist yet. A pod that exists has a DNS
# record even before it is ready, so that in a whole ensemble a member without a quorum is not ready.
for server in $ZOO_SERVERS; do
  host=${server#*=}
  getent hosts "${host%%:*}" > /dev/null || exit 0
done
{{- end }}
exit 1
{{ end }}
