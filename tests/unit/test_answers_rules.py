"""The rules about answers that no schema can say, held against rules written a second time, and simpler."""

import posixpath
import re
import zoneinfo

import botocore.session
import idna
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from tools import answers

HOOK = answers.validator()
DANGEROUS = set("{}$`\\\"'\n\r\t\0\x1b\x7f\u0085\u2028\u202e\u200b")
TEXTS = [field for field, rule in HOOK.FIELDS.items() if rule.get("type") == "string"]


def accepted(field: str, value: object) -> bool:
    return HOOK.field_problem(field, value) is None


@pytest.mark.parametrize("field", TEXTS)
def test_what_fits_a_pattern_can_end_no_string_and_run_nothing(field):
    @given(st.from_regex(HOOK.FIELDS[field]["pattern"], alphabet=st.characters(max_codepoint=0x2100)))
    def check(text):
        assume(not HOOK.schema_errors(field, text))
        assert not DANGEROUS & set(text)
        assert not re.search(r"^\s|\s$|#%|\{\{|\{%", text)

    check()


@pytest.mark.parametrize("field", TEXTS)
@pytest.mark.parametrize("sign", sorted(DANGEROUS, key=ord), ids=lambda sign: f"U+{ord(sign):04X}")
def test_a_dangerous_sign_is_refused_wherever_it_stands(field, sign):
    good = str(answers.complete({})[field])
    for place in (0, len(good) // 2, len(good)):
        assert not accepted(field, good[:place] + sign + good[place:])


PARTS = st.sampled_from(
    ["srv", "mail", "..", ".", "", "etc", "tmp", "var", "lib", "docker", "a b", "-x", "x-1", "ü"]
)


@given(st.lists(PARTS, max_size=6), st.booleans())
def test_accepted_paths_are_absolute_normal_and_outside_the_system(parts, absolute):
    path = ("/" if absolute else "") + "/".join(parts)
    if accepted("ssd_path", path):
        assert path.startswith("/") and posixpath.normpath(path) == path
        assert re.fullmatch(r"[A-Za-z0-9/._-]+", path)
        assert path.split("/")[1] not in ("etc", "tmp", "proc", "sys", "dev", "usr", "bin")
        assert path not in ("/", "/srv", "/var", "/var/lib", "/mnt")
        assert not f"{path}/".startswith("/var/lib/docker/")


FOLDERS = st.lists(st.sampled_from(["srv", "disk", "disk2", "mail"]), min_size=2, max_size=4)


@given(FOLDERS, FOLDERS)
def test_two_folders_are_refused_exactly_when_one_holds_the_other(ssd, hdd):
    folders = {"ssd_path": "/" + "/".join(ssd), "hdd_path": "/" + "/".join(hdd)}
    shorter = min(len(ssd), len(hdd))
    assert bool(HOOK.problems(folders)) == (ssd[:shorter] == hdd[:shorter])


@given(st.text(alphabet="abz019.-_A", max_size=66))
def test_accepted_buckets_follow_the_rules_of_s3(name):
    if accepted("backup_bucket", name):
        assert 3 <= len(name) <= 63
        assert name[0].isalnum() and name[-1].isalnum()
        assert all(c.islower() or c.isdigit() or c == "-" for c in name)
        assert not name.startswith(("xn--", "sthree-", "amzn-s3-demo-"))
        assert not name.endswith(("-s3alias", "--ol-s3", "--x-s3", "--table-s3"))


@given(st.from_regex(r"[a-z0-9]([a-z0-9]|-[a-z0-9]){2,30}", fullmatch=True))
def test_plain_bucket_names_are_accepted(name):
    assume(not name.startswith("sthree-") and not name.endswith("-s3alias") and not name.startswith("amzn"))
    assert accepted("backup_bucket", name)


PROVIDERS = HOOK.FACTS["public_mail"]["names"]
LABELS = st.from_regex(r"[a-z0-9]([a-z0-9-]{0,10}[a-z0-9])?", fullmatch=True)


@given(st.lists(LABELS, min_size=1, max_size=3), st.sampled_from(["com", "jp", "museum", "xn--q9jyb4c"]))
def test_ordinary_domains_are_accepted(labels, top):
    domain = ".".join([*labels, top])
    assume(not any(f".{name}" in f".{domain}" for name in PROVIDERS))
    assert accepted("mail_domain", domain)


@given(st.text(alphabet="abc19.-_AÄ例 @:/", max_size=40))
def test_accepted_domains_are_names_that_dns_can_hold(name):
    if accepted("mail_domain", name):
        labels = name.split(".")
        assert len(labels) >= 2 and all(1 <= len(label) <= 63 for label in labels)
        assert name == name.lower() and name.isascii() and not labels[-1].isdigit()


@pytest.mark.parametrize(
    "name", ["bücher.de", "例え.jp", "straße.de", "παράδειγμα.gr", "пример.рф", "façade.fr"]
)
def test_the_ascii_form_that_is_suggested_is_the_one_of_the_standard(name):
    assert HOOK.field_problem("mail_domain", name).fix == f"'{idna.encode(name).decode()}'"


@given(st.sampled_from(TEXTS), st.text(max_size=40))
def test_a_suggested_value_is_always_a_good_one(field, text):
    problem = HOOK.field_problem(field, text)
    if problem and re.fullmatch(r"'[^']*'", problem.fix):
        assert accepted(field, problem.fix[1:-1])


@pytest.mark.parametrize("top", HOOK.FACTS["private_names"]["names"])
def test_names_that_only_a_local_network_knows_are_refused(top):
    assert not accepted("mail_domain", f"acme.{top}")
    assert not accepted("admin_email", f"admin@acme.{top}")


def test_every_time_zone_of_this_machine_is_accepted():
    zones = zoneinfo.available_timezones() - {"Factory", "localtime"}
    assert [zone for zone in zones if not accepted("timezone", zone)] == []


@pytest.mark.parametrize("name", ["Factory", "localtime"])
def test_names_that_stand_for_no_zone_are_refused(name):
    assert not accepted("timezone", name)


def test_without_a_time_zone_database_the_form_decides(monkeypatch):
    monkeypatch.setattr(HOOK, "_timezones", lambda: [])
    assert accepted("timezone", "Mars/Base") and not accepted("timezone", "../Mars")


def test_the_regions_are_those_of_aws():
    session = botocore.session.get_session()
    assert HOOK.FACTS["regions"]["names"] == sorted(session.get_available_regions("s3"))


def test_the_regions_without_ses_are_those_of_aws():
    session = botocore.session.get_session()
    missing = set(session.get_available_regions("s3")) - set(session.get_available_regions("ses"))
    assert set(HOOK.FACTS["regions"]["without_ses"]) == missing


def test_a_region_without_ses_is_good_for_backups():
    assert HOOK.problems({"relay": "smtp", "aws_region": "ap-east-1"}) == []


def test_a_number_may_come_as_text_and_is_one_afterwards():
    assert HOOK.normalise({"object_lock_days": "30", "project_name": "30"}) == {
        "object_lock_days": 30,
        "project_name": "30",
    }


def test_only_answers_that_are_sound_are_compared():
    assert [p.field for p in HOOK.problems({"mail_domain": "X", "webmail_host": "mail.acme.com"})] == [
        "mail_domain"
    ]


def test_a_long_value_is_shown_shortened():
    assert len(str(HOOK.field_problem("mail_domain", "x" * 5000))) < 250
