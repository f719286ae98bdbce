import re
from collections.abc import Iterator

from policies.config.braces import Block
from policies.config.reader import Configuration
from policies.config.rule import ConfigurationRule
from policies.config.sql import Schema
from policies.model import Found, Place, Severity

DOVECOT = "config/dovecot/dovecot.conf"
#: Where mail lies and who owns it: said once, at the top of dovecot.conf.
ONCE = ("mail_home", "mail_path", "mail_location", "mail_uid", "mail_gid", "mail_driver", "mail_inbox_path")
RETURNED = re.compile(
    r"\bAS\s+['\"`]?(?P<name>home|mail|mail_path|mail_home|mail_location|uid|gid)\b", re.IGNORECASE
)
FIELDS = ("home", "mail", "uid", "gid", "mail_path", "mail_home", "mail_location")
ACTIVE = re.compile(r"\bactive\b|\benabled\b", re.IGNORECASE)
UNION = re.compile(r"\bUNION\b", re.IGNORECASE)
#: The account of Dovecot's image, by its name and its number.
ACCOUNT = ("vmail", "1000")


class MAIL_CFG_027(ConfigurationRule):
    """Where a mailbox lies and who owns it was once said in three ways: database, query and Dovecot.

    Mail then went into a folder that nobody reads, or into one that Dovecot may not write. A query for a
    column that is not there fails for everybody at once.
    """

    name = (
        "Database, queries and Dovecot agree: queries name existing columns, path and owner "
        "stand in dovecot.conf only"
    )
    severity = Severity.HIGH
    fix = (
        "Name columns of the schema that the account may read, and say mail_home, mail_path and "
        "mail_uid once, at the top of dovecot.conf"
    )
    bad = "userdb sql {\n  query = SELECT '/var/mail' AS home, 5000 AS uid FROM mailboxes\n}\n"
    good = "mail_home = /srv/vmail/%{user}\nmail_uid = vmail\n"

    def check(self, subject: Configuration) -> Iterator[Found]:
        """Look at the queries of Postfix and Dovecot, then at path and owner."""
        schema = Schema()
        for file in subject.files("sql"):
            schema.add(subject.text(file) or "")
        tree = subject.block(DOVECOT)
        for query, user, place in self._queries(subject, tree):
            for name in schema.unknown(query, user) if schema.tables else ():
                yield Found(
                    place, f"the query names {name}, which {user} has not", "a column of the schema", user
                )
            if user == "postfix" and not all("%" in part for part in UNION.split(query)):
                yield Found(place, "the query answers the same for every address", "WHERE … = '%s'", user)
            if user == "postfix" and not ACTIVE.search(query):
                yield Found(place, "the query finds what was switched off, too", "AND … active", user)
        if tree is not None:
            yield from self._said_twice(tree)
            yield from self._place(subject, tree)

    def _queries(self, subject: Configuration, tree: Block | None) -> Iterator[tuple[str, str, Place]]:
        for file in subject.files("postfix parameters", "config/postfix/sql/"):
            query = subject.flat(file)
            yield query.get("query"), query.get("user"), query.where("query")
        user = (
            next((block.get("user") for block in tree.walk() if block.name == "mysql"), "dovecot")
            if tree
            else ""
        )
        for block in tree.walk() if tree else ():
            for setting in block.settings:
                if setting.name.endswith("query") and block.name in ("passdb", "userdb"):
                    yield setting.value, user, setting.place

    def _said_twice(self, tree: Block) -> Iterator[Found]:
        for block in tree.walk():
            for setting in block.settings:
                below = (
                    block is not tree and setting.name in ONCE and block.name not in ("namespace", "mailbox")
                )
                field = block.name in ("fields", "userdb_fields") and setting.name in FIELDS
                if below or field:
                    what = f"{setting.name} is said again in {block.name} {block.label}".rstrip()
                    yield Found(setting.place, what, "once, at the top of dovecot.conf", "dovecot")
                returned = RETURNED.search(setting.value) if block.name == "userdb" else None
                if returned:
                    what = f"the query returns {returned['name']}, which dovecot.conf says as well"
                    yield Found(setting.place, what, "once, at the top of dovecot.conf", "dovecot")

    def _place(self, subject: Configuration, tree: Block) -> Iterator[Found]:
        """Compare path and owner with the service in the Compose file."""
        home, owner = tree.get("mail_home"), tree.get("mail_uid")
        for service in subject.running("dovecot"):
            targets = [
                str(item.get("target")).rstrip("/")
                for item, _ in service.items("volumes")
                if isinstance(item, dict) and item.get("type") == "volume"
            ]
            if home and targets and not any(home.startswith(f"{target}/") for target in targets):
                yield Found(
                    tree.where("mail_home"), f"{home} is on no volume", f"below {targets[0]}", "dovecot"
                )
            user = str(service.get("user") or "").partition(":")[0]
            named = ACCOUNT[1] if owner == ACCOUNT[0] else owner
            if owner and user.isdigit() and named != user:
                what = f"mail belongs to {owner}, and Dovecot runs as {user}"
                yield Found(
                    tree.where("mail_uid"), what, f"mail_uid = {ACCOUNT[0]}, user: {ACCOUNT[1]}", "dovecot"
                )
            for name, wrong in (
                ("first_valid_uid", lambda a, b: a > b),
                ("last_valid_uid", lambda a, b: 0 < a < b),
            ):
                limit = tree.get(name)
                if user.isdigit() and limit.isdigit() and wrong(int(limit), int(user)):
                    yield Found(tree.where(name), f"{name} leaves {user} out", user, "dovecot")


check = MAIL_CFG_027()
