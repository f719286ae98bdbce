"""A mailbox on another server: what it has, and its mails, fetched by Dovecot in a container of its own."""

import imaplib
import re
import shutil
import ssl
import subprocess
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryFile
from urllib.parse import urlsplit

from mailctl.backup.restore.stored import utf7
from mailctl.core import hosts
from mailctl.core.containers import all_of, chosen, failed
from mailctl.core.context import Context
from mailctl.core.errors import Misuse, Problem, Refused
from mailctl.importing import room
from mailctl.importing.names import ALL, VIEWS, from_utf7, place
from mailctl.importing.part import Part

CA_FILE = Path("/etc/ssl/certs/ca-certificates.crt")
SECONDS, POLL_SECONDS = 60, 5
# Where the container sees what it fetches into; its memory in bytes as Docker writes it.
SEEN_AS, TMP, MEMORY = "/import", "/tmp", "512m"  # noqa: S108 (in the container)
# Of doveadm: mail arrived or left meanwhile, so some of it is not in order yet.
AGAIN, ROUNDS = 2, 3
# What it says from then on if it was killed while it made the folders, before the first mail: tried.
STUCK = b"INBOX can't be deleted"
_LISTED = re.compile(rb'\((?P<flags>[^)]*)\) (?:"\\?(?P<sep>.)"|NIL) (?P<name>.+)', re.DOTALL)
# The image has no program but sh, doveadm and dovecot, which looks names up for doveadm. The settings come by
# standard input: the password stands in no list of processes, in no environment and on no disk.
_SCRIPT = """umask 077
while IFS= read -r line; do printf '%s\\n' "$line"; done >/run/dovecot/import.conf
dovecot -c /run/dovecot/import.conf >/dev/null 2>&1
exec doveadm -c /run/dovecot/import.conf backup --no-userdb-lookup -R "$@" imapc:
"""
_SETTINGS = """dovecot_config_version = 2.4.1
dovecot_storage_version = 2.4.1
base_dir = /run/dovecot
state_dir = /run/dovecot
log_path = /dev/stderr
protocols =
mail_driver = maildir
mail_home = /import
mail_path = ~/mail
mail_uid = vmail
mail_gid = vmail
first_valid_uid = 1000
default_internal_user = vmail
default_login_user = vmail
default_internal_group = vmail
mailbox_list_storage_escape_char = %
namespace inbox {{
  inbox = yes
  separator = /
}}
ssl_client_ca_file = /import/ca.crt
ssl_min_protocol = TLSv1.2
imapc_host = {host}
imapc_port = {port}
imapc_ssl = {tls}
imapc_user = {login}
imapc_password = {password}
"""


@dataclass(frozen=True)
class Server:
    """An account on another server; always TLS, and its certificate is verified."""

    host: str
    port: int
    starttls: bool
    login: str
    password: str = field(repr=False)
    ca: Path = CA_FILE

    @classmethod
    def of(cls, url: str, login: str, password: str, ca: Path | None) -> "Server":
        """The server that a URL names. Raises Misuse."""
        parts = urlsplit(url)
        fix = "imaps://imap.example.com, or imap://imap.example.com for STARTTLS; a port may follow"
        try:
            port = parts.port or (993 if parts.scheme == "imaps" else 143)
        except ValueError:
            port = 0
        plain = parts.hostname and not (parts.username or parts.path.strip("/") or parts.query)
        if parts.scheme not in ("imaps", "imap") or not plain or not port:
            raise Misuse(Problem("source", "is no URL of a mail server", fix, value=url.rpartition("@")[2]))
        if not login or not password or not (login + password).isprintable():
            wrong = "is missing, or has characters that cannot be typed"
            raise Misuse(Problem("login, password", wrong, "--login NAME and --password-file FILE"))
        place = ca or CA_FILE
        if not place.is_file():
            fix = "apt-get install ca-certificates, or name the file with --ca"
            raise Misuse(Problem("--ca", "there is no such file", fix, value=str(place)))
        return cls(str(parts.hostname), port, parts.scheme == "imap", login, password, place)

    @property
    def settings(self) -> str:
        """Dovecot's settings, password included."""
        tls = "starttls" if self.starttls else "imaps"
        login, password = _quoted(self.login), _quoted(self.password)
        return _SETTINGS.format(host=self.host, port=self.port, tls=tls, login=login, password=password)


@dataclass(frozen=True)
class Listed:
    """A folder there: its name as IMAP writes it with slashes between levels, its use, mails and bytes."""

    name: str
    role: str
    total: int
    size: int


def look(server: Server) -> list[Listed]:
    """The folders that hold mail, and how much. Raises Refused: no connection, no TLS, no log-in."""
    with _logged_in(server) as imap:
        rows = list(_rows(imap.list('""', "*")[1]))
        if "SPECIAL-USE" in imap.capabilities and not any(_role(flags) for flags, _, _ in rows):
            special = {name: flags for flags, _, name in _rows(imap.list('(SPECIAL-USE) ""', "*")[1])}
            rows = [(special.get(name, flags), sep, name) for flags, sep, name in rows]
        found = []
        for flags, sep, name in rows:
            if flags & {"noselect", "nonexistent"}:
                continue
            total, bytes = room.measured(imap, _quoted(name, "\\"))
            if total is None:
                fix = "open it once in a mail program; delete it there if it is broken, and run this again"
                raise Refused(Problem("folder", "cannot be read on the old server", fix, value=name))
            slashes = name.replace(sep, "/") if sep else name
            found.append(Listed(slashes, _role(flags), total, bytes))
        return found


def fetch(
    context: Context, server: Server, into: Path, folders: Sequence[Listed], tell: Callable[[int, int], None]
) -> list[Part]:
    """Have `into` hold exactly what the mailbox there holds: of a second time, only what changed is fetched.

    Gmail's views are left out. `tell` is told how many mails are here, of how many. Raises Refused.
    """
    (into / "ca.crt").unlink(missing_ok=True)
    (into / "ca.crt").write_bytes(server.ca.read_bytes())
    (into / "ca.crt").chmod(0o644)
    views = [each for each in folders if each.role in VIEWS]
    folders = [each for each in folders if each not in views]
    without = [word for view in views for word in ("-x", from_utf7(view.name))]
    total = sum(each.total for each in folders)
    for _ in range(ROUNDS):
        code, said = _run(context, server, into, without, lambda: tell(_count(into), total))
        if STUCK in said:
            shutil.rmtree(into / "mail", ignore_errors=True)
        elif code != AGAIN:
            break
    if code:
        raise Refused(failed("the import from the old server", said))
    return _parts(into, folders)


def _parts(into: Path, folders: Sequence[Listed]) -> list[Part]:
    """The listed folders with what was fetched of each; one that came meanwhile is fetched the next time."""
    here = {_name_of(path): path for path in (into / "mail").glob(".*") if (path / "cur").is_dir()}
    here["INBOX"] = into / "mail"
    parts = []
    for each in folders:
        name = "INBOX" if each.name.upper() == "INBOX" else each.name
        to = place(from_utf7(name), each.role)
        maildir = here.get(name, into / "none")
        part = Part(from_utf7(name), utf7(to.name), maildir, each.total, each.role == ALL, True, to.renamed)
        parts.append(part)
    return parts


def _name_of(maildir: Path) -> str:
    """The folder's name as IMAP writes it, out of the name that Dovecot gave it on the disk."""
    levels = maildir.name[1:].split(".")
    return "/".join(re.sub(r"%([0-9a-f]{2})", lambda found: chr(int(found[1], 16)), each) for each in levels)


def _run(
    context: Context, server: Server, into: Path, without: Sequence[str], tell: Callable[[], None]
) -> tuple[int, bytes]:
    """Let the container fetch; its exit code and what it said."""
    project = context.project_name
    there = all_of(context)
    store = hosts.store(context)
    chosen(there, store, project)
    # Nothing but its tasks gets into a network of a stack.
    network = "bridge" if hosts.several(context) else f"{project}_egress"
    name = f"{project}-import"
    # Left by an import that was killed: only one runs at a time.
    subprocess.run(["docker", "rm", "--force", name], capture_output=True, check=False)
    confined = (
        *("--rm", "--interactive", "--pull", "never", "--name", name, "--network", network),
        *("--user", "1000:1000", "--env", "USER=vmail", "--read-only"),
        *("--cap-drop", "ALL", "--cap-add", "SYS_CHROOT"),
        *("--security-opt", "no-new-privileges:true", "--memory", MEMORY, "--pids-limit", "100"),
        *("--tmpfs", f"{TMP}:mode=1777", "--tmpfs", "/run/dovecot:uid=1000,gid=1000,mode=755"),
        *("--mount", f"type=bind,source={into},target={SEEN_AS}", "--entrypoint", "/bin/sh"),
    )
    words = ["docker", "run", *confined, there[store].image, "-c", _SCRIPT, "sh", *without]
    with TemporaryFile() as said:
        process = subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=said)
        try:
            _send(process, server.settings)
            while _runs(process):
                tell()
        finally:
            if process.poll() is None:
                subprocess.run(["docker", "rm", "--force", name], capture_output=True, check=False)
                process.kill()
                process.wait()
        said.seek(0)
        return process.returncode, said.read()


def _send(process: "subprocess.Popen[bytes]", text: str) -> None:
    with suppress(BrokenPipeError):  # it has ended; what it said says why
        if process.stdin:
            process.stdin.write(text.encode())
            process.stdin.close()


def _runs(process: "subprocess.Popen[bytes]") -> bool:
    try:
        process.wait(POLL_SECONDS)
    except subprocess.TimeoutExpired:
        return True
    return False


def _count(into: Path) -> int:
    return sum(1 for part in ("cur", "new") for _ in (into / "mail").glob(f"**/{part}/*"))


@contextmanager
def _logged_in(server: Server) -> Iterator[imaplib.IMAP4]:
    where = f"{server.host}:{server.port}"
    try:
        tls = ssl.create_default_context(cafile=str(server.ca))
        imap: imaplib.IMAP4
        if server.starttls:
            imap = imaplib.IMAP4(server.host, server.port, timeout=SECONDS)
            imap.starttls(tls)
        else:
            imap = imaplib.IMAP4_SSL(server.host, server.port, ssl_context=tls, timeout=SECONDS)
    except ssl.SSLError as error:
        fix = "use the name that is in its certificate; of an authority of its own, give the file with --ca"
        raise Refused(Problem("source", f"its certificate: {error.reason or error}", fix, where)) from None
    except (OSError, imaplib.IMAP4.error) as error:
        fix = "check the server's name and port: imaps://imap.example.com:993"
        raise Refused(Problem("source", f"cannot be reached: {error}", fix, value=where)) from None
    with imap:
        _log_in(imap, server)
        yield imap


def _log_in(imap: imaplib.IMAP4, server: Server) -> None:
    try:
        if "AUTH=PLAIN" in imap.capabilities:
            imap.authenticate("PLAIN", lambda _: f"\0{server.login}\0{server.password}".encode())
        else:
            imap.login(_quoted(server.login, "\\"), server.password)
        # Servers say more of what they can do to whoever is in.
        imap.capabilities = tuple(imap.capability()[1][-1].decode("ascii", "replace").upper().split())
    except (imaplib.IMAP4.error, UnicodeEncodeError) as error:
        said = str(error.args[0] if error.args else error).strip("b'\"")
        fix = "check login and password; Gmail and others want an app password, made in the account there"
        raise Refused(Problem("login", f"was refused: {said}", fix, value=server.login)) from None


def _rows(lines: Sequence[object]) -> Iterator[tuple[set[str], str, str]]:
    """Flags without backslash, the separator, the name as IMAP writes it."""
    for line in lines:
        head, literal = line if isinstance(line, tuple) else (line, None)
        if not isinstance(head, bytes) or not (found := _LISTED.match(head)):
            continue
        name = found["name"] if literal is None else literal
        if name.startswith(b'"') and literal is None:
            name = re.sub(rb"\\(.)", rb"\1", name[1:-1])
        flags = {flag.lstrip("\\") for flag in found["flags"].decode("ascii", "replace").lower().split()}
        yield flags, (found["sep"] or b"").decode("ascii", "replace"), name.decode("utf-8", "replace")


def _role(flags: set[str]) -> str:
    roles = flags & {"sent", "drafts", "trash", "junk", "archive", ALL, *VIEWS}
    return min(roles, default="")


def _quoted(text: str, escaped: str = "") -> str:
    """A value in Dovecot's settings, where %{ would begin a variable; with `escaped` one of IMAP."""
    quoted = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{quoted if escaped else quoted.replace("%{", "%%{")}"'
