"""The questions as a person sees them at a terminal."""

import fcntl
import json
import os
import pty
import re
import select
import signal
import subprocess
import sys
import termios
import time

import pytest
from rich.text import Text

from tools import answers, prompting

PROMPTS = prompting.texts()
QUESTIONS = answers.questions()
# A person waits no longer than this for a command that asks nothing of a network.
LIMIT_SECONDS = 60
COLOURS = re.compile(r"\x1b\[[0-9;]*m")


def words(question):
    """Return every text that a question shows."""
    shown = PROMPTS[question]
    return [shown] if isinstance(shown, str) else list(shown.values())


@pytest.mark.parametrize("question", QUESTIONS)
def test_every_question_is_asked_in_human_words(question):
    assert all(text.strip() == text and "_" not in text for text in words(question))


@pytest.mark.parametrize("question", QUESTIONS)
def test_no_word_vanishes_as_markup(question):
    assert [Text.from_markup(text).plain for text in words(question)] == words(question)


@pytest.mark.parametrize("question", [q for q, default in QUESTIONS.items() if isinstance(default, list)])
def test_every_choice_is_explained(question):
    assert set(PROMPTS[question]) == {"__prompt__", *QUESTIONS[question]}


@pytest.mark.parametrize("question", [q for q, d in QUESTIONS.items() if isinstance(d, str | int)])
def test_every_free_answer_has_an_example(question):
    assert "for instance" in PROMPTS[question] or isinstance(QUESTIONS[question], bool)


def test_the_examples_in_the_prompts_are_good_answers():
    examples = {
        q: PROMPTS[q].rpartition("for instance ")[2] for q in QUESTIONS if "for instance" in str(PROMPTS[q])
    }
    for question, text in examples.items():
        for example in re.split(r", | or ", re.sub(r" \(.*", "", text)):
            value = int(example) if example.isdigit() else example
            assert answers.validator().field_problem(question, value) is None, (question, example)


def test_questions_are_all_that_cookiecutter_json_asks():
    raw = json.loads(answers.QUESTIONS.read_text(encoding="utf-8"))
    assert list(raw["__prompts__"]) == [key for key in raw if not key.startswith("_")]


def log_in():
    """Give a new process a terminal of its own and Ctrl-C, which a job in the background ignores."""
    fcntl.ioctl(0, termios.TIOCSCTTY, 0)
    signal.signal(signal.SIGINT, signal.SIG_DFL)


class Terminal:
    """`make new` at a real terminal."""

    def __init__(self, out):
        self._ours, theirs = pty.openpty()
        self.shown, self._deadline = "", time.monotonic() + LIMIT_SECONDS
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tools.new", "--out", str(out), "--no-check"],
            cwd=answers.ROOT,
            stdin=theirs,
            stdout=theirs,
            stderr=theirs,
            env={**os.environ, "TERM": "vt100", "COLUMNS": "300", "ANSWERS": ""},
            start_new_session=True,
            preexec_fn=log_in,
        )
        os.close(theirs)

    def _read(self):
        """Read once; False when the command has closed its side."""
        if select.select([self._ours], [], [], 1)[0]:
            try:
                self.shown += COLOURS.sub("", os.read(self._ours, 65536).decode(errors="replace"))
            except OSError:
                return False
        assert time.monotonic() < self._deadline, self.shown
        return True

    def type(self, keys):
        os.write(self._ours, keys.encode())

    def until(self, text):
        while text not in self.shown:
            assert self._read(), self.shown

    def end(self):
        """Return the exit code once the command has ended."""
        while self._read():
            pass
        code = self._process.wait(LIMIT_SECONDS)
        os.close(self._ours)
        return code


def at_a_terminal(lines, out):
    """Type lines into `make new`; return its exit code and what the terminal showed."""
    terminal = Terminal(out)
    terminal.type("".join(f"{line}\n" for line in lines))
    return terminal.end(), terminal.shown


def typed(**given):
    """Return the lines a person types to the questions; an empty line takes the default."""
    return [given.get(question, "") for question in QUESTIONS]


def test_only_what_was_answered_wrongly_is_asked_again(tmp_path):
    # The derived defaults follow from the wrong domain, so they are asked again too, now with good defaults.
    again = ["acme.com", "", "", "", "", "", ""]
    code, shown = at_a_terminal([*typed(mail_domain="Acme.com", relay="2", antivirus="n"), *again], tmp_path)
    assert code == 0, shown
    assert (
        "mail_domain: 'Acme.com' is wrong because it has upper-case letters; use 'acme.com' instead" in shown
    )
    asked = [shown.count(words(question)[0]) for question in QUESTIONS]
    wrong = {
        "mail_domain",
        "webmail_host",
        "admin_host",
        "api_host",
        "admin_email",
        "backup_bucket",
        "state_bucket",
    }
    assert asked == [2 if question in wrong else 1 for question in QUESTIONS]
    settings = (tmp_path / "mailserver" / ".env.example").read_text(encoding="utf-8")
    assert "MAIL_DOMAIN=acme.com\n" in settings and "WEBMAIL_HOST=mail.acme.com\n" in settings
    assert not (tmp_path / "mailserver" / "config" / "clamav").exists()


def test_it_asks_until_the_answer_is_good(tmp_path):
    code, shown = at_a_terminal([*typed(ssd_path="/etc"), "{{ 1 }}", "/", "/srv/acme"], tmp_path)
    assert code == 0, shown
    assert shown.count(" is wrong because ") == 3
    assert "SSD_PATH=/srv/acme\n" in (tmp_path / "mailserver" / ".env.example").read_text(encoding="utf-8")


def test_a_second_wrong_answer_is_not_rendered_into_the_next_default(tmp_path):
    again = ["{{ oops", "/large", "/fast"]
    code, shown = at_a_terminal([*typed(ssd_path="/etc", hdd_path="/usr"), *again], tmp_path)
    assert code == 0, shown
    settings = (tmp_path / "mailserver" / ".env.example").read_text(encoding="utf-8")
    assert "SSD_PATH=/fast\n" in settings and "HDD_PATH=/large\n" in settings


@pytest.mark.parametrize("key", ["\x03", "\x04"], ids=["interrupt", "end of input"])
def test_a_person_who_leaves_leaves_nothing_behind(key, tmp_path):
    terminal = Terminal(tmp_path / "out")
    terminal.type("Acme\n")
    terminal.until(words("project_slug")[0])
    terminal.type(key)
    assert terminal.end() == 1
    assert terminal.shown.rstrip().endswith("nothing was generated")
    assert list(tmp_path.iterdir()) == []
