#!/usr/bin/env bash
# hasten.sh: tell a host that fetches what was merged to look at once. Another try follows while it deploys or was asked just now.
#   HASTEN_URL    the API's own address, for instance https://mail-api.example.com
#   HASTEN_TOKEN  DEPLOY_HOOK_TOKEN of the host
set -euo pipefail
: "${HASTEN_URL:?set it to the address of the API, for instance https://mail-api.example.com}"
: "${HASTEN_TOKEN:?}"

# The token goes by stdin: a process list shows arguments.
printf 'header = "Authorization: Bearer %s"\n' "$HASTEN_TOKEN" | curl --config - --silent --show-error --fail \
  --request POST --max-time 20 --retry 5 --retry-max-time 120 --retry-connrefused "${HASTEN_URL%/}/v1/deploy"
echo
