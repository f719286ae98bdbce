#!/bin/sh
# Healthy means: a real scan of the EICAR test text finds it. The text is put together here, so that no scanner
# takes this file itself for one.
set -eu
dollar='$'
first="X5O!P%@AP[4\\PZX54(P^)7CC)7}${dollar}EICAR-STANDARD"
printf '%s-ANTIVIRUS-TEST-FILE!%sH+H*' "$first" "$dollar" | clamdscan --no-summary --stream - | grep -q FOUND
