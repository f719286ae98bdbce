#!/bin/sh
# Starts the server with the given configuration file or options, as the data folder's owner.
set -e

case $1 in
  -* | *.conf) set -- valkey-server "$@" ;;
esac

if [ "$1" = valkey-server ]; then
  if [ "$(id -u)" = 0 ]; then
    chown -R valkey:valkey .
    exec setpriv --reuid=valkey --regid=valkey --clear-groups -- "$0" "$@"
  fi
  if [ ! -w . ]; then
    echo "the data folder is not writable for the user $(id -u)" >&2
    exit 1
  fi
fi

# Upstream's build has protected mode off, Debian's has it on. A configuration file keeps the last word.
if [ "$1" = valkey-server ]; then
  case "${2:-} $*" in
    *.conf\ * | *--protected-mode*) ;;
    *) set -- "$@" --protected-mode no ;;
  esac
fi

[ "$(umask)" != 0022 ] || umask 0077
# shellcheck disable=SC2086
exec "$@" ${VALKEY_EXTRA_FLAGS:-}
