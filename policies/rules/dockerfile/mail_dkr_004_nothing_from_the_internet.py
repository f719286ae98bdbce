import re
from collections.abc import Iterator

from policies.families import DockerfileRule
from policies.model import Found, Severity
from policies.sources.dockerfiles import Dockerfile

REMOTE = re.compile(
    r"(?:^|[\s\"'\[,])(?:(?:https?|ftp|git|ssh)://|git@|[\w.-]+@[\w.-]+:[\w./-]+\.git)", re.IGNORECASE
)
#: Something is fetched and run unseen: curl … | sh, sh -c "$(wget …)", bash <(curl …).
FETCHED = re.compile(
    r"\b(?:curl|wget)\b[^;&]*\|\s*(?:sudo\s+)?(?:\S*/)?(?:env\s+)?(?:ba|da|z)?(?:sh|python[\d.]*|perl|tar)\b"
    r"|(?:\$\(|<\(|`)\s*(?:curl|wget)\b"
)


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
            if instruction.name == "ADD" and REMOTE.search(instruction.resolved):
                yield Found(instruction.place, "ADD fetches from an address", "COPY of a file", subject.file)
            if instruction.name == "RUN" and FETCHED.search(" ".join(instruction.value.split())):
                yield Found(
                    instruction.place, "RUN executes what it fetches", "a pinned package", subject.file
                )


check = MAIL_DKR_004()
