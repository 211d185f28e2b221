# Whether this member is in the quorum: prints what it is there (leader, follower), or says what is missing and fails.
# Words are sent without a newline: the server reads four letters, answers and closes. A fifth one that nobody read makes
# the kernel reset the connection, now and then before the answer was read.
set -u
mode=$(printf srvr | nc -w 2 localhost 2181 | sed -n 's/^Mode: //p')
if [ -n "$mode" ]; then echo "$mode"; exit 0; fi
members=0
for server in $ZOO_SERVERS; do members=$((members + 1)); done
alive=$(
  {
    for server in $ZOO_SERVERS; do
      host=${server#*=} host=${host%%:*}
      if [ "$(printf ruok | nc -w 1 "$host" 2181 2> /dev/null)" = imok ]; then echo "${host%%.*}"; fi &
    done
    wait
  } | sort
)
echo "not in a quorum, for which $((members / 2 + 1)) of $members members are needed; alive: $(echo ${alive:-none})" >&2
exit 1
