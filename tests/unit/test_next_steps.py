"""What a person is told to do after `make new` is possible, complete and in their own names."""

import re
from pathlib import Path

import pytest

from tools import answers, covering, new, next_steps

TEMPLATE = answers.ROOT / "{{cookiecutter.project_slug}}"
TARGETS = new.make_targets(TEMPLATE)
PROJECT = Path("/home/ada/my repositories/acme-mail")


def told(**changes):
    return next_steps.plain(
        next_steps.steps(
            PROJECT,
            answers.complete({"mail_domain": "acme.com", "admin_email": "ada@acme.org", **changes}),
            TARGETS,
        )
    )


@pytest.mark.parametrize("changes", covering.combinations().values(), ids=list(covering.combinations()))
def test_every_make_target_that_is_named_exists(changes):
    for step in next_steps.steps(PROJECT, answers.complete(changes), TARGETS):
        for detail in step.details:
            for target in re.findall(r"^make (?:-C \S+ )?([a-z-]+)$", detail):
                assert target in TARGETS


def test_steps_are_numbered_in_order():
    numbers = [int(line.partition(".")[0]) for line in told().splitlines() if line[0] != " "]
    assert numbers == list(range(1, len(numbers) + 1))


def test_nobody_is_sent_to_a_page_before_there_is_a_way_to_it():
    text = told()
    assert text.index("make edge-apply") < text.index("https://")


def test_hosts_folders_and_addresses_are_those_of_the_answers():
    text = told(webmail_host="post.acme.com", ssd_path="/fast", hdd_path="/large", admin_email="ada@acme.org")
    assert "https://post.acme.com/" in text and "ada@acme.org" in text
    assert "/fast/mariadb" in text and "/large/mailboxes" in text


def test_folders_with_spaces_are_quoted():
    assert f"make -C '{PROJECT}' local" in told()


@pytest.mark.parametrize(
    ("relay", "hint"),
    [
        ("sendgrid", "SendGrid API key"),
        ("ses", "SES in ap-northeast-1"),
        ("smtp", "password at smtp.acme.com"),
    ],
)
def test_the_relay_says_which_log_in_it_needs(relay, hint):
    assert hint in told(relay=relay)


def test_mail_programs_need_an_address_and_webmail_does_not():
    assert "LAN_ADDRESS" in told(client_access="lan")
    assert "LAN_ADDRESS" not in told(client_access="webmail")


def test_every_setting_that_is_named_stands_in_the_example():
    example = (TEMPLATE / ".env.example").read_text(encoding="utf-8")
    for setting in set(re.findall(r"[A-Z]+(?:_[A-Z]+)+", told(client_access="lan", relay="ses"))):
        assert f"\n{setting}=" in example, setting


def test_the_example_domain_ends_in_a_hint_to_choose_an_own_one():
    text = told(mail_domain="example.com")
    assert "make new ANSWERS=" in text and "docker compose up" not in text


def test_a_repository_without_a_makefile_names_no_target():
    steps = next_steps.steps(PROJECT, answers.complete({"mail_domain": "acme.com"}), frozenset())
    assert "make " not in next_steps.plain(steps)
