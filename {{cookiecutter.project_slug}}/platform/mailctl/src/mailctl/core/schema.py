"""The tables of the accounts: whether a commit moves them, a copy before, and the migration itself."""

import re
import shutil
from pathlib import Path

from mailctl.core import database
from mailctl.core.context import Context
from mailctl.core.database import CLIENT, EMPTY
from mailctl.core.errors import Problem, Refused
from mailctl.core.folders import private, secrets
from mailctl.core.runtime import Runtime, Service

SERVICE, DATABASE = "usermgmt", "mailserver"
OWNER = ("-e", "DB_USER=mailserver", "-e", "DB_PASSWORD_FILE=/run/owner")
CONFINED = ("--rm", "--pull=never", "--network=none", "--cap-drop=ALL", "--read-only", "--entrypoint=/bin/sh")
# The old code must run on the new schema, or there is no way back: nothing may be taken away or renamed, and
# what is added must not be asked of it.
CONTRACTS = re.compile(
    r"(?im)^.*\b(DROP\s+(TABLE|COLUMN|DATABASE)\b|RENAME\s+(TO|COLUMN|TABLE)\b|CHANGE\s+\w+"
    r"|ADD\s+COLUMN(?!.*\bDEFAULT\b).*\bNOT\s+NULL\b).*$"
)
KEEP = 5


class Schema:
    """The accounts' tables of the running database, and what the image of usermgmt wants them to be."""

    def __init__(self, context: Context, runtime: Runtime, folder: Path) -> None:
        self.context, self.runtime, self.folder = context, runtime, folder

    def now(self) -> str | None:
        """The revision of the tables; None when the database does not run or has none."""
        return database.schema_revision(self.context)

    def wanted(self, service: Service) -> tuple[str, set[str]]:
        """The newest revision that an image knows, and all of them. Raises Refused: two are the newest."""
        code, said = self.runtime.try_out(service, "python -m alembic history 2>&1", CONFINED)
        found = re.findall(r"^(\S+) -> (\S+?)( \(head\))?,", said, re.MULTILINE)
        heads = [revision for _, revision, head in found if head]
        if code or len(heads) != 1:
            wrong = f"{len(heads)} of them are the newest: {' '.join(said.split())[-300:]}"
            raise Refused(Problem("migrations", wrong, "let each follow one other: alembic history"))
        return heads[0], {revision for _, revision, _ in found}

    def refuse_contraction(self, service: Service, now: str, head: str) -> None:
        """Raises Refused when the migration's SQL cannot be made, or takes away what the old code needs."""
        script = f"python -m alembic upgrade {now}:{head} --sql"
        code, said = self.runtime.try_out(service, script, CONFINED)
        if code:
            wrong = f"{now} to {head} fails: {' '.join(said.split())[-300:]}"
            raise Refused(Problem("migration", wrong, "fix platform/usermgmt/migrations in a new commit"))
        if found := CONTRACTS.search(said):
            wrong = f"would break the running version: {found[0].strip()[:120]}"
            fix = "expand now; remove in a later release, once nothing uses it any more, by hand"
            raise Refused(Problem("migration", wrong, fix))

    def copy(self, id: str) -> Path:
        """A dump of the databases, beside the records. Raises Refused; then nothing is left of it."""
        folder = self.folder / "dumps" / id
        shutil.rmtree(folder, ignore_errors=True)
        private(folder)
        try:
            database.dump(self.context, folder)
        except BaseException:
            shutil.rmtree(folder, ignore_errors=True)
            raise
        for old in sorted(folder.parent.iterdir())[:-KEEP]:
            shutil.rmtree(old, ignore_errors=True)
        return folder

    def migrate(self, tree: Path) -> None:
        """Bring the tables to the newest revision of the image. Raises Refused with its words."""
        owner = secrets(self.context) / "mariadb_owner_password"
        options = (*OWNER, "-v", f"{owner}:/run/owner:ro")
        self.runtime.job(tree, SERVICE, ("python", "-m", "usermgmt.migrate"), options)

    def restore(self, folder: Path) -> None:
        """Put the accounts back as they were copied. Accounts of the database and their rights stay."""
        import gzip

        dump = gzip.decompress((folder / "mysql" / f"{DATABASE}.sql.gz").read_bytes()).decode()
        sql = f"{EMPTY.format(DATABASE)}; USE `{DATABASE}`;\n{dump}"
        self.runtime.inside("mariadb", ("sh", "-c", CLIENT, "sh"), stdin=sql, limit=600)
