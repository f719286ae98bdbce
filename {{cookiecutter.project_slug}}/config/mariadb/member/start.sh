#!/bin/bash
# Starts one of the three members of the database (scale: swarm); used as the container's entry point.
#
# A member joins whoever already is the database. Nobody founds one beside it: that takes all three members, none of which
# is in a database, and then the one that is furthest does it, or `mailctl db recover` when one is lost for good.
set -euo pipefail

data=/var/lib/mysql run=/run/mysqld
: "${MEMBER:?}"
mark=$data/.first-start
members=(mariadb-1 mariadb-2 mariadb-3) founds=no

say() { echo "start.sh: $*"; }

# An empty folder could be a disk that is not mounted. `mailctl node add` leaves the sign on the right one.
if [ "$(cat "$data/.member" 2>/dev/null)" != "$MEMBER" ]; then
  say "$data is not the folder of $MEMBER: mount its disk; a new one becomes it by: echo $MEMBER > FOLDER/.member" >&2
  exit 1
fi

# A first start that was cut off begins again, with an empty folder: with the mark nobody was ever served from it.
if [ -e "$mark" ]; then
  say "the first start did not come to its end; beginning it again with an empty folder"
  find "$data" -mindepth 1 ! -path "$mark" ! -path "$data/.member" -delete
  rm -f "$mark"
fi

# A copy of another member's tables that was cut off is none: it is begun again, instead of taken for what it looks like.
if [ -e "$data/sst_in_progress" ]; then
  say "the copy from another member did not come to its end; beginning it again with an empty folder"
  find "$data" -mindepth 1 ! -path "$data/.member" -delete
fi

# How far the tables are: DATA UUID SEQNO. After a crash only InnoDB knows.
position() {
  local uuid seqno
  if [ ! -d "$data/mysql" ]; then echo "0 - -1" && return; fi
  uuid=$(sed -n 's/^uuid: *//p' "$data/grastate.dat" 2>/dev/null || true)
  seqno=$(sed -n 's/^seqno: *//p' "$data/grastate.dat" 2>/dev/null || true)
  if [ "${seqno:--1}" = -1 ]; then
    IFS=: read -r uuid seqno < <(
      mariadbd --wsrep-recover --skip-networking --log-error="$run/recover.log" >/dev/null 2>&1 || true
      sed -n 's/.*Recovered position: *//p' "$run/recover.log" | tail -n 1
    )
  fi
  echo "1 ${uuid:--} ${seqno:--1}"
}

# Answers the other members and HAProxy, from now until the container ends (state.sh).
answer() {
  local tls=cert=/run/secrets/mariadb_tls_crt,key=/run/secrets/mariadb_tls_key
  while :; do
    socat -d0 "OPENSSL-LISTEN:9200,$tls,verify=0,reuseaddr,fork,max-children=20" EXEC:"/bin/sh /usr/local/bin/member-state http" || true
    sleep 1
  done
}

# Ends the server once it has left the others for good: when what it lacked did not come whole, Galera disconnects it and asks for
# a restart. One that is only cut off stays connected, and comes back by itself.
watch() { # its process
  local lost=0
  while [ "$lost" -lt 5 ]; do
    sleep 2
    lost=$((lost + 1))
    [ "$(timeout 3 mariadb --no-defaults --socket="$run/mysqld.sock" --skip-ssl --user=mysql --batch --skip-column-names \
      --execute="SELECT VARIABLE_VALUE FROM information_schema.GLOBAL_STATUS WHERE VARIABLE_NAME = 'wsrep_connected' AND @@wsrep_on" \
      2>/dev/null)" = OFF ] || lost=0
  done
  say "it has left the others for good; starting it again"
  kill "$1"
}

server() { # new-cluster, or nothing
  local uuid seqno
  read -r _ uuid seqno <<<"$here"
  rm -f "$run/waiting"
  watch "$$" &
  set -- mariadbd --wsrep-node-name="$MEMBER" --wsrep-node-address="$MEMBER" --wsrep-node-incoming-address="$MEMBER:3306" "$@"
  # Else a member that was killed would not know how far it is, and take any other's word for it.
  if [ "$uuid" != - ]; then set -- "$@" --wsrep-start-position="$uuid:$seqno"; fi
  # The image's own check is not asked here; without this file it would make an account for it, in this member only.
  if [ -d "$data/mysql" ]; then : >>"$data/.my-healthcheck.cnf"; fi
  # The image would fill an empty folder by itself; one that joins gets everything from the others.
  if [ -d "$data/mysql" ] || [ "$founds" = yes ]; then exec docker-entrypoint.sh "$@"; fi
  exec "$@"
}

# Tables of a single host know nothing of members yet.
adopt() {
  local server
  say "these tables were those of a single host: adding what members need"
  mariadbd --wsrep-on=OFF --skip-networking &
  server=$!
  until mariadb-admin --no-defaults --skip-ssl --socket="$run/mysqld.sock" ping >/dev/null 2>&1; do
    kill -0 "$server"
    sleep 0.2
  done
  MYSQL_PWD=$(cat /run/secrets/mariadb_root_password) mariadb --protocol=socket --skip-ssl --user=root --database=mysql \
    </docker-entrypoint-initdb.d/30-members.sql
  bash /docker-entrypoint-initdb.d/40-ledger.sh
  kill "$server"
  wait "$server"
}

found() {
  say "founding the database with what is here: $here"
  rm -f "$data/gvwstate.dat" "$data/.bootstrap" "$data/.tried"
  if [ ! -d "$data/mysql" ]; then
    : >"$mark"
  elif [ ! -d "$data/galera" ]; then
    adopt
  fi
  if [ -e "$data/grastate.dat" ]; then sed -i 's/^safe_to_bootstrap:.*/safe_to_bootstrap: 1/' "$data/grastate.dat"; fi
  founds=yes
  server --wsrep-new-cluster
}

# Ends the server if it does not get back into a database.
patience() { # its process
  local _
  for _ in {1..60}; do
    sleep 1
    case $(/bin/sh /usr/local/bin/member-state) in
      "$MEMBER writer "* | "$MEMBER member "* | "$MEMBER joining "* | "$MEMBER apart "*) rm -f "$data/.tried" && return ;;
    esac
  done
  say "the others of before did not come back within a minute"
  kill "$1" && sleep 10
  kill -KILL "$1" 2>/dev/null || true
}

# One member's line, or nothing.
line_of() { /bin/sh /usr/local/bin/ask-member "$1" || true; }

# Joins the database if one of the others is in it.
join() {
  local member line
  for member in "${members[@]}"; do
    [ "$member" != "$MEMBER" ] || continue
    line=$(line_of "$member")
    case $line in
      "$member writer "* | "$member member "* | "$member joining "*)
        say "joining: $line"
        rm -f "$data/gvwstate.dat" "$data/.bootstrap" "$data/.tried"
        server
        ;;
    esac
  done
}

# Founds it if that is right; returns when there is nothing to do yet.
decide() {
  local member waiting=() best
  if [ -e "$data/.bootstrap" ]; then found; fi
  for member in "${members[@]}"; do
    waiting+=("$(line_of "$member")")
    case ${waiting[-1]} in "$member waiting "*) ;; *) return 0 ;; esac
  done
  # Two histories are none that could go on by themselves: somebody must say which one counts.
  [ "$(printf '%s\n' "${waiting[@]}" | awk '$3 == 1 { print $4 }' | sort -u | wc -l)" -le 1 ] || return 0
  best=$(printf '%s\n' "${waiting[@]}" | sort -k3,3nr -k5,5nr -k1,1 | head -n 1)
  if [ "${best%% *}" = "$MEMBER" ]; then found; fi
}

here=$(position)
say "$MEMBER is at $here"
answer &
# The engine gives it its name once it is healthy, which it is from now on.
until getent hosts "$MEMBER" >/dev/null; do sleep 1; done
# Galera looks up each name once. After a power cut the others have theirs some seconds later.
for _ in {1..20}; do
  join
  if getent hosts "${members[@]}" >/dev/null; then break; fi
  sleep 1
done
# Killed in the middle of a database: if all are back who were in it then, they go on by themselves. The server would wait for
# them for ever; after a minute it is ended, and what is below is tried instead.
if [ -e "$data/gvwstate.dat" ] && [ ! -e "$data/.tried" ] && [ ! -e "$data/.bootstrap" ]; then
  say "going on as in $data/gvwstate.dat"
  : >"$data/.tried"
  patience "$$" &
  server
fi
echo "$here" >"$run/waiting"
say "waiting for the other members, or for: mailctl db recover"
while :; do
  join
  decide
  sleep 1
done
