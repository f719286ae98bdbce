#!/bin/bash
# Prepares an empty data folder the way the official image documents it, then becomes the server.
# What the official image offers and this stand-in does not do is refused, never ignored.
set -eo pipefail
shopt -s nullglob

data=/var/lib/mysql
socket=/run/mysqld/mysqld.sock
init_folder=/docker-entrypoint-initdb.d

note() { printf '%s [Note] [Entrypoint]: %s\n' "$(date --rfc-3339=seconds)" "$*"; }
fail() {
  printf '%s [ERROR] [Entrypoint]: %s\n' "$(date --rfc-3339=seconds)" "$*" >&2
  exit 1
}

# Takes NAME from the file that NAME_FILE points to.
from_file() {
  local name=$1 file_name="${1}_FILE"
  if [ -n "${!name:-}" ] && [ -n "${!file_name:-}" ]; then
    fail "both $name and $file_name are set, but they exclude each other"
  fi
  if [ -n "${!file_name:-}" ]; then
    export "$name=$(<"${!file_name}")"
  fi
  unset "$file_name"
}

# Every setting has an old name (MYSQL_…) and a new one (MARIADB_…); scripts may read either.
load_settings() {
  local short
  for short in ROOT_HOST DATABASE USER PASSWORD ROOT_PASSWORD; do
    from_file "MYSQL_$short"
    from_file "MARIADB_$short"
    local old="MYSQL_$short" new="MARIADB_$short"
    if [ -n "${!new:-${!old:-}}" ]; then
      export "$new=${!new:-${!old}}" "$old=${!new:-${!old}}"
    fi
  done
  export MARIADB_ROOT_HOST=${MARIADB_ROOT_HOST:-%}
}

refuse_unsupported() {
  local name
  for name in "${!MARIADB_REPLICATION_@}" "${!MARIADB_MASTER_@}" MARIADB_PASSWORD_HASH MARIADB_ROOT_PASSWORD_HASH \
    "${!MARIADB_MYSQL_LOCALHOST_@}"; do
    [ -z "${!name:-}" ] || fail "$name is not supported by this stand-in"
  done
}

quoted() { printf '%s' "${1//\\/\\\\}" | sed "s/'/\\\\'/g"; }

# Runs SQL from standard input as root over the socket. Init scripts that are sourced may call it too.
docker_process_sql() {
  local arguments=(--protocol=socket --user=root --host=localhost --socket="$socket" --skip-ssl)
  if [ "${1:-}" = --dont-use-mysql-root-password ]; then
    shift
    MYSQL_PWD='' mariadb "${arguments[@]}" "$@"
    return
  fi
  [ -z "${MARIADB_DATABASE:-}" ] || arguments+=(--database="$MARIADB_DATABASE")
  MYSQL_PWD=${MARIADB_ROOT_PASSWORD:-} mariadb "${arguments[@]}" "$@"
}

start_temporary_server() {
  note "starting a temporary server that only listens on its socket"
  "$@" --skip-networking --socket="$socket" --default-time-zone=SYSTEM --wsrep_on=OFF --expire-logs-days=0 \
    --skip-slave-start --loose-innodb_buffer_pool_load_at_startup=0 --skip-ssl --ssl-cert='' --ssl-key='' --ssl-ca='' &
  server_pid=$!
  local attempt
  for attempt in {1..300}; do
    if mariadb-admin --no-defaults --skip-ssl --socket="$socket" ping &>/dev/null; then
      return
    fi
    kill -0 "$server_pid" 2>/dev/null || fail "the temporary server ended"
    read -rt 0.1 <> <(:) || true
  done
  fail "the temporary server did not answer within 30 s (attempt $attempt)"
}

stop_temporary_server() {
  kill "$server_pid"
  wait "$server_pid"
  note "temporary server stopped"
}

# The health check logs in as its own user; its random password lives in the data folder only.
health_user_sql() {
  local password host
  password=$(pwgen --capitalize --numerals --secure 32 1)
  for host in 127.0.0.1 ::1 localhost; do
    echo "CREATE USER IF NOT EXISTS healthcheck@'$host' IDENTIFIED BY '$password';"
    echo "SET PASSWORD FOR healthcheck@'$host' = PASSWORD('$password');"
    echo "GRANT ${MARIADB_HEALTHCHECK_GRANTS:-USAGE} ON *.* TO healthcheck@'$host';"
  done
  (
    umask 0077
    printf '[mariadb-client]\nport=3306\nsocket=%s\nuser=healthcheck\npassword=%s\n' "$socket" "$password" \
      >"$data/.my-healthcheck.cnf"
  )
}

account_sql() {
  local root_password
  root_password=$(quoted "$MARIADB_ROOT_PASSWORD")
  # The installer leaves accounts of root without a password.
  echo "DROP USER IF EXISTS root@'127.0.0.1', root@'::1';"
  echo "EXECUTE IMMEDIATE CONCAT('DROP USER IF EXISTS root@', QUOTE(@@hostname));"
  echo "SET PASSWORD FOR root@localhost = PASSWORD('$root_password');"
  if [ "$MARIADB_ROOT_HOST" != localhost ]; then
    echo "CREATE USER root@'$MARIADB_ROOT_HOST' IDENTIFIED BY '$root_password';"
    echo "GRANT ALL ON *.* TO root@'$MARIADB_ROOT_HOST' WITH GRANT OPTION;"
  fi
  [ -z "${MARIADB_DATABASE:-}" ] || echo "CREATE DATABASE IF NOT EXISTS \`$MARIADB_DATABASE\`;"
  if [ -n "${MARIADB_USER:-}" ] && [ -n "${MARIADB_PASSWORD:-}" ]; then
    echo "CREATE USER '$MARIADB_USER'@'${MARIADB_USER_HOST:-%}' IDENTIFIED BY '$(quoted "$MARIADB_PASSWORD")';"
    [ -z "${MARIADB_DATABASE:-}" ] ||
      echo "GRANT ALL ON \`${MARIADB_DATABASE//_/\\_}\`.* TO '$MARIADB_USER'@'${MARIADB_USER_HOST:-%}';"
  fi
}

run_init_files() {
  local file
  for file in "$init_folder"/*; do
    case $file in
      *.sh)
        if [ -x "$file" ]; then
          note "running $file"
          "$file"
        else
          note "sourcing $file"
          # shellcheck disable=SC1090
          . "$file"
        fi
        ;;
      *.sql) note "running $file" && docker_process_sql <"$file" ;;
      *.sql.gz) note "running $file" && gunzip -c "$file" | docker_process_sql ;;
      *.sql.zst) note "running $file" && zstd -dc "$file" | docker_process_sql ;;
      *) note "ignoring $file" ;;
    esac
  done
}

initialise() {
  if [ -n "${MARIADB_RANDOM_ROOT_PASSWORD:-}" ]; then
    MARIADB_ROOT_PASSWORD=$(pwgen --capitalize --numerals --secure 32 1)
    export MARIADB_ROOT_PASSWORD MYSQL_ROOT_PASSWORD=$MARIADB_ROOT_PASSWORD
    note "GENERATED ROOT PASSWORD: $MARIADB_ROOT_PASSWORD"
  fi
  if [ -z "${MARIADB_ROOT_PASSWORD:-}" ] && [ -z "${MARIADB_ALLOW_EMPTY_ROOT_PASSWORD:-}" ]; then
    fail "the database is empty and no root password is given (MARIADB_ROOT_PASSWORD_FILE)"
  fi
  ls "$init_folder/" >/dev/null
  note "initialising $data"
  mariadb-install-db --datadir="$data" --rpm --auth-root-authentication-method=normal --skip-test-db \
    --skip-log-bin --expire-logs-days=0 --loose-innodb_buffer_pool_load_at_startup=0 \
    --loose-innodb_buffer_pool_dump_at_shutdown=0 >/dev/null
  start_temporary_server "$@"
  if [ -z "${MARIADB_INITDB_SKIP_TZINFO:-}" ]; then
    mariadb-tzinfo-to-sql --skip-write-binlog /usr/share/zoneinfo |
      docker_process_sql --dont-use-mysql-root-password --database=mysql
  fi
  { health_user_sql && account_sql; } |
    docker_process_sql --dont-use-mysql-root-password --database=mysql --binary-mode
  run_init_files
  stop_temporary_server
  note "init process done, ready for start up"
}

upgrade_if_needed() {
  local stored=unknown running
  [ ! -s "$data/mariadb_upgrade_info" ] || stored=$(<"$data/mariadb_upgrade_info")
  running=$(mariadbd --version | grep -oE '[0-9]+\.[0-9]+\.[0-9]+' | head -n 1)
  if [ "${stored%.*}" = "${running%.*}" ] && [ -f "$data/.my-healthcheck.cnf" ]; then
    note "no upgrade needed"
    return
  fi
  if [ "${MARIADB_AUTO_UPGRADE:-0}" = 0 ]; then
    note "an upgrade from $stored to $running is needed, but MARIADB_AUTO_UPGRADE is not set"
    return
  fi
  local once=("$@" --skip-grant-tables --loose-innodb_buffer_pool_dump_at_shutdown=0)
  if [ ! -f "$data/.my-healthcheck.cnf" ]; then
    start_temporary_server "${once[@]}"
    { echo "FLUSH PRIVILEGES;" && health_user_sql; } |
      docker_process_sql --dont-use-mysql-root-password --binary-mode
    stop_temporary_server
    [ "${stored%.*}" != "${running%.*}" ] || return 0
  fi
  # Again without rights: once they are read, root has a password.
  start_temporary_server "${once[@]}"
  mariadb-upgrade --upgrade-system-tables --skip-ssl --socket="$socket"
  stop_temporary_server
}

main() {
  [ "${1#-}" = "$1" ] || set -- mariadbd "$@"
  if [ "$1" != mariadbd ] && [ "$1" != mysqld ]; then
    exec "$@"
  fi
  refuse_unsupported
  if [ "$(id -u)" = 0 ]; then
    mkdir -p "$data"
    find "$data" /run/mysqld -maxdepth 1 \! -user mysql -exec chown mysql: '{}' +
    exec gosu mysql "${BASH_SOURCE[0]}" "$@"
  fi
  "$@" --verbose --help >/dev/null || fail "the server refuses its configuration"
  load_settings
  if [ -d "$data/mysql" ]; then
    upgrade_if_needed "$@"
  else
    initialise "$@"
  fi
  unset "${!MARIADB_ROOT_@}" "${!MYSQL_ROOT_@}" MARIADB_PASSWORD MYSQL_PASSWORD
  exec "$@"
}

main "$@"
