"""What only the host knows: the secret files, and the keys that rspamd signs with."""

import base64
import hashlib
import hmac
import json
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

from mailctl.core.compose import Compose
from mailctl.core.context import Context
from mailctl.core.errors import Problem, Refused
from mailctl.secret_files.store import opened
from mailctl.secret_files.table import PUBLIC_IN_FOLDER

TUNNEL_TOKEN = "cloudflared_token"  # noqa: S105 (a file name)
DIGEST_KEY = "internal_ca.key"
DKIM_TOOL = "/etc/rspamd/bin/dkim"
# Our selectors are this and a number; bin/dkim-key makes the first. No relay and no mail provider uses such
# names. Keys of an earlier version are s1, s2, … as SendGrid's are, until a rotation replaces them.
SELECTOR = "mailctl"


@dataclass
class SecretFiles:
    """The secrets folder; `path` is None where there is none, as on a machine that only plans."""

    path: Path | None

    @classmethod
    def of(cls, context: Context) -> "SecretFiles":
        try:
            path = context.folder("SECRETS_DIR", "secrets")
        except Refused:  # no .env: not the host
            path = context.repo / "secrets"
        return cls(path if path.is_dir() else None)

    def text(self, name: str) -> str:
        """A secret's last line that is not empty: of two tokens the newer one. Empty when there is none."""
        lines = [line.strip() for line in self.content(name).decode("utf-8", "replace").splitlines()]
        return next((line for line in reversed(lines) if line), "")

    def content(self, name: str) -> bytes:
        """The whole file; empty when it or the folder is missing."""
        if self.path is None:
            return b""
        with opened(self.path, create=False) as store:
            return store.read(name) or b""

    def write(self, name: str, content: str) -> None:
        """Put a secret there in one step. Raises Refused without a folder, or when it cannot be written."""
        if self.path is None:
            raise Refused(Problem("secrets folder", "there is none here", "run make setup on the host"))
        with opened(self.path, create=False) as store, store.locked():
            store.write(name, content.encode(), PUBLIC_IN_FOLDER)

    def digest(self, values: dict[str, str]) -> str:
        """A digest that shows whether secrets changed and, without a key of this host, nothing about them."""
        key = hashlib.sha256(b"mailctl edge " + self._key()).digest()
        return hmac.new(key, json.dumps(values, sort_keys=True).encode(), hashlib.sha256).hexdigest()[:32]

    def _key(self) -> bytes:
        """The key of the digests; refused when it is missing, since a digest without one tells too much."""
        content = self.content(DIGEST_KEY)
        if not content:
            raise Refused(Problem(DIGEST_KEY, "is missing or empty in the secrets folder", "make setup"))
        return content


def tunnel_of(token: str) -> str | None:
    """The id of the tunnel that a tunnel's token is for, None for what is no such token."""
    try:
        found = json.loads(base64.b64decode(token, validate=True))["t"]
    except (ValueError, KeyError, TypeError):
        return None
    return found if isinstance(found, str) else None


@dataclass(frozen=True)
class Key:
    """One key of rspamd: its selector, the content of its record, and whether it is the one that signs."""

    selector: str
    record: str
    signs: bool


def listed(text: str) -> tuple[Key, ...]:
    """The keys that the tool lists."""
    rows = [line.split("\t") for line in text.splitlines() if line.count("\t") == 2]
    return tuple(Key(selector, record, state == "signs") for selector, state, record in rows)


@dataclass
class Dkim:
    """The keys of one domain in the running rspamd container."""

    context: Context
    domain: str
    compose: Compose = field(init=False)

    def __post_init__(self) -> None:
        self.compose = Compose(self.context.repo)

    @cached_property
    def keys(self) -> tuple[Key, ...]:
        """Every key of the domain. Raises Refused when rspamd does not run here."""
        return listed(self.run("list", self.domain))

    def run(self, *words: str) -> str:
        """Call the tool in the container: an action and its words."""
        return self.compose.run("exec", "-T", "rspamd", "sh", DKIM_TOOL, *words)

    def forget(self) -> None:
        """The next look at `keys` asks again."""
        self.__dict__.pop("keys", None)
