"""Mail and probes while something happens on a target, and what happened to them."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from tests.deploy.target import REPOSITORY, Target
from tests.stack.stack import eventually

ME = "me@example.com"
NETWORKS = ("mail", "web", "data", "scan")
# A sender whose mail is not accepted by then has found a server that does not come back.
LIMIT = 240
BLIP = 1.5


@dataclass
class Watch:
    """One period of mail and probes; `mails` and `probes` are filled when it has ended."""

    target: Target
    name: str
    mails: dict[str, int] = field(default_factory=dict)
    probes: list[dict[str, Any]] = field(default_factory=list)

    @property
    def folder(self) -> str:
        return f"/srv/watch/{self.name}"

    def start(self, image: str, what: str) -> None:
        """Start a container on every network of the mail server; it belongs to no Compose project."""
        source = Path(__file__).with_name("watch.py").read_text()
        self.target.console(
            f"rm -rf {self.folder} && mkdir -p {self.folder} && cat >/srv/watch.py", stdin=source
        )
        mounts = (
            f"--volume {self.folder}:/watch --volume /srv/watch.py:/watch.py:ro "
            f"--volume {REPOSITORY}/secrets/mailserver_api_tokens:/token:ro"
        )
        options = "--detach --restart always --user 0 --name watch --network mailserver_edge"
        run = f"docker run {options} {mounts} {image}"
        self.target.shell(f"{run} python3 /watch.py {ME} {self.name} {what}")
        for network in NETWORKS:
            self.target.shell(f"docker network connect mailserver_{network} watch")

    def end(self) -> None:
        """Stop sending, wait until every mail was accepted, and read what was noted."""
        self.target.shell(f"touch {self.folder}/stop")
        eventually(self._ended, limit=LIMIT, every=0.5)
        lines = self.target.shell(
            f"cat {self.folder}/mails; echo; cat {self.folder}/probes 2>/dev/null || true"
        )
        self.target.shell("docker rm --force watch")
        notes = [json.loads(line) for line in lines.splitlines() if line]
        self.probes = [note for note in notes if "service" in note]
        self.mails = {note["id"]: note["status"] for note in notes if "id" in note}
        del self.mails["all"]

    def _ended(self) -> bool:
        return self.target.ssh(f"""grep -q '"all"' {self.folder}/mails""").code == 0

    def lost_and_doubled(self) -> dict[str, int]:
        """How often each accepted mail is in the mailbox, but for those that are there once."""
        accepted = {id for id, status in self.mails.items() if status == 200}
        # What was deferred while a bad commit ran is tried again in minutes; a person would not wait, either.
        self.target.repo("docker compose exec -T postfix postqueue -f")
        try:
            eventually(lambda: accepted <= set(self._delivered()), limit=120, every=1)
        except AssertionError:
            missing = sorted(accepted - set(self._delivered()))
            queue = self.target.repo("docker compose exec -T postfix postqueue -p").said
            log = self.target.repo("docker compose logs --no-log-prefix --tail 60 postfix").said
            pytest.fail(f"not in the mailbox: {missing}\n{queue}\n{log}")
        found = self._delivered()
        return {id: found[id] for id in accepted if found[id] != 1}

    def _delivered(self) -> Counter[str]:
        command = "docker compose exec -T dovecot doveadm -f flow fetch -u me@example.com hdr.subject all"
        said = self.target.repo(command).said
        ids = [line.partition("=")[2].strip() for line in said.splitlines()]
        return Counter(id for id in ids if id.startswith(f"{self.name}-"))

    def down(self) -> dict[str, float]:
        """For how long each service was down, in seconds; an answer that a busy machine lost is left out."""
        times: Counter[str] = Counter()
        for note in self.probes:
            if note.get("down", 0) > BLIP:
                times[note["service"]] += note["down"]
        return {service: round(seconds, 1) for service, seconds in times.items()}

    def asked(self) -> dict[str, int]:
        """How often each service said what it should."""
        return {note["service"]: note["good"] for note in self.probes if "good" in note}

    def check(self) -> None:
        """Every mail that was sent was accepted, and is there exactly once."""
        assert set(self.mails.values()) == {200}, self.mails
        assert self.lost_and_doubled() == {}


@contextmanager
def traffic(target: Target, image: str, name: str, what: str = "mail") -> Iterator[Watch]:
    """Send mail (and with "probe" probe each service) while the body runs; then all of it is counted."""
    watch = Watch(target, name)
    watch.start(image, what)
    try:
        yield watch
    finally:
        watch.end()
    watch.check()
