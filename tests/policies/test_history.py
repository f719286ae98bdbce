"""git's history is read as well: what a commit removed is still there."""

import subprocess

import pytest

from policies.gate.loading import load
from policies.shared.repository import Repository

RULES = load()
KEY = "AKIA" + "IOSFODNN7EXAMPLE"
AUTHOR = ("-c", "user.name=Test", "-c", "user.email=test@example.org", "-c", "commit.gpgsign=false")


def git(folder, *words):
    """Run git in a folder, without anybody's own settings."""
    subprocess.run(["git", *AUTHOR, "-C", folder, *words], check=True, capture_output=True)


@pytest.fixture
def repository(tmp_path):
    """Return a git repository and a function that commits a text into one of its files."""
    git(tmp_path, "init", "--initial-branch=main")

    def commit(file, text):
        (tmp_path / file).write_text(text, encoding="utf-8")
        git(tmp_path, "add", "--force", file)
        git(tmp_path, "commit", "--message", file)

    return tmp_path, commit


def found(rule, folder):
    """Return place and text of all that a rule says."""
    return [(str(each.place), each.what) for each in RULES[rule].findings(Repository(folder))]


def test_a_secret_that_a_later_commit_removed_is_found(repository):
    folder, commit = repository
    commit("notes.txt", f"one\ntwo\nthe key is {KEY}\n")
    commit("notes.txt", "one\ntwo\n")
    [(place, what)] = found("MAIL_REP_003", folder)
    assert place == "notes.txt:3"
    assert what.startswith("an AWS access key, in the history (commit ")


def test_a_secret_on_another_branch_is_found(repository):
    folder, commit = repository
    commit("notes.txt", "one\n")
    git(folder, "checkout", "-b", "side")
    commit("other.txt", f"{KEY}\n")
    git(folder, "checkout", "main")
    assert [place for place, _ in found("MAIL_REP_003", folder)] == ["other.txt:1"]


def test_a_secret_that_is_still_there_is_told_once(repository):
    folder, commit = repository
    commit("notes.txt", f"{KEY}\n")
    assert found("MAIL_REP_003", folder) == [("notes.txt:1", "an AWS access key")]


def test_a_line_that_looks_like_a_diff_hides_nothing(repository):
    folder, commit = repository
    commit("notes.txt", f"x\n++ b/other.txt\n@@ -1 +9 @@\ncommit:0\n{KEY}\n")
    commit("notes.txt", "x\n")
    assert [place for place, _ in found("MAIL_REP_003", folder)] == ["notes.txt:5"]


def test_a_clean_history_says_nothing(repository):
    folder, commit = repository
    commit("notes.txt", "one\n")
    commit("notes.txt", "two\n")
    assert found("MAIL_REP_003", folder) == []


def test_a_history_that_is_cut_off_stops_the_gate(repository, tmp_path_factory):
    folder, commit = repository
    commit("notes.txt", "one\n")
    commit("notes.txt", "two\n")
    shallow = tmp_path_factory.mktemp("clone") / "shallow"
    git(folder, "clone", "--depth=1", folder.as_uri(), str(shallow))
    seen = Repository(shallow)
    list(RULES["MAIL_REP_003"].findings(seen))
    assert [problem.what for problem in seen.problems] == ["git's history is cut off"]


def test_a_file_that_was_added_by_force_is_found_and_an_ignored_one_is_not(repository):
    folder, commit = repository
    commit(".gitignore", ".env\n*.key\n")
    commit("tls.key", "not one\n")
    (folder / ".env").write_text("MYSQL_PASSWORD=hunter2hunter2\n", encoding="utf-8")
    assert [place for place, _ in found("MAIL_REP_002", folder)] == ["tls.key:1"]
    assert found("MAIL_REP_003", folder) == []


def test_no_message_repeats_the_secret(repository):
    folder, commit = repository
    commit("notes.txt", f"{KEY}\n")
    commit("notes.txt", f"password: {KEY[:10]}\n")
    assert KEY not in str(found("MAIL_REP_003", folder))


def test_tables_of_the_gate_in_a_history_from_before_platform_are_no_secrets(repository):
    folder, commit = repository
    (folder / "policies").mkdir()
    commit("policies/iam.yml", "iam:CreateAccessKey: rotate the host's key\n")
    (folder / "policies" / "iam.yml").unlink()
    git(folder, "commit", "--all", "--message", "Moved")
    assert found("MAIL_REP_003", folder) == []
