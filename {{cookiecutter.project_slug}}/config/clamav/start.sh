#!/bin/sh
# Runs the image's own start script and ends when clamd has died, so that `restart:` starts the container again:
# the image itself would go on waiting, and the engine does not restart what is only unhealthy.
set -eu

/init-unprivileged &
init=$!
trap 'exit 143' TERM INT

seen=
while kill -0 "$init" 2>/dev/null; do
  if pidof clamd >/dev/null; then
    seen=yes
  elif [ -n "$seen" ]; then
    echo "clamav: clamd has died, the container is restarted" >&2
    exit 1
  fi
  sleep 2
done
echo "clamav: the image's start script has ended, the container is restarted" >&2
exit 1
