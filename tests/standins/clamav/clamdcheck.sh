#!/bin/sh
set -eu
[ "${CLAMAV_NO_CLAMD:-}" != true ] || exit 0
if [ "$(echo PING | nc localhost 3310)" != PONG ]; then
  echo "ERROR: clamd does not answer" >&2
  exit 1
fi
echo "clamd answers"
