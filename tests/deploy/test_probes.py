"""While one service is updated, it alone is down, for a bounded time: all are asked ten times a second."""

from __future__ import annotations

import os

import pytest

from tests.deploy.test_methods import SERVICES
from tests.deploy.traffic import traffic

# Those that are down as well: rspamd with what it remembers the address of, and Postfix, which greets nobody
# whose mail could not be scanned.
TOGETHER = {
    "rspamd": {"postfix"},
    "valkey": {"rspamd", "postfix"},
    "unbound": {"rspamd", "postfix"},
    "clamav": {"rspamd", "postfix"},
}
#: Seconds, also on a machine that is busy with other tests.
LIMIT = 60
ALL = sorted(SERVICES)
CHOSEN = ALL if os.environ.get("PROBES") == "all" else ["dovecot", "usermgmt"]


@pytest.mark.parametrize("service", CHOSEN)
def test_an_update_of_one_service_leaves_all_others_up(service, lab, say):
    line = f"  {service}:\n    <<: *service\n"
    edit = {"file": "docker-compose.yml", "replace": [line, f'{line}    labels: {{update: "{service}"}}\n']}
    commit = lab.origin.change(f"A new {service}", [edit])
    with traffic(lab.target, lab.image, f"probe-{service}", "probe") as watch:
        job = lab.deploy(commit)
    assert not job.red, job.said
    lab.good = commit
    down, asked = watch.down(), watch.asked()
    assert asked.keys() == SERVICES and min(asked.values()) > 20, asked
    say(f"update of {service}: down {', '.join(f'{name} {seconds:.1f} s' for name, seconds in down.items())}")
    # One that is back within the blip of a busy machine was updated all the same.
    assert set(down) | {service} == {service} | TOGETHER.get(service, set())
    assert max(down.values(), default=0) < LIMIT
