#!/usr/bin/env bash
# over-ssh.sh deploy COMMIT | verify | report: one request to the host, which must show the host key that is known of it. Its
# sshd takes no other request from the key of deployments (DEPLOY_SSH_PUBLIC_KEY in .env on the host).
#   DEPLOY_HOST         whom to log in to, for instance root@192.0.2.10 or ssh://root@mail.example.com:2222
#   DEPLOY_SSH_KEY      the private key itself; without it, yours (agent, ~/.ssh)
#   DEPLOY_KNOWN_HOSTS  lines of known_hosts; without them, yours (~/.ssh/known_hosts)
set -euo pipefail
: "${DEPLOY_HOST:?set it to whom SSH logs in to, for instance root@192.0.2.10}"

request=$1
if [ "$1" = deploy ]; then
  commit=$2
  # A checkout on GitHub may not have the commit; the host knows it by its whole name.
  [[ $commit =~ ^[0-9a-f]{40}$ ]] || commit=$(git rev-parse --verify --quiet "$commit^{commit}") || {
    echo "REF=$2 is no commit here: git fetch" >&2
    exit 2
  }
  request="deploy $commit"
fi

# Both ends notice within two minutes that the other is gone.
options=(-T -o BatchMode=yes -o StrictHostKeyChecking=yes -o ConnectTimeout=20 -o ServerAliveInterval=30 -o ServerAliveCountMax=4)
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
ssh "${options[@]}" -- "$DEPLOY_HOST" "$request"
