"""The token of `mailctl edge`: what it must be allowed, and where it comes from."""

import pytest
from conftest import Cli
from edge_repo import EdgeRepo, apply, document
from fake_cloudflare import FakeCloudflare

SCOPES = {
    "dns": "Zone > DNS > Edit",
    "settings": "Zone > Zone Settings > Edit",
    "rules": "Zone > Email Routing Rules > Edit",
    "workers": "Account > Workers Scripts > Edit",
    "tunnels": "Account > Cloudflare Tunnel > Edit",
    "applications": "Account > Access: Apps and Policies > Edit",
    "addresses": "Account > Email Routing Addresses > Edit",
    "namespaces": "Account > Workers KV Storage > Edit",
    "storage": "Account > Workers R2 Storage > Edit",
}
SPOOL = {"bucket": "shop-mail-spool", "days": 14}


def test_a_token_with_too_few_permissions_is_told_all_that_it_lacks_at_once(
    edge_repo: EdgeRepo, cloudflare: FakeCloudflare, cli: Cli
) -> None:
    edge_repo.edge["worker"]["spool"] = SPOOL
    edge_repo.save()
    for lacking in ({"dns", "workers"}, set(SCOPES)):
        cloudflare.scopes -= lacking
        values = {problem["value"] for problem in document(cli, "plan")["problems"]}
        assert values >= {f"lacks {SCOPES[scope]}" for scope in lacking - {"settings"}}


@pytest.mark.parametrize("scope", SCOPES)
def test_each_missing_permission_is_named(
    edge_repo: EdgeRepo, cloudflare: FakeCloudflare, cli: Cli, scope: str
) -> None:
    edge_repo.edge["worker"]["spool"] = SPOOL
    edge_repo.save()
    cloudflare.scopes.discard(scope)
    assert [p["value"] for p in document(cli, "plan")["problems"]] == [f"lacks {SCOPES[scope]}"]


def test_without_a_spool_the_token_needs_nothing_of_r2(
    edge_repo: EdgeRepo, cloudflare: FakeCloudflare, cli: Cli
) -> None:
    cloudflare.scopes.discard("storage")
    apply(cli)


def test_a_token_for_another_zone_is_told_so(
    edge_repo: EdgeRepo, cloudflare: FakeCloudflare, cli: Cli
) -> None:
    cloudflare.state.zone = "example.net"
    result = cli("edge", "plan")
    assert result.exit_code == 1 and "sees no zone of that name" in " ".join(result.stderr.split())


def test_a_wrong_token_is_refused_without_being_shown(
    edge_repo: EdgeRepo, cloudflare: FakeCloudflare, cli: Cli, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CLOUDFLARE_API_TOKEN", "wrong-token")
    result = cli("edge", "plan")
    assert result.exit_code == 1 and "does not accept the token" in result.stderr
    assert "wrong-token" not in result.output


def test_the_token_is_taken_from_the_secrets_folder(
    edge_repo: EdgeRepo, cloudflare: FakeCloudflare, cli: Cli, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("CLOUDFLARE_API_TOKEN")
    assert "make setup" in cli("edge", "plan").stderr
    edge_repo.set_secret("cloudflare_api_token", cloudflare.token)
    assert cli("edge", "plan").exit_code == 2


def test_a_machine_without_secrets_and_docker_can_plan(
    edge_repo: EdgeRepo, cloudflare: FakeCloudflare, cli: Cli
) -> None:
    """As in a pull request: the rest is compared, and what only the host knows is said."""
    apply(cli)
    (edge_repo.root / "secrets").rename(edge_repo.root / "elsewhere")
    (edge_repo.root / ".env").unlink()
    edge_repo.docker.answer("list", code=1)
    result = document(cli, "plan", "--prune")
    assert result["changes"] == []
    assert {note["kind"] for note in result["notes"] if note["why"] == "waiting"} == {
        "DNS record",
        "Worker",
        "tunnel token",
    }
