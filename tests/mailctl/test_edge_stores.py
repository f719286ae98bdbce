"""`mailctl edge` and what the Worker needs at Cloudflare: bucket, namespace, schedule, log."""

import pytest
from conftest import Cli
from edge_repo import EdgeRepo, apply, assert_in_line, document, set_up
from fake_cloudflare import FakeCloudflare

from mailctl.edge import stores
from tests.places import PLATFORM

WORKER = PLATFORM / "email-worker" / "worker.js"
BUCKET, NAMESPACE = "shop-mail-spool", "shop-mail-alarms"


@pytest.fixture
def spooling(edge_repo: EdgeRepo) -> EdgeRepo:
    edge_repo.edge["worker"]["spool"] = {"bucket": BUCKET, "days": 14}
    edge_repo.save()
    return edge_repo


def test_the_worker_gets_its_bindings_its_schedule_and_a_log(
    edge_repo: EdgeRepo, cloudflare: FakeCloudflare, cli: Cli
) -> None:
    set_up(edge_repo, cloudflare, cli)
    (namespace,) = cloudflare.state.namespaces
    script = cloudflare.state.scripts["shop-mail-mail"]
    bindings = {
        b["name"]: next(v for k, v in b.items() if k not in ("name", "type")) for b in _bindings(script)
    }
    assert (
        bindings.items()
        >= {
            "SPOOL": BUCKET,
            "SPOOL_DAYS": "14",
            "STATE": namespace,
            "ALARM": "admin@elsewhere.example",
            "ALARM_TO": "admin@elsewhere.example",
            "ALARM_FROM": "alarm@example.com",
        }.items()
    )
    assert script["crons"] == ["* * * * *"] and script["metadata"]["observability"] == {"enabled": True}
    assert_in_line(cli)


def test_a_new_bucket_deletes_after_the_days_and_keeps_what_r2_set_itself(
    spooling: EdgeRepo, cloudflare: FakeCloudflare, cli: Cli
) -> None:
    apply(cli)
    default, own = cloudflare.state.buckets[BUCKET]["rules"]
    assert "abortMultipartUploadsTransition" in default
    assert own["deleteObjectsTransition"] == {"condition": {"type": "Age", "maxAge": 14 * 86400}}
    assert own["id"] == "mailctl: shop-mail" and own["conditions"] == {"prefix": ""}


def test_without_a_spool_nothing_of_r2_is_asked(
    edge_repo: EdgeRepo, cloudflare: FakeCloudflare, cli: Cli
) -> None:
    apply(cli)
    assert not [path for _, path in cloudflare.calls if "/r2/" in path]


def test_a_bucket_that_holds_something_of_others_is_taken_only_when_adopted(
    spooling: EdgeRepo, cloudflare: FakeCloudflare, cli: Cli
) -> None:
    cloudflare.state.add_bucket(BUCKET)
    cloudflare.state.buckets[BUCKET]["objects"] = ["photo.jpg"]
    refused = cli("edge", "apply", "--yes")
    assert refused.exit_code == 1 and f"--adopt {BUCKET}" in " ".join(refused.stderr.split())
    assert cloudflare.writes == []
    apply(cli, "--adopt", BUCKET)
    assert cloudflare.state.buckets[BUCKET]["objects"] == ["photo.jpg"]
    assert_in_line(cli)


def test_a_namespace_that_holds_something_of_others_is_taken_only_when_adopted(
    edge_repo: EdgeRepo, cloudflare: FakeCloudflare, cli: Cli
) -> None:
    cloudflare.state.namespaces["f" * 32] = {"id": "f" * 32, "title": NAMESPACE}
    cloudflare.state.keys["f" * 32] = ["theirs"]
    refused = cli("edge", "apply", "--yes")
    assert refused.exit_code == 1 and f"--adopt {NAMESPACE}" in " ".join(refused.stderr.split())
    apply(cli, "--adopt", NAMESPACE)
    assert_in_line(cli)


def test_mail_in_the_spool_is_ours_by_the_buckets_rule_even_when_the_worker_is_gone(
    spooling: EdgeRepo, cloudflare: FakeCloudflare, cli: Cli
) -> None:
    apply(cli)
    cloudflare.state.buckets[BUCKET]["objects"] = ["mail"]
    cloudflare.state.scripts.clear()
    apply(cli)
    assert cloudflare.state.buckets[BUCKET]["objects"] == ["mail"]


def test_a_spool_that_left_the_file_is_not_cut_off_while_mail_waits_in_it(
    spooling: EdgeRepo, cloudflare: FakeCloudflare, cli: Cli
) -> None:
    apply(cli)
    cloudflare.state.buckets[BUCKET]["objects"] = ["mail/1", "refused/1"]
    del spooling.edge["worker"]["spool"]
    spooling.save()
    refused = cli("edge", "apply", "--yes", "--prune", "--adopt", BUCKET)
    said = " ".join(refused.stderr.split())
    assert refused.exit_code == 1 and "put worker.spool back into edge/edge.yml until" in said
    cloudflare.state.buckets[BUCKET]["objects"] = ["refused/1"]
    notes = document(cli, "plan")["notes"]
    assert any(n["why"] == "unneeded" and "do it in the dashboard" in n["text"] for n in notes)
    apply(cli, "--prune")
    assert cloudflare.state.buckets[BUCKET]["objects"] == ["refused/1"]
    assert_in_line(cli)


def test_an_account_without_r2_is_told_to_enable_it(
    spooling: EdgeRepo, cloudflare: FakeCloudflare, cli: Cli
) -> None:
    cloudflare.state.has_r2 = False
    (problem,) = document(cli, "plan")["problems"]
    assert problem["wrong"].startswith("R2 is not enabled for this account")
    assert "enable it in the dashboard" in problem["fix"] and "value" not in problem


def test_an_account_without_a_cron_trigger_left_is_told_so_and_can_do_without(
    edge_repo: EdgeRepo, cloudflare: FakeCloudflare, cli: Cli
) -> None:
    cloudflare.state.other_crons = 5
    refused = cli("edge", "apply", "--yes")
    assert refused.exit_code == 1 and "no cron trigger left" in " ".join(refused.stderr.split())
    edge_repo.edge["worker"]["crons"] = []
    edge_repo.save()
    apply(cli)
    assert cloudflare.state.routing
    assert_in_line(cli)


def test_an_account_above_its_limit_can_still_have_its_worker_changed(
    edge_repo: EdgeRepo, cloudflare: FakeCloudflare, cli: Cli
) -> None:
    apply(cli)
    cloudflare.state.other_crons = 8
    (edge_repo.worker / "worker.js").write_text("export default {};\n")
    apply(cli)
    assert_in_line(cli)


def _bindings(script: dict) -> list[dict]:
    return [b for b in script["metadata"]["bindings"] if b["type"] != "secret_text"]


def test_mail_waits_where_the_worker_puts_it() -> None:
    assert f'const WAITING = "{stores.WAITING}";' in WORKER.read_text("utf-8")
