#!/bin/sh
# Makes the test database: one signature, that of EICAR's harmless test file.
# The file's text is put together from two halves here, so that no scanner takes this repository for infected.
set -eu
folder=$1
# shellcheck disable=SC2016
first='X5O!P%@AP[4\PZX54(P^)7CC)7}$EICAR-STANDARD-'
# shellcheck disable=SC2016
second='ANTIVIRUS-TEST-FILE!$H+H*'

mkdir -p "$folder"
hex=$(printf '%s%s' "$first" "$second" | od -An -v -tx1 | tr -d ' \n')
# name : any file type : any offset : bytes
printf 'Eicar-Test-Signature:0:*:%s\n' "$hex" >"$folder/standin.ndb"
sigtool --test-sigs="$folder/standin.ndb" /dev/null >/dev/null
