"""Refuse bad answers: the one validator of the hook, of `make new` and of the tests.

cookiecutter and cruft render this file and run it before they write anything, with an interpreter that has
only the standard library and from a place where no neighbour can be imported. So the schema and the facts are
embedded, a small interpreter applies the keywords that the schema uses, and all but the last lines are pure.
"""

from __future__ import annotations

import contextlib
import difflib
import functools
import itertools
import json
import os
import posixpath
import re
import sys
import unicodedata
import zoneinfo
from collections.abc import Iterator, Mapping
from typing import NamedTuple

# The host names in the order of their questions, and the label of each one's default.
HOSTS = {"webmail_host": "mail", "account_host": "account", "admin_host": "admin", "api_host": "mail-api"}
# The domain of a trial, and those that are for examples as well (RFC 2606): nobody gets mail there.
TRIAL, EXAMPLES = "example.com", ("example.com", "example.net", "example.org")

# >>> embedded by `python -m tools.embed_schema` from schemas/answers.schema.json and hooks/facts.json
FIELDS: dict = json.loads(
    r"""{
  "project_name": {"type": "string", "minLength": 1, "maxLength": 60, "pattern": "^(?! )[^\\u0000-\\u001f\\u007f-\\u00a0\\u00ad\\u200b-\\u200f\\u2028-\\u202f\\u2060-\\u206f\\ud800-\\udfff\\ufeff\"'`$\\\\{}<>#%:;|&*!?@=\\[\\]~^]+(?<! )$(?!\\n)", "x-kind": "label", "x-why": "it is not a plain name", "x-fix": "a plain name such as 'Acme Mail'"},
  "project_slug": {"type": "string", "maxLength": 63, "pattern": "^[a-z](?:-?[a-z0-9])*$(?!\\n)", "x-kind": "name", "x-why": "it is not up to 63 lower-case letters, digits and single dashes that begin with a letter", "x-fix": "a name such as 'acme-mail'"},
  "mail_domain": {"type": "string", "maxLength": 240, "pattern": "^(?:[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?\\.)+[a-z](?:[a-z0-9-]{0,61}[a-z0-9])$(?!\\n)", "x-kind": "host", "x-why": "it is not a domain name of lower-case letters, digits and dashes with at least one dot", "x-fix": "a domain you own, such as 'acme.com'"},
  "webmail_host": {"type": "string", "maxLength": 253, "pattern": "^(?:[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?\\.)+[a-z](?:[a-z0-9-]{0,61}[a-z0-9])$(?!\\n)", "x-kind": "host", "x-why": "it is not a host name of lower-case letters, digits and dashes with at least one dot", "x-fix": "a host of your domain, such as 'mail.acme.com'"},
  "account_host": {"type": "string", "maxLength": 253, "pattern": "^(?:[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?\\.)+[a-z](?:[a-z0-9-]{0,61}[a-z0-9])$(?!\\n)", "x-kind": "host", "x-why": "it is not a host name of lower-case letters, digits and dashes with at least one dot", "x-fix": "a host of your domain, such as 'account.acme.com'"},
  "admin_host": {"type": "string", "maxLength": 253, "pattern": "^(?:[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?\\.)+[a-z](?:[a-z0-9-]{0,61}[a-z0-9])$(?!\\n)", "x-kind": "host", "x-why": "it is not a host name of lower-case letters, digits and dashes with at least one dot", "x-fix": "a host of your domain, such as 'admin.acme.com'"},
  "api_host": {"type": "string", "maxLength": 253, "pattern": "^(?:[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?\\.)+[a-z](?:[a-z0-9-]{0,61}[a-z0-9])$(?!\\n)", "x-kind": "host", "x-why": "it is not a host name of lower-case letters, digits and dashes with at least one dot", "x-fix": "a host of your domain, such as 'mail-api.acme.com'"},
  "admin_email": {"type": "string", "maxLength": 254, "pattern": "^[a-z0-9](?:[._+-]?[a-z0-9]){0,63}@(?:[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?\\.)+[a-z](?:[a-z0-9-]{0,61}[a-z0-9])$(?!\\n)", "x-kind": "email", "x-why": "it is not one plain lower-case mail address", "x-fix": "an address that you read already, such as 'you@acme.org'"},
  "timezone": {"type": "string", "maxLength": 64, "pattern": "^[A-Za-z][A-Za-z0-9_+-]*(?:/[A-Za-z][A-Za-z0-9_+-]*)*$(?!\\n)", "x-why": "it is not the name of an IANA time zone", "x-fix": "a name such as 'UTC', 'Asia/Tokyo' or 'Europe/Berlin'"},
  "ssd_path": {"type": "string", "maxLength": 200, "pattern": "^(?:/[A-Za-z0-9_][A-Za-z0-9._-]*)+$(?!\\n)", "x-kind": "path", "x-why": "it is not an absolute path of plain folder names", "x-fix": "a folder such as '/srv/mailserver/ssd'"},
  "hdd_path": {"type": "string", "maxLength": 200, "pattern": "^(?:/[A-Za-z0-9_][A-Za-z0-9._-]*)+$(?!\\n)", "x-kind": "path", "x-why": "it is not an absolute path of plain folder names", "x-fix": "a folder such as '/mnt/backup-hdd/mailserver'"},
  "relay": {"enum": ["sendgrid", "ses", "smtp", "cloudflare"], "x-why": "it is not one of the choices", "x-fix": "one of 'sendgrid', 'ses', 'smtp', 'cloudflare'"},
  "aws_region": {"type": "string", "pattern": "^[a-z]{2}(?:-[a-z]+)+-[0-9]$(?!\\n)", "x-why": "it is not the code of an AWS region", "x-fix": "a code such as 'ap-northeast-1' or 'eu-central-1'"},
  "relay_host": {"type": "string", "maxLength": 253, "pattern": "^(?:[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?\\.)+[a-z](?:[a-z0-9-]{0,61}[a-z0-9])$(?!\\n)", "x-kind": "host", "x-why": "it is not a host name of lower-case letters, digits and dashes with at least one dot", "x-fix": "the host name that your relay gives, such as 'smtp.acme.com'"},
  "relay_port": {"type": "integer", "minimum": 1, "maximum": 65535, "x-why": "it is not a port number from 1 to 65535", "x-fix": "a port such as 587"},
  "forward_by_relay": {"type": "boolean", "x-why": "it is neither true nor false", "x-fix": "true or false without quotes"},
  "backup_bucket": {"type": "string", "minLength": 3, "maxLength": 63, "pattern": "^[a-z0-9](?:[a-z0-9-]*[a-z0-9])?$(?!\\n)", "x-kind": "bucket", "x-why": "it is not 3 to 63 lower-case letters, digits and dashes that begin and end with a letter or digit", "x-fix": "a name such as 'acme-mail-backup'"},
  "state_bucket": {"type": "string", "minLength": 3, "maxLength": 63, "pattern": "^[a-z0-9](?:[a-z0-9-]*[a-z0-9])?$(?!\\n)", "x-kind": "bucket", "x-why": "it is not 3 to 63 lower-case letters, digits and dashes that begin and end with a letter or digit", "x-fix": "a name such as 'acme-mail-tfstate'"},
  "object_lock_days": {"type": "integer", "minimum": 1, "maximum": 36500, "x-why": "it is not a whole number of days from 1 to 36500", "x-fix": "a number such as 90"},
  "monthly_budget_usd": {"type": "integer", "minimum": 1, "maximum": 1000000, "x-why": "it is not a whole number of US dollars from 1 to 1000000", "x-fix": "a number such as 10"},
  "client_access": {"enum": ["webmail", "lan"], "x-why": "it is not one of the choices", "x-fix": "one of 'webmail', 'lan'"},
  "antivirus": {"type": "boolean", "x-why": "it is neither true nor false", "x-fix": "true or false without quotes"},
  "edge_spool": {"type": "boolean", "x-why": "it is neither true nor false", "x-fix": "true or false without quotes"},
  "groupware": {"type": "boolean", "x-why": "it is neither true nor false", "x-fix": "true or false without quotes"},
  "scale": {"enum": ["single", "swarm"], "x-why": "it is not one of the choices", "x-fix": "one of 'single', 'swarm'"},
  "deploy_method": {"enum": ["pull", "ssh"], "x-why": "it is not one of the choices", "x-fix": "one of 'pull', 'ssh'"},
  "github_environments": {"type": "boolean", "x-why": "it is neither true nor false", "x-fix": "true or false without quotes"},
  "secrets": {"enum": ["files", "age"], "x-why": "it is not one of the choices", "x-fix": "one of 'files', 'age'"},
  "language": {"enum": ["en", "ja"], "x-why": "it is not one of the choices", "x-fix": "one of 'en', 'ja'"}
}"""  # noqa: E501
)
FACTS: dict = json.loads(
    r"""{
  "regions": {"names": ["af-south-1", "ap-east-1", "ap-east-2", "ap-northeast-1", "ap-northeast-2", "ap-northeast-3", "ap-south-1", "ap-south-2", "ap-southeast-1", "ap-southeast-2", "ap-southeast-3", "ap-southeast-4", "ap-southeast-5", "ap-southeast-6", "ap-southeast-7", "ca-central-1", "ca-west-1", "eu-central-1", "eu-central-2", "eu-north-1", "eu-south-1", "eu-south-2", "eu-west-1", "eu-west-2", "eu-west-3", "il-central-1", "me-central-1", "me-south-1", "mx-central-1", "sa-east-1", "us-east-1", "us-east-2", "us-west-1", "us-west-2"], "without_ses": ["ap-east-1"]},
  "private_names": {"names": ["alt", "arpa", "corp", "example", "home", "internal", "intranet", "invalid", "lan", "local", "localdomain", "localhost", "onion", "private", "test"]},
  "public_mail": {"names": ["126.com", "163.com", "aol.com", "au.com", "daum.net", "docomo.ne.jp", "excite.co.jp", "ezweb.ne.jp", "fastmail.com", "fastmail.fm", "free.fr", "gmail.com", "gmx.", "goo.jp", "googlemail.com", "hanmail.net", "hotmail.", "hushmail.com", "i.softbank.jp", "icloud.com", "laposte.net", "libero.it", "live.", "mac.com", "mail.com", "mail.ru", "mailbox.org", "me.com", "msn.com", "naver.com", "onmicrosoft.com", "orange.fr", "outlook.", "pm.me", "posteo.de", "proton.me", "protonmail.com", "qq.com", "rambler.ru", "rediffmail.com", "rocketmail.com", "sina.com", "softbank.ne.jp", "t-online.de", "tuta.io", "tutanota.com", "uol.com.br", "wanadoo.fr", "web.de", "yahoo.", "yandex.", "ymail.com", "ymobile.ne.jp", "zoho.com", "zohomail.com"]},
  "timezones": {"names": {"jst": "Asia/Tokyo", "jp": "Asia/Tokyo", "jpn": "Asia/Tokyo", "japan": "Asia/Tokyo", "\u65e5\u672c": "Asia/Tokyo", "\u6771\u4eac": "Asia/Tokyo", "kst": "Asia/Seoul", "kr": "Asia/Seoul", "korea": "Asia/Seoul", "cn": "Asia/Shanghai", "china": "Asia/Shanghai", "beijing": "Asia/Shanghai", "hk": "Asia/Hong_Kong", "hkt": "Asia/Hong_Kong", "tw": "Asia/Taipei", "taiwan": "Asia/Taipei", "sg": "Asia/Singapore", "sgt": "Asia/Singapore", "in": "Asia/Kolkata", "india": "Asia/Kolkata", "ict": "Asia/Bangkok", "th": "Asia/Bangkok", "vn": "Asia/Ho_Chi_Minh", "ph": "Asia/Manila", "id": "Asia/Jakarta", "wib": "Asia/Jakarta", "msk": "Europe/Moscow", "bst": "Europe/London", "uk": "Europe/London", "gb": "Europe/London", "england": "Europe/London", "ie": "Europe/Dublin", "ireland": "Europe/Dublin", "cest": "Europe/Berlin", "de": "Europe/Berlin", "germany": "Europe/Berlin", "fr": "Europe/Paris", "france": "Europe/Paris", "it": "Europe/Rome", "italy": "Europe/Rome", "es": "Europe/Madrid", "spain": "Europe/Madrid", "nl": "Europe/Amsterdam", "be": "Europe/Brussels", "ch": "Europe/Zurich", "at": "Europe/Vienna", "se": "Europe/Stockholm", "no": "Europe/Oslo", "dk": "Europe/Copenhagen", "fi": "Europe/Helsinki", "pl": "Europe/Warsaw", "cz": "Europe/Prague", "pt": "Europe/Lisbon", "gr": "Europe/Athens", "eest": "Europe/Athens", "tr": "Europe/Istanbul", "edt": "America/New_York", "et": "America/New_York", "cdt": "America/Chicago", "mdt": "America/Denver", "pst": "America/Los_Angeles", "pdt": "America/Los_Angeles", "brt": "America/Sao_Paulo", "aest": "Australia/Sydney", "aedt": "Australia/Sydney", "nz": "Pacific/Auckland", "nzst": "Pacific/Auckland", "nzdt": "Pacific/Auckland", "z": "UTC", "utc+0": "UTC"}},
  "folders": {"system": ["/bin", "/boot", "/dev", "/etc", "/lib", "/lib32", "/lib64", "/lost+found", "/proc", "/run", "/sbin", "/sys", "/tmp", "/usr", "/var/cache", "/var/lib/containerd", "/var/lib/docker", "/var/run", "/var/tmp"], "shared": ["/home", "/media", "/mnt", "/opt", "/root", "/srv", "/var", "/var/lib", "/var/log", "/var/mail", "/var/spool"]},
  "buckets": {"prefixes": ["xn--", "sthree-", "amzn-s3-demo-"], "suffixes": ["-s3alias", "--ol-s3", "--x-s3", "--table-s3"], "environments": ["-staging", "-development"]},
  "reasons": {"text": [["[\\r\\n\\x85\\u2028\\u2029]", "it contains a line break"], ["[\\x00-\\x1f\\x7f-\\x9f]", "it contains a control character"], ["[\\xad\\u200b-\\u200f\\u202a-\\u202f\\u2060-\\u206f\\ud800-\\udfff\\ufeff]", "it contains an invisible character"], ["[{}]", "it contains a brace, which templates interpret"], ["[$`\\\\\\\"']", "it contains a quote, dollar sign or backslash, which shells and YAML interpret"], ["^\\s|\\s$", "it begins or ends with a space"], ["^$", "it is empty"]], "label": [["[<>#%:;|&*!?@=\\[\\]~^]", "it contains a sign that YAML, shells or HTML interpret"]], "name": [["[/\\\\]|\\.\\.", "it would leave the folder it is made in"], ["\\s", "it contains a space"], ["[A-Z]", "it has upper-case letters"], ["[^\\x00-\\x7f]", "it has letters outside ASCII"], ["^[^a-z]", "it does not begin with a letter"], ["-$", "it ends with a dash"], ["--", "it has two dashes in a row"], ["_", "it has an underscore"]], "host": [["^[a-z]+://|/", "it is a web address, not a name"], ["@", "it is a mail address, not a name"], ["\\s", "it contains a space"], ["^\\[?[0-9a-fA-F]*:[0-9a-fA-F:.]*\\]?$|^[0-9]+(\\.[0-9]+){3}$", "it is an IP address, not a name"], [":", "it contains a port"], ["\\*", "it contains a wildcard"], ["[^\\x00-\\x7f]", "DNS and mail know it only by its ASCII form"], ["[A-Z]", "it has upper-case letters"], ["^\\.|\\.\\.", "it has an empty part before a dot"], ["\\.$", "it ends with a dot"], ["^[^.]*$", "it has no dot, so nobody outside this host can reach it"], ["_", "it has an underscore, which no host name may have"], ["(^|\\.)-|-(\\.|$)", "a part of it begins or ends with a dash"], ["[^.]{64}", "a part of it is longer than 63 characters"]], "email": [["[,;]|@.*@", "it is more than one address"], ["<|>", "it has a display name"], ["\\s", "it contains a space"], ["^[^@]*$", "it has no @"], ["^@", "it has nothing before the @"], ["[^\\x00-\\x7f]", "it has letters outside ASCII, which not every mail server takes"], ["[A-Z]", "it has upper-case letters"], ["\\.\\.|^\\.|\\.@", "it has a dot at the edge or two in a row"], ["@[^.]*$", "its domain has no dot"]], "path": [["^~", "it depends on who is logged in"], ["^[^/]", "it is not an absolute path"], ["(^|/)\\.\\.?(/|$)", "it has a part . or .. that leads elsewhere"], ["^/+$", "it is the root of the file system"], [":", "it has a colon, which Compose takes for the end of the path"], ["//", "it has two slashes in a row"], ["/$", "it ends with a slash"], ["\\s", "it contains a space"], ["[^\\x00-\\x7f]", "it has letters outside ASCII"], ["/[.-]", "a folder name in it begins with a dot or a dash"]], "bucket": [["^[0-9]+(\\.[0-9]+){3}$", "it looks like an IP address"], ["\\.\\.", "it has two dots in a row"], ["\\.", "it has dots, which break the TLS certificate of S3"], ["\\s", "it contains a space"], ["[A-Z]", "it has upper-case letters"], ["[^\\x00-\\x7f]", "it has letters outside ASCII"], ["_", "it has an underscore, which no bucket name may have"], ["[:/]", "it is an address of a bucket, not its name"], ["^-|-$", "it begins or ends with a dash"], ["^.{0,2}$", "it is shorter than 3 characters"]]},
  "relays": {"sendgrid": {"title": "SendGrid", "host": "smtp.sendgrid.net", "hosts": "(?:^|\\.)sendgrid\\.(?:net|com)$", "ports": [587, 465, 2525, 25]}, "ses": {"title": "Amazon SES", "host": "email-smtp.{region}.amazonaws.com", "hosts": "(?:^|\\.)email-smtp(?:-fips)?\\.[a-z0-9-]+\\.(?:vpce\\.)?amazonaws\\.com$", "ports": [587, 2587, 465, 2465, 25]}, "cloudflare": {"title": "Cloudflare Email Sending", "host": "smtp.mx.cloudflare.net", "hosts": "^smtp\\.mx\\.cloudflare\\.net$", "ports": [465]}}
}"""  # noqa: E501
)
# <<< embedded


class Problem(NamedTuple):
    """One wrong answer: which, why, what to use instead, and the answer that was probably meant."""

    field: str
    value: object
    why: str
    fix: str
    repair: str | int | None = None

    def __str__(self) -> str:
        """Say the problem in one line that a terminal can show whatever the value holds."""
        text = repr(self.value) if isinstance(self.value, str) else json.dumps(self.value, default=str)
        shown = text if len(text) <= 80 else f"{text[:76]}…{text[-1]}"
        return f"{self.field}: {shown} is wrong because {self.why}; use {self.fix} instead"


def normalise(answers: Mapping[str, object]) -> dict[str, object]:
    """Return the answers with integers where cookiecutter made strings of digits of them."""

    def settle(field: str, value: object) -> object:
        if FIELDS.get(field, {}).get("type") != "integer":
            return value
        digits = isinstance(value, str) and re.fullmatch(r"-?(?:0|[1-9][0-9]{0,14})", value)
        return int(value) if digits or (isinstance(value, float) and value.is_integer()) else value

    return {field: settle(field, value) for field, value in answers.items()}


def schema_errors(field: str, value: object) -> list[str]:
    """Return the keywords that a value of a known field violates, as the JSON Schema standard has them."""
    rule = FIELDS[field]
    number = isinstance(value, int | float) and not isinstance(value, bool)
    types = {
        "string": isinstance(value, str),
        "boolean": isinstance(value, bool),
        "integer": number and (isinstance(value, int) or value.is_integer()),
    }
    broken = {
        "type": "type" in rule and not types[rule["type"]],
        "enum": "enum" in rule and not (isinstance(value, str) and value in rule["enum"]),
        "minimum": number and value < rule.get("minimum", value),
        "maximum": number and value > rule.get("maximum", value),
    }
    if isinstance(value, str):
        broken["minLength"] = len(value) < rule.get("minLength", 0)
        broken["maxLength"] = len(value) > rule.get("maxLength", len(value))
        broken["pattern"] = re.search(rule.get("pattern", ""), value) is None
    return [keyword for keyword, violated in broken.items() if violated]


def _ascii_host(name: str) -> str:
    """Return the form in which DNS knows a name: full-width forms folded, other letters as Punycode."""
    folded = unicodedata.normalize("NFKC", name.replace("\u3002", ".")).lower()
    try:
        labels = [p if p.isascii() else f"xn--{p.encode('punycode').decode()}" for p in folded.split(".")]
    except UnicodeError:
        return name
    return re.sub(r"\.+", ".", ".".join(labels)).strip(".").replace("_", "-")


def _candidates(kind: str, text: str) -> Iterator[str]:
    """Yield what the person may have meant, most likely first."""
    plain = "".join(c for c in text if c.isprintable() and c not in "{}$`\\\"'<>").strip()
    if kind == "label" and "{" not in text:
        yield re.sub(r"[^\w.,()+/-]+", " ", re.sub(r"<[^>]*>", " ", text)).strip(" .,()+/-")
    elif kind == "host":
        host = re.sub(r"^[a-z]+://", "", plain, flags=re.IGNORECASE).partition("/")[0].rpartition("@")[2]
        yield _ascii_host(re.sub(r":[0-9]+$", "", host).removeprefix("*."))
    elif kind == "email":
        local, _, domain = re.sub(r"^.*<(.*)>$", r"\1", text.strip()).rpartition("@")
        yield f"{local.lower()}@{_ascii_host(domain)}"
    elif kind == "path":
        yield re.sub(r"\s+", "-", re.sub("/+", "/", posixpath.normpath(plain)))
    elif kind in ("name", "bucket"):
        name = re.sub(r"-+", "-", re.sub(r"[\s._/]+", "-", plain.lower())).strip("-")
        yield f"mail-{name}" if kind == "name" and name[:1].isdigit() else name


def _nearest(word: str, choices: list[str], cutoff: float = 0.75) -> str | None:
    """Return the choice that a word means: same but for case, same last part, or nearly the same letters."""
    by_case = {choice.lower(): choice for choice in choices}
    by_last_part = {choice.rpartition("/")[2].lower(): choice for choice in reversed(choices)}
    wanted = word.strip().lower().replace(" ", "_")
    close = difflib.get_close_matches(wanted, by_case, n=1, cutoff=cutoff)
    return by_case.get(wanted) or by_last_part.get(wanted) or (by_case[close[0]] if close else None)


@functools.cache
def _timezones() -> list[str]:
    """Return the zones this machine knows; empty where it has no time zone database."""
    return sorted(zoneinfo.available_timezones() - {"Factory", "localtime"})


def _choices(field: str) -> list[str]:
    """Return the only values a field may have; empty if it is free."""
    lists = {"aws_region": FACTS["regions"]["names"], "timezone": _timezones()}
    return FIELDS[field].get("enum") or lists.get(field, [])


def _zone(text: str) -> str | None:
    """Return the time zone that an abbreviation, a country, a city or an offset such as UTC+9 stands for."""
    offset = re.fullmatch(r"(?:utc|gmt)?([+-])0?([0-9]{1,2})(?::?00)?", text.strip().lower())
    if offset:
        # IANA counts from Greenwich the other way round.
        named = f"Etc/GMT{'-' if offset[1] == '+' else '+'}{offset[2]}"
        return named if named in _timezones() else None
    meant = FACTS["timezones"]["names"].get(text.strip().lower())
    zones = [zone for zone in _timezones() if not zone.startswith("Etc/")]
    return meant if meant in zones else _nearest(text, zones)


def repaired(field: str, value: object) -> str | int | None:
    """Return the good answer that a wrong one most likely meant, or None."""
    if FIELDS[field].get("type") == "integer":
        number = re.fullmatch(r"\D*([0-9]{1,9})\D*", value) if isinstance(value, str) else None
        return int(number[1]) if number and not schema_errors(field, int(number[1])) else None
    if not isinstance(value, str):
        return None
    if field == "timezone":
        return _zone(value)
    if choices := _choices(field):
        near = _nearest(value, choices, 0.6)
        # A region of another continent is no likely slip, however few letters differ.
        sure = near is not None and (field != "aws_region" or near[:2] == value[:2].lower())
        return near if sure else None
    tried = _candidates(FIELDS[field].get("x-kind", ""), value)
    return next((c for c in tried if not schema_errors(field, c) and not _meaning(field, c)), None)


def _problem(field: str, value: object, why: str) -> Problem:
    """Return a problem whose fix is the repaired value, or else an example."""
    repair = repaired(field, value)
    fix = FIELDS[field]["x-fix"] if repair is None else repr(repair)
    return Problem(field, value, why, fix, repair)


def _is_public_mail(domain: str) -> bool:
    """Tell whether a domain, or one that it lies in, is a public mail provider's."""
    country = r"(?:com|net|[a-z]{2}|com?\.[a-z]{2}|ne\.[a-z]{2})"
    names = (re.escape(name) + (country if name[-1] == "." else "") for name in FACTS["public_mail"]["names"])
    return re.search(rf"(?:^|\.)(?:{'|'.join(names)})$", domain) is not None


def _meaning(field: str, value: object) -> str | None:
    """Return why a value that fits the schema is wrong all the same."""
    kind, text = FIELDS[field].get("x-kind"), str(value)
    last = text.rpartition(".")[2]
    if field == "mail_domain" and _is_public_mail(text):
        return "it belongs to a mail provider, so you cannot set its DNS"
    if field == "relay_host" and last in FACTS["private_names"]["names"]:
        return f"no public authority certifies names that end with .{last}, so the relay cannot be verified"
    if kind in ("host", "email") and last in FACTS["private_names"]["names"]:
        return f"no public DNS knows names that end with .{last}, so no mail arrives"
    if kind == "path" and text in FACTS["folders"]["shared"]:
        return "that folder is not for this alone"
    if kind == "path" and any(f"{text}/".startswith(f"{tree}/") for tree in FACTS["folders"]["system"]):
        return "the system may empty or overwrite what is in there"
    if kind == "bucket":
        reserved = [start for start in FACTS["buckets"]["prefixes"] if text.startswith(start)]
        reserved += [end for end in FACTS["buckets"]["suffixes"] if text.endswith(end)]
        if reserved:
            return f"S3 keeps names with {reserved[0]} for itself"
        other = [end for end in FACTS["buckets"]["environments"] if text.endswith(end)]
        return f"names that end with {other[0]} belong to another environment" if other else None
    if _choices(field) and text not in _choices(field):
        return "no time zone has that name" if field == "timezone" else "AWS has no such commercial region"
    return None


def _unfit(field: str, value: object, errors: list[str]) -> str:
    """Return the plainest reason why a value does not fit the schema."""
    rule = FIELDS[field]
    if value is None:
        return "it has no value"
    if not isinstance(value, str):
        return "it is not text" if rule.get("type") == "string" else rule["x-why"]
    if "maxLength" in errors:
        return f"it is longer than {rule['maxLength']} characters"
    reasons = [*FACTS["reasons"]["text"], *FACTS["reasons"].get(rule.get("x-kind"), ())]
    found = (reason for pattern, reason in reasons if re.search(pattern, value))
    return next(found, rule["x-why"]) if rule.get("type") == "string" else rule["x-why"]


def field_problem(field: str, value: object) -> Problem | None:
    """Return what is wrong with one answer taken by itself, or None. `value` is normalised."""
    if field.startswith("_"):
        return Problem(field, value, "it is derived, not asked", "the questions that it follows from")
    if field not in FIELDS:
        near = _nearest(field, list(FIELDS))
        fix = f"'{near}'" if near else "a key of cookiecutter.json"
        return Problem(field, value, "there is no such question", fix)
    errors = schema_errors(field, value)
    why = _unfit(field, value, errors) if errors else _meaning(field, value)
    if why is None:
        return None
    return _problem(field, value, why)


def _host_problem(field: str, host: str, domain: str) -> Iterator[Problem]:
    """Refuse a host outside the one zone whose DNS the edge keeps, and the zone's own name."""
    repair = f"{HOSTS[field]}.{domain}"
    if host == domain:
        why = "it is mail_domain itself, whose own name is for a web site"
        yield Problem(field, host, why, f"'{repair}'", repair)
    elif not host.endswith(f".{domain}"):
        why = f"it is not inside mail_domain '{domain}', whose DNS is set up"
        yield Problem(field, host, why, f"'{repair}'", repair)


def _completed(problem: Problem, given: Mapping[str, object], sound: frozenset[str]) -> Problem:
    """Return the problem; a host of one's own domain that was given without the domain gets it as its fix."""
    label = str(problem.value).strip().lower()
    own = problem.field in HOSTS and label not in FACTS["private_names"]["names"]
    if own and "." not in label and "mail_domain" in sound:
        host = f"{label}.{given['mail_domain']}"
        if field_problem(problem.field, host) is None:
            return problem._replace(fix=f"'{host}'", repair=host)
    return problem


def _address_problem(address: str, domain: str) -> Iterator[Problem]:
    """Refuse an administrator's address that nobody reads before this server works, or when it fails."""
    place, why = address.rpartition("@")[2], ""
    if domain == TRIAL:
        return
    if place == domain:
        why = "it is in mail_domain, so alarms about this server and codes to log in would wait in it"
    elif any(f".{place}".endswith(f".{example}") for example in EXAMPLES):
        why = "it is only an example, so alarms and codes to log in would reach nobody"
    if why:
        yield Problem("admin_email", address, why, "an address elsewhere that you read already")


def _disk_problem(ssd: str, hdd: str) -> Iterator[Problem]:
    """Refuse two folders of which one holds the other."""
    relation = {
        ssd == hdd: "the same as",
        hdd.startswith(f"{ssd}/"): "inside",
        ssd.startswith(f"{hdd}/"): "around",
    }
    if True in relation:
        why = f"it is {relation[True]} ssd_path '{ssd}', so a full disk would stop the database"
        yield Problem("hdd_path", hdd, why, "a folder beside it, on the large disk,")


def _relay_problem(relay: str, host: str, region: str | None) -> Iterator[Problem]:
    """Refuse a host that is not the relay's: what is signed, SPF and the user name follow from relay."""
    relays = FACTS["relays"]
    owner = next((name for name, facts in relays.items() if re.search(facts["hosts"], host)), None)
    if owner == (relay if relay in relays else None):
        return
    own = relays[relay]["host"] if relay in relays else ""
    repair = own.replace("{region}", region or "") if region or "{region}" not in own else ""
    fix = f"'{repair}'" if repair else "the host of your relay"
    if owner:
        why = f"it belongs to {relays[owner]['title']}, and relay is '{relay}'"
        yield Problem("relay_host", host, why, f"{fix}, or relay '{owner}',", repair or None)
    else:
        why = f"it is no host of {relays[relay]['title']}"
        yield Problem("relay_host", host, why, f"{fix}, or relay 'smtp',", repair or None)


def _port_problem(relay: str, port: str) -> Iterator[Problem]:
    """Refuse a port on which a relay of the table takes no mail."""
    facts = FACTS["relays"].get(relay)
    if facts and int(port) not in facts["ports"]:
        ports = ", ".join(map(str, facts["ports"]))
        yield Problem(
            "relay_port", int(port), f"{facts['title']} takes no mail there", ports, facts["ports"][0]
        )


def _relations(given: Mapping[str, object], sound: frozenset[str]) -> Iterator[Problem]:
    """Yield what is wrong between answers that are sound by themselves; others are compared with nothing."""
    a = {field: str(given[field]) for field in sound}
    for host in HOSTS:
        if {host, "mail_domain"} <= sound:
            yield from _host_problem(host, a[host], a["mail_domain"])
    for first, second in itertools.combinations((host for host in HOSTS if host in sound), 2):
        if a[first] == a[second]:
            why, other = f"{first} has the same name", f"{HOSTS[second]}.{a.get('mail_domain', '')}"
            taken = "mail_domain" not in sound or other in (a.get(host) for host in HOSTS)
            yield Problem(second, a[second], why, "a name of its own", None if taken else other)
    if {"admin_email", "mail_domain"} <= sound:
        yield from _address_problem(a["admin_email"], a["mail_domain"])
    if {"ssd_path", "hdd_path"} <= sound:
        yield from _disk_problem(a["ssd_path"], a["hdd_path"])
    if {"backup_bucket", "state_bucket"} <= sound and a["backup_bucket"] == a["state_bucket"]:
        why = "backup_bucket has the same name and locks every file in it"
        yield Problem("state_bucket", a["state_bucket"], why, "a name of its own")
    if {"relay", "relay_host"} <= sound:
        yield from _relay_problem(a["relay"], a["relay_host"], a.get("aws_region"))
    if {"relay", "relay_port"} <= sound:
        yield from _port_problem(a["relay"], a["relay_port"])
    if {"relay", "forward_by_relay"} <= sound and given["forward_by_relay"] and a["relay"] != "smtp":
        why = f"relay is '{a['relay']}', which is not known to take mail in a foreign name"
        yield Problem("forward_by_relay", True, why, "false, or relay 'smtp',")
    without_ses = FACTS["regions"]["without_ses"]
    if {"relay", "aws_region"} <= sound and a["relay"] == "ses" and a["aws_region"] in without_ses:
        yield Problem("aws_region", a["aws_region"], "Amazon SES, your relay, is not there", "another region")


def problems(answers: Mapping[str, object]) -> list[Problem]:
    """Return what is wrong with the answers, one problem a field in the order of the questions.

    Judges what is given: a question without an answer is no problem, since cookiecutter has a default for it.
    """
    given = normalise(answers)
    alone = [problem for field, value in given.items() if (problem := field_problem(field, value))]
    sound = frozenset(given).difference(problem.field for problem in alone)
    alone = [_completed(problem, given, sound) for problem in alone]
    first = {problem.field: problem for problem in reversed([*alone, *_relations(given, sound)])}
    order = [*FIELDS, *given]
    return sorted(first.values(), key=lambda problem: order.index(problem.field))


def report(found: list[Problem]) -> str:
    """Return the block that tells a person what to fix; its last line says that nothing happened."""
    count = "1 answer is wrong" if len(found) == 1 else f"{len(found)} answers are wrong"
    return "\n".join([f"{count}:", *(f"  {problem}" for problem in found), "nothing was generated"])


def leave_nothing(slug: str, folder: str) -> None:
    """Remove the empty folders around `folder` that cookiecutter made for a slug such as a/b and would leave.

    It then misses the inner one and says so in its traceback: untidier words, but a tidy disk.
    """
    parts = slug.split("/")
    if len(parts) > 1 and not {"", ".", ".."} & set(parts):
        with contextlib.suppress(OSError):
            for depth in range(len(parts)):
                os.rmdir(posixpath.normpath(posixpath.join(folder, *[".."] * depth)))


if __name__ == "__main__":
    context = json.loads(r"""{{ cookiecutter | tojson }}""")
    wrong = problems({key: value for key, value in context.items() if not key.startswith("_")})
    if wrong:
        print(report(wrong), file=sys.stderr, flush=True)
        leave_nothing(str(context["project_slug"]), os.getcwd())
        sys.exit(1)
