import re
from collections.abc import Iterator

from policies.config import recorded
from policies.config.braces import Block
from policies.config.reader import Configuration
from policies.config.rule import ConfigurationRule
from policies.model import Found, Place, Severity

DOVECOT, HEADERS = "config/dovecot/dovecot.conf", "config/rspamd/local.d/milter_headers.conf"
ON = ("yes", "y", "1")
TESTED = re.compile(r"header\s+:\w+\s+\"(?P<name>X-[\w-]+)\"", re.IGNORECASE)
FILES = re.compile(r"\bfileinto\b[^;]*\"Junk\"")
#: What is learned when mail is moved: the block, the argument of the program, the words for people.
LEARNED = (("mailbox", "spam", "into Junk"), ("imapsieve_from", "ham", "out of Junk"))


class MAIL_CFG_026(ConfigurationRule):
    """Sieve that is loaded without a script files nothing, and a filter that nobody corrects gets worse.

    What rspamd marks goes to Junk before any rule of the user's; what users move into or out of Junk is
    learned. Each link of that chain stands in another file, and none of them complains when it is alone.
    One word more in a script, such as discard or redirect, loses mail: the gate knows the digests of those
    that were reviewed (policies/data/recorded.yml).
    """

    name = (
        "Spam is filed to Junk and learned from there: sieve with its scripts, imap_sieve, and "
        "the header that rspamd writes"
    )
    severity = Severity.HIGH
    fix = (
        "Restore the sieve_script blocks, mail_plugins of lmtp and imap, sieve_plugins, and the "
        "header in milter_headers.conf; after a review of a changed script write its digest, which the "
        "message names, into policies/data/recorded.yml"
    )
    bad = "protocol lmtp {\n  mail_plugins {\n    sieve = yes\n  }\n}\n"
    good = (
        "sieve_script spam-to-junk {\n  cause = delivery\n  path = /etc/dovecot/sieve/spam-to-junk.sieve\n}\n"
    )

    def check(self, subject: Configuration) -> Iterator[Found]:
        """Look at the delivery, at the learning, then at the header."""
        tree = subject.block(DOVECOT)
        if tree is None or not any(block.name == "protocol" for block in tree.walk()):
            return
        # A script that is named and gone is what MAIL_CFG_010 says.
        texts = {block.label: subject.text(self._file(block)) for block in self._scripts(tree)}
        delivered = [
            block
            for block in self._scripts(tree)
            if "delivery" in block.get("cause", "delivery").split() and _says(texts[block.label], FILES)
        ]
        if not delivered:
            yield Found(
                tree.place, "no script files spam to Junk", "sieve_script spam-to-junk { … }", "dovecot"
            )
        yield from self._plugins(tree)
        yield from self._learned(tree, texts)
        yield from self._header(subject, [texts[block.label] or "" for block in delivered])
        yield from recorded.changed(subject, self.rule_id)

    def _scripts(self, tree: Block) -> list[Block]:
        """Return the scripts of ours; those of users say nothing here."""
        scripts = [block for block in tree.walk() if block.name == "sieve_script"]
        return [block for block in scripts if block.get("path").startswith("/etc/dovecot/")]

    def _file(self, block: Block) -> str:
        return "config/dovecot/" + block.get("path").removeprefix("/etc/dovecot/")

    def _plugins(self, tree: Block) -> Iterator[Found]:
        """Look for the plugins that run the scripts."""
        needed = [("lmtp", "sieve"), ("imap", "imap_sieve")]
        for protocol, plugin in needed:
            blocks = [tree, *(each for each in tree.inner("protocol") if each.label == protocol)]
            loaded = {
                name.name
                for block in blocks
                for inner in block.inner("mail_plugins")
                for name in inner.settings
                if name.value in ON
            } | {word for block in blocks for word in block.get("mail_plugins").split()}
            if plugin not in loaded:
                what = f"{protocol} does not load {plugin}"
                yield Found(blocks[-1].place, what, f"mail_plugins {{ {plugin} = yes }}", "dovecot")
        given = {
            each.name for block in tree.inner("sieve_plugins") for each in block.settings if each.value in ON
        }
        given |= set(tree.get("sieve_plugins").split())
        for plugin in ("sieve_imapsieve", "sieve_extprograms"):
            if plugin not in given:
                yield Found(
                    tree.where("sieve_plugins"), f"{plugin} is not loaded", f"{plugin} = yes", "dovecot"
                )
        extensions = [each for block in tree.inner("sieve_global_extensions") for each in block.settings]
        if not any("pipe" in each.name and each.value in ON for each in extensions):
            yield Found(tree.place, "no script may run a program", "vnd.dovecot.pipe = yes", "dovecot")

    def _learned(self, tree: Block, texts: dict[str, str | None]) -> Iterator[Found]:
        for name, kind, words in LEARNED:
            scripts = [
                script
                for block in tree.walk()
                if block.name == name and "Junk" in block.label
                for script in block.inner("sieve_script")
                if script.label in texts
                and "copy" in script.get("cause").split()
                and _says(texts[script.label], re.compile(rf"pipe\b[^;]*\"{kind}\""))
            ]
            if not scripts:
                what = f"nothing is learned when mail is moved {words}"
                yield Found(tree.place, what, f"a sieve_script that learns {kind}", "dovecot")

    def _header(self, subject: Configuration, texts: list[str]) -> Iterator[Found]:
        """Compare the header that the script asks for with what rspamd writes."""
        trees = subject.called("milter_headers.conf")
        if not subject.blocks("ucl", "config/rspamd/"):
            return
        written = {
            block.get("header").lower() for tree in trees for block in tree.walk() if block.get("header")
        }
        used = " ".join(tree.get("use") for tree in trees)
        for text in texts:
            for matched in TESTED.finditer(text):
                if matched["name"].lower() not in written or "spam-header" not in used:
                    place = trees[0].where("use") if trees else Place(HEADERS)
                    yield Found(
                        place,
                        f"rspamd does not write {matched['name']}",
                        "spam-header with that name",
                        "rspamd",
                    )


def _says(text: str | None, pattern: re.Pattern[str]) -> bool:
    """Tell whether a script says something; one that is gone is taken for right."""
    plain = re.sub(r"(?m)^\s*#.*$|/\*[\s\S]*?\*/", "", text or "")
    return text is None or bool(pattern.search(plain))


check = MAIL_CFG_026()
