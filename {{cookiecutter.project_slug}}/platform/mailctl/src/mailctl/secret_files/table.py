"""The one table of secret files: where each comes from, who reads it, and how often it is rotated.

A `Source` holds something that exists nowhere else and is never overwritten. A `Derived` file follows from
sources and is written again whenever it no longer fits them.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial

from mailctl.secret_files import rules
from mailctl.secret_files.rules import Rule

PUBLIC_IN_FOLDER = 0o444  # the folder is 0700: others on the host cannot enter, every container uid can read
OWNER_ONLY = 0o400

# The rotation table of the deployment strategy, in days.
DATABASE_DAYS, PROVIDER_KEY_DAYS, API_TOKEN_DAYS, AWS_KEY_DAYS = 90, 365, 90, 90


@dataclass(frozen=True)
class Inputs:
    """What a derived file is made from: the secrets so far, by file name, and settings of `.env`."""

    secrets: Mapping[str, bytes]
    slug: str
    host_names: tuple[str, ...]
    #: Where mail programs connect to; "" where they may not.
    client_host: str = ""
    #: Of several hosts (nodes.yml): a store each.
    shards: tuple[str, ...] = ()


@dataclass(frozen=True)
class Source:
    """A secret of its own. Without `make` it is optional; `empty_means` says what then happens."""

    file: str
    readers: tuple[str, ...]
    make: Callable[[], bytes] | None
    variable: str | None = None
    rule: Rule | None = None
    rotate_days: int | None = None
    empty_means: str = ""
    replace: str = ""
    mode: int = PUBLIC_IN_FOLDER
    several: bool = False  # of several hosts alone


@dataclass(frozen=True)
class Derived:
    """A file made from others; `build` gets the existing content and returns what must stand there."""

    file: str
    readers: tuple[str, ...]
    sources: tuple[str, ...]
    build: Callable[[bytes, Inputs], bytes]
    certificate: bool = field(default=False)
    #: Whether it carries the host names of `.env`; a certificate of stores alone carries theirs.
    host_names: bool = False
    mode: int = PUBLIC_IN_FOLDER
    several: bool = False  # of several hosts alone


def _text_from(source: str, template: str) -> Callable[[bytes, Inputs], bytes]:
    def build(_existing: bytes, inputs: Inputs) -> bytes:
        return template.format(inputs.secrets[source].decode().strip()).encode()

    return build


def _ca(existing: bytes, inputs: Inputs) -> bytes:
    from mailctl.secret_files.certificates import self_signed_ca

    return self_signed_ca(existing, inputs.secrets["internal_ca.key"], inputs.slug)


def _certificate_of(service: str, members: tuple[str, ...]) -> Callable[[bytes, Inputs], bytes]:
    def build(existing: bytes, inputs: Inputs) -> bytes:
        from mailctl.secret_files.certificates import service_certificate

        found = inputs.secrets
        key, ca, ca_key = found[f"{service}_tls.key"], found["internal_ca.crt"], found["internal_ca.key"]
        names = (service, *members, *inputs.host_names)
        return service_certificate(existing, key, ca, ca_key, names, peer=bool(members))

    return build


def _store_certificate(existing: bytes, inputs: Inputs) -> bytes:
    """Of all stores: a new one as soon as a host brings in another shard."""
    from mailctl.secret_files import certificates

    names = [f"dovecot-{shard}" for shard in inputs.shards] or ["dovecot"]
    found = certificates.parse(existing)
    kept = existing if found and set(names) <= certificates.covered_names(found) else b""
    key, ca, ca_key = (inputs.secrets[name] for name in _STORES)
    return certificates.service_certificate(kept, key, ca, ca_key, names)


def _client_certificate(existing: bytes, inputs: Inputs) -> bytes:
    from mailctl.secret_files.client_certificate import kept_or_own

    found, names = inputs.secrets, (inputs.client_host or inputs.host_names[0],)
    return kept_or_own(existing, found["internal_ca.crt"], found["internal_ca.key"], names)


def _new_key() -> bytes:
    from mailctl.secret_files.certificates import new_key

    return new_key()


def _age_identity() -> bytes:
    from mailctl.core.encryption import new_identity

    return new_identity()


def _signing_key() -> bytes:
    from mailctl.core.signing import new_key

    return new_key()


def _password(
    file: str,
    readers: tuple[str, ...],
    variable: str | None = None,
) -> Source:
    """A database account's password: the database keeps the old one until it is changed there too."""
    replace = f".venv/bin/mailctl secrets rotate {file}"
    make = partial(rules.alphanumeric, 32)
    return Source(file, readers, make, variable, rules.PASSWORD, DATABASE_DAYS, replace=replace)


def _key(file: str, reader: str | None, mode: int = PUBLIC_IN_FOLDER, several: bool = False) -> Source:
    return Source(file, (reader,) if reader else (), _new_key, mode=mode, several=several)


def _certificate(service: str, *members: str) -> Derived:
    """Of a service; of its members as well, who show it to each other, where there are several."""
    sources = (f"{service}_tls.key", "internal_ca.crt", "internal_ca.key")
    build = _certificate_of(service, members)
    name = f"{service}_tls.crt"
    return Derived(name, (service,), sources, build, certificate=True, host_names=True, several=bool(members))


_STORES = ("dovecot_store_tls.key", "internal_ca.crt", "internal_ca.key")
# The proxies show it for whoever has logged in; by it stores and proxies know each other (doveadm).
_PROXY = """\
passdb shard-of-person {{
  fields {{
    pass = {0}
  }}
}}
passdb shard-of-mailbox {{
  fields {{
    pass = {0}
  }}
}}
doveadm_password = {0}
"""
_STORE = "passdb proxies {{\n  static_password = {0}\n}}\ndoveadm_password = {0}\n"
_EMPTY_AND_AGAIN = "empty the file, put the new value into .env and run make setup"

SOURCES: tuple[Source, ...] = (
    _password("mariadb_root_password", ("mariadb",), "MYSQL_ROOT_PASSWORD"),
    _password("mariadb_owner_password", ("mariadb",), "MYSQL_PASSWORD"),
    _password("usermgmt_db_password", ("mariadb", "usermgmt"), "USERMGMT_DB_PASSWORD"),
    _password("postfix_db_password", ("mariadb", "postfix")),
    _password("dovecot_db_password", ("mariadb", "dovecot")),
    _password("roundcube_db_password", ("mariadb", "roundcube")),
    _password("backup_db_password", ("mariadb",)),
    # Of several hosts. Without a calendar: the account reaches nothing but which mail came lately.
    Source(
        "ledger_db_password",
        ("mariadb", "mailserver-api"),
        partial(rules.alphanumeric, 32),
        None,
        rules.PASSWORD,
        replace=".venv/bin/mailctl secrets rotate ledger_db_password",
        several=True,
    ),
    Source(
        "relay_password",
        ("postfix",),
        None,
        "SENDGRID_API_KEY",
        rules.PROVIDER_KEY,
        PROVIDER_KEY_DAYS,
        empty_means="outgoing mail waits in the queue",
        replace=".venv/bin/mailctl secrets rotate relay_password",
    ),
    Source(
        "cloudflared_token",
        ("cloudflared",),
        None,
        "CLOUDFLARED_TOKEN",
        rules.PROVIDER_KEY,
        None,
        empty_means="the tunnel cannot start",
        replace=_EMPTY_AND_AGAIN,
    ),
    Source(
        "cloudflare_api_token",
        (),
        None,
        "CLOUDFLARE_API_TOKEN",
        rules.PROVIDER_KEY,
        PROVIDER_KEY_DAYS,
        empty_means="make edge-plan, edge-apply and dkim-rotate cannot talk to Cloudflare",
        replace=_EMPTY_AND_AGAIN,
        mode=OWNER_ONLY,
    ),
    # Less than the one above may: with it alone `mailctl certificate` proves by DNS that the name is ours.
    Source(
        "acme_cloudflare_token",
        (),
        None,
        "ACME_CLOUDFLARE_TOKEN",
        rules.PROVIDER_KEY,
        PROVIDER_KEY_DAYS,
        empty_means="where mail programs are on, phones do not trust the certificate that they see",
        replace=_EMPTY_AND_AGAIN,
        mode=OWNER_ONLY,
    ),
    # One URL a line, of any service that apprise knows. Whoever has one can write to whom it leads.
    Source(
        "alarm_urls",
        (),
        None,
        "ALARM_URL",
        rules.ALARM_URL,
        empty_means="no alarm leaves this host past its own Postfix",
        replace=_EMPTY_AND_AGAIN,
        mode=OWNER_ONLY,
    ),
    Source(
        "mailserver_api_tokens",
        ("mailserver-api",),
        rules.url_safe_token,
        "MAILSERVER_API_TOKEN",
        rules.TOKEN,
        API_TOKEN_DAYS,
        replace=".venv/bin/mailctl secrets rotate mailserver_api_tokens",
    ),
    # With it, and with HASTEN_URL at GitHub, a workflow has this host look at once (docs/deploying.md).
    Source(
        "deploy_hook_token",
        ("mailserver-api",),
        None,
        "DEPLOY_HOOK_TOKEN",
        rules.TOKEN,
        empty_means="no push hastens a deployment: the timer of pull looks every two minutes",
        replace=_EMPTY_AND_AGAIN,
    ),
    Source("usermgmt_session_key", ("usermgmt",), partial(rules.hexadecimal, 64)),
    Source("usermgmt_admin_password", ("usermgmt",), partial(rules.readable, 20)),
    Source("roundcube_des_key", ("roundcube",), partial(rules.alphanumeric, 24)),
    # By it usermgmt knows the webmail's server, to which it gives people's tokens.
    Source("roundcube_oauth_client_secret", ("usermgmt", "roundcube"), partial(rules.alphanumeric, 32)),
    Source("rspamd_controller_password", ("rspamd", "dovecot"), partial(rules.alphanumeric, 32)),
    Source("doveadm_api_key", ("usermgmt",), partial(rules.alphanumeric, 32)),
    # Of several hosts: who may ask the stores of mail for anything, and who has them move mailboxes.
    Source(
        "dovecot_store_password",
        ("dovecot", "dovecot-store"),
        partial(rules.alphanumeric, 32),
        several=True,
    ),
    Source(
        "dovecot_store_api_key", ("dovecot-store", "mover"), partial(rules.alphanumeric, 32), several=True
    ),
    Source("valkey_password", ("rspamd",), partial(rules.alphanumeric, 32)),
    Source(
        "aws_uploader_key",
        (),
        None,
        None,
        None,
        AWS_KEY_DAYS,
        empty_means="nothing is copied to S3",
        replace=".venv/bin/mailctl secrets aws",
        mode=OWNER_ONLY,
    ),
    # Decrypts snapshots, so that a drill needs nobody; it is never part of one.
    Source("backup_age_identity", (), _age_identity, mode=OWNER_ONLY),
    # Signs copies off site. A snapshot has it, encrypted: the next host goes on with it.
    Source("backup_signing_key", (), _signing_key, mode=OWNER_ONLY),
    _key("internal_ca.key", None, OWNER_ONLY),
    # Our account at the public authority.
    _key("acme_account.key", None, OWNER_ONLY),
    _key("dovecot_tls.key", "dovecot"),
    _key("dovecot_store_tls.key", "dovecot-store", several=True),
    _key("postfix_tls.key", "postfix"),
    # The members of these are on different hosts.
    _key("mariadb_tls.key", "mariadb", several=True),
    _key("valkey_tls.key", "valkey", several=True),
)

DERIVED: tuple[Derived, ...] = (
    Derived(
        "dovecot_db.conf",
        ("dovecot",),
        ("dovecot_db_password",),
        _text_from("dovecot_db_password", "mysql mariadb {{\n  password = {}\n}}\n"),
    ),
    Derived(
        "doveadm_api.conf",
        ("dovecot",),
        ("doveadm_api_key",),
        _text_from("doveadm_api_key", "doveadm_api_key = {}\n"),
    ),
    Derived(
        "dovecot_proxy.conf",
        ("dovecot",),
        ("dovecot_store_password",),
        _text_from("dovecot_store_password", _PROXY),
        several=True,
    ),
    Derived(
        "dovecot_store.conf",
        ("dovecot-store",),
        ("dovecot_store_password",),
        _text_from("dovecot_store_password", _STORE),
        several=True,
    ),
    Derived(
        "dovecot_store_api.conf",
        ("dovecot-store",),
        ("dovecot_store_api_key",),
        _text_from("dovecot_store_api_key", "doveadm_api_key = {}\n"),
        several=True,
    ),
    Derived(
        "valkey_auth.conf",
        ("valkey",),
        ("valkey_password",),
        _text_from("valkey_password", "requirepass {}\n"),
    ),
    Derived(
        "internal_ca.crt",
        ("postfix", "dovecot", "roundcube", "mailserver-api", "usermgmt"),
        ("internal_ca.key",),
        _ca,
        certificate=True,
    ),
    _certificate("dovecot"),
    _certificate("postfix"),
    Derived(
        "dovecot_store_tls.crt",
        ("dovecot-store",),
        _STORES,
        _store_certificate,
        certificate=True,
        several=True,
    ),
    _certificate("mariadb", "mariadb-1", "mariadb-2", "mariadb-3"),
    _certificate("valkey", "valkey-1", "valkey-2", "valkey-3"),
    # Key and certificates in one file, so that no reader has one without the other: of our own authority,
    # until `mailctl certificate` has them of a public one.
    Derived(
        "client_tls.pem",
        ("dovecot", "postfix", "usermgmt"),
        ("internal_ca.crt", "internal_ca.key"),
        _client_certificate,
    ),
)

ENTRIES: tuple[Source | Derived, ...] = (*SOURCES, *DERIVED)
VARIABLES: tuple[str, ...] = tuple(s.variable for s in SOURCES if s.variable)
"""The variables of `.env` that hold secrets; everything else there is a setting."""
_OF_MARIADB = {s.file for s in SOURCES if "mariadb" in s.readers and s.rule is rules.PASSWORD}
DATABASE_PASSWORDS = frozenset(_OF_MARIADB | {d.file for d in DERIVED if _OF_MARIADB & {*d.sources}})
"""Files with the passwords that the database was told: older ones open it no more."""


@dataclass(frozen=True)
class Used:
    """The files that a repository has."""

    sources: tuple[Source, ...]
    derived: tuple[Derived, ...]

    @property
    def entries(self) -> tuple[Source | Derived, ...]:
        return (*self.sources, *self.derived)


def used(several: bool) -> Used:
    """All of them for several hosts; for one without what only several need."""
    return Used(
        tuple(entry for entry in SOURCES if several or not entry.several),
        tuple(entry for entry in DERIVED if several or not entry.several),
    )
