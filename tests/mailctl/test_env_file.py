"""`.env` is read as compose reads it, and no message ever quotes a line of it."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailctl.core.env_file import open_to_others, read_env_file
from mailctl.core.errors import Refused
from mailctl.local.env import prepare_env

BARE = st.text(st.sampled_from("abcXYZ0189._~-/:@=+"), max_size=30)
TEXT = st.text(st.characters(exclude_categories=("Cs", "Cc")), max_size=40)


def parsed(folder: Path, text: str) -> dict[str, str]:
    path = folder / ".env"
    path.write_text(text, encoding="utf-8", newline="")
    env = read_env_file(path)
    return {name: env.expanded(name, {}) for name in env.entries}


@pytest.mark.parametrize(
    ("line", "value"),
    [
        ("A=abc # comment", "abc"),
        ('A="abc # no" # comment', "abc # no"),
        ("A='a$b ${HOME}'", "a$b ${HOME}"),
        ("A=x#y", "x#y"),
        ("A=  spaced  ", "spaced"),
        ("export A=h", "h"),
        ("A=", ""),
        (r'A="a\nb\"c"', 'a\nb"c'),
        (r"A='it\'s'", "it's"),
        ("A=${MISSING:-default}", "default"),
        ("B=x\nA=${B}/y", "x/y"),
        ("B=x\nA=$B/y", "x/y"),
        ("B=x\nC=$B\nA=${C}", "x"),
        ("A=$B\nB=x", ""),
        ("A=first\nA=last", "last"),
        ("\ufeffA=after a byte order mark", "after a byte order mark"),
        ("A=windows\r\nB=x", "windows"),
        ("# A=no\n\n   \nA=yes", "yes"),
    ],
)
def test_a_line_means_what_it_means_to_compose(tmp_path: Path, line: str, value: str) -> None:
    assert parsed(tmp_path, line)["A"] == value


@given(value=BARE)
def test_any_bare_value_is_read_as_it_stands(tmp_path_factory: pytest.TempPathFactory, value: str) -> None:
    assert parsed(tmp_path_factory.mktemp("env"), f"A={value}\n")["A"] == value


@given(value=TEXT)
def test_a_value_copied_into_the_local_env_reads_back_the_same(
    tmp_path_factory: pytest.TempPathFactory, value: str
) -> None:
    folder = tmp_path_factory.mktemp("env")
    quoted = value.replace("\\", "\\\\").replace("'", "\\'")
    (folder / ".env.example").write_text(f"A='{quoted}'\n", encoding="utf-8", newline="")
    prepare_env(folder / ".env.example", folder / ".env")
    assert read_env_file(folder / ".env").entries["A"].value == value


@given(text=st.text(max_size=200))
def test_no_text_at_all_makes_the_reader_fail_otherwise_than_by_refusing(
    tmp_path_factory: pytest.TempPathFactory, text: str
) -> None:
    path = tmp_path_factory.mktemp("env") / ".env"
    path.write_bytes(text.encode("utf-8", "surrogatepass"))
    try:
        read_env_file(path)
    except Refused as refusal:
        assert all(problem.fix for problem in refusal.problems)


def test_every_broken_line_is_named_by_its_number_and_none_is_shown(tmp_path: Path) -> None:
    (tmp_path / ".env").write_text("\n# x\nA=1\n\nB='hunter2hunter2\nC=2\n=hunter3\n")
    with pytest.raises(Refused) as refused:
        read_env_file(tmp_path / ".env")
    fields = [problem.field for problem in refused.value.problems]
    assert fields == [".env line 5", ".env line 7"]
    assert "hunter" not in str(refused.value.problems)


def test_a_missing_file_is_answered_with_the_command_that_makes_it(tmp_path: Path) -> None:
    with pytest.raises(Refused) as refused:
        read_env_file(tmp_path / ".env")
    assert refused.value.problems[0].fix == "cp .env.example .env and fill it in"


def test_a_file_that_is_not_utf8_is_refused(tmp_path: Path) -> None:
    (tmp_path / ".env").write_bytes(b"A=\xff\n")
    with pytest.raises(Refused, match="not UTF-8"):
        read_env_file(tmp_path / ".env")


@pytest.mark.parametrize(("mode", "is_open"), [(0o600, False), (0o640, True), (0o604, True), (0o400, False)])
def test_a_file_is_open_to_others_if_group_or_world_may_do_anything(
    tmp_path: Path, mode: int, is_open: bool
) -> None:
    path = tmp_path / ".env"
    path.touch()
    path.chmod(mode)
    assert open_to_others(path) is is_open
