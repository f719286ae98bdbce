#!/bin/sh
# Turns the secret files into the two forms that postfix reads, then hands over to the command.
# They live on a tmpfs: nothing secret is written to the image, the queue volume or the repository.
set -eu

secret() {
  if [ ! -r "/run/secrets/$1" ]; then
    echo "postfix: the secret file $1 is missing: on the host, run: make setup" >&2
    exit 78
  fi
  cat "/run/secrets/$1"
}

# chown before the content is there: the file is never readable by another account.
private() {
  : >"$1"
  chown root:postfix "$1"
  chmod 0640 "$1"
  cat >"$1"
}

umask 077
mkdir -p /run/postfix
chown root:postfix /run/postfix
chmod 0750 /run/postfix
chown postfix:postfix /var/lib/postfix

# The maps in config/postfix/sql hold no password; each gets a copy that does. With DB_CA_FILE the way to the database is
# encrypted, and leads only to the holder of a certificate of that authority.
mkdir -p /run/postfix/sql
chown root:postfix /run/postfix/sql
chmod 0750 /run/postfix/sql
password=$(secret postfix_db_password)
for map in /etc/postfix/sql/*.cf; do
  {
    cat "$map" && printf 'password = %s\n' "$password"
    [ -z "${DB_CA_FILE:-}" ] || printf 'tls_CAfile = %s\ntls_verify_cert = yes\n' "$DB_CA_FILE"
  } | private "/run/postfix/sql/${map##*/}"
done
printf '%s %s:%s\n' "$(postconf -h relayhost)" "${RELAY_USERNAME:-}" "$(secret relay_password)" |
  private /run/postfix/relay_password

# Mail is held already when this container starts in the middle of a deployment.
# shellcheck disable=SC2002  # there is no such file while nothing is held
cat /run/hold/postfix/header_checks 2>/dev/null | private /run/postfix/hold

if [ -z "$(secret relay_password)" ]; then
  echo "postfix: relay_password is empty: mail to other domains waits in the queue until it is set" >&2
fi
umask 022
if [ -n "${FOLLOW_HOLD:-}" ] && [ "$1" = postfix ]; then
  # What was read before this container says nothing of this one.
  rm -f /var/spool/postfix/pid/hold
  # A child of its own would be one that the master does not know.
  (follow-hold </dev/null &)
fi
exec "$@"
