#!/bin/bash
# Creates the database that the replicas of mailserver-api share, and the one account that reads and writes its rows.
# The mariadb image runs it once, when the data folder is empty. It may run again, also where one host became several:
#   docker exec CONTAINER bash /docker-entrypoint-initdb.d/40-ledger.sh
set -euo pipefail

secrets=${SECRETS:-/run/secrets}
socket=${SOCKET:-/run/mysqld/mysqld.sock}

fail() {
  printf '40-ledger.sh: %s\n' "$1" >&2
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

# Assigned one by one: a failure inside a here-document would go unnoticed.
root_password=$(secret mariadb_root_password)
password=$(secret ledger_db_password)

# Keys and addresses are compared byte by byte. The sizes are those that mailserver-api accepts at most.
{
  printf 'CREATE DATABASE IF NOT EXISTS ledger CHARACTER SET utf8mb4 COLLATE utf8mb4_nopad_bin;\n'
  printf "CREATE USER IF NOT EXISTS 'ledger'@'%%' IDENTIFIED BY '%s';\n" "$password"
  cat <<'SQL'
USE ledger;
CREATE TABLE IF NOT EXISTS outcomes (
  `key` VARCHAR(64) CHARACTER SET ascii COLLATE ascii_nopad_bin NOT NULL PRIMARY KEY,
  verdict VARCHAR(32) NOT NULL,
  queue_id VARCHAR(64),
  code INT,
  text TEXT,
  at BIGINT NOT NULL,
  INDEX ix_outcomes_queue_id (queue_id),
  INDEX ix_outcomes_at (at)
) ENGINE=InnoDB;
CREATE TABLE IF NOT EXISTS forwards (
  `key` VARCHAR(64) CHARACTER SET ascii COLLATE ascii_nopad_bin NOT NULL,
  destination VARCHAR(512) CHARACTER SET ascii COLLATE ascii_nopad_bin NOT NULL,
  recipient VARCHAR(512) CHARACTER SET ascii COLLATE ascii_nopad_bin NOT NULL,
  state VARCHAR(8) NOT NULL,
  reason VARCHAR(512) NOT NULL,
  at BIGINT NOT NULL,
  handed BIGINT NOT NULL DEFAULT 0,
  PRIMARY KEY (`key`, destination),
  INDEX ix_forwards_at (at)
) ENGINE=InnoDB;
CREATE TABLE IF NOT EXISTS reports (
  name VARCHAR(16) NOT NULL PRIMARY KEY,
  document MEDIUMTEXT NOT NULL
) ENGINE=InnoDB;
GRANT SELECT, INSERT, DELETE ON ledger.outcomes TO 'ledger'@'%';
GRANT SELECT, INSERT, UPDATE, DELETE ON ledger.forwards TO 'ledger'@'%';
GRANT SELECT, INSERT, DELETE ON ledger.reports TO 'ledger'@'%';
SQL
} | MYSQL_PWD=$root_password mariadb --protocol=socket --socket="$socket" --skip-ssl --user=root
