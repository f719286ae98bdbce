"""Compose's many short forms, turned into the one long form, with the places kept."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Callable
from typing import Any

from policies.model import Place
from policies.shared.located import List, Map

TRUE = {"true", "yes", "y", "on", "1"}
FALSE = {"false", "no", "n", "off", "0"}
#: Service keys that may be a list of NAME=VALUE.
NAMED = ("environment", "labels", "annotations", "sysctls")
#: Service keys that are switches, which Compose also takes as words.
SWITCHES = ("privileged", "read_only", "init", "oom_kill_disable", "use_api_socket")
PORT = re.compile(
    r"^(?:(?P<ip>\[[0-9a-fA-F:.%]*\]|\$\{\w+\}|[^:\[\]]*):)?(?:(?P<published>\$\{\w+\}|[^:]*):)?"
    r"(?P<target>\$\{\w+\}|[^:/]+)(?:/(?P<protocol>\w+))?$"
)


def switch(value: Any) -> bool:
    """Return a switch as Compose reads it: `yes` and `"true"` are true as well."""
    return value is True or (isinstance(value, (str, int)) and str(value).strip().lower() in TRUE)


def known(value: Any) -> Any:
    """Return a switch as true or false; what is neither, such as a variable without a value, stays."""
    text = str(value).strip().lower()
    if isinstance(value, (bool, str, int)) and text in TRUE | FALSE:
        return text in TRUE
    return value


def _keyed(node: Any, split: Callable[[str, Place], tuple[str, Any]]) -> Any:
    """Return a list as a mapping: `split` makes name and value of each entry; anything else as it is."""
    if not isinstance(node, List):
        return node
    result = Map(node.place)
    for item, place in zip(node, node.places, strict=True):
        if isinstance(item, (str, int, float)):
            name, value = split(str(item), place)
            result.put(name.strip(), value, place)
    return result


def _named(text: str, place: Place) -> tuple[str, str | None]:
    """Split NAME=VALUE."""
    name, sign, value = text.partition("=")
    return name, value if sign else None


def named(node: Any) -> Any:
    """Return a list of NAME=VALUE as a mapping; anything else as it is."""
    return _keyed(node, _named)


def _host(text: str, place: Place) -> tuple[str, str]:
    """Split NAME=ADDRESS or NAME:ADDRESS."""
    name, _, address = text.partition("=" if "=" in text else ":")
    return name, address.strip("[] ")


def made(place: Place, **entries: Any) -> Map:
    """Return a mapping all of whose entries stand at one place."""
    result = Map(place)
    for key, value in entries.items():
        result.put(key, value, place)
    return result


def inside(base: str, path: str) -> str:
    """Return a path of a Compose file relative to the repository; absolute ones and variables stay."""
    if path.startswith(("/", "~", "$")):
        return path
    return posixpath.normpath(posixpath.join(base, path))


def mount(item: Any, place: Place, base: str) -> Any:
    """Return a volume in the long form; a relative source becomes relative to the repository."""
    if isinstance(item, (str, int)):
        text = str(item)
        parts = re.split(r":(?![^{]{0,500}\})", text)
        if len(parts) == 1:
            return made(place, type="volume", source=None, target=text, read_only=False)
        source, target = parts[:2]
        options = ",".join(parts[2:]).split(",")
        bind = source.startswith((".", "/", "~", "$"))
        kind, source = ("bind", inside(base, source)) if bind else ("volume", source)
        return made(place, type=kind, source=source, target=target, read_only="ro" in options)
    if isinstance(item, Map):
        if item.get("type") == "bind" and isinstance(item.get("source"), str):
            item["source"] = inside(base, item["source"])
        item.setdefault("read_only", False)
        item["read_only"] = known(item["read_only"])
        item.places.setdefault("read_only", item.place)
    return item


def port(item: Any, place: Place) -> Any:
    """Return a published port in the long form; host_ip is empty if it is every address."""
    if isinstance(item, (str, int)):
        matched = PORT.match(str(item))
        if not matched:
            return made(place, target=str(item), published=str(item), host_ip="", protocol="tcp")
        ip, published = matched["ip"], matched["published"]
        if published is None:
            ip, published = None, ip
        given = {"target": matched["target"], "published": "" if published is None else published}
        return made(place, **given, host_ip=(ip or "").strip("[]"), protocol=matched["protocol"] or "tcp")
    if isinstance(item, Map):
        for key, default in (("published", ""), ("host_ip", ""), ("protocol", "tcp"), ("target", "")):
            if item.get(key) is None:
                item.put(key, default, item.places.get(key, item.place))
            item[key] = str(item[key])
    return item


def device(item: Any, place: Place) -> Any:
    """Return a device in the long form."""
    if isinstance(item, (str, int)):
        source, _, rest = str(item).partition(":")
        target, _, permissions = rest.partition(":")
        return made(place, source=source, target=target or source, permissions=permissions or "rwm")
    return item


def handed(item: Any, place: Place) -> Any:
    """Return a secret or config of a service in the long form."""
    if isinstance(item, (str, int)):
        return made(place, source=str(item), target=str(item))
    if isinstance(item, Map) and "target" not in item:
        item.put("target", item.get("source"), item.place)
    return item


def _each(node: Any, change: Any) -> Any:
    """Apply `change(item, place)` to every item of a list; a lone text counts as a list of one."""
    if isinstance(node, List):
        result = List(node.place)
        for item, place in zip(node, node.places, strict=True):
            result.add(change(item, place), place)
        return result
    return node


def as_list(node: Any, place: Place) -> Any:
    """Return a scalar as a list of one."""
    if node is None or isinstance(node, (List, Map)):
        return node
    result = List(place)
    result.add(node, place)
    return result


def _build(node: Any, place: Place, base: str) -> Any:
    if isinstance(node, str):
        node = made(place, context=node)
    if isinstance(node, Map):
        context = node.get("context")
        remote = isinstance(context, str) and ("://" in context or context.startswith("git@"))
        if isinstance(context, str) and not remote:
            node["context"] = inside(base, context)
        for key in ("args", "labels", "additional_contexts"):
            if key in node:
                node[key] = named(node[key])
        if "extra_hosts" in node:
            node["extra_hosts"] = _keyed(node["extra_hosts"], _host)
    return node


def service(node: Map, base: str) -> Map:
    """Turn a service of one file into the long form, in place; `base` is the folder its paths start from."""
    for key in list(node):
        value, place = node[key], node.places[key]
        if key == "extra_hosts":
            value = _keyed(value, _host)
        elif key in NAMED:
            value = named(value)
        elif key in SWITCHES:
            value = known(value)
        elif key == "depends_on":
            value = _keyed(value, lambda name, at: (name, made(at, condition="service_started")))
        elif key == "networks":
            value = _keyed(value, lambda name, at: (name, None))
        elif key == "volumes":
            value = _each(value, lambda item, at: mount(item, at, base))
        elif key == "ports":
            value = _each(value, port)
        elif key == "devices":
            value = _each(value, device)
        elif key in ("secrets", "configs"):
            value = _each(value, handed)
        elif key in ("tmpfs", "dns", "dns_search", "env_file", "label_file", "profiles"):
            value = as_list(value, place)
        elif key == "build":
            value = _build(value, place, base)
        node[key] = value
    return node
