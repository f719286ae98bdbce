"""What a report shows comes from checked files: no value is markup, a command or a sign that nobody sees."""

from __future__ import annotations

import io
import json
import re
from dataclasses import replace
from xml.etree import ElementTree

import pytest
from rich.console import Console

from policies.gate import catalogue, cli, formats
from policies.gate.check import Result
from policies.gate.messages import unspoken
from policies.gate.run import Report
from policies.model import Finding, Place, Problem, Severity

INFOS = catalogue.ours()


def hostile(count=1, text="a|b `c` <img src=x> @octocat\n# head ![p](http://x) \udcff\u202e"):
    place = Place("we`ird| file.yml", 3)
    findings = [
        Finding("MAIL_REP_001", Severity.HIGH, place, f"{text} {n}", text, text) for n in range(count)
    ]
    report = Report(findings=findings, notes=[text], problems=[Problem("unreadable", place, text, text)])
    report.ran.append("MAIL_REP_001")
    return Result(report, INFOS)


def test_no_value_is_markup_in_a_comment():
    said = formats.markdown(hostile())
    rows = [line for line in said.splitlines() if line.startswith("| high")]
    assert len(rows) == 1 and len(re.findall(r"(?<!\\)\|", rows[0])) == 6
    for sign in ("<img", "@octocat", "\n# head", "![p]", " `c` ", "\u202e"):
        assert sign not in said


def test_a_comment_is_never_too_long_and_says_what_is_left_out():
    said = formats.markdown(hostile(5000))
    assert len(said) < 65_536 and len(said.encode("utf-8", "backslashreplace")) < 65_536
    shown = said.count("| high |")
    assert f"{5000 - shown} more are left out here" in said


def test_every_report_takes_signs_that_cannot_be_written(tmp_path):
    for name in ("sarif", "junit", "markdown"):
        said = getattr(formats, name)(hostile())
        (tmp_path / name).write_text(said, encoding="utf-8", errors="backslashreplace")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["junit", "markdown", "sarif"]
    result = json.loads((tmp_path / "sarif").read_text())["runs"][0]["results"][0]
    uri = result["locations"][0]["physicalLocation"]["artifactLocation"]["uri"]
    assert uri == "we%60ird%7C%20file.yml"
    ElementTree.parse(tmp_path / "junit")  # noqa: S314  # our own output


@pytest.mark.parametrize("width", [40, 80])
def test_long_texts_are_wrapped_below_themselves_on_a_terminal(width):
    stream = io.StringIO()
    console = Console(
        file=stream, force_terminal=True, width=width, no_color=True, highlight=False, soft_wrap=True
    )
    formats.plain(hostile(text="many words " * 12), console)
    lines = re.sub(r"\x1b\[[0-9;]*m", "", stream.getvalue()).splitlines()
    rows = [line for line in lines if "many words" in line and line.startswith(" ")]
    assert len(rows) > 6 and all(len(line.rstrip()) <= width for line in rows)
    assert all(line.startswith(" " * 10) for line in rows if not re.match(r"\s+(is|should be|fix) ", line))


# ---- terminals and the logs of workflows

COMMANDS = ("::error::x", "::add-mask::x", "::set-output name=a::b", "##[add-mask]x", "##vso[task.x]y")
HIDDEN = ("\x1b[31m", "\x1b]8;;x\x07", "\x9b1m", "\r", "\x08", "\u202e", "\u200b", "\udcff")
MARKUP = ("[red]x[/red]", "[/]", ":warning:", "a\\", "[link=x]y", "a  b", "::1 and [::]:25")
#: What a workflow's log obeys: the runner looks at each line without its leading spaces.
OBEYED = re.compile(r"^\s*::[a-zA-Z][\w-]*(?: .*?)?::|##\[|##vso\[", re.MULTILINE)


def spoken(value: str, **console) -> dict[str, str]:
    """Return everything that the gate prints about a value, by form."""
    stream = io.StringIO()
    place = Place(f"a {value}.yml", 3)
    finding = Finding("MAIL_REP_001", Severity.HIGH, place, value, value, value, value)
    problem = Problem("unreadable", place, value, value)
    report = Report([finding], [replace(finding, waived=value)], [problem], [value])
    result = Result(report, INFOS)
    formats.plain(result, Console(file=stream, highlight=False, soft_wrap=True, **console))
    files = {name: getattr(formats, name)(result) for name in ("sarif", "junit", "markdown")}
    return {"text": stream.getvalue(), "json": formats.as_json(result)} | files


@pytest.mark.parametrize("form", ["text", "json", "sarif", "junit", "markdown"])
@pytest.mark.parametrize("before", ["", "\n", "\r", "words\n  ", "\x85", "\u2028"])
@pytest.mark.parametrize("command", COMMANDS)
def test_no_value_is_a_command_to_a_workflow_s_log(command, before, form):
    assert OBEYED.search(before + command)
    assert not OBEYED.search(spoken(before + command)[form])


@pytest.mark.parametrize("command", COMMANDS)
@pytest.mark.parametrize("padding", range(0, 40, 3))
def test_no_wrapped_line_is_a_command_either(command, padding):
    said = spoken("w" * padding + " " + command, force_terminal=True, no_color=True, width=30)["text"]
    assert not OBEYED.search(re.sub(r"\x1b\[[0-9;]*m", "", said))


@pytest.mark.parametrize("form", ["text", "json"])
@pytest.mark.parametrize(
    "sign", ["\x1b[31m", "\x1b]8;;x\x07", "\x9b1m", "\r", "\x08", "\u202e", "\u200b", "\udcff"]
)
def test_no_value_moves_the_cursor_or_hides(sign, form):
    assert all(each.isprintable() for each in spoken(f"a{sign}b")[form] if each != "\n")


@pytest.mark.parametrize(
    "value", ["[red]x[/red]", "[/]", ":warning:", "a\\", "[link=x]y", "a  b", "::1 and [::]:25"]
)
def test_a_value_is_shown_as_it_stands(value):
    assert f"is {value}" in spoken(value)["text"]


def test_json_holds_what_stood_in_the_file():
    for value in (*COMMANDS, "\x1b[31m", "a\u202eb", "##", "\\##["):
        assert json.loads(spoken(value)["json"])["findings"][0]["is"] == value


@pytest.mark.parametrize(("colour", "escapes"), [({}, False), ({"force_terminal": True}, True)])
def test_colours_are_for_terminals_only(colour, escapes, monkeypatch):
    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.delenv("FORCE_COLOR", raising=False)
    monkeypatch.setenv("TERM", "xterm")
    assert ("\x1b[" in spoken("x", **colour)["text"]) is escapes


def test_no_color_is_heard(monkeypatch):
    monkeypatch.setenv("NO_COLOR", "1")
    monkeypatch.setenv("TERM", "xterm")
    assert not re.search(r"\x1b\[[0-9;]*3[0-9]", spoken("x", force_terminal=True)["text"])


def test_what_stops_a_run_is_said_without_a_command(capsys, tmp_path):
    assert cli.main(["check", str(tmp_path), "--only", "\n::error::x"]) == 2
    assert not OBEYED.search(capsys.readouterr().err)
    assert unspoken("a\n::error::x") == "a : :error::x"


def test_no_message_of_sarif_holds_a_link():
    result = hostile(text="[click](https://example.com)")
    assert "](" not in json.dumps(json.loads(formats.sarif(result))["runs"][0]["results"])
