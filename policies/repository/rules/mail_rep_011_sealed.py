"""MAIL_REP_011: secrets.age/ holds what age encrypted, for every key of recipients.txt."""

import re
from base64 import b64decode
from binascii import Error
from collections.abc import Iterator

from policies.model import Found, Place
from policies.repository.tracked import tracked
from policies.shared.repository import Repository

FOLDER = "secrets.age/"
RECIPIENTS = f"{FOLDER}recipients.txt"
LEAST = 2
#: A public key in Bech32 (https://github.com/C2SP/C2SP/blob/main/age.md).
PUBLIC = re.compile(r"age1[02-9ac-hj-np-z]{58}")
#: The head of an encrypted file: its version, its key once for each recipient, and a mark of the whole.
HEAD = re.compile(
    r"age-encryption\.org/v1\n(?P<stanzas>-> [ -~]+\n(?:(?!---)[ -~]*\n)+)--- [A-Za-z0-9+/]{43}\n"
)
ARMOR = re.compile(
    r"-----BEGIN AGE ENCRYPTED FILE-----\n(?P<body>[A-Za-z0-9+/=\n]+)-----END AGE ENCRYPTED FILE-----\n"
)


def check(subject: Repository) -> Iterator[Found]:
    """Look at the keys, then at the head of each file: what it holds is for those keys only."""
    files = [file for file in tracked(subject) if file.startswith(FOLDER)]
    sealed = [file for file in files if file != RECIPIENTS]
    text = subject.text(RECIPIENTS) if RECIPIENTS in files else ""
    lines = [(n, line.strip()) for n, line in enumerate(text.split("\n"), 1) if not line.startswith("#")]
    keys = {line for _, line in lines if line}
    for number, line in lines:
        if line and not PUBLIC.fullmatch(line):
            yield Found(
                Place(RECIPIENTS, number), "no public key of age", "age1 and 58 letters and digits", line[:4]
            )
    if (sealed or keys) and len(keys) < LEAST:
        should = "the owner's key and the host's: mailctl secrets seal writes them"
        yield Found(Place(RECIPIENTS), f"{len(keys)} of {LEAST} keys", should, RECIPIENTS)
    for file in sealed:
        if wrong := _wrong(file, subject.text(file), len(keys)):
            yield Found(Place(file), wrong, "a file that age encrypted for every key of recipients.txt", file)


def _wrong(file: str, text: str, keys: int) -> str:
    head = HEAD.match(_unarmored(text))
    if not head or not file.endswith(".age"):
        return "not encrypted with age"
    found = sum(line.startswith("-> X25519 ") for line in head["stanzas"].split("\n"))
    return "" if found == keys else f"encrypted for {found} keys, recipients.txt names {keys}"


def _unarmored(text: str) -> str:
    armor = ARMOR.fullmatch(text)
    try:
        return b64decode(armor["body"]).decode("utf-8", "backslashreplace") if armor else text
    except Error:
        return ""
