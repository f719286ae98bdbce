import re
from collections.abc import Iterator

from policies.config import demands
from policies.config.postfix import Process, logical
from policies.config.reader import Configuration
from policies.config.rule import ConfigurationRule
from policies.model import Found, Place, Severity

#: Commands of master.cf that run any program.
RUNS = ("pipe", "spawn")
#: What a line of a map of headers, bodies or addresses may not do with a mail. First the
#: pattern, between any two equal signs, or what is looked up.
ACTION = re.compile(
    r"!?(?:(?P<sign>[^\w\s.@<\[])(?:\\.|(?!(?P=sign)|\\).)*(?P=sign)\w*|[\w.@<\[]\S*)"
    r"\s+(?P<action>BCC|REDIRECT|FILTER|DISCARD)\b",
    re.IGNORECASE,
)


class MAIL_CFG_032(ConfigurationRule):
    """One parameter that nobody knows copies all mail to a stranger, runs programs or brings an old TLS back.

    policies/data/settings/postfix.yml says what each must be and what happens otherwise. An option of
    master.cf counts as much as a line of main.cf.
    """

    name = "Postfix: no parameter copies mail, runs programs, weakens TLS or loses mail: see the table"
    severity = Severity.HIGH
    fix = (
        "Write the value that the message names, or leave the parameter out. What is allowed stands in "
        "policies/data/settings/postfix.yml"
    )
    bad = "always_bcc = archive@elsewhere.example\n"
    good = "smtpd_tls_protocols = >=TLSv1.2\n"

    def check(self, subject: Configuration) -> Iterator[Found]:
        """Look at main.cf, at each process with its options, then at what processes run and maps do."""
        main = subject.postfix_main
        if main is None:
            return
        yield from demands.found("postfix", demands.of_parameters(main, main.values), Place(main.file))
        names = [name for name, value in main.values.items() if "$" in value]
        for process in subject.postfix_master:
            chosen = [*process.options, *(name for name in names if process.options)]
            yield from demands.found("postfix", demands.of_parameters(process.view(main), chosen))
            yield from self._process(process)
        for file in subject.files("postfix map", "config/postfix/"):
            yield from self._map(file, subject.text(file) or "")

    def _process(self, process: Process) -> Iterator[Found]:
        inside = process.kind not in ("inet", "pass")  # MAIL_CFG_005 looks at those
        if process.command in RUNS and inside:
            what = f"{process.name} runs a program with {process.command}"
            yield Found(process.place, what, "the processes of Postfix only", "postfix")
        if process.command == "smtpd" and any(re.fullmatch(r"-v+", word) for word in process.words):
            what = f"{process.name} logs whole sessions with their passwords"
            yield Found(process.place, what, "leave -v out", "postfix")

    def _map(self, file: str, text: str) -> Iterator[Found]:
        for number, line in logical(text):
            if matched := ACTION.match(line):
                what = (
                    f"{matched['action']} copies, redirects or drops mail that a line of this file describes"
                )
                yield Found(Place(file, number), what, "IGNORE, STRIP, WARN or REJECT", "postfix")


check = MAIL_CFG_032()
