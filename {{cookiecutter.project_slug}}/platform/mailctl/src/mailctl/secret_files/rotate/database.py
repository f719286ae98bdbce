"""The database's accounts: MariaDB takes either of two passwords while one replaces the other."""

from collections.abc import Sequence

from mailctl.core.containers import output, running
from mailctl.core.context import Context
from mailctl.core.errors import Problem, Refused
from mailctl.secret_files.rules import PASSWORD

ROOT = "mariadb_root_password"
# The file of each account's password, its name, and from where it may log in.
ACCOUNTS = {
    ROOT: ("root", "localhost"),
    "mariadb_owner_password": ("mailserver", "%"),
    "usermgmt_db_password": ("usermgmt", "%"),
    "postfix_db_password": ("postfix", "%"),
    "dovecot_db_password": ("dovecot", "%"),
    "roundcube_db_password": ("roundcube", "%"),
    "backup_db_password": ("backup", "localhost"),
    "ledger_db_password": ("ledger", "%"),
}
# The password is the first line of stdin: it is on no command line and in no environment of the host.
CLIENT = (
    "read -r MYSQL_PWD; export MYSQL_PWD; exec mariadb --no-defaults --protocol=socket"
    ' --socket=/run/mysqld/mysqld.sock --skip-ssl --batch --user="$1"'
)


def allow(context: Context, name: str, passwords: Sequence[str], root: Sequence[str]) -> None:
    """Let the account of `name` log in with each of `passwords` only; `root` may be one of several."""
    user, host = ACCOUNTS[name]
    for password in passwords:
        if wrong := PASSWORD.complaint(password):
            raise Refused(Problem(name, wrong, "empty the file and run make setup, then ALTER USER"))
    ways = " OR ".join(f"mysql_native_password USING PASSWORD('{each}')" for each in passwords)
    _as_root(context, root, f"ALTER USER IF EXISTS '{user}'@'{host}' IDENTIFIED VIA {ways};")


def log_in(context: Context, name: str, password: str) -> None:
    """Raises Refused when that password does not open the account."""
    _run(context, ACCOUNTS[name][0], password, "SELECT 1;")


def _as_root(context: Context, passwords: Sequence[str], statement: str) -> None:
    *others, last = passwords
    for password in others:
        try:
            _run(context, "root", password, "SELECT 1;")
        except Refused:
            continue
        last = password
        break
    _run(context, "root", last, statement)


def _run(context: Context, user: str, password: str, statement: str) -> None:
    container = running(context, "mariadb")
    output(container, "sh", "-c", CLIENT, "sh", user, stdin=f"{password}\n{statement}\n".encode())
