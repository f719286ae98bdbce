#!/bin/sh
# Starts the signature updates and the daemon, as upstream's /init-unprivileged does, traps included:
# clamd must put its socket at /tmp/clamd.sock, and a first download that fails ends the container.
set -eu

if [ $# -gt 0 ] && [ "${1#-}" = "$1" ] && command -v "$1" >/dev/null; then
  CLAMAV_NO_CLAMD=true exec "$@"
fi
[ $# -eq 0 ] || exec clamd "$@"

if [ ! -f /var/lib/clamav/main.cvd ]; then
  echo "fetching the first database"
  sed -e '/^TestDatabases /d' -e '/^NotifyClamd /d' /etc/clamav/freshclam.conf >/tmp/freshclam_initial.conf
  freshclam --foreground --stdout --config-file=/tmp/freshclam_initial.conf
  rm /tmp/freshclam_initial.conf
fi

if [ "${CLAMAV_NO_FRESHCLAMD:-false}" != true ]; then
  freshclam --checks="${FRESHCLAM_CHECKS:-1}" --daemon --foreground --stdout --user=clamav &
fi

if [ "${CLAMAV_NO_CLAMD:-false}" != true ]; then
  [ ! -S /tmp/clamd.sock ] || unlink /tmp/clamd.sock
  clamd --foreground &
  waited=0
  while [ ! -S /tmp/clamd.sock ]; do
    if [ "$waited" -gt "${CLAMD_STARTUP_TIMEOUT:-1800}" ]; then
      echo "clamd did not make /tmp/clamd.sock" >&2
      exit 1
    fi
    sleep 1
    waited=$((waited + 1))
  done
  echo "clamd started"
fi

exec tail -f /dev/null
