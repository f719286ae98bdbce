#!/bin/bash
# Creates the database roundcube and one account per service; the next file grants them their rights.
# The account backup reads everything, changes nothing, and only logs in over the socket inside this container.
# The mariadb image runs it once, when the data folder is empty, while the server listens only on its socket.
# It is executed, not sourced, so a failure here stops the first start instead of leaving half of it.
set -euo pipefail

secrets=${SECRETS:-/run/secrets}
socket=${SOCKET:-/run/mysqld/mysqld.sock}
owner=${MARIADB_USER:-mailserver}
database=${MARIADB_DATABASE:-mailserver}

fail() {
  printf '10-accounts.sh: %s\n' "$1" >&2
  exit 1
}

# Prints the secret $1; only characters that cannot end an SQL string are accepted.
secret() {
  local file=$secrets/$1 value
  [[ -r $file ]] || fail "secret $1 is missing at $file: run 'make setup' and start again"
  value=$(<"$file")
  [[ $value =~ ^[A-Za-z0-9._~-]{12,}$ ]] ||
    fail "secret $1 must be 12 or more of A-Z a-z 0-9 . _ ~ -: run 'make setup' and start again"
  printf '%s' "$value"
}

[[ $owner =~ ^[a-z_]+$ ]] || fail "MARIADB_USER '$owner' must be lower-case letters, usually 'mailserver'"
[[ $database =~ ^[a-z_]+$ ]] || fail "MARIADB_DATABASE '$database' must be lower-case letters, usually 'mailserver'"

# Assigned one by one: a failure inside a here-document would go unnoticed.
root_password=$(secret mariadb_root_password)
postfix_password=$(secret postfix_db_password)
dovecot_password=$(secret dovecot_db_password)
usermgmt_password=$(secret usermgmt_db_password)
roundcube_password=$(secret roundcube_db_password)
backup_password=$(secret backup_db_password)

# The image's first server has no TLS, and a socket needs none; without --skip-ssl the client insists on it.
# printf is a shell builtin and the SQL goes through a pipe: no password is ever on a command line.
{
  printf "CREATE USER '%s'@'%%' IDENTIFIED BY '%s';\n" \
    postfix "$postfix_password" \
    dovecot "$dovecot_password" \
    usermgmt "$usermgmt_password" \
    roundcube "$roundcube_password"
  printf "GRANT ALL ON %s.* TO '%s'@'%%' WITH GRANT OPTION;\n" "$database" "$owner"
  printf 'CREATE DATABASE roundcube CHARACTER SET utf8mb4;\n'
  printf "GRANT ALL ON roundcube.* TO 'roundcube'@'%%';\n"
  printf "CREATE USER 'backup'@'localhost' IDENTIFIED BY '%s';\n" "$backup_password"
  printf "GRANT SELECT, SHOW VIEW, TRIGGER ON %s.* TO 'backup'@'localhost';\n" "$database" roundcube
} | MYSQL_PWD=$root_password mariadb --protocol=socket --socket="$socket" --skip-ssl --user=root
