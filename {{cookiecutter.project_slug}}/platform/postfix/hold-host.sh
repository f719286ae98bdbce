#!/bin/sh
# Of several hosts: what a deployment runs once on each (mailctl/swarm/holding.py), beside Postfix and with its queue.
#   hold-host on     mail waits: HOLD is what mailserver-api reads of it, CHECKS what Postfix does with a mail
#   hold-host off    what was put on hold since then goes on; what an operator had put there stays
# Each may be run again, also where Postfix does not run.
set -eu
queue=/var/spool/postfix api=/run/hold/api/hold.json table=/run/hold/postfix/header_checks before=/run/hold/postfix/before

put() {
  cat >"$1.new"
  chmod 0644 "$1.new"
  mv "$1.new" "$1"
}

# Where Postfix never ran there is no queue.
on_hold() {
  [ ! -d $queue/hold ] || find $queue/hold -type f -printf '%f\n'
}

# It has its lock for as long as it runs.
runs() {
  [ -e $queue/pid/master.pid ] && ! flock --nonblock $queue/pid/master.pid true
}

# Wait until the Postfix of this host has read the table, and ended what it was receiving with the old one.
followed() {
  n=0
  while ! cmp -s "$1" $queue/pid/hold && runs; do
    n=$((n + 1))
    if [ $n -gt 90 ]; then
      echo "hold-host: Postfix does not follow its table of mail to hold" >&2
      exit 1
    fi
    sleep 1
  done
}

case $1 in
  on)
    [ -e $before ] || on_hold | put $before
    printf %s "$HOLD" | put $api
    printf %s "$CHECKS" | put $table
    followed $table
    [ ! -d $queue/hold ] || postsuper -h ALL
    ;;
  off)
    rm -f $table
    followed /dev/null
    if [ -e $before ] && [ -d $queue/hold ]; then
      on_hold | grep -vxFf $before | postsuper -H - || [ "$(on_hold | grep -cvxFf $before)" = 0 ]
    fi
    rm -f $api $before
    # Now, not when Postfix would look again.
    ! runs || postqueue -f
    ;;
esac
