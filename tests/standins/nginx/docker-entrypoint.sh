#!/bin/sh
# Runs the executable scripts of /docker-entrypoint.d in order, then becomes the given command.
set -e

say() {
  [ -n "${NGINX_ENTRYPOINT_QUIET_LOGS:-}" ] || echo "$0: $*"
}

if [ "$1" = nginx ]; then
  for file in $(find /docker-entrypoint.d/ -follow -type f | sort -V); do
    if [ ! -x "$file" ]; then
      say "ignoring $file, it is not executable"
      continue
    fi
    case $file in
      *.envsh)
        say "sourcing $file"
        # shellcheck disable=SC1090
        . "$file"
        ;;
      *.sh)
        say "running $file"
        "$file"
        ;;
      *) say "ignoring $file" ;;
    esac
  done
fi
exec "$@"
