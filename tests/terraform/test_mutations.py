"""The module's own tests notice when a protection is taken out of it."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
import yaml
from conftest import MakeWorkspace
from equipment.workspace import Workspace


@dataclass(frozen=True)
class Mutation:
    """A protection in a file of the module, what a careless edit makes of it, and the test's complaint."""

    file: str
    before: str
    after: str
    complaint: str
    tests: str = "security"


MUTATIONS = {
    "no object lock": Mutation(
        "main.tf", "object_lock_enabled = true", "object_lock_enabled = false", "exists without Object Lock"
    ),
    "governance": Mutation("main.tf", 'mode = "COMPLIANCE"', 'mode = "GOVERNANCE"', "COMPLIANCE mode"),
    "fixed days": Mutation("main.tf", "days = var.object_lock_days", "days = 1", "last for object_lock_days"),
    "no versions": Mutation("main.tf", 'status = "Enabled"', 'status = "Suspended"', "versioning must be on"),
    "own key": Mutation("main.tf", 'sse_algorithm = "AES256"', 'sse_algorithm = "aws:kms"', "encrypted"),
    "public": Mutation("main.tf", "ignore_public_acls      = true", "ignore_public_acls = false", "public"),
    "acls": Mutation("main.tf", "BucketOwnerEnforced", "ObjectWriter", "ACLs must be off"),
    "emptied": Mutation("main.tf", "force_destroy       = false", "force_destroy = true", "be emptied"),
    "http": Mutation(
        "main.tf", '"aws:SecureTransport" = "false"', '"aws:SecureTransport" = "x"', "plain HTTP"
    ),
    "plain": Mutation("main.tf", '"DenyOtherEncryption"', '"X"', "other encryption"),
    "own keys": Mutation("main.tf", '["SSE-C"]', '["NONE"]', "a key that only he has"),
    "for a century": Mutation("main.tf", "NumericGreaterThan", "NumericEquals", "one without end"),
    "data expires": Mutation(
        "lifecycle.tf",
        "    transition {",
        "    expiration { days = 90 }\n    transition {",
        "no data may expire",
    ),
    "lifecycle off": Mutation("lifecycle.tf", 'status = "Enabled"', 'status = "Disabled"', "rule may be off"),
    "silence": Mutation("cost.tf", '= "missing"', '= "notBreaching"', "silence for good news"),
    "half a day": Mutation(
        "restore.tf",
        "max_session_duration = 3600",
        "max_session_duration = 43200",
        "after an hour",
        "identities",
    ),
    "locks anything": Mutation(
        "uploader.tf",
        "Resource  = local.arns.data\n        Condition",
        "Resource  = local.arns.uploads\n        Condition",
        "lock data only",
        "identities",
    ),
    "short": Mutation(
        "main.tf", 'NumericLessThan = { "s3:object', 'NumericEquals = { "s3:object', "weaker lock"
    ),
    "expiry": Mutation("lifecycle.tf", "days = local.expire_after_days", "days = 7", "longer than its lock"),
    "old versions": Mutation(
        "lifecycle.tf", "noncurrent_days = var.object_lock_days", "noncurrent_days = 1", "as its lock"
    ),
    "other region": Mutation(
        "locals.tf", '"us-east-1"\n\n', '"eu-west-1"\n\n', "billing metrics are in us-east-1"
    ),
    "no budget": Mutation("cost.tf", "= var.monthly_budget_usd\n", "= 1000000\n", "above the budget"),
    "delete": Mutation(
        "uploader.tf",
        '"s3:GetObject",\n',
        '"s3:GetObject", "s3:DeleteObject",\n',
        "nothing else",
        "identities",
    ),
    "everywhere": Mutation(
        "uploader.tf",
        "Resource = local.arns.uploads",
        "Resource = local.arns.objects",
        "own prefix only",
        "identities",
    ),
    "no boundary": Mutation(
        "uploader.tf",
        "permissions_boundary = local.arns.boundary",
        "permissions_boundary = null",
        "above the boundary",
        "identities",
    ),
    "no mfa": Mutation(
        "restore.tf",
        '"aws:MultiFactorAuthPresent" = "true"',
        '"aws:MultiFactorAuthPresent" = "false"',
        "ask for MFA",
        "identities",
    ),
    "any branch": Mutation(
        "github.tf",
        '? "%s:ref:refs/heads/main"',
        '? "%s:ref:refs/heads/*"',
        "main branch alone",
        "identities",
    ),
    "writing plan": Mutation(
        "github-permissions.tf",
        '"s3:ListBucket", "s3:ListTagsForResource",',
        '"s3:ListBucket", "s3:PutBucketPolicy",',
        "may only read",
        "identities",
    ),
}


#: The files whose tests are those of identities.
IDENTITIES = ("github.tf", "github-permissions.tf", "restore.tf", "uploader.tf")
#: Edits of a kind of their own, made without a look at the tests.
HARMFUL = yaml.safe_load(Path(__file__).with_name("harmful-edits.yml").read_text())


@pytest.fixture(scope="module")
def module(workspace: MakeWorkspace) -> Workspace:
    module = workspace()
    module.init("-backend=false")
    return module


@contextmanager
def edited(module: Workspace, file: str, before: str, after: str) -> Iterator[None]:
    """The module while one of its files says something else."""
    path = module.folder / file
    original = path.read_text()
    assert before in original
    path.write_text(original.replace(before, after))
    try:
        yield
    finally:
        path.write_text(original)


@pytest.mark.parametrize("name", MUTATIONS)
def test_the_module_s_own_tests_fail_for(name: str, module: Workspace) -> None:
    mutation = MUTATIONS[name]
    with edited(module, mutation.file, mutation.before, mutation.after):
        result = module.run("test", f"-filter=tests/{mutation.tests}.tftest.hcl", codes=(1,))
    assert mutation.complaint in result.text


def test_the_module_s_own_tests_notice_harmful_edits(module: Workspace) -> None:
    unnoticed = []
    for name, edit in HARMFUL.items():
        tests = "identities" if edit["file"] in IDENTITIES else "security"
        with edited(module, **edit):
            if module.run("test", f"-filter=tests/{tests}.tftest.hcl", codes=(0, 1)).code == 0:
                unnoticed.append(name)
    assert len(HARMFUL) >= 22
    assert len(unnoticed) <= len(HARMFUL) // 11, (
        f"{len(HARMFUL) - len(unnoticed)} of {len(HARMFUL)} are noticed, not: {unnoticed}"
    )
