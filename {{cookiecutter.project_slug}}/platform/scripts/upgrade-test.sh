#!/usr/bin/env bash
# The local trial of another commit, filled with mail and then upgraded to this one: every mail must still be there, and new
# mail must arrive. Usage: platform/scripts/upgrade-test.sh COMMIT (MAILS=20 of them). Needs mailctl in .venv.
set -euo pipefail
base=${1:?name the commit to upgrade from, such as origin/main}
mails=${MAILS:-20}
repo=$(cd "$(dirname "$0")/../.." && pwd)
mailctl=$repo/.venv/bin/mailctl
ours=$(git -C "$repo" rev-parse HEAD)
folder=$(mktemp -d)
export MAILCTL_REPO=$folder/server

end() {
  make --no-print-directory -C "$repo" local-down ARGS='--volumes --yes' || true
  git -C "$repo" worktree remove --force "$MAILCTL_REPO" || true
  rm -rf "$folder"
}

git -C "$repo" worktree add --quiet --detach "$MAILCTL_REPO" "$base"
trap end EXIT
echo "== before: $(git -C "$repo" log -1 --oneline "$base")"
"$mailctl" local up
"$mailctl" local check --fill "$mails"
echo "== after: $(git -C "$repo" log -1 --oneline "$ours")"
git -C "$MAILCTL_REPO" checkout --quiet --detach "$ours"
"$mailctl" local up
"$mailctl" local check --expect "$mails"
