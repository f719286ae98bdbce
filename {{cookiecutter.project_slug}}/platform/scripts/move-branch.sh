#!/usr/bin/env bash
# move-branch.sh BRANCH COMMIT: move a branch at GitHub forward to a commit of main, or make it. A branch that is further already
# stays. The token of a workflow may do that although workflows are in the commit, for main has the same files:
# https://docs.github.com/en/apps/oauth-apps/building-oauth-apps/scopes-for-oauth-apps#available-scopes (workflow)
set -euo pipefail
branch=$1 commit=$2
refs='repos/{owner}/{repo}/git/refs'

if ! gh api --silent "repos/{owner}/{repo}/branches/$branch" 2>/dev/null; then
  gh api --silent --method POST "$refs" -f "ref=refs/heads/$branch" -f "sha=$commit"
else
  case $(gh api "repos/{owner}/{repo}/compare/$branch...$commit" --jq .status) in
    behind | identical)
      echo "$branch has $commit already"
      exit 0
      ;;
    *) gh api --silent --method PATCH "$refs/heads/$branch" -f "sha=$commit" -F force=false ;;
  esac
fi
echo "$branch is $commit"
