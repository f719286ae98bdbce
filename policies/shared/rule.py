"""What every rule is, whichever kind of file it judges."""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterable, Iterator
from typing import Any, ClassVar

from policies.model import Finding, Found, Severity
from policies.shared.repository import Repository

ID = re.compile(r"MAIL_(CMP|DKR|TF|GHA|CFG|REP)_\d{3}")


class Rule:
    """A demand on one kind of file.

    A subclass is named after its id; its docstring says why, and what happens if it is ignored.
    """

    #: The demand and the way to meet it, in one line: checkov shows nothing else.
    name: ClassVar[str]
    severity: ClassVar[Severity]
    #: How to fix it, in the imperative.
    fix: ClassVar[str]
    #: Two snippets for the documentation.
    bad: ClassVar[str]
    good: ClassVar[str]
    #: How snippets are highlighted.
    language: ClassVar[str] = "yaml"
    #: What the family's files are called in messages.
    family: ClassVar[str]

    @property
    def rule_id(self) -> str:
        """The id: the name of the class."""
        return type(self).__name__

    @property
    def why(self) -> str:
        """The docstring without indentation."""
        return inspect.cleandoc(type(self).__doc__ or "")

    def subjects(self, repository: Repository) -> Iterable[Any]:
        """Return what `check` is called with, one after the other."""
        raise NotImplementedError

    def check(self, subject: Any) -> Iterator[Found]:
        """Yield every breach in one subject."""
        raise NotImplementedError

    def findings(self, repository: Repository) -> Iterator[Finding]:
        """Yield every breach in a repository once, though several subjects may share a line."""
        seen = set()
        for subject in self.subjects(repository):
            for found in self.check(subject):
                key = (found.place, found.entity, found.what)
                if key not in seen:
                    seen.add(key)
                    yield Finding(
                        self.rule_id,
                        type(self).severity,
                        found.place,
                        found.what,
                        found.should,
                        self.fix,
                        found.entity,
                        row=found.row,
                    )


def complaints(rule: Rule) -> Iterator[str]:
    """Yield what a rule lacks to be understood by its reader."""
    if not ID.fullmatch(rule.rule_id):
        yield f"{rule.rule_id} is no id such as MAIL_CMP_001"
    if len(rule.why) < 60:
        yield f"{rule.rule_id}: the docstring must say why, and what happens otherwise"
    for attribute in ("name", "severity", "fix", "bad", "good"):
        if not getattr(type(rule), attribute, None):
            yield f"{rule.rule_id}: {attribute} is missing"
