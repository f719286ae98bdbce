"""Which peer is nginx: its name is looked up, not too often, and again after its container was recreated."""

from __future__ import annotations

import socket
from typing import Any

import pytest
from werkzeug.test import Client
from werkzeug.wrappers import Request, Response

from usermgmt.web.proxy import AGAIN_SECONDS, FRESH_SECONDS, OnlyNginx


@Request.application
def who(request: Request) -> Response:
    """Tell the address that the application sees."""
    return Response(request.remote_addr)


class Names:
    """A name server with one entry, and a clock."""

    def __init__(self, address: str | None) -> None:
        self.address, self.now, self.asked = address, 0.0, 0

    def gethostbyname_ex(self, name: str) -> tuple[str, list[str], list[str]]:
        """As socket does."""
        self.asked += 1
        if self.address is None:
            raise socket.gaierror(f"{name}: not known")
        return name, [], [self.address]


@pytest.fixture
def names(monkeypatch: pytest.MonkeyPatch) -> Names:
    """nginx is 10.0.0.2."""
    made = Names("10.0.0.2")
    monkeypatch.setattr(socket, "gethostbyname_ex", made.gethostbyname_ex)
    return made


@pytest.fixture
def client(names: Names) -> Client:
    """Asks an application behind nginx."""
    return Client(OnlyNginx(who, "nginx", lambda: names.now))


def seen(client: Client, peer: str, **headers: Any) -> str:
    """The address that the application sees of a request from `peer`."""
    given = {"X-Forwarded-For": "203.0.113.5", **headers}
    return client.get("/", headers=given, environ_overrides={"REMOTE_ADDR": peer}).text


def test_the_container_that_has_the_name_is_believed(client: Client) -> None:
    assert seen(client, "10.0.0.2") == "203.0.113.5"
    assert seen(client, "10.0.0.3") == "10.0.0.3"


def test_only_the_last_address_is_nginxs_own_word(client: Client) -> None:
    assert seen(client, "10.0.0.2", **{"X-Forwarded-For": "198.51.100.1, 203.0.113.5"}) == "203.0.113.5"


def test_a_recreated_container_is_found_after_a_while_and_the_old_address_forgotten(
    client: Client, names: Names
) -> None:
    assert seen(client, "10.0.0.2") == "203.0.113.5"
    names.address, names.now = "10.0.0.9", FRESH_SECONDS + 1
    assert seen(client, "10.0.0.9") == "203.0.113.5"
    assert seen(client, "10.0.0.2") == "10.0.0.2"


def test_the_name_server_is_not_asked_for_every_request(client: Client, names: Names) -> None:
    for _ in range(5):
        seen(client, "10.0.0.2")
    assert names.asked == 1


def test_while_the_name_is_unknown_nobody_is_believed(client: Client, names: Names) -> None:
    names.address = None
    assert seen(client, "10.0.0.2") == "10.0.0.2"


def test_a_new_one_of_several_is_believed_within_a_second_and_a_stranger_causes_few_questions(
    client: Client, names: Names
) -> None:
    assert seen(client, "10.0.0.2") == "203.0.113.5"
    names.address, names.now = "10.0.0.9", AGAIN_SECONDS + 0.1
    assert seen(client, "10.0.0.9") == "203.0.113.5"
    asked = names.asked
    assert {seen(client, "10.0.0.3") for _ in range(5)} == {"10.0.0.3"} and names.asked == asked
