"""The schema of the answers, the questions and the validator that has the schema inside say the same."""

import json
from pathlib import Path

import jsonschema
import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from tools import answers, embed_schema

HOOK = answers.validator()
SCHEMA = json.loads(embed_schema.SCHEMA.read_text(encoding="utf-8"))
FIELDS = SCHEMA["properties"]
LIBRARY = jsonschema.Draft202012Validator(SCHEMA)
# What the interpreter in the hook knows. A keyword that is not here would be ignored there.
KEYWORDS = {"type", "enum", "pattern", "minLength", "maxLength", "minimum", "maximum"}
NOTES = {"title", "description", "examples", "x-kind", "x-why", "x-fix"}
FIXTURES = Path(__file__).parent.parent / "answers"


def by_library(value: dict) -> set[tuple[str, str]]:
    """Return the field and keyword of every error that the jsonschema library finds."""
    found = LIBRARY.iter_errors(value)
    return {(str(error.path[0]), error.validator) for error in found if error.path}


def by_hook(value: dict) -> set[tuple[str, str]]:
    known = {field: answer for field, answer in value.items() if field in FIELDS}
    return {
        (field, keyword) for field, answer in known.items() for keyword in HOOK.schema_errors(field, answer)
    }


def given_answers() -> list[dict]:
    """Return the answers of every fixture."""
    loaded = [yaml.safe_load(path.read_text(encoding="utf-8")) or {} for path in FIXTURES.glob("*/*.yml")]
    return [fixture.get("answers", {}) if "expect" in fixture else fixture for fixture in loaded]


def test_the_schema_is_a_schema():
    jsonschema.Draft202012Validator.check_schema(SCHEMA)


def test_the_hook_holds_the_schema_of_today():
    assert embed_schema.main(["--check"]) == 0


def test_a_hook_out_of_date_is_noticed(tmp_path, monkeypatch, capsys):
    old = tmp_path / "hook.py"
    old.write_text(embed_schema.HOOK.read_text(encoding="utf-8").replace("36500", "36501"), encoding="utf-8")
    monkeypatch.setattr(embed_schema, "HOOK", old)
    assert embed_schema.main(["--check"]) == 1
    assert "run `python -m tools.embed_schema`" in capsys.readouterr().err
    assert embed_schema.main([]) == 0
    assert old.read_text(encoding="utf-8") == (answers.ROOT / "hooks/pre_gen_project.py").read_text("utf-8")


def test_a_hook_without_markers_cannot_be_updated():
    with pytest.raises(ValueError, match="no '# >>> embedded'"):
        embed_schema.updated("import json\n", SCHEMA, {})


def test_the_schema_has_the_questions_in_their_order():
    assert list(FIELDS) == SCHEMA["required"] == list(answers.questions())


def test_choices_and_kinds_are_those_of_the_questions():
    defaults = answers.context({})
    for question, default in answers.questions().items():
        assert FIELDS[question].get("enum") == (default if isinstance(default, list) else None), question
        assert (FIELDS[question].get("type") == "boolean") == isinstance(default, bool), question
        # A default that follows from another answer is a template: what it gives counts.
        is_number = str(defaults[question]).isdecimal()
        assert (FIELDS[question].get("type") == "integer") == is_number, question


@pytest.mark.parametrize("field", FIELDS)
def test_every_question_is_described_for_people(field):
    assert NOTES - {"x-kind"} <= set(FIELDS[field]), "title, description, examples, x-why and x-fix"
    assert FIELDS[field]["x-why"].startswith("it "), "continues: … is wrong because …"
    assert all(HOOK.field_problem(field, example) is None for example in FIELDS[field]["examples"])


@pytest.mark.parametrize("field", FIELDS)
def test_the_schema_uses_only_what_the_hook_interprets(field):
    assert set(FIELDS[field]) <= KEYWORDS | NOTES


def test_all_kinds_have_reasons():
    assert {rule["x-kind"] for rule in FIELDS.values() if "x-kind" in rule} <= set(HOOK.FACTS["reasons"])


@pytest.mark.parametrize("given_here", given_answers(), ids=str)
def test_hook_and_library_agree_on_every_fixture(given_here):
    value = HOOK.normalise(given_here)
    assert by_hook(value) == by_library(value)


SCALARS = st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=70))
ANYTHING = st.one_of(SCALARS, st.lists(SCALARS, max_size=2), st.dictionaries(st.text(max_size=3), SCALARS))
ASCII = st.characters(max_codepoint=127)
NEARLY_GOOD = st.one_of(
    *(st.from_regex(rule["pattern"], alphabet=ASCII) for rule in FIELDS.values() if "pattern" in rule),
    st.sampled_from(
        ["sendgrid", "ses", "smtp", "cloudflare", "en", "ja", "lan", 30, 30.0, 0, 36500, 36501, True, "true"]
    ),
)


@given(st.dictionaries(st.sampled_from(list(FIELDS)), st.one_of(ANYTHING, NEARLY_GOOD), max_size=4))
def test_hook_and_library_agree_on_any_answers(value):
    assert by_hook(value) == by_library(value)


@given(st.dictionaries(st.sampled_from([*FIELDS, "x", "_y"]), ANYTHING, max_size=4))
def test_any_answers_are_judged_without_a_crash_and_in_single_lines(value):
    for problem in HOOK.problems(value):
        assert problem.field in value
        assert str(problem).isprintable() or not str(problem).isascii()
        assert "\n" not in str(problem)


@given(st.dictionaries(st.sampled_from(list(FIELDS)), ANYTHING, max_size=4))
def test_to_normalise_twice_changes_nothing(value):
    once = HOOK.normalise(value)
    assert repr(HOOK.normalise(once)) == repr(once)
