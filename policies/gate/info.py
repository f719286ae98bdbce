"""What can be said about any id in a report, whoever found it: `--explain`, `--list`, SARIF help,
documentation.
"""

from __future__ import annotations

from dataclasses import dataclass

from policies.model import Severity
from policies.rule import Rule


@dataclass(frozen=True)
class Info:
    """One rule as its reader needs it."""

    id: str
    name: str
    severity: Severity
    family: str
    why: str
    fix: str
    bad: str = ""
    good: str = ""
    language: str = "text"
    link: str = ""


def of_rule(rule: Rule) -> Info:
    """Return what a rule of ours says about itself."""
    kind = type(rule)
    return Info(
        rule.rule_id,
        kind.name,
        kind.severity,
        kind.family,
        rule.why,
        kind.fix,
        kind.bad,
        kind.good,
        kind.language,
    )


#: Everything that is no rule of ours: schemas, syntax checkers, checkov's own checks.
OTHERS = {
    info.id: info
    for info in (
        Info(
            "SCHEMA_COMPOSE", "Compose files follow their schema", Severity.HIGH, "schema",
            "Compose ignores nothing, but some keys only look right: a limit under "
            "a misspelt key limits nothing.",
            "Write the key or value that the message names",
        ),
        Info(
            "SCHEMA_ENVIRONMENT", ".env.example follows its schema", Severity.MEDIUM, "schema",
            "A variable that nobody documents is set wrongly on the first deploy, and nobody finds out why.",
            "Write the variable as the message says, or describe the new one in "
            "schemas/environment.schema.json",
        ),
        Info(
            "SCHEMA_WAIVERS", "Waivers follow their schema", Severity.HIGH, "schema",
            "A waiver without reason, owner or end becomes a hole that nobody remembers.",
            "Write the field that the message names",
        ),
        Info(
            "SCHEMA_ANSWERS", "Stored answers follow their schema", Severity.MEDIUM, "schema",
            "An update by cruft renders the template with these answers again.",
            "Correct the answer in .cruft.json",
        ),
        Info(
            "SYNTAX_COMPOSE", "docker compose config takes the project", Severity.HIGH, "syntax",
            "A project that Compose refuses cannot be deployed.", "Mend what Compose names",
        ),
        Info(
            "SYNTAX_POSTFIX", "postconf reads the configuration without a warning", Severity.HIGH, "syntax",
            "Postfix ignores a misspelt parameter with a warning in its log, and runs with the default.",
            "Mend the line that postconf names",
        ),
        Info(
            "SYNTAX_DOVECOT", "doveconf reads the configuration", Severity.HIGH, "syntax",
            "Dovecot does not start with a setting that it does not "
            "know.", "Mend the line that doveconf names",
        ),
        Info(
            "SYNTAX_RSPAMD", "rspamadm configtest takes the configuration", Severity.HIGH, "syntax",
            "rspamd leaves out a module whose file it cannot read, the virus scanner included.",
            "Mend the file that rspamadm names",
        ),
        Info(
            "SYNTAX_NGINX", "nginx -t takes the configuration", Severity.HIGH, "syntax",
            "nginx does not start with a configuration that it cannot "
            "read.", "Mend the line that nginx names",
        ),
        Info(
            "SYNTAX_CLAMAV", "clamd's own reader takes the configuration", Severity.HIGH, "syntax",
            "clamd does not start with an option that it does not know, and without it all mail is put off.",
            "Mend the line that is named",
        ),
        Info(
            "SYNTAX_PHP", "php -l takes Roundcube's configuration", Severity.HIGH, "syntax",
            "A syntax error in one file takes the whole webmail down.", "Mend the line that PHP names",
        ),
        Info(
            "SYNTAX_TERRAFORM", "terraform fmt and validate have nothing to say", Severity.MEDIUM, "syntax",
            "What does not validate cannot be planned; what is formatted otherwise hides changes in a diff.",
            "Run terraform fmt, and mend what terraform validate names",
        ),
        Info(
            "SHELLCHECK", "shellcheck has nothing to say about the scripts", Severity.MEDIUM, "syntax",
            "An unquoted variable or a lost exit code in a backup script loses data on the one bad day.",
            "Mend the line; the message names shellcheck's page about it",
        ),
        Info(
            "ZIZMOR", "zizmor finds nothing in the workflows", Severity.HIGH, "syntax",
            "A workflow runs with our secrets; zizmor knows the ways in which strangers got at such.",
            "Mend the line; the message names zizmor's audit",
        ),
    )
}  # fmt: skip
