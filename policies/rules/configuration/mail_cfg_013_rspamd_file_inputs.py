from collections.abc import Iterator

from policies.families import ConfigurationRule
from policies.model import Found, Place, Severity
from policies.sources.configuration import Configuration

FOLDER = "config/rspamd/local.d/"
WORKERS = ("controller", "fuzzy", "normal", "proxy")
NAME = "allow_file_and_shm_inputs"


class MAIL_CFG_013(ConfigurationRule):
    """A client of rspamd may name a file or shared memory instead of sending a mail, and rspamd then reads
    it.

    Whoever reaches a worker could so read any file that rspamd can read, keys included.
    """

    name = "rspamd reads no file for a client: allow_file_and_shm_inputs = false in every worker"
    severity = Severity.HIGH
    fix = "Write allow_file_and_shm_inputs = false; into config/rspamd/local.d/worker-NAME.inc"
    bad = "allow_file_and_shm_inputs = true;\n"
    good = "allow_file_and_shm_inputs = false;\n"

    def check(self, subject: Configuration) -> Iterator[Found]:
        """Look at the four workers, and at every other file for the switch."""
        trees = subject.blocks("ucl", "config/rspamd/")
        for worker in WORKERS if trees else ():
            file = f"{FOLDER}worker-{worker}.inc"
            tree = subject.block(file)
            if tree is None or not tree.all(NAME):
                place = tree.place if tree else Place(file)
                yield Found(
                    place, f"the worker {worker} takes file names from clients", f"{NAME} = false;", worker
                )
        for tree in trees:
            for block in tree.walk():
                for setting in block.all(NAME):
                    if setting.value not in ("false", "no", "off"):
                        yield Found(setting.place, f"{NAME} is {setting.value}", f"{NAME} = false;", "rspamd")


check = MAIL_CFG_013()
