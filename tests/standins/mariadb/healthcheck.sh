#!/bin/bash
# The official image's health tests that need no replication: each argument is one test, all must pass.
set -eo pipefail

data=/var/lib/mysql

ask() {
  local extra=()
  [ ! -f "$data/.my-healthcheck.cnf" ] || extra=(--defaults-extra-file="$data/.my-healthcheck.cnf")
  mariadb "${extra[@]}" --protocol=socket --skip-ssl --batch --skip-column-names --execute "$1"
}

# The temporary server of the first start has no network: it must not look healthy.
connect() { [ "$(ask 'SELECT @@skip_networking')" = 0 ]; }

innodb_initialized() {
  [ "$(ask "SELECT 1 FROM information_schema.ENGINES
    WHERE engine = 'innodb' AND support IN ('YES', 'DEFAULT', 'ENABLED')")" = 1 ]
}

innodb_buffer_pool_loaded() {
  [[ $(ask "SELECT VARIABLE_VALUE FROM information_schema.GLOBAL_STATUS
    WHERE VARIABLE_NAME = 'Innodb_buffer_pool_load_status'") == *'load completed'* ]]
}

if [ $# -eq 0 ]; then
  echo "at least one test is needed" >&2
  exit 1
fi
connected=
for argument; do
  name=${argument#--}
  case $name in
    connect) connected=yes ;;
    innodb_initialized | innodb_buffer_pool_loaded) ;;
    no-connect)
      connected=yes
      continue
      ;;
    *)
      echo "health test '$argument' is unknown to this stand-in" >&2
      exit 1
      ;;
  esac
  "$name" || {
    echo "healthcheck $name failed" >&2
    exit 1
  }
done
[ -n "$connected" ] || connect
