"""What runs on this host of several, as the repository says."""

import json


def test_every_task_of_this_host_is_healthy(server):
    """The engine replaces a task that fails, so one that is not healthy is one that nobody was served by."""
    states = {name: server.health(name) for name in server.containers}
    assert {name: state for name, state in states.items() if state != "healthy"} == {}


def test_every_task_may_do_what_the_model_says_and_no_more(server):
    """What the kernel allows a task: a setting that the engine dropped on its way is seen here alone."""
    done = server.call(".venv/bin/mailctl swarm check --json")
    found = json.loads(done.stdout)
    assert found.get("differing") == {}, done.stderr
    assert found["tasks"] >= len(server.containers)
