"""The questions as a person sees them at a terminal."""

import fcntl
import io
import json
import math
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
from rich.console import Console
from rich.text import Text

from tools import answers, new, prompting

PROMPTS = prompting.texts()
QUESTIONS = answers.questions()
# A person waits no longer than this for a command that asks nothing of a network.
LIMIT_SECONDS = 120
PRESS_AGAIN_SECONDS = 20
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
    """`make new` at a real terminal, with its kept answers in `home`."""

    def __init__(self, out, home, **environment):
        self._ours, theirs = pty.openpty()
        self.shown, self._deadline = "", time.monotonic() + LIMIT_SECONDS
        own = {"TERM": "vt100", "COLUMNS": "300", "ANSWERS": "", "TZ": "UTC", "XDG_STATE_HOME": str(home)}
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tools.new", "--out", str(out), "--no-check"],
            cwd=answers.ROOT,
            stdin=theirs,
            stdout=theirs,
            stderr=theirs,
            env={**os.environ, **own, **environment},
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

    def end(self, key=""):
        """Return the exit code once the command has ended, by `key` if one is given.

        A key between the question and the read that waits for it can be lost; a person presses it again.
        """
        pressed = -math.inf
        while self._read():
            if key and time.monotonic() > pressed + PRESS_AGAIN_SECONDS:
                self.type(key)
                pressed = time.monotonic()
        code = self._process.wait(LIMIT_SECONDS)
        os.close(self._ours)
        return code


def at_a_terminal(lines, tmp_path, **environment):
    """Type lines into `make new` into tmp_path/out; return its exit code and what the terminal showed."""
    terminal = Terminal(tmp_path / "out", tmp_path / "state", **environment)
    terminal.type("".join(f"{line}\n" for line in lines))
    return terminal.end(), terminal.shown


def typed(**given):
    """Return the lines a person types to the questions; a list is typed one after the other.

    Who has a domain names an address as well: its default is for the trial.
    """
    if "mail_domain" in given:
        given.setdefault("admin_email", "ada@acme.org")
    asked = [q for q in QUESTIONS if q not in prompting.ONLY_IF or given.get("relay") in ("smtp", "3")]
    lines = []
    for question in asked:
        line = given.get(question, "")
        lines += line if isinstance(line, list) else [line]
    return lines


def made(tmp_path, slug="mailserver"):
    """Return the answers that the generated repository keeps."""
    return answers.read(tmp_path / "out" / slug / "answers.yml")


def test_a_wrong_answer_is_refused_at_once_and_enter_takes_its_repair(tmp_path):
    wrong = {
        "project_name": "メールサーバー",
        "mail_domain": ["https://Acme.com/", ""],
        "webmail_host": ["Post", ""],
        "admin_email": ["admin@acme.com", "", "ada@acme.org"],
        "timezone": ["jp", ""],
        "ssd_path": ["/srv/my mail//ssd", ""],
        "relay": ["SMTP", ""],
        "relay_host": ["smtp.acme.com:587", ""],
        "object_lock_days": ["90 days", ""],
        "antivirus": "n",
    }
    # The relay is typed as a word, so the helper cannot see that its two questions follow.
    lines = typed(**{**wrong, "relay": "3"})
    lines[lines.index("3") : lines.index("3") + 1] = ["SMTP", ""]
    code, shown = at_a_terminal(lines, tmp_path)
    assert code == 0, shown
    assert shown.count(" is wrong because ") == 9
    kept = made(tmp_path)
    wanted = {
        "project_name": "メールサーバー",
        "project_slug": "mailserver",
        "mail_domain": "acme.com",
        "webmail_host": "post.acme.com",
        "admin_email": "ada@acme.org",
        "timezone": "Asia/Tokyo",
        "ssd_path": "/srv/my-mail/ssd",
        "relay": "smtp",
        "relay_host": "smtp.acme.com",
        "object_lock_days": "90",
        "antivirus": False,
    }
    assert {question: kept[question] for question in wanted} == wanted
    assert [shown.count(words(question)[0]) for question in QUESTIONS] == [1] * len(QUESTIONS)
    main = (tmp_path / "out" / "mailserver" / "config" / "postfix" / "main.cf").read_text(encoding="utf-8")
    assert "relayhost = [smtp.acme.com]:587\n" in main


@pytest.fixture
def answered(monkeypatch, tmp_path):
    """Answers the questions with typed lines, in this process; returns the answers and what was shown."""

    def run(lines, **machine):
        shown, typing = io.StringIO(), iter(lines)
        monkeypatch.setattr("builtins.input", lambda prompt: (shown.write(prompt), next(typing))[1])
        monkeypatch.setattr(new.machine, "defaults", lambda: {"timezone": "UTC", **machine})
        monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
        monkeypatch.setattr("rich.console.Console", lambda stderr: Console(file=shown, width=300))
        return answers.complete(new.ask(tmp_path)), shown.getvalue()

    return run


def test_a_mail_providers_domain_is_refused_with_the_reason(answered):
    given, shown = answered(typed(mail_domain=["gmail.com", "{{ oops", "acme.com"]))
    assert "'gmail.com' is wrong because it belongs to a mail provider, so you cannot set its DNS" in shown
    assert given["mail_domain"] == "acme.com"


def test_a_sign_takes_the_person_back_one_question(answered):
    given, _ = answered(typed(mail_domain="acne.com", webmail_host=["<", "acme.com", ""]))
    assert given["webmail_host"] == "mail.acme.com"


def test_the_relays_host_is_asked_only_where_it_does_not_follow(answered):
    given, shown = answered(typed(relay="2"))
    assert words("relay_host")[0] not in shown
    assert given["relay_host"] == "email-smtp.ap-northeast-1.amazonaws.com"


def test_the_machines_time_zone_is_offered(answered):
    given, shown = answered(typed(), timezone="Asia/Tokyo")
    assert "[Asia/Tokyo] >" in shown and given["timezone"] == "Asia/Tokyo"


def test_an_existing_folder_is_refused_where_it_is_named(answered, tmp_path):
    (tmp_path / "mailserver").mkdir()
    given, shown = answered(typed(project_slug=["mailserver", ""]))
    assert shown.index("mailserver exists") < shown.index(words("mail_domain")[0])
    assert given["project_slug"] == "mailserver-2"


def test_a_default_that_does_not_fit_is_offered_repaired(answered):
    given, shown = answered(typed(project_name="2024 Mail"))
    assert given["project_slug"] == "mail-2024-mail" and " is wrong " not in shown


def test_a_folder_that_can_hold_nothing_is_refused_before_the_first_question(tmp_path):
    (tmp_path / "out").write_text("mine", encoding="utf-8")
    code, shown = at_a_terminal([], tmp_path)
    assert code == 1
    assert "out is not a folder" in shown and words("project_name")[0] not in shown


@pytest.mark.parametrize("key", ["\x03", "\x04"], ids=["interrupt", "end of input"])
def test_who_leaves_leaves_only_answers_and_finds_them_again(key, tmp_path):
    terminal = Terminal(tmp_path / "out", tmp_path / "state")
    terminal.type("Acme Mail\n\nacme.com\n")
    terminal.until("[mail.acme.com] > ")
    assert terminal.end(key) == 1
    assert terminal.shown.rstrip().endswith("nothing was generated")
    assert [path.name for path in tmp_path.iterdir()] == ["state"]

    code, shown = at_a_terminal(typed(admin_email="ada@acme.org"), tmp_path)
    assert code == 0, shown
    assert made(tmp_path, "acme-mail")["mail_domain"] == "acme.com"
    assert list((tmp_path / "state" / "mailserver-template").iterdir()) == []
