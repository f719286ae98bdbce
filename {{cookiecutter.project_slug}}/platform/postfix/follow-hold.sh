#!/bin/sh
# Of several hosts: no deployment can call `hold` in this container, so that it follows the table of /run/hold by itself, and
# says in the queue's folder which one it has read (hold-host waits for that).
set -u
read=/var/spool/postfix/pid/hold
again=

# Asked of /proc, not by `postfix status`: that takes the lock for a moment, and a Postfix that starts just then finds it taken and ends.
up() {
  read -r pid </var/spool/postfix/pid/master.pid && [ "$(cat "/proc/$pid/comm")" = master ]
} 2>/dev/null

while :; do
  wanted=/run/hold/postfix/header_checks
  [ -e $wanted ] || wanted=/dev/null
  if ! up; then
    :
  elif [ -n "$again" ] || ! cmp -s $wanted /run/postfix/hold; then
    if hold; then again=; else again=yes; fi
  elif ! cmp -s /run/postfix/hold $read; then
    cp /run/postfix/hold $read.new && mv $read.new $read
  fi
  sleep 1
done
