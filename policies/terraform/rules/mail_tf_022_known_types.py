from collections.abc import Iterator

from policies.model import Found, Severity
from policies.shared.tables import table
from policies.terraform.blocks import Block, Module
from policies.terraform.rule import TerraformRule

#: Providers whose types are listed; what another provider makes stands or falls with the provider.
LISTED = ("aws", "terraform")


class MAIL_TF_022(TerraformRule):
    """Rules judge the types of resource that they know; a type that nobody thought of goes past all of them.

    A replication, an access log or a notification carries mail to a stranger's account, a login profile is a
    password for the host's user, and no lock, policy or boundary looks any different.
    """

    name = "Known types only: each resource and data source has its type in policies/data/terraform.yml"
    severity = Severity.HIGH
    fix = "Remove it, or list its type in policies/data/terraform.yml with what it is needed for"
    resources = ("*",)
    bad = 'resource "aws_s3_bucket_logging" "backup" {\n  target_bucket = "somewhere"\n}\n'
    good = 'resource "aws_s3_bucket_versioning" "backup" {\n  bucket = aws_s3_bucket.backup.id\n}\n'

    def check(self, subject: Module) -> Iterator[Found]:
        """Look at every block with a type of its own, those inside `check` blocks too."""
        inside = [inner for each in subject.all("check") for inner in each.blocks]
        for block in [*subject.blocks, *inside]:
            if block.type in table("terraform")["types"] and block.labels:
                yield from self._block(block)

    def _block(self, block: Block) -> Iterator[Found]:
        type = block.labels[0]
        if type.partition("_")[0] in LISTED and type not in table("terraform")["types"][block.type]:
            kind = "data source" if block.type == "data" else block.type
            what = f"the {kind} {block.address} has a type that nothing here needs"
            yield Found(block.place, what, "a type that policies/data/terraform.yml lists", block.address)


check = MAIL_TF_022()
