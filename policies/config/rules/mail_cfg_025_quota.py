import re
from collections.abc import Iterator

from policies.config.braces import Block
from policies.config.reader import Configuration
from policies.config.rule import ConfigurationRule
from policies.model import Found, Severity

DOVECOT = "config/dovecot/dovecot.conf"
ON, NONE = ("yes", "y", "1"), ("0", "unlimited", "")
SERVICE = re.compile(r"check_policy_service\s+\{?\s*inet:dovecot:(?P<port>\d+)")
COLUMN = re.compile(r"\bquota\w*\b.*\bas\s+quota_", re.IGNORECASE)


class MAIL_CFG_025(ConfigurationRule):
    """A quota that stands in the database and that nobody asks for is none: one mailbox fills the disk.

    Dovecot must count, take each mailbox's own quota from the database, and tell Postfix before it accepts:
    later there is only a bounce.
    """

    name = "Quotas are enforced: Dovecot's plugin with the database's column, and Postfix asks quota-status"
    severity = Severity.HIGH
    fix = "Restore the quota plugin, the block quota, the column in userdb's query, and check_policy_service"
    bad = "userdb sql {\n  query = SELECT 1 FROM mailboxes\n}\n"
    good = "userdb sql {\n  query = SELECT CONCAT(quota_bytes, 'B') AS quota_storage_size FROM mailboxes\n}\n"

    def check(self, subject: Configuration) -> Iterator[Found]:
        """Look at Dovecot, then at what Postfix asks."""
        tree = subject.block(DOVECOT)
        if tree is None or not any(block.name == "userdb" for block in tree.walk()):
            return
        yield from self._dovecot(tree)
        yield from self._limits(tree)
        if subject.postfix_main is not None:
            yield from self._postfix(subject, tree)

    def _dovecot(self, tree: Block) -> Iterator[Found]:
        plugins = [
            tree.get("mail_plugins").split(),
            *(block.get("quota") for block in tree.inner("mail_plugins")),
        ]
        if "quota" not in plugins[0] and not any(value in ON for value in plugins[1:]):
            yield Found(
                tree.where("mail_plugins"),
                "the quota plugin is not loaded",
                "mail_plugins { quota = yes }",
                "dovecot",
            )
        roots = [block for block in tree.inner("quota") if block.get("driver", "count") == "count"]
        if not roots:
            yield Found(
                tree.place,
                "there is no quota that counts",
                'quota "User quota" { driver = count }',
                "dovecot",
            )
        for block in tree.walk():
            query = block.get("query")
            if block.name == "userdb" and not COLUMN.search(query):
                what = "the quota in the database is not asked for"
                yield Found(block.where("query"), what, "quota_bytes … AS quota_storage_size", "dovecot")
            if block.name in ("protocol", "local", "remote"):
                for inner in block.inner("mail_plugins"):
                    if inner.get("quota", "yes") not in ON:
                        yield Found(
                            inner.where("quota"),
                            f"{block.label} counts no quota",
                            "leave quota out",
                            "dovecot",
                        )

    def _limits(self, tree: Block) -> Iterator[Found]:
        """Look at values that mean no limit, and at the answer for a full mailbox."""
        for setting in (each for block in tree.walk() for each in block.settings):
            if setting.name == "quota_storage_size" and setting.value.lower() in NONE:
                yield Found(setting.place, "quota_storage_size means no limit", "1G", "dovecot")
            full = setting.name == "quota_status_overquota"
            if full and not re.match(r"[45]\d\d |reject|defer", setting.value, re.IGNORECASE):
                what = f"a full mailbox is answered with {setting.value}"
                yield Found(setting.place, what, "552 5.2.2 Mailbox is full", "dovecot")

    def _postfix(self, subject: Configuration, tree: Block) -> Iterator[Found]:
        ports = {
            listener.get("port")
            for block in tree.walk()
            if block.name == "service" and block.label == "quota-status"
            for listener in block.inner("inet_listener")
        }
        main = subject.postfix_main
        name = "smtpd_recipient_restrictions"
        views = [("main.cf", main)] + [
            (each.name, each.view(main))
            for each in subject.postfix_master
            if each.command == "smtpd"
            and name in each.options
            and each.view(main).says("smtpd_sasl_auth_enable") != "yes"
        ]
        for who, view in views:
            asked = {matched["port"] for matched in SERVICE.finditer(view.expanded(name))}
            if not asked & ports:
                what = f"{who}: nobody asks whether the mailbox is full"
                yield Found(view.where(name), what, "check_policy_service inet:dovecot:12340", "postfix")


check = MAIL_CFG_025()
