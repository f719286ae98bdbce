"""Readers of text never raise anything but their own error, whatever they are given."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from policies.config import braces, php, postfix
from policies.repository import leaks
from policies.shared import located, shell
from policies.shared.located import Unreadable
from policies.terraform.hcl_tokens import Lexer


def _postfix(text: str) -> None:
    main = postfix.parameters(text, "main.cf")
    for name in list(main.values):
        main.expanded(name)
        main.restrictions(name)
    postfix.processes(text, "master.cf")


READERS = {
    "secrets": lambda text: [leaks.in_text(name, text) for name in ("a.conf", "a.py", "a.txt")],
    "commands": lambda text: list(shell.commands(text)),
    "words of HCL": lambda text: Lexer(text, "main.tf").tokens(),
    "nginx": lambda text: braces.nginx(text, "nginx.conf"),
    "rspamd": lambda text: braces.ucl(text, "a.conf"),
    "Dovecot": lambda text: braces.dovecot(text, "dovecot.conf"),
    "Postfix": _postfix,
    "Roundcube": lambda text: php.assignments(text, "a.php"),
    "YAML": lambda text: located.documents(text, "a.yml"),
}
#: Signs that mean something to one of them, so that chance meets what is read, and not only text.
PIECES = st.sampled_from(
    [
        "a", "b1", " ", "\n", "\t", "\\", "\\\n", '"', "'", "{", "}", "[", "]", "(", ")", "$", "${",
        "%{", "<<A\n", "A\n", "#", "/*", "*/", "//", "=", ":", ";", ",", "|", "&&", "`", "-", "-o", "~",
        "!", "&a ", "*a", "\x00", "\u2028", "é", "a = $a", "a = ${b?{c}:{d}}", "password=",
        "$config['a'] =", "smtpd -o ", "QUFBQUFBQUFBQUFB", "curl -u a:b",
    ]
)  # fmt: skip
TEXTS = st.one_of(st.text(), st.lists(PIECES, max_size=40).map("".join))


@pytest.mark.parametrize("name", READERS)
@given(text=TEXTS)
def test_a_reader_raises_nothing_but_its_own_error(name, text):
    try:
        READERS[name](text)
    except Unreadable as error:
        assert error.place.line >= 1
        assert str(error)
