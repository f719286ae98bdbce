"""Every generated file parses, and the linters and formatters have nothing to say about it."""

import ast
import configparser
import json
import shutil
import subprocess
import tomllib

import hcl2
import pytest
import yaml

from tests.generation.repositories import text

SHELLS = ("sh", "bash", "dash")


def of_type(distinct, *suffixes):
    return [root / relative for root, relative in distinct if relative.name.endswith(suffixes)]


def shell_scripts(distinct):
    """Return scripts by their name or by the interpreter they name."""
    found = []
    for root, relative in distinct:
        first = (text(root / relative) or "").partition("\n")[0]
        if relative.suffix == ".sh" or (
            first.startswith("#!") and first.split("/")[-1].split()[-1] in SHELLS
        ):
            found.append(root / relative)
    return found


def python_files(distinct):
    named = of_type(distinct, ".py")
    others = [root / relative for root, relative in distinct if not relative.suffix]
    first_lines = {path: (text(path) or "").partition("\n")[0] for path in others}
    return named + [path for path, line in first_lines.items() if line.startswith("#!") and "python" in line]


def run(tool, *arguments, cwd=None):
    """Run a linter over many files at once and return what it says; nothing is good."""
    assert shutil.which(tool), f"{tool} is missing: make system"
    done = subprocess.run([tool, *map(str, arguments)], cwd=cwd, capture_output=True, text=True, check=False)
    return "" if done.returncode == 0 else done.stdout + done.stderr


def parse_ini(body):
    """Parse an INI file; php.ini has settings before its first section."""
    parser = configparser.ConfigParser(allow_no_value=True, strict=True, interpolation=None)
    parser.read_string(f"[top]\n{body}")


PARSERS = {
    "yaml": ((".yml", ".yaml"), lambda body: list(yaml.safe_load_all(body))),
    "json": ((".json",), json.loads),
    "toml": ((".toml",), tomllib.loads),
    "python": ((".py",), ast.parse),
    "hcl": ((".tf", ".hcl"), hcl2.loads),
    "ini": ((".ini", ".cnf"), parse_ini),
}


@pytest.mark.parametrize("kind", PARSERS)
def test_every_file_parses(distinct, kind):
    suffixes, parse = PARSERS[kind]
    wrong = {}
    for path in of_type(distinct, *suffixes):
        try:
            parse(path.read_text(encoding="utf-8"))
        except Exception as error:  # noqa: BLE001 (each parser has errors of its own)
            wrong[str(path)] = f"{type(error).__name__}: {error}"
    assert wrong == {}


def test_no_key_stands_twice_in_a_json_file(distinct):
    def once(pairs):
        assert len(pairs) == len(dict(pairs)), [key for key, _ in pairs]
        return dict(pairs)

    for path in of_type(distinct, ".json"):
        json.loads(path.read_text(encoding="utf-8"), object_pairs_hook=once)


def test_every_text_ends_with_one_line_break_and_no_line_with_spaces(distinct):
    wrong = []
    for root, relative in distinct:
        # A library's file stays as it came.
        body = "" if "vendor" in relative.parts else text(root / relative)
        if body and (body.rstrip() + "\n" != body or "\r" in body):
            wrong.append(f"{relative}: its end")
        if body and any(line != line.rstrip() for line in body.splitlines()):
            wrong.append(f"{relative}: spaces at the end of a line")
    assert wrong == []


def test_python_is_clean_by_the_repository_s_own_rules(distinct, tmp_path):
    files = python_files(distinct)
    assert files
    # From a folder without rules: ruff would use those of the template where a repository has none.
    assert run("ruff", "check", "--no-cache", "--output-format", "concise", *files, cwd=tmp_path) == ""
    assert run("ruff", "format", "--no-cache", "--check", *files, cwd=tmp_path) == ""


def test_yaml_is_clean(distinct):
    for root in sorted({root for root, _ in distinct}):
        files = of_type([entry for entry in distinct if entry[0] == root], ".yml", ".yaml")
        if files:
            assert run("yamllint", "--strict", "--config-file", root / ".yamllint.yml", *files) == ""


def test_shell_is_clean(distinct):
    files = shell_scripts(distinct)
    assert files
    assert run("shellcheck", "--external-sources", *files) == ""
    assert run("shfmt", "-i", "2", "-ci", "-d", *files) == ""


@pytest.mark.parametrize(
    ("suffix", "command"), [(".php", ("php", "-l")), (".lua", ("luac", "-p"))], ids=["php", "lua"]
)
def test_every_script_of_a_service_has_good_syntax(distinct, suffix, command):
    found = of_type(distinct, suffix)
    assert found
    assert [said for path in found if (said := run(*command, path))] == []
