#!/bin/sh
# What this member of the database is, in one line: NAME STATE DATA UUID SEQNO.
#   writer   clients are led here            member   has everything, writes nothing
#   joining  of the cluster, still catching up        apart    runs, without a majority: refuses everything
#   waiting  has not started: start.sh looks for the others        starting  between two of these
# DATA is 1 if there are tables, UUID and SEQNO are how far they are.
#   state.sh          prints it
#   state.sh http     answers a request with it: 200 where clients belong, else 503 (HAProxy, and the other members)
#   state.sh alive    for the engine: whether this answers at all, whatever the database does
set -eu

data=/var/lib/mysql run=/run/mysqld

ask() {
  timeout 3 mariadb --no-defaults --socket="$run/mysqld.sock" --skip-ssl --user=mysql --batch --skip-column-names \
    --execute="$1" 2>/dev/null
}

# Who writes is one row. Only a member that has caught up changes it, and only when the writer named there has left, or says
# that it is not there yet; as the change is replicated like any other, one of two wins. It comes after all that was committed
# before, so the new writer has all of that: no client needs wsrep_sync_wait. With one member alone nobody writes: what it
# alone has, one fire takes.
role() { # size members local-state
  # 4: synced. 2: gives a copy to another, or was set aside for a backup; it goes on writing if it did.
  case $3 in 4 | 2) ;; *) echo joining && return ;; esac
  [ "$1" -ge 2 ] || { echo member && return; }
  writer=$(ask "SELECT member FROM galera.writer") || { echo starting && return; }
  if [ "$3" = 4 ] && [ "$writer" != "$MEMBER" ] && gone "$writer" "$2"; then
    if ask "UPDATE galera.writer SET member = '$MEMBER' WHERE member = '$writer'"; then
      writer=$(ask "SELECT member FROM galera.writer") || writer=
    fi
  fi
  if [ "$writer" = "$MEMBER" ]; then echo writer; else echo member; fi
}

gone() { # writer members
  case ,$2, in *,"$1:"*) ;; *) return 0 ;; esac
  # One that is copied to for minutes is among the members, too. Asked every third second only.
  [ "$(($(date +%s) % 3))" = 0 ] || return 1
  case $(/bin/sh "${0%/*}/ask-member" "$1") in "$1 joining "* | "$1 starting "*) return 0 ;; esac
  return 1
}

line() {
  status=
  # Before the end of a first start there is no such account.
  [ -e "$data/.first-start" ] || status=$(ask "SELECT GROUP_CONCAT(VARIABLE_VALUE ORDER BY VARIABLE_NAME SEPARATOR ' ')
    FROM information_schema.GLOBAL_STATUS WHERE VARIABLE_NAME IN ('wsrep_cluster_size', 'wsrep_cluster_state_uuid',
    'wsrep_cluster_status', 'wsrep_incoming_addresses', 'wsrep_last_committed', 'wsrep_local_state', 'wsrep_ready')") || status=
  # shellcheck disable=SC2086 # seven words
  set -- $status
  if [ "$#" = 7 ]; then
    case $3$7 in PrimaryON) state=$(role "$1" "$4" "$6") ;; Primary*) state=joining ;; *) state=apart ;; esac
    echo "$MEMBER $state 1 $2 $5"
  elif [ -s "$run/waiting" ]; then
    echo "$MEMBER waiting $(cat "$run/waiting")"
  else
    echo "$MEMBER starting 0 - -1"
  fi
}

case ${1:-} in
  http)
    IFS= read -r request
    # It ends with an empty line.
    while IFS= read -r header && [ "${#header}" -gt 1 ]; do :; done
    case $request in *" /alive "*) said="$MEMBER alive" ;; *) said=$(line) ;; esac
    case $said in "$MEMBER writer "* | "$MEMBER alive") code='200 OK' ;; *) code='503 Service Unavailable' ;; esac
    printf 'HTTP/1.0 %s\r\nContent-Type: text/plain\r\nConnection: close\r\n\r\n%s\n' "$code" "$said" 2>/dev/null || true
    ;;
  alive) [ "$("${0%/*}/ask-member" localhost /alive)" = "$MEMBER alive" ] ;;
  *) line ;;
esac
