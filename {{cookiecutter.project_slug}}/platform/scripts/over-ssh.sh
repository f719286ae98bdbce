#!/usr/bin/env bash
# over-ssh.sh WORD...: `make WORD...` in the repository on the host, which must show the host key that is known of it.
#   DEPLOY_HOST         whom to log in to, for instance root@192.0.2.10 or ssh://root@mail.example.com:2222
#   DEPLOY_PATH         the repository's folder there
#   DEPLOY_SSH_KEY      the private key itself; without it, yours (agent, ~/.ssh)
#   DEPLOY_KNOWN_HOSTS  lines of known_hosts; without them, yours (~/.ssh/known_hosts)
set -euo pipefail
: "${DEPLOY_HOST:?set it to whom SSH logs in to, for instance root@192.0.2.10}"
: "${DEPLOY_PATH:?set it to the folder of the repository on the host}"

# Both ends notice within two minutes that the other is gone.
options=(-o BatchMode=yes -o StrictHostKeyChecking=yes -o ConnectTimeout=20 -o ServerAliveInterval=30 -o ServerAliveCountMax=4)
keys=$(mktemp -d)
trap 'rm -rf "$keys"' EXIT
umask 077
if [ -n "${DEPLOY_SSH_KEY:-}" ]; then
  printf '%s\n' "$DEPLOY_SSH_KEY" >"$keys/key"
  options+=(-i "$keys/key" -o IdentitiesOnly=yes)
fi
if [ -n "${DEPLOY_KNOWN_HOSTS:-}" ]; then
  printf '%s\n' "$DEPLOY_KNOWN_HOSTS" >"$keys/known_hosts"
  options+=(-o "UserKnownHostsFile=$keys/known_hosts")
fi
printf -v words ' %q' "$DEPLOY_PATH" "$@"
# Repository and secrets are root's; HOST_USER becomes root by sudo, as make setup-host allows it.
# shellcheck disable=SC2016  # expanded on the host
become='$(test "$(id -u)" = 0 || echo sudo -n)'
ssh "${options[@]}" -- "$DEPLOY_HOST" "$become make --no-print-directory -C$words"
