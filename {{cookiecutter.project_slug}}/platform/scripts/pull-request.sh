#!/usr/bin/env bash
# What a job changed in this checkout, as a pull request: platform/scripts/pull-request.sh BRANCH TITLE. Does nothing where nothing has
# changed. One that is open for the branch already is brought up to date. Needs gh with a token that may push.
set -euo pipefail
branch=${1:?name a branch, such as monthly}
title=${2:?say what changed}
cd "$(dirname "$0")/../.."
if [ -z "$(git status --porcelain)" ]; then
  echo "nothing has changed: no pull request"
  exit 0
fi
git checkout --quiet -B "$branch"
git add --all
git -c user.name="${GIT_AUTHOR_NAME:-github-actions[bot]}" \
  -c user.email="${GIT_AUTHOR_EMAIL:-41898282+github-actions[bot]@users.noreply.github.com}" commit --quiet --message "$title"
gh auth setup-git
git push --quiet --force origin "$branch"
open=$(gh pr list --head "$branch" --state open --json number --jq '.[].number')
if [ -z "$open" ]; then
  gh pr create --head "$branch" --title "$title" --body "Made by a workflow. The checks of this pull request say whether it is good."
else
  echo "pull request $open is up to date"
fi
