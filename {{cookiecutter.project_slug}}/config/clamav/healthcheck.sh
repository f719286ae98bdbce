#!/bin/sh
# Healthy means: a real scan of the EICAR test text finds it. The text is put together here, so that no scanner
# takes this file itself for one.
# shellcheck disable=SC2016 # the dollar signs belong to the text
set -eu
first='X5O!P%@AP[4\PZX54(P^)7CC)7}$EICAR-STANDARD'
printf '%s-ANTIVIRUS-TEST-FILE!$H+H*' "$first" | clamdscan --no-summary --stream - | grep -q FOUND
