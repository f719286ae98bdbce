from collections.abc import Iterator

from policies.families import TerraformRule
from policies.model import Found, Severity
from policies.sources.buckets import buckets, holds_state
from policies.sources.terraform import Block, Module


class MAIL_TF_019(TerraformRule):
    """The state holds the host's secret key; on a laptop it is lost or copied, in the clear it is read.

    Without a lock two applies at once leave a state that knows neither's resources.
    """

    name = "Remote state encrypted and locked: backend s3 with encrypt = true and use_lockfile = true"
    severity = Severity.HIGH
    fix = 'Use backend "s3" with encrypt = true and use_lockfile = true (or a dynamodb_table)'
    resources = ("*",)
    bad = 'terraform {\n  backend "local" {}\n}\n'
    good = 'terraform {\n  backend "s3" {\n    encrypt      = true\n    use_lockfile = true\n  }\n}\n'

    def check(self, subject: Module) -> Iterator[Found]:
        """Look at the backend of every root module; the one that makes the state's bucket keeps its own."""
        backends = [each for block in subject.all("terraform") for each in block.inner("backend")]
        makes_it = any(holds_state(subject, each) for each in buckets(subject))
        if not backends and subject.all("provider") and not makes_it:
            yield Found(subject.place, "the state is a file on a laptop", 'backend "s3"')
        for backend in backends:
            if backend.labels == ("s3",):
                yield from self._s3(backend)
            elif not makes_it:
                what = f"the state's backend is {' '.join(backend.labels)}"
                yield Found(backend.place, what, 'backend "s3"')

    def _s3(self, backend: Block) -> Iterator[Found]:
        if backend.value("encrypt") is not True:
            yield Found(backend.where("encrypt"), "the state is not encrypted", "encrypt = true")
        if backend.value("use_lockfile") is not True and not backend.value("dynamodb_table"):
            yield Found(backend.where("use_lockfile"), "the state is not locked", "use_lockfile = true")


check = MAIL_TF_019()
