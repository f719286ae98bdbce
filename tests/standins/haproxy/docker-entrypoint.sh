#!/bin/sh
# Options alone mean haproxy, which runs as a master with a worker in the foreground.
set -e

[ "${1#-}" = "$1" ] || set -- haproxy "$@"
if [ "$1" = haproxy ]; then
  shift
  set -- haproxy -W -db "$@"
fi
exec "$@"
