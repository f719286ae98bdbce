"""Whatever an operator does between two inits, no init ever changes a secret that is there."""

import os
import shutil
import tempfile
from pathlib import Path

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from mailctl.core.context import Context
from mailctl.core.errors import Refused
from mailctl.core.output import Output
from mailctl.secret_files.certificates import fits
from mailctl.secret_files.initialise import initialise
from mailctl.secret_files.table import used

SOURCES, ENTRIES = used(several=False).sources, used(several=False).entries
FILES = st.sampled_from([entry.file for entry in ENTRIES])
VARIABLES = st.sampled_from([source.variable for source in SOURCES if source.variable])
GOOD = st.text("abcXYZ019._~-", min_size=32, max_size=40)
BAD = st.sampled_from(["<password>", "short", "white space in the middle of a value", "'quote"])


class Secrets(RuleBasedStateMachine):
    """The operator's moves: edit .env, lose a file, empty a file, run init."""

    @initialize()
    def begin(self) -> None:
        self.root = Path(tempfile.mkdtemp(prefix="mailctl-"))
        self.folder = self.root / "secrets"
        self.env = {"WEBMAIL_HOST": "mail.example.com"}
        self.patch = pytest.MonkeyPatch()
        # Thousands of files are written; that they survive a power cut is not what is tried here.
        self.patch.setattr(os, "fsync", lambda _fd: None)

    @rule(variable=VARIABLES, value=GOOD)
    def choose(self, variable: str, value: str) -> None:
        self.env[variable] = f"ntfys://{value}" if variable == "ALARM_URL" else value

    @rule(variable=VARIABLES)
    def forget(self, variable: str) -> None:
        self.env.pop(variable, None)

    @rule(host=st.sampled_from(["mail.example.com", "post.example.org"]))
    def rename_host(self, host: str) -> None:
        self.env["WEBMAIL_HOST"] = host

    @rule(name=FILES)
    def lose(self, name: str) -> None:
        (self.folder / name).unlink(missing_ok=True)

    @rule(name=FILES)
    def empty(self, name: str) -> None:
        if (self.folder / name).exists():
            (self.folder / name).chmod(0o600)
            (self.folder / name).write_bytes(b"")

    @rule()
    def init(self) -> None:
        before = self.contents()
        self.run_init()
        after = self.contents()
        assert set(after) == {entry.file for entry in ENTRIES}
        for source in SOURCES:
            chosen = self.env.get(source.variable or "", "").encode()
            if before.get(source.file):
                assert after[source.file] == before[source.file], source.file
            elif chosen:
                assert after[source.file] == chosen, source.file
            else:
                assert bool(after[source.file]) == (source.make is not None), source.file

    @rule(variable=VARIABLES, value=BAD)
    def init_with_bad_input(self, variable: str, value: str) -> None:
        before = self.contents()
        kept, self.env[variable] = self.env.get(variable), value
        with pytest.raises(Refused):
            self.run_init()
        assert self.contents() == before
        if kept is None:
            del self.env[variable]
        else:
            self.env[variable] = kept

    @rule()
    def init_twice(self) -> None:
        self.run_init()
        first = self.contents()
        self.run_init()
        assert self.contents() == first
        assert first["valkey_password"] in first["valkey_auth.conf"]
        assert first["dovecot_db_password"] in first["dovecot_db.conf"]
        for service in ("dovecot", "postfix"):
            certificate, key = first[f"{service}_tls.crt"], first[f"{service}_tls.key"]
            assert fits(certificate, key, first["internal_ca.crt"])

    @invariant()
    def nothing_half_written_lies_about(self) -> None:
        names = {path.name for path in self.folder.iterdir()} if self.folder.exists() else set()
        assert names <= {".lock", *(entry.file for entry in ENTRIES)}

    def run_init(self) -> None:
        lines = [f'{name}="{value}"\n' for name, value in self.env.items()]
        (self.root / ".env").write_text("".join(lines))
        (self.root / ".env").chmod(0o600)
        initialise(Context(self.root, Output(), environ={}), self.folder)

    def contents(self) -> dict[str, bytes]:
        if not self.folder.exists():
            return {}
        return {path.name: path.read_bytes() for path in self.folder.iterdir() if path.name != ".lock"}

    def teardown(self) -> None:
        if hasattr(self, "root"):
            self.patch.undo()
            shutil.rmtree(self.root)


Secrets.TestCase.settings = settings(max_examples=60, stateful_step_count=12, deadline=None)
TestSecrets = Secrets.TestCase
