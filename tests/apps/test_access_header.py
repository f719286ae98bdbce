"""What the web entrance passes on of who Cloudflare Access let in: a real nginx, as it is configured.

usermgmt believes the header of nginx alone, so what nginx lets through decides whose word is looked at.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import yaml

from tests.apps.nginx import serving
from tests.generation.generate import config_file, render

HEADER, CLIENT = "Cf-Access-Jwt-Assertion", {"CF-Connecting-IP": "203.0.113.5"}


@pytest.fixture(scope="module")
def repository(tmp_path_factory) -> Path:
    """A repository of the defaults."""
    folder = tmp_path_factory.mktemp("repository")
    return render({}, folder, config_file(folder))


@pytest.fixture(scope="module")
def answers(repository) -> dict[str, str]:
    return yaml.safe_load((repository / "answers.yml").read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def ask(tmp_path_factory, repository) -> Iterator[Callable[..., dict[str, str]]]:
    """The headers that arrive behind nginx of a request to a host."""
    with serving(repository, tmp_path_factory.mktemp("nginx")) as (request, _):
        yield lambda host, **headers: request(host, **headers).arrived["headers"]


@pytest.mark.parametrize("site", ["account_host", "admin_host"])
def test_what_cloudflare_sends_along_reaches_accounts_and_administration(ask, answers, site):
    arrived = ask(answers[site], **{HEADER: "signed"}, **CLIENT)
    assert arrived[HEADER.lower()] == "signed"
    assert "cf-connecting-ip" not in arrived


@pytest.mark.parametrize(
    ("headers", "why"),
    [
        ({HEADER: "forged"}, "it did not come by Cloudflare"),
        ({HEADER: "forged", "CF-Connecting-IP": ""}, "nobody is named"),
        ({HEADER.replace("-", "_"): "forged", **CLIENT}, "an application would take it for the same name"),
    ],
    ids=["without a client", "with an empty client", "under another spelling"],
)
def test_what_cloudflare_did_not_send_along_is_left_out(ask, answers, headers, why):
    assert HEADER.lower() not in ask(answers["account_host"], **headers), why


def test_the_webmail_never_sees_it(ask, answers):
    assert HEADER.lower() not in ask(answers["webmail_host"], **{HEADER: "signed"}, **CLIENT)
