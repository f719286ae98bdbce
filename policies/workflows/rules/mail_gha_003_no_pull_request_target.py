import re
from collections.abc import Iterator

from policies.model import Found, Severity
from policies.shared.located import Map, dig, where
from policies.shared.tables import table
from policies.workflows.expressions import foreign, foreign_names
from policies.workflows.reader import Job, Workflow
from policies.workflows.rule import ActionsRule

#: What stands in a checkout of somebody else's code.
HEAD = re.compile(r"\bhead\b|head_|refs/pull|pull/|issue\.number|pull_requests|inputs\.", re.IGNORECASE)
FETCHED = re.compile(
    r"\bgh\s+pr\s+checkout\b|\bgit\s[^\n]*(?:refs/)?pull/|\bgit\s[^\n]*\$\{?\w*HEAD|\bgh\s+run\s+download\b"
)
#: Git's ways to bring code here by a name; a variable in them may name anything.
BROUGHT = (
    r"\bgit\s[^\n;&|]*\b(?:fetch|checkout|switch|pull|merge|reset|worktree|clone|cherry-pick|apply|am)\b"
    r"[^\n;&|]*"
)
#: Actions that fetch what another run made; without run-id they fetch what this one made.
ARTIFACT = re.compile(
    r"^(?:actions/download-artifact(?=@)|dawidd6/action-download-artifact|.*download-workflow-artifact)"
)
#: Where such a workflow itself comes from: the default branch.
DEFAULT = re.compile(r"\$\{\{\s*github\.(?:ref|ref_name|event\.repository\.default_branch)\s*\}\}")
#: A run of somebody who may write already, or code that was merged.
OURS = re.compile(r"workflow_run\.event\s*==\s*'push'")


class MAIL_GHA_003(ActionsRule):
    """pull_request_target runs with our secrets and a token that writes, started by anybody with a fork.

    As soon as one step touches the fork's code, its author has all of that. The same goes for workflow_run,
    comments and issues, once such a workflow checks that code out.
    """

    name = "No pull_request_target: use pull_request, which gets no secrets from a fork"
    severity = Severity.CRITICAL
    fix = "Use pull_request; what needs rights belongs into a workflow that runs after the merge"
    bad = "on: pull_request_target\n"
    good = "on: pull_request\n"

    def check(self, subject: Workflow) -> Iterator[Found]:
        """Look at what starts the workflow, and at whose code it then checks out."""
        key = "on" if "on" in subject.data else True
        for name in subject.triggers:
            if str(name).strip().lower() == "pull_request_target":
                on = subject.data[key]
                place = where(on, name) if isinstance(on, Map) else where(subject.data, key)
                yield Found(place, "anybody starts this with our secrets", "pull_request")
        if subject.started_by() & set(table("actions")["with_secrets"]):
            for job in subject.jobs():
                yield from self._job(job, subject)

    def _job(self, job: Job, workflow: Workflow) -> Iterator[Found]:
        if OURS.search(str(job.get("if"))):
            return
        for step in job.steps():
            for path in self._brings(step, job, workflow):
                what = "a stranger's code runs with our secrets"
                yield Found(where(step, *path), what, "the code of this branch", job.name)

    def _brings(self, step: Map, job: Job, workflow: Workflow) -> Iterator[tuple[str, ...]]:
        """Yield each part of a step that brings somebody else's code here."""
        uses = str(step.get("uses") or "").lower()
        if uses.startswith("actions/checkout"):
            for path in (("with", "ref"), ("with", "repository")):
                text = str(dig(step, *path) or "")
                if HEAD.search(text) or foreign(DEFAULT.sub("", text)):
                    yield path
        elif ARTIFACT.match(uses) and (not uses.startswith("actions/") or dig(step, "with", "run-id")):
            yield ("uses",)
        run = str(step.get("run") or "")
        names = foreign_names((workflow.data, job.data, step))
        if FETCHED.search(run) or any(
            re.search(rf"{BROUGHT}\$\{{?{re.escape(name)}\b", run) for name in sorted(names)
        ):
            yield ("run",)


check = MAIL_GHA_003()
