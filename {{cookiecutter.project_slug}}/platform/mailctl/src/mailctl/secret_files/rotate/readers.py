"""How each service takes up a new secret without a stop, and how it is asked whether the secret opens."""

from collections.abc import Sequence
from dataclasses import dataclass

from mailctl.core.containers import output, running
from mailctl.core.context import Context
from mailctl.core.errors import Problem, Refused
from mailctl.core.retry import until


@dataclass(frozen=True)
class Reader:
    """Shell commands for a service's container; `reload` is empty where the file is read at each use."""

    reload: str
    check: str
    #: Where the container has the file, when that is not its own name.
    file: str = ""


# As Roundcube itself connects, by its own configuration.
_PHP = (
    'php -r \'define("INSTALL_PATH", "/var/www/html/");'
    ' require INSTALL_PATH . "program/include/clisetup.php";'
    ' $db = rcmail::get_instance()->get_dbh(); $db->db_connect("w");'
    " if (!$db->is_connected()) { fwrite(STDERR, $db->is_error()); exit(1); }'"
)
# 75: the account's database did not answer; anything else is an answer.
_DOVECOT = "doveadm user -- nobody@invalid >/dev/null 2>&1; test $? -ne 75"
_POSTFIX = (
    "said=$(postmap -q invalid mysql:/run/postfix/sql/domains.cf 2>&1);"
    ' test -z "$said" || { echo "$said" >&2; exit 1; }'
)
_READY = """python -c 'import urllib.request as u; u.urlopen("http://127.0.0.1:8080/ready", timeout=8)'"""
# Tini, which is process 1, hands the signal on to gunicorn, whose new processes take over from the old ones.
_GUNICORN = "kill -HUP 1"
# With nothing but the shell: an image may have no other program that reads a file.
_SHOW = 'while IFS= read -r line || [ "$line" ]; do printf "%s\\n" "$line"; done <"/run/secrets/$1"'
_LIMIT = 60.0

# A log-in process that waits for an answer of usermgmt would outlive a reload, and refuse right passwords: it
# no longer fits its new workers. Once Dovecot has forgotten it, it is ended; who asked it shall try again.
_DOVECOT_RELOAD = """\
processes="doveadm -f flow process status auth"
old=$($processes)
doveadm reload
for word in $old; do
  case $word in pid=*) ;; *) continue ;; esac
  tries=0
  while [ "$tries" -lt 100 ]; do
    tries=$((tries + 1))
    case " $($processes) " in *" $word "*) ;; *) break ;; esac
  done
  kill "${word#pid=}" 2>/dev/null || true
done"""

READERS: dict[str, Reader] = {
    "postfix": Reader("/usr/local/bin/entrypoint.sh postfix reload", _POSTFIX),
    "dovecot": Reader(_DOVECOT_RELOAD, _DOVECOT, file="dovecot_db"),
    "roundcube": Reader("", _PHP),
    "usermgmt": Reader(_GUNICORN, _READY),
}


def take_up(context: Context, services: Sequence[str], name: str, contents: dict[str, bytes]) -> None:
    """Have each service use the file `name` as it is now, and see that it opens. Raises Refused if not."""
    for service in services:
        reader = READERS[service]
        container = running(context, service)
        target = reader.file or name
        see(container, service, target, contents[target])
        if reader.reload:
            output(container, "sh", "-c", reader.reload, limit=_LIMIT)
        check(context, service)


def check(context: Context, service: str) -> None:
    """Whether the service can open what its secret is for; it is given a moment. Raises Refused."""
    container, words = running(context, service), READERS[service].check
    until(lambda: output(container, "sh", "-c", words, limit=_LIMIT), seconds=_LIMIT)


def see(container: str, service: str, name: str, content: bytes) -> None:
    """Raise Refused unless the container has this content under /run/secrets.

    A container keeps the very file that it was started with: another one of that name it does not see."""
    if output(container, "sh", "-c", _SHOW, "sh", name).strip() != content.strip():
        wrong = f"{service} still has another file {name}, from before it was replaced"
        fix = f"docker compose up -d --force-recreate {service}, then run this again"
        raise Refused(Problem(name, wrong, fix))
