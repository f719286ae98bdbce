"""Refuse bad answers: the one validator of the hook, of `make new` and of the tests.

cookiecutter and cruft render this file and run it before they write anything, with an interpreter that has nothing
but the standard library and from a place where no neighbour can be imported. So the schema is embedded, a small
interpreter applies the keywords that it uses, and everything but the last lines is pure.
"""

from __future__ import annotations

import difflib
import functools
import json
import os
import posixpath
import re
import sys
import unicodedata
import zoneinfo
from collections.abc import Iterator, Mapping
from typing import NamedTuple

# Commercial regions (partition aws) by botocore 1.44.8 on 2026-11-24; a test tells when the list has grown.
REGIONS = frozenset(
    "af-south-1 ap-east-1 ap-east-2 ap-northeast-1 ap-northeast-2 ap-northeast-3 ap-south-1 ap-south-2 ap-southeast-1"
    " ap-southeast-2 ap-southeast-3 ap-southeast-4 ap-southeast-5 ap-southeast-6 ap-southeast-7 ca-central-1 ca-west-1"
    " eu-central-1 eu-central-2 eu-north-1 eu-south-1 eu-south-2 eu-west-1 eu-west-2 eu-west-3 il-central-1"
    " me-central-1 me-south-1 mx-central-1 sa-east-1 us-east-1 us-east-2 us-west-1 us-west-2".split()
)
REGIONS_WITHOUT_SES = frozenset({"ap-east-1"})
# Top-level names that no public DNS serves, so no mail arrives (RFC 2606, RFC 6761, RFC 8375 and common habits).
PRIVATE_NAMES = frozenset(
    "alt arpa corp example home internal intranet invalid lan local localdomain localhost onion private test".split()
)
# Nothing may live inside these: the system, container engines or a reboot empty or overwrite them.
SYSTEM_TREES = (
    "/bin /boot /dev /etc /lib /lib32 /lib64 /lost+found /proc /run /sbin /sys /tmp /usr /var/cache /var/lib/containerd"
    " /var/lib/docker /var/run /var/tmp".split()
)
# Folders of everybody: fine as a parent, wrong as the folder itself.
SHARED_FOLDERS = frozenset("/home /media /mnt /opt /root /srv /var /var/lib /var/log /var/mail /var/spool".split())
BUCKET_PREFIXES = ("xn--", "sthree-", "amzn-s3-demo-")
BUCKET_SUFFIXES = ("-s3alias", "--ol-s3", "--x-s3", "--table-s3")

# fmt: off
# >>> schema: embedded by `python -m tools.embed_schema` from schemas/answers.schema.json, do not edit here
SCHEMA: dict = json.loads(
    r"""
{"type": "object", "additionalProperties": false, "required": ["project_name", "project_slug", "mail_domain", "webmail_host", "api_host", "admin_email", "timezone", "ssd_path", "hdd_path", "relay", "aws_region", "backup_bucket", "state_bucket", "object_lock_days", "monthly_budget_usd", "client_access", "antivirus", "deploy_method", "language"], "properties": {
  "project_name": {"type": "string", "minLength": 1, "maxLength": 60, "pattern": "^(?! )[^\\u0000-\\u001f\\u007f-\\u00a0\\u00ad\\u200b-\\u200f\\u2028-\\u202f\\u2060-\\u206f\\ud800-\\udfff\\ufeff\"'`$\\\\{}<>#%:;|&*!?@=\\[\\]~^]+(?<! )$(?!\\n)", "x-why": "it is not 1 to 60 letters, digits, dots, commas, dashes and single words", "x-fix": "a plain name such as 'Acme Mail'"},
  "project_slug": {"type": "string", "maxLength": 63, "pattern": "^[a-z](?:-?[a-z0-9])*$(?!\\n)", "x-why": "it is not up to 63 lower-case letters, digits and single dashes that begin with a letter", "x-fix": "a name such as 'acme-mail'"},
  "mail_domain": {"type": "string", "maxLength": 240, "pattern": "^(?:[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?\\.)+[a-z](?:[a-z0-9-]{0,61}[a-z0-9])$(?!\\n)", "x-why": "it is not a domain name of lower-case letters, digits and dashes with at least one dot", "x-fix": "a domain you own, such as 'acme.com'"},
  "webmail_host": {"type": "string", "maxLength": 253, "pattern": "^(?:[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?\\.)+[a-z](?:[a-z0-9-]{0,61}[a-z0-9])$(?!\\n)", "x-why": "it is not a host name of lower-case letters, digits and dashes with at least one dot", "x-fix": "a host of your domain, such as 'mail.acme.com'"},
  "api_host": {"type": "string", "maxLength": 253, "pattern": "^(?:[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?\\.)+[a-z](?:[a-z0-9-]{0,61}[a-z0-9])$(?!\\n)", "x-why": "it is not a host name of lower-case letters, digits and dashes with at least one dot", "x-fix": "a host of your domain, such as 'mail-api.acme.com'"},
  "admin_email": {"type": "string", "maxLength": 254, "pattern": "^[a-z0-9](?:[._+-]?[a-z0-9]){0,63}@(?:[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?\\.)+[a-z](?:[a-z0-9-]{0,61}[a-z0-9])$(?!\\n)", "x-why": "it is not one plain lower-case mail address", "x-fix": "an address such as 'admin@acme.com'"},
  "timezone": {"type": "string", "maxLength": 64, "pattern": "^[A-Za-z][A-Za-z0-9_+-]*(?:/[A-Za-z][A-Za-z0-9_+-]*)*$(?!\\n)", "x-why": "it is not the name of an IANA time zone", "x-fix": "a name such as 'UTC', 'Asia/Tokyo' or 'Europe/Berlin'"},
  "ssd_path": {"type": "string", "maxLength": 200, "pattern": "^(?:/[A-Za-z0-9_][A-Za-z0-9._-]*)+$(?!\\n)", "x-why": "it is not an absolute path of plain folder names", "x-fix": "a folder such as '/srv/mailserver/ssd'"},
  "hdd_path": {"type": "string", "maxLength": 200, "pattern": "^(?:/[A-Za-z0-9_][A-Za-z0-9._-]*)+$(?!\\n)", "x-why": "it is not an absolute path of plain folder names", "x-fix": "a folder such as '/mnt/backup-hdd/mailserver'"},
  "relay": {"enum": ["sendgrid", "ses", "smtp"], "x-why": "it is not one of the choices", "x-fix": "one of 'sendgrid', 'ses', 'smtp'"},
  "aws_region": {"type": "string", "pattern": "^[a-z]{2}(?:-[a-z]+)+-[0-9]$(?!\\n)", "x-why": "it is not the code of an AWS region", "x-fix": "a code such as 'ap-northeast-1' or 'eu-central-1'"},
  "backup_bucket": {"type": "string", "minLength": 3, "maxLength": 63, "pattern": "^[a-z0-9](?:[a-z0-9-]*[a-z0-9])?$(?!\\n)", "x-why": "it is not 3 to 63 lower-case letters, digits and dashes that begin and end with a letter or digit", "x-fix": "a name such as 'acme-mail-backup'"},
  "state_bucket": {"type": "string", "minLength": 3, "maxLength": 63, "pattern": "^[a-z0-9](?:[a-z0-9-]*[a-z0-9])?$(?!\\n)", "x-why": "it is not 3 to 63 lower-case letters, digits and dashes that begin and end with a letter or digit", "x-fix": "a name such as 'acme-mail-tfstate'"},
  "object_lock_days": {"type": "integer", "minimum": 1, "maximum": 36500, "x-why": "it is not a whole number of days from 1 to 36500", "x-fix": "a number such as 30"},
  "monthly_budget_usd": {"type": "integer", "minimum": 1, "maximum": 1000000, "x-why": "it is not a whole number of US dollars from 1 to 1000000", "x-fix": "a number such as 10"},
  "client_access": {"enum": ["webmail", "lan"], "x-why": "it is not one of the choices", "x-fix": "one of 'webmail', 'lan'"},
  "antivirus": {"type": "boolean", "x-why": "it is neither true nor false", "x-fix": "true or false, without quotes"},
  "deploy_method": {"enum": ["ssh", "runner", "pull"], "x-why": "it is not one of the choices", "x-fix": "one of 'ssh', 'runner', 'pull'"},
  "language": {"enum": ["en", "ja"], "x-why": "it is not one of the choices", "x-fix": "one of 'en', 'ja'"}
} }
"""  # noqa: E501
)
# <<< schema
# fmt: on

KINDS = {
    "project_slug": "name", "mail_domain": "host", "webmail_host": "host", "api_host": "host",
    "admin_email": "email", "ssd_path": "path", "hdd_path": "path", "backup_bucket": "bucket", "state_bucket": "bucket",
}  # fmt: skip
UPPER = (r"[A-Z]", "it has upper-case letters")
NOT_ASCII = (r"[^\x00-\x7f]", "it has letters outside ASCII")
# Why a text does not fit its pattern: the first expression that is found gives the reason.
TEXT_REASONS = (
    (r"[\r\n\x85\u2028\u2029]", "it contains a line break"),
    (r"[\x00-\x1f\x7f-\x9f]", "it contains a control character"),
    (r"[\xad\u200b-\u200f\u202a-\u202f\u2060-\u206f\ud800-\udfff\ufeff]", "it contains an invisible character"),
    (r"[{}]", "it contains a brace, which templates interpret"),
    (r"[$`\\\"']", "it contains a quote, dollar sign or backslash, which shells and YAML interpret"),
    (r"^\s|\s$", "it begins or ends with a space"),
    (r"^$", "it is empty"),
)
KIND_REASONS = {
    "name": (
        (r"[/\\]|\.\.", "it would leave the folder it is made in"),
        (r"\s", "it contains a space"), UPPER, NOT_ASCII,
        (r"^[^a-z]", "it does not begin with a letter"), (r"-$", "it ends with a dash"), (r"--", "it has two dashes in a row"),
    ),
    "host": (
        (r"^[a-z]+://|/", "it is a web address, not a name"), (r"@", "it is a mail address, not a name"),
        (r"\s", "it contains a space"),
        (r"^\[?[0-9a-fA-F]*:[0-9a-fA-F:.]*\]?$|^[0-9]+(\.[0-9]+){3}$", "it is an IP address, not a name"),
        (r":", "it contains a port"), (r"\*", "it contains a wildcard"),
        (r"[^\x00-\x7f]", "DNS and mail know it only by its ASCII form"), UPPER,
        (r"^\.|\.\.", "it has an empty part before a dot"), (r"\.$", "it ends with a dot"),
        (r"^[^.]*$", "it has no dot, so nobody outside this host can reach it"),
        (r"_", "it has an underscore, which no host name may have"),
        (r"(^|\.)-|-(\.|$)", "a part of it begins or ends with a dash"), (r"[^.]{64}", "a part of it is longer than 63 characters"),
    ),
    "email": (
        (r"[,;]|@.*@", "it is more than one address"), (r"<|>", "it has a display name"), (r"\s", "it contains a space"),
        (r"^[^@]*$", "it has no @"), (r"^@", "it has nothing before the @"),
        (r"[^\x00-\x7f]", "it has letters outside ASCII, which not every mail server takes"), UPPER,
        (r"\.\.|^\.|\.@", "it has a dot at the edge or two in a row"), (r"@[^.]*$", "its domain has no dot"),
    ),
    "path": (
        (r"^~", "it depends on who is logged in"), (r"^[^/]", "it is not an absolute path"),
        (r"(^|/)\.\.?(/|$)", "it has a part . or .. that leads elsewhere"), (r"^/+$", "it is the root of the file system"),
        (r"//", "it has two slashes in a row"), (r"/$", "it ends with a slash"), (r"\s", "it contains a space"), NOT_ASCII,
        (r"/[.-]", "a folder name in it begins with a dot or a dash"),
    ),
    "bucket": (
        (r"^[0-9]+(\.[0-9]+){3}$", "it looks like an IP address"), (r"\.\.", "it has two dots in a row"),
        (r"\.", "it has dots, which break the TLS certificate of S3"), (r"\s", "it contains a space"), UPPER, NOT_ASCII,
        (r"_", "it has an underscore, which no bucket name may have"), (r"^-|-$", "it begins or ends with a dash"),
        (r"^.{0,2}$", "it is shorter than 3 characters"), (r"^.{64}", "it is longer than 63 characters"),
    ),
}  # fmt: skip


class Problem(NamedTuple):
    """One wrong answer: which, why, and what to use instead."""

    field: str
    value: object
    why: str
    fix: str

    def __str__(self) -> str:
        """Say the problem in one line that a terminal can show whatever the value holds."""
        text = repr(self.value) if isinstance(self.value, str) else json.dumps(self.value, default=str)
        shown = text if len(text) <= 80 else f"{text[:76]}…{text[-1]}"
        return f"{self.field}: {shown} is wrong because {self.why}; use {self.fix} instead"


def normalise(answers: Mapping[str, object]) -> dict[str, object]:
    """Return the answers with integers where cookiecutter made strings of digits of them."""
    integers = {name for name, rule in SCHEMA["properties"].items() if rule.get("type") == "integer"}

    def settle(field: str, value: object) -> object:
        if field in integers and isinstance(value, str) and re.fullmatch(r"-?(?:0|[1-9][0-9]{0,14})", value):
            return int(value)
        return int(value) if field in integers and isinstance(value, float) and value.is_integer() else value

    return {field: settle(field, value) for field, value in answers.items()}


def schema_errors(field: str, value: object) -> list[str]:
    """Return the keywords of the schema that a value of a known field violates, as the JSON Schema standard has them."""
    rule = SCHEMA["properties"][field]
    number = isinstance(value, int | float) and not isinstance(value, bool)
    types = {
        "string": isinstance(value, str),
        "boolean": isinstance(value, bool),
        "integer": number and (isinstance(value, int) or value.is_integer()),
    }
    violated = {
        "type": "type" in rule and not types[rule["type"]],
        "enum": "enum" in rule and not (isinstance(value, str) and value in rule["enum"]),
        "minimum": number and value < rule.get("minimum", value),
        "maximum": number and value > rule.get("maximum", value),
    }
    if isinstance(value, str):
        violated["minLength"] = len(value) < rule.get("minLength", 0)
        violated["maxLength"] = len(value) > rule.get("maxLength", len(value))
        violated["pattern"] = re.search(rule.get("pattern", ""), value) is None
    return [keyword for keyword, broken in violated.items() if broken]


def _ascii_host(name: str) -> str:
    """Return the form in which DNS knows a name: full-width forms folded, other letters as Punycode."""
    folded = unicodedata.normalize("NFKC", name.replace("\u3002", ".")).lower()
    try:
        return ".".join(p if p.isascii() else f"xn--{p.encode('punycode').decode()}" for p in folded.split("."))
    except UnicodeError:
        return name


def _candidates(kind: str, text: str) -> Iterator[str]:
    """Yield what the person may have meant, most likely first."""
    plain = "".join(c for c in text if c.isprintable() and c not in "{}$`\\\"'<>").strip()
    if kind == "host":
        host = re.sub(r"^[a-z]+://", "", plain, flags=re.I).partition("/")[0].rpartition("@")[2]
        yield _ascii_host(re.sub(r":[0-9]+$", "", host)).strip(".").removeprefix("*.")
    elif kind == "email":
        local, _, domain = re.sub(r"^.*<(.*)>$", r"\1", text.strip()).rpartition("@")
        yield f"{local.lower()}@{_ascii_host(domain).rstrip('.')}"
    elif kind == "path":
        yield re.sub(r"\s+", "-", re.sub("/+", "/", posixpath.normpath(plain)))
    elif kind in ("name", "bucket"):
        yield re.sub(r"-+", "-", re.sub(r"[\s._/]+", "-", plain.lower())).strip("-")
    yield plain


def _nearest(word: str, choices: list[str]) -> str | None:
    """Return the choice that a mistyped word means: same but for case, same last part, or nearly the same letters."""
    by_case = {choice.lower(): choice for choice in choices}
    by_last_part = {choice.rpartition("/")[2].lower(): choice for choice in sorted(choices, reverse=True)}
    if word.lower() in by_case:
        return by_case[word.lower()]
    close = difflib.get_close_matches(word.lower(), by_case, n=1, cutoff=0.75)
    return by_last_part.get(word.replace(" ", "_").lower()) or (by_case[close[0]] if close else None)


@functools.cache
def _timezones() -> tuple[str, ...]:
    """Return the zones this machine knows; empty where it has no time zone database."""
    return tuple(sorted(zoneinfo.available_timezones() - {"Factory", "localtime"}))


def _known(field: str, value: str) -> tuple[str, str] | None:
    """Refuse a region or time zone that does not exist."""
    known = {"aws_region": sorted(REGIONS), "timezone": _timezones()}.get(field, ())
    if not known or value in known:
        return None
    near = _nearest(value, list(known))
    why = "no time zone has that name" if field == "timezone" else "AWS has no such commercial region"
    return why, f"'{near}'" if near else SCHEMA["properties"][field]["x-fix"]


def _meaning(field: str, value: object) -> tuple[str, str] | None:
    """Return why a value that fits the schema is wrong all the same, and what to use instead."""
    kind, fix = KINDS.get(field), SCHEMA["properties"][field]["x-fix"]
    text = str(value)
    last = text.rpartition(".")[2]
    if kind in ("host", "email") and last in PRIVATE_NAMES:
        return f"no public DNS knows names that end with .{last}, so no mail arrives", fix
    if kind == "path" and (text in SHARED_FOLDERS or any(f"{text}/".startswith(f"{t}/") for t in SYSTEM_TREES)):
        return "that folder belongs to the system", f"{fix}, made for this alone,"
    for affix in (*BUCKET_PREFIXES, *BUCKET_SUFFIXES) if kind == "bucket" else ():
        if text.startswith(affix) if affix in BUCKET_PREFIXES else text.endswith(affix):
            return f"S3 keeps names with {affix} for itself", f"a name without it, such as {fix.split()[-1]},"
    return _known(field, text)


def field_problem(field: str, value: object) -> Problem | None:
    """Return what is wrong with one answer taken by itself, or None. `value` is normalised."""
    if field not in SCHEMA["properties"]:
        near = _nearest(field, list(SCHEMA["properties"]))
        return Problem(field, value, "there is no such question", near or "a key of cookiecutter.json")
    if not schema_errors(field, value):
        meaning = _meaning(field, value)
        return Problem(field, value, *meaning) if meaning else None
    rule, kind = SCHEMA["properties"][field], KINDS.get(field, "")
    if not isinstance(value, str):
        return Problem(field, value, rule["x-why"], rule["x-fix"])
    if "enum" in rule:
        near = _nearest(value.strip(), rule["enum"])
        return Problem(field, value, rule["x-why"], f"'{near}'" if near else rule["x-fix"])
    reasons = (*TEXT_REASONS, *KIND_REASONS.get(kind, ())) if rule["type"] == "string" else ()
    why = next((reason for pattern, reason in reasons if re.search(pattern, value)), rule["x-why"])
    good = (c for c in _candidates(kind, value) if not schema_errors(field, c) and not _meaning(field, c))
    mended = next(good, None) if rule["type"] == "string" else None
    return Problem(field, value, why, f"'{mended}'" if mended else rule["x-fix"])


def _host_problem(field: str, host: str, domain: str) -> Iterator[Problem]:
    """Refuse a host outside the one zone whose DNS the edge keeps, or the zone's own name."""
    first = {"webmail_host": "mail", "api_host": "mail-api"}[field]
    if host == domain:
        yield Problem(field, host, "the bare domain is for your web site", f"'{first}.{domain}'")
    elif not host.endswith(f".{domain}"):
        yield Problem(field, host, f"it is not inside {domain}, whose DNS is set up", f"'{first}.{domain}'")


def _relations(a: Mapping[str, object], sound: frozenset[str]) -> Iterator[Problem]:
    """Yield what is wrong between answers that are sound by themselves; others take part in no comparison."""

    def have(*fields: str) -> bool:
        return sound.issuperset(fields)

    for host in ("webmail_host", "api_host"):
        if have(host, "mail_domain"):
            yield from _host_problem(host, str(a[host]), str(a["mail_domain"]))
    if have("webmail_host", "api_host") and a["webmail_host"] == a["api_host"]:
        fix = f"'mail-api.{a['mail_domain']}'" if have("mail_domain") else "another host name"
        yield Problem("api_host", a["api_host"], "webmail_host has the same name", fix)
    if have("ssd_path", "hdd_path"):
        ssd, hdd = f"{a['ssd_path']}/", f"{a['hdd_path']}/"
        relation = "equal to" if ssd == hdd else "inside" if hdd.startswith(ssd) else "around" if ssd.startswith(hdd) else ""
        if relation:
            why = f"it is {relation} ssd_path '{a['ssd_path']}', so both would fill one disk"
            yield Problem("hdd_path", a["hdd_path"], why, "a folder on the other disk")
    if have("backup_bucket", "state_bucket") and a["backup_bucket"] == a["state_bucket"]:
        why = "backup_bucket has the same name and lets nobody change its files"
        yield Problem("state_bucket", a["state_bucket"], why, "another bucket name")
    if have("relay", "aws_region") and a["relay"] == "ses" and a["aws_region"] in REGIONS_WITHOUT_SES:
        yield Problem("aws_region", a["aws_region"], "Amazon SES, your relay, is not there", "another region or relay")


def problems(answers: Mapping[str, object]) -> list[Problem]:
    """Return everything that is wrong with the answers, in the order of the questions; empty if they are good.

    Questions that have no answer are no problem here: `missing` names them.
    """
    given = normalise(answers)
    alone = {field: field_problem(field, value) for field, value in given.items()}
    found = [problem for problem in alone.values() if problem]
    found += _relations(given, frozenset(field for field, problem in alone.items() if not problem))
    order = {field: index for index, field in enumerate(SCHEMA["properties"])}
    first = {problem.field: problem for problem in reversed(found)}
    return sorted(first.values(), key=lambda problem: order.get(problem.field, len(order)))


def report(found: list[Problem]) -> str:
    """Return the block that tells a person what to mend; its last line says that nothing happened."""
    count = "1 answer is wrong" if len(found) == 1 else f"{len(found)} answers are wrong"
    return "\n".join([f"{count}:", *(f"  {problem}" for problem in found), "nothing was generated"])


def _leave_nothing(slug: str) -> None:
    """Remove the folders that a slug such as a/b made around the one cookiecutter removes itself."""
    parts = slug.split("/")
    if len(parts) > 1 and all(part not in ("", ".", "..") for part in parts):
        os.removedirs(os.path.abspath(os.curdir))


if __name__ == "__main__":
    context = json.loads(r"""{{ cookiecutter | tojson }}""")
    wrong = problems({key: value for key, value in context.items() if not key.startswith("_")})
    if wrong:
        print(report(wrong), file=sys.stderr)
        sys.exit(1)
