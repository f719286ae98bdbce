import re
from collections.abc import Iterator

from policies.dockerfile.reader import Dockerfile, Instruction
from policies.dockerfile.rule import DockerfileRule
from policies.model import Found, Severity
from policies.shared.shell import commands

REMOTE = re.compile(
    r"(?:^|[\s\"'\[,])(?:(?:https?|ftp|git|ssh)://|git@|[\w.-]+@[\w.-]+:[\w./-]+\.git)", re.IGNORECASE
)
FETCHER = r"(?:curl|wget|wget2|aria2c|axel|lynx|w3m|http|https|fetch)"
#: Something is fetched and run unseen: curl … | sh, sh -c "$(wget …)", bash <(curl …).
PIPED = re.compile(
    rf"\b{FETCHER}\s[^;&]*\|&?\s*[^;&]*\b(?:\w*sh|python[\d.]*|perl|ruby|node|php|tar|xargs)\b"
)
PLACED = re.compile(rf"(?:\$\(|<\(|`)\s*{FETCHER}\s")
#: Something is fetched with an address, by a program, a language or a package manager.
FETCHED = re.compile(rf"^(?:busybox\s+)?{FETCHER}\s(?!.*(?:--version|//localhost|//127\.)).*[\w-]+[./:][\w-]")
#: A connection without a program that knows addresses: nc host 80, /dev/tcp/host/80, rsync, scp.
CONNECTED = re.compile(
    r"^(?:busybox\s+)?(?:(?:nc|ncat|netcat|socat|telnet|tftp|ftp|openssl\s+s_client)\s"
    r"(?!.*(?:localhost|\b127\.)).*[\w-][.:]\w|(?:rsync|scp|sftp)\s.*[\w-](?:::?|@)\w)"
)
DEVICE = re.compile(r"/dev/(?:tcp|udp)/(?!localhost|127\.)")
CLONED = re.compile(r"^git\s+(?:-\S+\s+)*(?:clone|fetch|pull|submodule)\b")
PACKAGED = re.compile(r"^(?:apt-get|apt|apk|dnf|microdnf|yum|rpm|dpkg|zypper)\s.*://")
LANGUAGE = re.compile(r"\b(?:urlopen|urlretrieve|requests\.get|http\.get|file_get_contents|LWP::Simple)\b")
#: It is compared with what was reviewed.
COMPARED = re.compile(r"\bsha(?:256|384|512)sum\s+(?:-\S+\s+)*(?:-c|--check)\b")
HASH = re.compile(r"\b[0-9a-f]{64,128}\b")
COMMIT = re.compile(r"\b[0-9a-f]{40}\b")


class MAIL_DKR_004(DockerfileRule):
    """What comes from an address can be another file tomorrow, and nobody reviewed the one of today.

    ADD unpacks what it fetches and sets no limit; `curl | sh` runs it. Whoever holds that address holds the
    image. Packages with hashes, files of this repository and images with a digest are the ways in.
    """

    name = "Nothing from an address: COPY files of this repository, no ADD of a URL and no curl | sh"
    severity = Severity.HIGH
    fix = "Put the file into the repository and COPY it, or install a package that is pinned with its hash"
    bad = "FROM debian\nADD https://example.org/tool.tar.gz /opt/\n"
    good = "FROM debian\nCOPY tool.conf /etc/tool.conf\n"

    def check(self, subject: Dockerfile) -> Iterator[Found]:
        """Look at every ADD and RUN of every stage: what is in no image may still decide what is."""
        for instruction in subject.instructions:
            what = ""
            if instruction.name == "ADD":
                what = self._added(instruction)
            elif instruction.name == "RUN":
                what = self._run(" ".join(instruction.resolved.split()))
            if instruction.name in ("ADD", "COPY") and not what:
                what = self._written(instruction)
            if what:
                yield Found(instruction.place, what, "COPY of a file, or a pinned package", subject.file)

    def _added(self, instruction: Instruction) -> str:
        # A here document is text of this file, whatever addresses it holds.
        sources = instruction.resolved.partition(";")[0]
        if REMOTE.search(sources):
            return "ADD fetches from an address"
        words = [word for word in sources.split() if not word.startswith("--")]
        unknown = "$" in instruction.value and (len(words) < 2 or "$" in words[0])
        return "ADD fetches what a variable names" if unknown else ""

    def _written(self, instruction: Instruction) -> str:
        """Look at a here document, which may be a script that a later step runs."""
        text = " ".join(instruction.resolved.partition(";")[2].split())
        fetches = PIPED.search(text) or PLACED.search(text)
        return f"{instruction.name} writes a script that executes what it fetches" if fetches else ""

    def _run(self, text: str) -> str:
        if PIPED.search(text) or PLACED.search(text):
            return "RUN executes what it fetches"
        if DEVICE.search(text):
            return "RUN fetches through a socket"
        compared = COMPARED.search(text) and HASH.search(text)
        for command in commands(text):
            fetched = FETCHED.match(command) or CONNECTED.match(command)
            if (fetched and not compared) or PACKAGED.match(command):
                return "RUN fetches from an address"
            if CLONED.match(command) and not COMMIT.search(text):
                return "RUN fetches a repository without a commit"
        return "RUN fetches from an address" if LANGUAGE.search(text) and not compared else ""


check = MAIL_DKR_004()
