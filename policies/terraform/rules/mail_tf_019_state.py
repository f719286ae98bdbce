from collections.abc import Iterator

from policies.model import Found, Severity
from policies.terraform.blocks import Block, Module, yes
from policies.terraform.buckets import buckets, holds_state
from policies.terraform.rule import TerraformRule


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
        settings = [each for each in subject.own if each.type == "terraform"]
        backends = [each for block in settings for each in block.inner("backend")]
        clouds = [each for block in settings for each in block.inner("cloud")]
        makes_it = any(holds_state(subject, each) for each in buckets(subject))
        if not backends and not clouds and not makes_it and subject.all("provider"):
            yield Found(subject.place, "the state is a file on a laptop", 'backend "s3"')
        for cloud in clouds:
            yield Found(cloud.place, "the state is at a service of others", 'backend "s3"')
        for backend in backends:
            if backend.labels == ("s3",):
                yield from self._s3(backend, subject.settings)
            elif not makes_it:
                what = f"the state's backend is {' '.join(backend.labels)}"
                yield Found(backend.place, what, 'backend "s3"')

    def _s3(self, backend: Block, files: list[Block]) -> Iterator[Found]:
        """Judge a backend together with each file that init -backend-config may lay over it."""
        for each in files or [backend]:
            yield from self._switch(backend, each, "encrypt", "the state is not encrypted")
            if not self._said(backend, each, "dynamodb_table").value("dynamodb_table"):
                yield from self._switch(backend, each, "use_lockfile", "the state is not locked")
            acl = self._said(backend, each, "acl")
            if acl.value("acl", "private") != "private":
                yield Found(acl.where("acl"), f"the state's ACL is {acl.value('acl')}", "no acl")
            for name in ("endpoint", "endpoints"):
                there = self._said(backend, each, name)
                if "http://" in str(there.value(name)):
                    yield Found(there.where(name), "the state travels in the clear", "https://")

    def _said(self, backend: Block, file: Block, name: str) -> Block:
        return file if file.has(name) else backend

    def _switch(self, backend: Block, file: Block, name: str, what: str) -> Iterator[Found]:
        said = self._said(backend, file, name)
        if not yes(said.value(name)):
            yield Found(said.where(name), what, f"{name} = true")


check = MAIL_TF_019()
