#!/bin/sh
# Of several hosts: no deployment can call `hold` in this container, so that it follows the table of /run/hold by itself, and
# says in the queue's folder which one it has read (hold-host waits for that).
set -u
read=/var/spool/postfix/pid/hold
again=

while :; do
  wanted=/run/hold/postfix/header_checks
  [ -e $wanted ] || wanted=/dev/null
  if [ -n "$again" ] || ! cmp -s $wanted /run/postfix/hold; then
    # Postfix may only just be starting.
    if hold; then again=; else again=yes; fi
  elif ! cmp -s /run/postfix/hold $read && postfix status 2>/dev/null; then
    cp /run/postfix/hold $read.new && mv $read.new $read
  fi
  sleep 1
done
