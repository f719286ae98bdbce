#!/bin/sh
# Asks a member for its line (state.sh), over TLS. It prints nothing when nobody with our certificate answers.
# usage: ask.sh MEMBER [PATH]
set -eu

printf 'GET %s HTTP/1.0\r\n\r\n' "${2:-/}" |
  timeout 4 socat - "OPENSSL:$1:9200,cafile=/run/secrets/internal_ca_crt,commonname=mariadb,connect-timeout=2" 2>/dev/null |
  sed -n '$p'
