from collections.abc import Iterator

from policies.config.reader import Configuration
from policies.config.rule import ConfigurationRule
from policies.model import Found, Place, Severity

FOLDER = "config/rspamd/local.d/"
WORKERS = ("controller", "fuzzy", "normal", "proxy")
NAME = "allow_file_and_shm_inputs"
OFF = ("false", "no", "off")


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
            said = [tree for tree in subject.called(f"worker-{worker}.inc") if tree.all(NAME)]
            if not said:
                tree = subject.block(f"{FOLDER}worker-{worker}.inc")
                place = tree.place if tree else Place(f"{FOLDER}worker-{worker}.inc")
                what = f"the worker {worker} takes file names from clients"
                yield Found(place, what, f"{NAME} = false;", worker)
        for block in (each for tree in trees for each in tree.walk()):
            for setting in block.all(NAME):
                if setting.value.lower() not in OFF:
                    yield Found(setting.place, f"{NAME} is {setting.value}", f"{NAME} = false;", "rspamd")


check = MAIL_CFG_013()
