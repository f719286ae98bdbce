import json
import re
from collections.abc import Iterator

from policies.dockerfile.reader import Dockerfile, Instruction
from policies.dockerfile.rule import DockerfileRule
from policies.model import Found, Severity

#: Flags of RUN that take a wall of the build away.
FLAGS = {
    re.compile(r"--security=[\"']?insecure"): "RUN works with every right of the host's root",
    re.compile(r"--network=[\"']?host"): "RUN works in the network of the host",
    re.compile(r"--mount=\S*\btype=ssh\b"): "RUN uses the keys of whoever builds",
}
SHELL = re.compile(r"^(?:/usr)?(?:/bin/)?(?:ba|da|a|z|k)?sh$")
WINDOWS = re.compile(r"^(?:cmd|powershell|pwsh)(?:\.exe)?$", re.IGNORECASE)
SWITCH = re.compile(r"^(?:[-+][A-Za-z]+|--\w+|pipefail|errexit|nounset|xtrace|errtrace)$")
#: What makes a package manager take what nobody signed; checkov's own checks know the flags of each.
UNSIGNED = re.compile(
    r"\btrusted\s*[=:]\s*yes\b|\ballow-insecure\s*[=:]\s*yes\b|AllowInsecureRepositories|AllowUnauthenticated"
    r"|Verify-(?:Peer|Host)\W+false|\bgpgcheck\s*=\s*0|\bsslverify\s*=\s*0|SigLevel\s*=\s*Never"
    r"|http\.sslVerify\W+(?:false|0)|--no-verify-ssl\b",
    re.IGNORECASE,
)
#: A program that makes its user root, and files that every user may change.
RIGHTS = re.compile(
    r"\bchmod\s+(?:-\S+\s+)*(?:0?[46]\d{3}|0?777|[ugoa]*[uao]?\+\w*s\w*|a[+=]rwx|[ugo]*o[+=]\w*w\w*)\s"
)


class MAIL_DKR_009(DockerfileRule):
    """A step that works in the host's network or with every right is a program of the host, and a package
    that nobody signed is anybody's.

    A SHELL that is none runs every later step through another program; a setuid bit makes its user root.
    """

    name = "A build stays within its walls: no insecure RUN, a known SHELL, signed packages, no wider rights"
    severity = Severity.HIGH
    fix = "Remove the flag or the command, and install a package that is signed or pinned with its hash"
    bad = "FROM debian\nRUN --security=insecure make install\n"
    good = 'FROM debian\nSHELL ["/bin/bash", "-o", "pipefail", "-c"]\nRUN chmod 0755 /usr/local/bin/app\n'

    def check(self, subject: Dockerfile) -> Iterator[Found]:
        """Look at every RUN and SHELL of every stage."""
        for instruction in subject.instructions:
            if instruction.name == "SHELL" and not self._known(instruction.resolved):
                what = f"SHELL is {instruction.value}"
                yield Found(instruction.place, what, 'SHELL ["/bin/sh", "-c"]', subject.file)
            elif instruction.name in ("RUN", "COPY", "ADD"):
                for what in self._complaints(instruction):
                    yield Found(instruction.place, what, "leave it out", subject.file)

    def _complaints(self, instruction: Instruction) -> Iterator[str]:
        text = " ".join(instruction.resolved.split())
        if instruction.name == "RUN":
            flags = " ".join(word for word in text.split() if word.startswith("--"))
            yield from (what for pattern, what in FLAGS.items() if pattern.search(flags))
            if matched := RIGHTS.search(text):
                yield f"RUN gives wider rights: {matched.group().strip()}"
        if matched := UNSIGNED.search(text):
            yield f"{instruction.name} trusts what nobody signed: {matched.group()}"

    def _known(self, text: str) -> bool:
        try:
            words = [str(word) for word in json.loads(text)]
        except (ValueError, TypeError):
            return False
        if not words:
            return False
        if WINDOWS.match(words[0].rpartition("\\")[2]):
            return True
        return bool(SHELL.match(words[0])) and all(SWITCH.match(word) for word in words[1:])


check = MAIL_DKR_009()
