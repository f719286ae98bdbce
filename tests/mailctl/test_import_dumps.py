"""Accounts of other mail servers: what is taken over of their dumps, and what is left out by name."""

import json
from pathlib import Path

import pytest
from conftest import Cli
from fakes import FakeDocker, FakeEngine, container
from hypothesis import given
from hypothesis import strategies as st

from mailctl.core.errors import Refused
from mailctl.importing import dumps

BCRYPT = "$2y$10$" + "a" * 53
MAILCOW = f"""-- MariaDB dump 10.19
CREATE TABLE `mailbox` (
  `username` varchar(255) NOT NULL,
  `password` varchar(255) NOT NULL,
  `name` varchar(255) DEFAULT NULL,
  `quota` bigint(20) NOT NULL DEFAULT 102400,
  `kind` varchar(100) NOT NULL DEFAULT '',
  `active` tinyint(1) NOT NULL DEFAULT 1,
  PRIMARY KEY (`username`),
  KEY `domain` (`domain`)
) ENGINE=InnoDB;
INSERT INTO `mailbox` VALUES
('anna@example.org','{{BLF-CRYPT}}{BCRYPT}','O\\'Anna, (\\"A\\")',3221225472,'',1),
('bob@example.org','{{SSHA256}}abc',NULL,0,'',2),('room@example.org','',NULL,0,'location',1);
CREATE TABLE `alias` (
  `id` int(11) NOT NULL AUTO_INCREMENT,
  `address` varchar(255) NOT NULL,
  `goto` text NOT NULL,
  `active` tinyint(1) NOT NULL DEFAULT 1,
  PRIMARY KEY (`id`)
) ENGINE=InnoDB;
INSERT INTO `alias` VALUES (1,'anna@example.org','anna@example.org',1),
(2,'info@example.org','anna@example.org,Bob@example.org,far@elsewhere.example',1),
(3,'@example.org','anna@example.org',0),(4,'void@example.org','null@localhost',1);
CREATE TABLE `alias_domain` (
  `alias_domain` varchar(255) NOT NULL,
  `target_domain` varchar(255) NOT NULL
) ENGINE=InnoDB;
INSERT INTO `alias_domain` VALUES ('example.net','example.org');
"""  # noqa: S608 (a dump)
MAILU = f"""
domain: [{{name: example.org, alternatives: [example.net]}}]
user:
  - {{email: Anna@example.org, displayed_name: Anna, quota_bytes: 2000000000, password: '{BCRYPT}'}}
  - {{email: bob@example.org, enabled: false, password: '$bcrypt-sha256$v=2$x',
     forward_enabled: true, forward_destination: [far@elsewhere.example]}}
alias:
  - {{email: info@example.org, destination: [anna@example.org, bob@example.org]}}
  - {{email: '%@example.org', wildcard: true, destination: anna@example.org}}
  - {{email: 'shop%@example.org', wildcard: true, destination: [anna@example.org]}}
"""


def file(folder: Path, name: str, text: str) -> Path:
    (folder / name).write_text(text)
    return folder / name


def test_a_dump_of_mailcow(tmp_path: Path) -> None:
    found = dumps.mailcow([file(tmp_path, "mailcow.sql", MAILCOW)])
    assert dumps.table(found)[1:] == [
        ("anna@example.org", 'O\'Anna, ("A")', "3072M", "yes", "", "{BLF-CRYPT}" + BCRYPT),
        ("bob@example.org", "", "", "yes", "", ""),
        ("info@example.org", "", "", "yes", "anna@example.org bob@example.org", ""),
        ("@example.org", "", "", "no", "anna@example.org", ""),
    ]
    assert [name for name, _ in found.skipped] == [
        "room@example.org",
        "void@example.org",
        "@example.net",
        "info@example.org",
    ]


def test_an_export_of_mailu(tmp_path: Path) -> None:
    found = dumps.mailu([file(tmp_path, "mailu.yml", MAILU)])
    assert dumps.table(found)[1:] == [
        ("anna@example.org", "Anna", "1908M", "yes", "", "{BLF-CRYPT}" + BCRYPT),
        ("bob@example.org", "", "", "no", "", ""),
        ("info@example.org", "", "", "yes", "anna@example.org bob@example.org", ""),
        ("@example.org", "", "", "yes", "anna@example.org", ""),
    ]
    assert [name for name, _ in found.skipped] == ["bob@example.org", "shop%@example.org", "@example.net"]


def test_the_files_of_docker_mailserver(tmp_path: Path) -> None:
    files = [
        file(
            tmp_path,
            "postfix-accounts.cf",
            "# x\nanna@example.org|{SHA512-CRYPT}$6$a$b\n\nbob@example.org|x\n",
        ),
        file(
            tmp_path, "postfix-virtual.cf", "info@example.org anna@example.org,bob@example.org\nroot anna\n"
        ),
        file(tmp_path, "dovecot-quotas.cf", "anna@example.org:5G\n"),
    ]
    found = dumps.docker_mailserver(files)
    assert [row[:5] for row in dumps.table(found)[1:]] == [
        ("anna@example.org", "", "5120M", "yes", ""),
        ("bob@example.org", "", "", "yes", ""),
        ("info@example.org", "", "", "yes", "anna@example.org bob@example.org"),
    ]
    assert found.skipped == [("root anna", "is no address with destinations")]


@pytest.mark.parametrize(
    ("kind", "name", "text", "wrong"),
    [
        ("mailcow", "x.sql", "CREATE TABLE `x` (\n  `a` int\n)", "no definition of the table alias, mailbox"),
        ("mailcow", "x.sql", MAILCOW[: MAILCOW.index("(3,'@")] + "(3,'@", "ends in the middle of a row"),
        ("mailu", "x.yml", "just text", "is no export of Mailu"),
        ("docker-mailserver", "accounts.cf", "", "is none of docker-mailserver's"),
    ],
)
def test_what_is_no_such_file_is_refused(tmp_path: Path, kind: str, name: str, text: str, wrong: str) -> None:
    with pytest.raises(Refused, match=wrong):
        dumps.KINDS[kind]([file(tmp_path, name, text)])


@given(st.lists(st.none() | st.integers() | st.text(), min_size=1, max_size=5))
def test_any_row_of_a_dump_is_read_as_it_was(values: list[str | int | None]) -> None:
    escapes = str.maketrans({"\\": "\\\\", "'": "\\'", "\n": "\\n", "\0": "\\0", "\r": "\\r", "\x1a": "\\Z"})
    written = (
        "NULL" if v is None else str(v) if isinstance(v, int) else f"'{v.translate(escapes)}'" for v in values
    )
    columns = "".join(f"  `c{number}` int,\n" for number in range(len(values)))
    dump = f"CREATE TABLE `t` (\n{columns}\n) X;\nINSERT INTO `t` VALUES (1),({','.join(written)});\n"
    *_, (_, row) = dumps.rows(dump, {"t"})
    assert list(row.values()) == [None if value is None else str(value) for value in values]


@pytest.fixture
def usermgmt(engine: FakeEngine, docker: FakeDocker) -> FakeDocker:
    """bob and the domain are here already."""
    engine.containers = [container("usermgmt")]

    def listed(*rows: dict[str, str]) -> str:
        return json.dumps({"status": 200, "body": {"items": list(rows), "next": None}}) + "\n"

    docker.answer("/mailboxes?limit=500", listed({"email": "bob@example.org"}))
    docker.answer("/aliases?limit=500", listed())
    docker.answer("/domains?q=example.org&exact=true", listed())
    docker.answer("/domains", json.dumps({"status": 201, "body": {}}))
    done = {"mailboxes": 1, "aliases": 2, "passwords": []}
    docker.answer("/import?dry_run=false", json.dumps({"status": 200, "body": done}))
    return docker


def test_what_is_here_stays_and_the_rest_is_added_after_a_question(
    cli: Cli, usermgmt: FakeDocker, tmp_path: Path
) -> None:
    dump = file(tmp_path, "mailcow.sql", MAILCOW)
    refused = cli("import", "accounts", "mailcow", dump, "--json")
    assert refused.exit_code == 2 and not usermgmt.calls_with("POST")
    done = json.loads(cli("import", "accounts", "mailcow", dump, "--json", "--yes").stdout)
    assert (done["users"], done["aliases"], done["there"]) == (1, 2, ["bob@example.org"])
    sent = [call["stdin"] for call in usermgmt.calls_with("POST")]
    assert sent[0] == '{"name": "example.org"}' and "\nbob@example.org," not in sent[1]
    assert "{BLF-CRYPT}" in sent[1] and BCRYPT not in str(usermgmt.calls_with("POST")[1]["arguments"])


def test_an_unknown_kind_is_refused(cli: Cli, usermgmt: FakeDocker, tmp_path: Path) -> None:
    shown = cli("import", "accounts", "exchange", tmp_path)
    assert shown.exit_code == 2 and "docker-mailserver" in " ".join(shown.output.split())
