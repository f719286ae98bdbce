"""cookiecutter renders the hooks before it runs them: only the answers come in, whatever they hold."""

import ast
import json
import sys

import pytest
from cookiecutter.utils import create_env_with_context
from hypothesis import given
from hypothesis import strategies as st

from tools import answers

HOOKS = ("pre_gen_project", "post_gen_project")
SETTINGS = json.loads(answers.QUESTIONS.read_text(encoding="utf-8"))["_jinja2_env_vars"]
EXPRESSION = "{{ cookiecutter | tojson }}"
# Values that would end a string, a comment or an expression somewhere.
NASTY = [
    "'''",
    '"""',
    '"',
    "\\",
    '\\"',
    "{{ 1 }}",
    "{% raw %}",
    "#% if 1",
    "\n#% if 1\n",
    "\x00",
    "\u2028",
    "\ud800",
    "",
]


def source(hook):
    return (answers.ROOT / "hooks" / f"{hook}.py").read_text(encoding="utf-8")


def rendered(hook, values):
    context = {"cookiecutter": {"_jinja2_env_vars": SETTINGS, **values}}
    return create_env_with_context(context).from_string(source(hook)).render(**context)


def loaded_text(code):
    """Return the text that json.loads gets in the last statement of a rendered hook."""
    main = ast.parse(code).body[-1]
    calls = [
        node
        for node in ast.walk(main)
        if isinstance(node, ast.Call) and ast.unparse(node.func) == "json.loads"
    ]
    assert len(calls) == 1
    return calls[0].args[0].value


@pytest.mark.parametrize("hook", HOOKS)
def test_only_one_expression_is_rendered(hook):
    before, after = source(hook).split(EXPRESSION)
    code = rendered(hook, {"a": "b"})
    assert code.startswith(before) and code.endswith(after)


@pytest.mark.parametrize("hook", HOOKS)
def test_the_hooks_use_only_the_standard_library(hook):
    imported = [
        node for node in ast.walk(ast.parse(source(hook))) if isinstance(node, ast.Import | ast.ImportFrom)
    ]
    names = {alias.name for node in imported if isinstance(node, ast.Import) for alias in node.names}
    names |= {node.module for node in imported if isinstance(node, ast.ImportFrom)}
    assert {name.partition(".")[0] for name in names} <= set(sys.stdlib_module_names)


@pytest.mark.parametrize("hook", HOOKS)
@given(
    values=st.dictionaries(
        st.text(max_size=5), st.one_of(st.sampled_from(NASTY), st.text(), st.booleans()), max_size=3
    )
)
def test_answers_arrive_in_a_hook_as_they_are(hook, values):
    arrived = json.loads(loaded_text(rendered(hook, values)))
    assert {key: arrived[key] for key in values} == values


@pytest.mark.parametrize("hook", HOOKS)
@pytest.mark.parametrize("value", NASTY, ids=ascii)
def test_no_answer_can_end_the_text_that_carries_it(hook, value):
    assert json.loads(loaded_text(rendered(hook, {"a": f"x{value}", "b": value})))["b"] == value


def test_the_hooks_do_nothing_when_they_are_imported():
    for hook in HOOKS:
        assert answers.load_hook(hook).__name__ == f"hooks_{hook}"


def test_the_post_gen_hook_reaches_for_nothing_outside_the_repository():
    words = {
        node.id for node in ast.walk(ast.parse(source("post_gen_project"))) if isinstance(node, ast.Name)
    }
    assert not words & {"subprocess", "socket", "urllib", "random", "secrets", "time", "datetime", "os"}
