#!/usr/bin/env bash
# Known vulnerabilities in every image that runs here: those that can be fixed and are high or critical. trivy, or grype where that is
# installed. Exit code 1: an image has one. Build them first: make images
set -euo pipefail
cd "$(dirname "$0")/../.."
scanner=$(command -v trivy || command -v grype) || {
  echo "neither trivy nor grype is installed here: the images were not scanned" >&2
  exit 1
}
env=.env
test -f "$env" || env=.env.example
bad=0
while read -r image; do
  echo "== $image"
  case $scanner in
    */trivy) "$scanner" image --quiet --scanners vuln --severity HIGH,CRITICAL --ignore-unfixed --exit-code 1 "$image" || bad=1 ;;
    *) "$scanner" --quiet --only-fixed --fail-on high "$image" || bad=1 ;;
  esac
done < <(docker compose --env-file "$env" config --images | sort -u)
exit "$bad"
