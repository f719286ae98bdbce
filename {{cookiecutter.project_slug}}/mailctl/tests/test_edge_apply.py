"""`mailctl edge plan` and `apply` against a Cloudflare that remembers."""

from conftest import Cli
from edge_repo import EdgeRepo
from fake_cloudflare import FakeCloudflare


def done(cloudflare: FakeCloudflare, cli: Cli, *options: str) -> None:
    result = cli("edge", "apply", "--yes", *options)
    assert result.exit_code == 0, result.output


def test_from_an_empty_zone_to_done_and_then_nothing_to_do(
    edge_repo: EdgeRepo, cloudflare: FakeCloudflare, cli: Cli
) -> None:
    assert cli("edge", "plan").exit_code == 2
    assert cloudflare.writes == []
    done(cloudflare, cli)
    result = cli("edge", "plan")
    assert result.exit_code == 0, result.output
    assert "Nothing to do" in result.stdout
    print(cli("edge", "plan").output)
