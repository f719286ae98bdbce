"""Whatever is edited in the file and by hand at Cloudflare, whatever call fails: one more apply converges."""

import shutil
import tempfile
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from edge_repo import OTHER_RECORD, RECORD, EdgeRepo
from fake_cloudflare import FakeCloudflare
from fake_cloudflare.state import Json
from fakes import FakeDocker
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule

from mailctl.core.context import Context
from mailctl.core.errors import Refused
from mailctl.core.output import Output
from mailctl.edge import compare as comparing
from mailctl.edge.apply import apply
from mailctl.edge.host import Key
from mailctl.edge.plan import CONFLICT, Plan
from mailctl.secret_files.initialise import initialise

HOSTS = ("mail", "admin", "mail-api", "imap", "www")
CONTENTS = ("192.0.2.1", "192.0.2.2")
TEXTS = ('"v=DMARC1; p=none"', '"v=spf1 -all"', '"hello"', '"google-site-verification=1"')
BREAKABLE = ("routing", "team", "tunnels", "scripts", "applications", "catch_all")
BREAKABLE += ("destinations", "buckets", "namespaces")
ADDRESSES = st.sampled_from(["sales@example.com", "info@example.com"])


class Edge(RuleBasedStateMachine):
    """The operator's moves, Cloudflare's failures, and strangers who edit the zone."""

    @initialize()
    def begin(self) -> None:
        self.root = Path(tempfile.mkdtemp(prefix="mailctl-edge-"))
        self.patch = pytest.MonkeyPatch()
        self.repo = EdgeRepo(self.root / "repo", FakeDocker(self.root / "bin"))
        (self.repo.root / ".env").write_text("WEBMAIL_HOST=mail.example.com\n")
        (self.repo.root / ".env").chmod(0o600)
        self.keys = {"s1": RECORD}
        self.fake = FakeCloudflare("example.com").__enter__()
        for name, value in {"BASE_URL": self.fake.url, "API_TOKEN": self.fake.token}.items():
            self.patch.setenv(f"CLOUDFLARE_{name}", value)
        for limit in ("INITIAL_RETRY_DELAY", "MAX_RETRY_DELAY"):
            self.patch.setattr(f"cloudflare._base_client.{limit}", 0.001)
        self.patch.setattr(
            comparing, "signing_keys", lambda *_: tuple(Key(s, r, True) for s, r in self.keys.items())
        )
        self.context = Context(self.repo.root, Output(as_json=True))
        initialise(self.context, self.repo.root / "secrets")

    @rule(host=st.sampled_from(HOSTS))
    def file_gains_or_loses_a_host(self, host: str) -> None:
        ingress = self.repo.edge["tunnel"]["ingress"]
        line = {"hostname": f"{host}.example.com", "service": "http://nginx:80"}
        present = [row for row in ingress if row.get("hostname") == line["hostname"]]
        if not present:
            ingress.insert(0, line)
        elif host not in ("admin", "mail-api"):
            ingress.remove(present[0])

    @rule(policy=st.sampled_from(["quarantine", "reject"]))
    def file_changes_dmarc(self, policy: str) -> None:
        self.repo.edge["dns"][1]["content"] = f"v=DMARC1; p={policy}; rua=mailto:admin@example.com"

    @rule(address=ADDRESSES, present=st.booleans())
    def file_changes_a_rule(self, address: str, present: bool) -> None:
        rules = [r for r in self.repo.edge["email_routing"]["rules"] if r["address"] != address]
        self.repo.edge["email_routing"]["rules"] = rules + [{"address": address, "drop": True}] * present

    @rule(days=st.sampled_from([None, 7, 14]))
    def file_changes_the_spool(self, days: int | None) -> None:
        self.repo.edge["worker"].pop("spool", None)
        if days:
            self.repo.edge["worker"]["spool"] = {"bucket": "shop-mail-spool", "days": days}

    @rule()
    def whoever_reads_that_mailbox_confirms(self) -> None:
        for address in list(self.fake.state.destinations):
            self.fake.state.confirm(address)

    @rule(code=st.sampled_from([b"one", b"two"]))
    def file_changes_the_worker(self, code: bytes) -> None:
        (self.repo.worker / "worker.js").write_bytes(code)

    @rule(token=st.sampled_from(["t", "u"]))
    def the_api_token_is_rotated(self, token: str) -> None:
        self.repo.set_secret("mailserver_api_tokens", token * 43 + "\n")

    @rule()
    def a_dkim_key_is_made_or_retired(self) -> None:
        self.keys = {"s1": RECORD} if "s2" in self.keys else {"s1": RECORD, "s2": OTHER_RECORD}

    @rule(host=st.sampled_from(HOSTS), content=st.sampled_from(CONTENTS))
    def a_stranger_adds_an_address(self, host: str, content: str) -> None:
        self.fake.state.add_record(type="A", name=f"{host}.example.com", content=content)

    @rule(name=st.sampled_from(["example.com", "_dmarc.example.com"]), content=st.sampled_from(TEXTS))
    def a_stranger_adds_a_text(self, name: str, content: str) -> None:
        self.fake.state.add_record(type="TXT", name=name, content=content)

    @rule(data=st.data())
    def a_stranger_deletes_or_changes_a_record(self, data: st.DataObject) -> None:
        records = self.fake.state.records
        if not records:
            return
        record = data.draw(st.sampled_from(sorted(records.values(), key=lambda r: (r["type"], r["name"]))))
        if data.draw(st.booleans()):
            del records[record["id"]]
        else:
            record["comment"] = None

    @rule(what=st.sampled_from(BREAKABLE))
    def a_stranger_breaks_something(self, what: str) -> None:
        state = self.fake.state
        if what == "routing":
            state.routing = state.locked = False
        elif what == "catch_all":
            state.catch_all["actions"] = [{"type": "forward", "value": ["x@example.net"]}]
        elif what != "team":
            getattr(state, what).clear()

    @rule(
        prune=st.booleans(),
        fault=st.sampled_from([None, "refused", "lost", "down", "429"]),
        call=st.integers(0, 40),
    )
    def apply_once(self, prune: bool, fault: str | None, call: int) -> None:
        """It may be refused or fail; nothing of strangers that it did not adopt changes."""
        foreign = self.foreign()
        if fault:
            self.fake.fail(call, fault)
        with suppress(Refused):
            self.run((), prune)
        self.fake.faults.clear()
        assert self.foreign() == foreign

    @rule()
    def one_more_apply_converges(self) -> None:
        names = self.converge()
        again = self.plan(names, prune=True)
        assert not again.changes and not again.noted(CONFLICT), again.as_dict()
        assert self.fake.state.mx() == set(self.repo.edge["email_routing"]["mx"])
        assert self.fake.violations == []

    def converge(self) -> tuple[str, ...]:
        """Take over what is in the way, then apply."""
        names: tuple[str, ...] = tuple({note.name for note in self.plan((), prune=True).noted(CONFLICT)})
        self.run(names, prune=True)
        return names

    def plan(self, adopt: tuple[str, ...], prune: bool) -> Plan:
        self.repo.save()
        return comparing.compare(comparing.begin(self.context, adopt, prune), self.context)

    def run(self, adopt: tuple[str, ...], prune: bool) -> None:
        apply(self.plan(adopt, prune), lambda change: None)

    def foreign(self) -> list[Json]:
        """Records without our mark that no part of Cloudflare made, as they are."""
        mark = "mailctl: shop-mail"
        records: Any = self.fake.state.records.values()
        kept = [
            r for r in records if r["comment"] != mark and not r["meta"] and "cloudflare" not in r["content"]
        ]
        return sorted((dict(r) for r in kept), key=lambda r: r["id"])

    def teardown(self) -> None:
        if hasattr(self, "root"):
            self.converge()
            assert not self.plan((), prune=True).changes
            self.fake.__exit__()
            self.patch.undo()
            shutil.rmtree(self.root)


Edge.TestCase.settings = settings(max_examples=15, stateful_step_count=12, deadline=None)
TestEdge = Edge.TestCase
