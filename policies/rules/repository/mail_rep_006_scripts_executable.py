import posixpath
from collections.abc import Iterator

from policies.families import RepositoryRule
from policies.model import Found, Place, Severity
from policies.sources.repository import Repository

SUFFIXES = (".sh", ".bash")


class MAIL_REP_006(RepositoryRule):
    """A script without its executable bit does not run: not from a timer, not as an entrypoint, not as a
    healthcheck.

    Editors and archives drop the bit, the diff is one line that nobody reads, and the backup has not run
    since. Without an interpreter in its first line it runs under whatever shell happens to call it.
    """

    name = "Scripts are executable and begin with #!: chmod +x, and git update-index --chmod=+x"
    severity = Severity.MEDIUM
    fix = (
        "Run chmod +x FILE and git update-index --chmod=+x FILE; begin the file with #!/bin/sh or "
        "#!/usr/bin/env bash"
    )
    bad = "-rw-r--r-- backup.sh\n"
    good = "-rwxr-xr-x backup.sh\n"

    def check(self, subject: Repository) -> Iterator[Found]:
        """Look at every file that begins with #!, and at every one that is called a shell script."""
        for file in subject.files:
            begins = subject.text(file).startswith("#!")
            if begins and not subject.executable(file):
                yield Found(Place(file), f"{file} is not executable", "chmod +x", file)
            elif not begins and posixpath.splitext(file)[1] in SUFFIXES:
                yield Found(Place(file), f"{file} names no interpreter", "#!/bin/sh as the first line", file)


check = MAIL_REP_006()
