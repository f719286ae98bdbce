"""`mailctl swarm render`: every key of the compose model is mapped or refused."""

from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mailctl.core.errors import Refused
from mailctl.swarm import hardening, inventory, model, objects, render, service, tmpfs

NODES = inventory.Inventory(
    tuple(
        inventory.Node(f"mail{n}", f"10.0.0.{n}", str(n), shard)
        for n, shard in ((1, "a"), (2, "b"), (3, None))
    )
)
IMAGE = f"registry.example/mail/web@sha256:{'0' * 64}"


@pytest.fixture
def files(tmp_path: Path) -> Path:
    """A repository with a folder of configuration, a single file of it, and a secret."""
    for name, text in (
        ("config/web/a.conf", "a"),
        ("config/web/sub/b.conf", "b"),
        ("one.sh", "#!"),
        ("word", "w"),
    ):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    (tmp_path / "one.sh").chmod(0o755)
    return tmp_path


def stack(files: Path, **web: Any) -> render.Stack:
    """The stack of one service, web, with these settings, as compose would give them."""
    secrets = {"word": {"name": "m_word", "file": str(files / "word")}}
    merged = {
        "name": "m",
        "services": {"web": web},
        "networks": {"mail": {"name": "m_mail", "internal": True, "ipam": {}}},
        "volumes": {"data": {"name": "m_data"}},
        "secrets": secrets,
    }
    return render.stack(model.of(merged, NODES), NODES, files, {"web": IMAGE})


def web(files: Path, **settings: Any) -> dict[str, Any]:
    return stack(files, **settings).body["services"]["web"]


def bind(source: Path, target: str, **more: Any) -> dict[str, Any]:
    return {"type": "bind", "source": str(source), "target": target, "read_only": True, "bind": {}} | more


DATA = {"type": "volume", "source": "data", "target": "/x"}
KNOWN = service.SAME | service.DONE | set(service.HANDLED)


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(st.from_regex(r"[a-z][a-z_-]{1,20}", fullmatch=True).filter(lambda key: key not in KNOWN | {"x-per"}))
def test_a_key_that_nobody_has_thought_of_is_refused_with_its_name(files: Path, key: str) -> None:
    with pytest.raises(Refused) as refusal:
        web(files, **{key: "value"})
    assert [problem.field for problem in refusal.value.problems] == [f"web: {key}"]


@pytest.mark.parametrize(
    ("settings_", "field"),
    [
        ({"security_opt": ["seccomp:unconfined"]}, "web: security_opt"),
        ({"networks": {"mail": {"ipv4_address": "10.1.1.1"}}}, "web: networks.mail.ipv4_address"),
        ({"ports": [{"target": 1, "published": "1", "host_ip": "10.0.0.1"}]}, "web: ports"),
        ({"tmpfs": ["/run:size=1m,huge=always"]}, "web: tmpfs /run"),
        ({"volumes": [bind(Path("/etc/localtime"), "/x")]}, "web: volumes"),
        ({"volumes": [{"type": "bind", "source": "/var/run/docker.sock", "target": "/x"}]}, "web: volumes"),
        ({"volumes": [{"type": "cluster", "target": "/x"}]}, "web: volumes"),
        ({"volumes": [DATA | {"volume": {"subpath": "y"}}]}, "web: volumes.volume.subpath"),
        ({"volumes": [DATA], "deploy": {"replicas": 2}}, "web: volumes"),
        ({"secrets": [{"source": "word", "uid": "103"}]}, "web: secrets.uid"),
        ({"deploy": {"endpoint_mode": "vip"}}, "web: deploy.endpoint_mode"),
        ({"deploy": {"update_config": {"order": "start-first"}}}, "web: deploy.update_config.order"),
        (
            {"deploy": {"update_config": {"failure_action": "pause"}}},
            "web: deploy.update_config.failure_action",
        ),
        ({"deploy": {"resources": {"devices": [{"driver": "x"}]}}}, "web: deploy.resources.devices"),
        ({"x-per": "host"}, "service web: x-per"),
        ({"hostname": model.PLACEHOLDER}, "service web"),
        ({"x-per": "shard", "deploy": {"replicas": 2}}, "web: deploy"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)  # fmt: skip
def test_a_setting_that_a_stack_cannot_have_is_refused(
    files: Path, settings_: dict[str, Any], field: str
) -> None:
    with pytest.raises(Refused) as refusal:
        web(files, **settings_)
    assert {problem.field for problem in refusal.value.problems} == {field}
    assert all(problem.fix for problem in refusal.value.problems)


def test_all_problems_are_told_at_once(files: Path) -> None:
    (files / "word").unlink()
    with pytest.raises(Refused) as refusal:
        web(files, privileged=True, secrets=[{"source": "word"}])
    assert [problem.field for problem in refusal.value.problems] == ["web: privileged", "secrets: word"]


def test_a_service_is_kept_updated_one_task_at_a_time_and_rolled_back(files: Path) -> None:
    made = web(
        files, restart="unless-stopped", security_opt=["no-new-privileges:true"], init=True, user="1:1"
    )
    assert (made["image"], made["init"], made["user"]) == (IMAGE, True, "1:1")
    assert made["deploy"]["update_config"]["failure_action"] == "rollback"
    assert made["deploy"]["update_config"]["order"] == "stop-first"
    assert (made["deploy"]["endpoint_mode"], made["deploy"]["restart_policy"]["condition"]) == (
        "dnsrr",
        "any",
    )
    assert "security_opt" not in made, "a stack warns of it and drops it: each engine has it for all"


def test_a_folder_becomes_a_config_a_file_below_a_mask_that_hides_the_images_own(files: Path) -> None:
    whole = stack(files, volumes=[bind(files / "config/web", "/etc/web"), bind(files / "one.sh", "/bin/one")])
    made = whole.body["services"]["web"]
    placed = {each["target"]: (each["source"].rpartition("-")[0], each["mode"]) for each in made["configs"]}
    assert placed == {
        "/etc/web/a.conf": ("m.web.a.conf", 0o444),
        "/etc/web/sub/b.conf": ("m.web.sub.b.conf", 0o444),
        "/bin/one": ("m.one.sh", 0o555),
    }
    assert [mount["target"] for mount in made["volumes"]] == ["/etc/web"], "one mask, none for a single file"
    mask = whole.body["volumes"][made["volumes"][0]["source"]]["driver_opts"]["o"]
    assert {"mode=0555", "nosuid", "nodev", "noexec"} < set(mask.split(","))


def test_mounts_are_in_the_order_that_a_forced_update_gives_them(files: Path) -> None:
    """Else the next deployment starts again what `docker service update --force` has started."""
    made = stack(files, tmpfs=["/var/it", "/run"], volumes=[bind(files / "config/web", "/etc/web"), DATA])
    names = {key: each["name"] for key, each in made.body["volumes"].items()}
    mounts = [(names[each["source"]], each["target"]) for each in made.body["services"]["web"]["volumes"]]
    assert mounts == sorted(mounts) and [target for _, target in mounts] == [
        "/x",
        "/etc/web",
        "/run",
        "/var/it",
    ]


def test_what_changes_gets_another_name_and_what_does_not_keeps_it(files: Path) -> None:
    mounts = [bind(files / "config/web", "/etc/web")]
    before = {each.name for each in stack(files, volumes=mounts, secrets=[{"source": "word"}]).objects}
    (files / "config/web/a.conf").write_text("A")
    (files / "word").write_text("W")
    after = {each.name for each in stack(files, volumes=mounts, secrets=[{"source": "word"}]).objects}
    assert {name.rpartition("-")[0] for name in before - after} == {"m.web.a.conf", "m.word"}
    assert len(after) == len(before) == 3


@given(
    st.text("abcXYZ.-_ äöü/", min_size=1, max_size=80),
    st.text(max_size=70),
    st.binary(min_size=1, max_size=50),
)
def test_a_name_is_one_that_the_engine_takes_whatever_the_file_is_called(
    label: str, project: str, data: bytes
) -> None:
    name = objects.made("config", f"m{project}", f"x{label}", data, "x").name
    assert (
        len(name) <= 64
        and name.isascii()
        and name.replace(".", "").replace("-", "").replace("_", "").isalnum()
    )


@pytest.mark.parametrize("data", [b"", b"x" * 1024 * 1000])
def test_what_the_engine_does_not_take_is_refused_before_it_is_asked(data: bytes) -> None:
    with pytest.raises(Refused, match="cannot be a config"):
        objects.made("config", "m", "a", data, "a")
    assert "x" * 20 not in repr(objects.made("secret", "m", "a", b"x" * 20, "a")), "a secret is never shown"


def test_one_service_a_member_is_made_and_pinned_to_its_host(files: Path) -> None:
    settings_ = {
        "x-per": "shard",
        "hostname": f"web-{model.PLACEHOLDER}",
        "environment": {"ME": model.PLACEHOLDER},
    }
    made = stack(files, **settings_, deploy={"placement": {"constraints": ["node.role==worker"]}}).body[
        "services"
    ]
    assert {name: (each["hostname"], each["environment"]["ME"]) for name, each in made.items()} == {
        "web-a": ("web-a", "a"),
        "web-b": ("web-b", "b"),
    }
    placement = made["web-b"]["deploy"]["placement"]["constraints"]
    assert placement == ["node.labels.mail.shard==b", "node.role==worker"]


def test_services_come_in_waves_after_those_they_need() -> None:
    needs = {"a": [], "b": ["a"], "c": ["b", "gone"], "d": ["a"]}
    services = {name: {"depends_on": {other: {} for other in each}} for name, each in needs.items()}
    services["a"]["x-per"] = "database"
    made = model.of({"name": "m", "services": services}, NODES)
    levels = {each.name: each.level for each in made.services}
    assert levels == {"a-1": 0, "a-2": 0, "a-3": 0, "b": 1, "d": 1, "c": 2}


def test_networks_are_overlays_and_encrypted_only_if_that_was_asked_for(files: Path) -> None:
    wanted = {"driver": "overlay", "name": "m_mail", "internal": True}
    assert stack(files).body["networks"] == {"mail": wanted}
    merged = {"name": "m", "services": {}, "networks": {"mail": {"name": "m_mail", "internal": True}}}
    encrypted = inventory.Inventory(NODES.nodes, encrypted=True)
    made = render.stack(model.of(merged, encrypted), encrypted, files, {})
    assert made.body["networks"]["mail"] == wanted | {"driver_opts": {"encrypted": ""}}
    options = merged["networks"]["mail"]["driver_opts"] = {
        "com.docker.network.bridge.enable_ip_masquerade": "false"
    }
    assert render.stack(model.of(merged, NODES), NODES, files, {}).body["networks"]["mail"] == wanted
    options["com.docker.network.driver.mtu"] = "1400"
    with pytest.raises(Refused, match="driver_opts"):
        render.stack(model.of(merged, NODES), NODES, files, {})


OPTIONS = st.fixed_dictionaries(
    {},
    optional={
        "mode": st.sampled_from(["1777", "0755", "700"]),
        "uid": st.integers(0, 65534).map(str),
        "gid": st.integers(0, 65534).map(str),
        "size": st.sampled_from(["64k", "16m", "1g", "4096"]),
    },
)


@given(OPTIONS, st.booleans())
def test_a_folder_in_memory_is_the_same_for_the_model_and_for_the_kernel(
    options: dict[str, str], run: bool
) -> None:
    """What the renderer asks for, read back as the kernel shows it, is what the model is said to want."""
    text = ",".join([*(f"{key}={value}" for key, value in options.items()), *(["exec"] if run else [])])
    folder = tmpfs.parse("web", f"/run/x:{text}")
    _, made, mount = tmpfs.volume("m", "web", folder)
    asked = made["driver_opts"]["o"].split(",")
    flags = ",".join(each for each in asked if "=" not in each)
    # The kernel leaves out what is its default, and writes modes and sizes its own way.
    sizes = {"64k": "64k", "16m": "16384k", "1g": "1048576k", "4096": "4k"}
    told = [
        f"{k}={sizes.get(v, v).lstrip('0') if k != 'uid' and k != 'gid' else v}" for k, v in options.items()
    ]
    told = [each for each in told if each not in ("mode=1777", "uid=0", "gid=0")]
    line = f"90 80 0:50 / /run/x rw,{flags},relatime - tmpfs tmpfs {','.join(['rw', *told, 'inode64'])}"
    wanted = hardening.expected({"tmpfs": [f"/run/x:{text}"]}, {})["tmpfs"]
    assert hardening._mounts(line) == wanted
    assert mount["volume"] == {"nocopy": True} and "{{.Task.Slot}}" in made["name"]
    assert ("noexec" in asked) != run
