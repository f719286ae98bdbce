"""Answers before cookiecutter sees them: the questions, their defaults, answer files and the one validator.

The validator is hooks/pre_gen_project.py itself; this module only loads it and brings the answers to it.
"""

from __future__ import annotations

import functools
import importlib.util
import json
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from types import ModuleType

import yaml

ROOT = Path(__file__).resolve().parent.parent
QUESTIONS = ROOT / "cookiecutter.json"


class Refusal(Exception):
    """Nothing can be generated; the text says why and what to do, `problems` lists wrong answers."""

    def __init__(self, text: str, problems: Iterable = ()) -> None:
        super().__init__(text)
        self.problems = list(problems)


def load_hook(name: str) -> ModuleType:
    """Return a hook, pre_gen_project or post_gen_project, as a module; loading it runs nothing."""
    path = ROOT / "hooks" / f"{name}.py"
    spec = importlib.util.spec_from_file_location(f"hooks_{name}", path)
    if spec is None or spec.loader is None:
        raise ImportError(f"{path} is no Python module")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@functools.cache
def validator() -> ModuleType:
    """Return the validator: `problems`, `normalise`, `report` and the type `Problem`."""
    return load_hook("pre_gen_project")


def questions() -> dict[str, object]:
    """Return the questions in their order, each with its raw default or its list of choices."""
    asked = json.loads(QUESTIONS.read_text(encoding="utf-8"))
    return {key: default for key, default in asked.items() if not key.startswith("_")}


def context(given: Mapping[str, object]) -> dict[str, object]:
    """Return all that templates see for these answers: defaults for the rest, and the derived `__names`.

    Answers must have been found good: cookiecutter renders them as templates.
    """
    from cookiecutter.generate import generate_context
    from cookiecutter.prompt import prompt_for_config

    raw = generate_context(str(QUESTIONS), extra_context=dict(given))
    return dict(prompt_for_config(raw, no_input=True))


def complete(given: Mapping[str, object]) -> dict[str, object]:
    """Return an answer to every question: the given ones, and cookiecutter's defaults for the rest."""
    full = context(given)
    return validator().normalise({field: full[field] for field in questions()})


def problems(given: Mapping[str, object]) -> list:
    """Return everything wrong with the given answers, also against the defaults of the questions left out.

    Nothing is derived from a wrong answer, so no default is blamed for it.
    """
    hook = validator()
    wrong = {problem.field for problem in hook.problems(given)}
    good = {field: value for field, value in given.items() if field not in wrong}
    return hook.problems({**complete(good), **given})


class _Loader(yaml.SafeLoader):
    """YAML with what surprises people left out: a key twice, and 030 read as 24 or 1:30 as 90."""


_PLAIN = ("tag:yaml.org,2002:int", "tag:yaml.org,2002:float", "tag:yaml.org,2002:timestamp")
_Loader.yaml_implicit_resolvers = {
    first: [pair for pair in pairs if pair[0] not in _PLAIN]
    for first, pairs in yaml.SafeLoader.yaml_implicit_resolvers.items()
}
_INTEGER = re.compile(r"^-?(?:0|[1-9][0-9]*)$")
_Loader.add_implicit_resolver(_PLAIN[0], _INTEGER, list("-0123456789"))


def _no_key_twice(loader: yaml.SafeLoader, node: yaml.MappingNode, deep: bool = False) -> dict:
    """Build a mapping, or refuse a key that stands twice: which of the two was meant?"""
    seen: set[object] = set()
    for key_node, _ in node.value:
        key = loader.construct_object(key_node, deep=True)
        if not isinstance(key, str):
            raise Refusal(
                f"line {key_node.start_mark.line + 1}: {key!r} is no question; use its name instead"
            )
        if key in seen:
            raise Refusal(
                f"line {key_node.start_mark.line + 1}: {key} stands twice; leave one of them instead"
            )
        seen.add(key)
    return yaml.SafeLoader.construct_mapping(loader, node, deep)


_Loader.add_constructor("tag:yaml.org,2002:map", lambda loader, node: _no_key_twice(loader, node, True))


def parse(text: str) -> dict[str, object]:
    """Return the answers of a YAML or JSON text; Refusal if it is no mapping of questions to answers."""
    try:
        loaded = yaml.load(text, Loader=_Loader)  # noqa: S506 - a subclass of SafeLoader
    except yaml.MarkedYAMLError as error:
        line = f"line {error.problem_mark.line + 1}: " if error.problem_mark else ""
        said = ", ".join(filter(None, (error.context, error.problem)))
        raise Refusal(f"{line}{said}; write one 'question: answer' a line instead") from error
    except yaml.YAMLError as error:
        said = str(error).splitlines()[0]
        raise Refusal(f"{said}; write one 'question: answer' a line instead") from error
    if loaded is None:
        return {}
    if not isinstance(loaded, dict):
        what = "a list" if isinstance(loaded, list) else "a single value"
        raise Refusal(f"it holds {what}; write one 'question: answer' a line instead")
    return loaded


def read(path: Path) -> dict[str, object]:
    """Return the answers of a file; Refusal names the file and says what to do."""
    try:
        return parse(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise Refusal(f"{path}: {error.strerror}; name a YAML file with answers instead") from error
    except UnicodeDecodeError as error:
        raise Refusal(f"{path}: it is not UTF-8 text; save it as UTF-8 instead") from error
    except Refusal as error:
        raise Refusal(f"{path}: {error}") from error


def refuse(found: Iterable) -> None:
    """Raise Refusal with the validator's report if anything is wrong."""
    wrong = list(found)
    if wrong:
        raise Refusal(validator().report(wrong).removesuffix("\nnothing was generated"), wrong)
