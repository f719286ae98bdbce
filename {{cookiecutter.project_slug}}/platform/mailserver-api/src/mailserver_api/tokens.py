"""Bearer tokens: who may call. One or two are valid at once, so that a rotation has no gap."""

import hashlib
import hmac
import re
from pathlib import Path

from mailserver_api.problems import CLOSE, Problem
from mailserver_api.verdicts import Verdict

MAX_TOKENS = 2
_TOKEN = re.compile(r"[!-~]{32,512}")


class Tokens:
    """The tokens of a file, read again whenever the file changes. Without valid tokens nobody gets in."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._stamp: tuple[int, int, int] | None = None
        self._digests: list[bytes] = []
        self._problem: str | None = "the tokens file was not read yet"

    def problem(self) -> str | None:
        """Why no call can be authorized, or None. Never quotes the file."""
        self._refresh()
        return self._problem

    def matches(self, authorization: str | None) -> bool:
        """Whether an Authorization header carries a valid token; compares with all, in constant time."""
        self._refresh()
        scheme, _, token = (authorization or "").partition(" ")
        presented = _digest(token.strip())
        found = False
        for digest in self._digests:
            found |= hmac.compare_digest(digest, presented)
        return found and scheme.lower() == "bearer"

    def marked(self, text: str, mark: str) -> bool:
        """Whether a holder of a valid token marked this text: 24 hex digits of HMAC-SHA-256, the key is the
        token's SHA-256.
        """
        self._refresh()
        marks = (hmac.new(digest, text.encode(), "sha256").hexdigest()[:24] for digest in self._digests)
        return any([hmac.compare_digest(each, mark) for each in marks])

    def require(self, authorization: str | None) -> None:
        """Raise the Problem that answers an unauthorized call: 401, or 503 while there are no tokens."""
        if self.problem() is not None:
            detail = "The service has no valid tokens; see its log."
            raise Problem(Verdict.TEMPORARY, detail, headers=CLOSE)
        if not self.matches(authorization):
            detail = "Send 'Authorization: Bearer TOKEN' with a valid token."
            raise Problem(Verdict.UNAUTHORIZED, detail, headers=CLOSE)

    def _refresh(self) -> None:
        try:
            stat = self._path.stat()
            stamp = (stat.st_mtime_ns, stat.st_size, stat.st_ino)
            if stamp == self._stamp:
                return
            lines = self._path.read_text("ascii").split("\n")
        except (OSError, UnicodeDecodeError) as error:
            self._stamp, self._digests = None, []
            self._problem = f"{self._path}: cannot be read ({type(error).__name__})"
            return
        self._stamp = stamp
        tokens = [line.strip() for line in lines if line.strip()]
        self._problem = self._judge(tokens)
        self._digests = [] if self._problem else [_digest(token) for token in tokens]

    def _judge(self, tokens: list[str]) -> str | None:
        if not 1 <= len(tokens) <= MAX_TOKENS:
            return f"{self._path}: holds {len(tokens)} tokens; write one a line, one or two lines"
        if not all(_TOKEN.fullmatch(token) for token in tokens):
            return f"{self._path}: a token is not 32 to 512 printable ASCII characters without blanks"
        return None


def _digest(token: str) -> bytes:
    # Equal lengths: compare_digest hides the contents of its arguments, not their lengths.
    return hashlib.sha256(token.encode("utf-8", "surrogateescape")).digest()
