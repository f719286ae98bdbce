"""What the environment tells the application. Secrets arrive as files, never as values."""

from __future__ import annotations

import os
import re
import ssl
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from sqlalchemy import URL

from usermgmt.mail.doveadm import Doveadm

TRUE_WORDS = {"1", "true", "yes", "on"}
FALSE_WORDS = {"0", "false", "no", "off"}
HOST = re.compile(r"[a-z0-9]([a-z0-9.-]*[a-z0-9])?")
URL_OF_SITE = re.compile(rf"https?://{HOST.pattern}(:[0-9]{{1,5}})?/?")


class SettingsError(Exception):
    """A variable is missing or wrong; the message names it, its value and what to use instead."""


def read_secret(env: Mapping[str, str], name: str) -> str:
    """The content of the file that variable `name` points to, without the line end."""
    path = env.get(name, "")
    if not path:
        raise SettingsError(f"{name} is not set: set it to the path of a file that holds the secret")
    try:
        secret = Path(path).read_text(encoding="utf-8").rstrip("\r\n")
    except (OSError, UnicodeDecodeError) as error:
        raise SettingsError(f"{name}={path} cannot be read ({error.__class__.__name__})") from error
    if not secret:
        raise SettingsError(f"{name}={path} is empty: write the secret into that file")
    return secret


def read_switch(env: Mapping[str, str], name: str, default: bool) -> bool:
    """A yes-or-no variable; anything but the usual words is an error, not a guess."""
    word = env.get(name, "").strip().lower()
    if not word:
        return default
    if word in TRUE_WORDS or word in FALSE_WORDS:
        return word in TRUE_WORDS
    raise SettingsError(f"{name}={word!r} is neither true nor false: use `true` or `false`")


def read_host(env: Mapping[str, str], name: str) -> str:
    """A host name without scheme, port and path; a leading dot would trust every name below it."""
    host = env.get(name, "").strip().lower()
    if not HOST.fullmatch(host):
        raise SettingsError(
            f"{name}={host!r} is not a host name: use the one in the address bar, like admin.acme.com"
        )
    return host


def read_url(env: Mapping[str, str], name: str) -> str:
    """The address of a site's first page, which ends with a slash."""
    url = env.get(name, "").strip()
    if not URL_OF_SITE.fullmatch(url):
        raise SettingsError(f"{name}={url!r} is not a site: use one like https://mail.acme.com/")
    return url.rstrip("/") + "/"


def database_url(env: Mapping[str, str]) -> URL:
    """The database that DB_HOST, DB_PORT, DB_NAME, DB_USER and DB_PASSWORD_FILE describe.

    With DB_CA_FILE it is reached by TLS, and only if it shows a certificate of that authority for its name.
    """
    port = env.get("DB_PORT", "3306")
    if not port.isdigit() or not 0 < int(port) < 65536:
        raise SettingsError(f"DB_PORT={port!r} is not a port: use a number from 1 to 65535, usually 3306")
    return URL.create(
        "mariadb+pymysql",
        username=env.get("DB_USER", "usermgmt"),
        password=read_secret(env, "DB_PASSWORD_FILE"),
        host=env.get("DB_HOST", "mariadb"),
        port=int(port),
        database=env.get("DB_NAME", "mailserver"),
        query={"charset": "utf8mb4", **({"ssl_ca": ca} if (ca := env.get("DB_CA_FILE")) else {})},
    )


def dovecot(env: Mapping[str, str]) -> Doveadm | None:
    """What DOVEADM_HOST, _KEY_FILE and _CA_FILE say; None without a host. Raises SettingsError."""
    host, ca_file = env.get("DOVEADM_HOST", ""), env.get("DOVEADM_CA_FILE", "")
    if not host:
        return None
    try:
        trusted = ssl.create_default_context(cafile=ca_file)
    except OSError as error:
        raise SettingsError(f"DOVEADM_CA_FILE={ca_file} is no file of certificates: {error}") from error
    return Doveadm(host, read_secret(env, "DOVEADM_KEY_FILE"), trusted)


@dataclass(frozen=True)
class Settings:
    """Everything the application needs to start."""

    database_url: URL | str
    session_key: str = field(repr=False)
    account_host: str
    admin_host: str
    admin_email: str = ""
    admin_password: str = field(default="", repr=False)
    cookie_secure: bool = True
    proxy_host: str = "nginx"
    filter_host: str = "rspamd"
    dovecot_host: str = "dovecot"
    cheap_hashes: bool = False
    doveadm: Doveadm | None = None
    edge_file: Path | None = None
    #: Radicale, where the answer `groupware` is on.
    dav_host: str = ""
    #: The webmail: where it is, what its server proves itself with, and who its tokens say issued them.
    webmail_url: str = ""
    webmail_secret: str = field(default="", repr=False)
    issuer: str = ""
    #: Where mail programs connect to, and the file with key and certificates that they see.
    client_host: str = ""
    client_tls: Path | None = None
    #: Whether the relay forwards outside what the Email Worker cannot.
    forward_by_relay: bool = False

    @classmethod
    def from_environment(cls, env: Mapping[str, str] = os.environ) -> Settings:
        """Read the web application's settings; raises SettingsError naming the variable at fault."""
        session_key = read_secret(env, "SESSION_KEY_FILE")
        if len(session_key) < 32:
            raise SettingsError(
                "SESSION_KEY_FILE holds fewer than 32 characters: write 64 hexadecimal digits into it"
            )
        account_host, admin_host = read_host(env, "ACCOUNT_HOST"), read_host(env, "ADMIN_HOST")
        if account_host == admin_host:
            raise SettingsError(
                f"ACCOUNT_HOST={account_host!r} is ADMIN_HOST too: use a host name of its own for each"
            )
        admin_email = env.get("ADMIN_EMAIL", "").strip()
        return cls(
            database_url=database_url(env),
            session_key=session_key,
            account_host=account_host,
            admin_host=admin_host,
            admin_email=admin_email,
            admin_password=read_secret(env, "ADMIN_PASSWORD_FILE") if admin_email else "",
            cookie_secure=read_switch(env, "COOKIE_SECURE", True),
            doveadm=dovecot(env),
            edge_file=Path(env["EDGE_FILE"]) if env.get("EDGE_FILE") else None,
            dav_host=env.get("DAV_HOST", ""),
            webmail_url=read_url(env, "WEBMAIL_URL"),
            webmail_secret=read_secret(env, "WEBMAIL_SECRET_FILE"),
            issuer=read_url(env, "ISSUER").rstrip("/"),
            client_host=read_host(env, "CLIENT_HOST") if env.get("CLIENT_HOST") else "",
            client_tls=Path(env["CLIENT_TLS_FILE"]) if env.get("CLIENT_TLS_FILE") else None,
            forward_by_relay=read_switch(env, "FORWARD_BY_RELAY", False),
        )
