"""Each single mutation of a generated repository is caught by the rule it names and by no other: neither rule
nor schema nor one of checkov's own checks nor the checker of what was changed.

The edits stand in for files in memory (judging.py). Judged are the first mutations of every rule and a sample
of the rest. checkov and the checkers work on disk and take most of the time: they look at what is theirs, at
the first mutation of every rule of ours, and at a sample of the rest. `make soak` judges all, by all of them.
"""

import itertools
import random
import re
import shutil

import pytest
import rows
from judging import LOADED, WHOLE
from mutations import in_memory, read

from policies.gate import check, own_checks
from policies.gate.tools.linters import Hadolint, Shellcheck, Zizmor
from policies.gate.tools.orchestration import ComposeConfig
from policies.readers import Repository

MUTATIONS = read("mutations")
HARMLESS = [each for each in read("harmless") if not each.policy]
FEWEST = 900
#: Of every rule so many mutations are judged, and of the rest and of harmless changes so many in all.
FIRST, SOME = 3, 120
#: How many of what is no rule's first mutation the programs look at, and which ones.
SAMPLE, SEED = 40, 8


def judged_here():
    """Return the mutations and the harmless changes that are judged: all of them only in a long series."""
    if WHOLE:
        return MUTATIONS, HARMLESS
    by_rule = itertools.groupby(sorted(MUTATIONS, key=lambda each: each.rule), lambda each: each.rule)
    firsts = {each.id for _, of_rule in by_rule for each in itertools.islice(of_rule, FIRST)}
    chosen = random.Random(SEED)  # noqa: S311
    rest = [each.id for each in MUTATIONS if each.id not in firsts]
    some = firsts.union(chosen.sample(rest, min(SOME, len(rest))))
    return [each for each in MUTATIONS if each.id in some], chosen.sample(HARMLESS, SOME)


JUDGED, JUDGED_HARMLESS = judged_here()

#: Files of checkov's frameworks, and of checkers that need no image.
FRAMEWORKS = {
    "dockerfile": re.compile(r"(?:.*/)?Dockerfile[^/]*$"),
    "github_actions": re.compile(r"\.github/workflows/"),
    "terraform": re.compile(r".*\.tf$"),
}
CHECKERS = {
    Hadolint(): FRAMEWORKS["dockerfile"],
    Zizmor(): re.compile(r"\.github/"),
    Shellcheck(): re.compile(r".*(?:\.sh|/bin/[^/]+)$"),
    ComposeConfig(): re.compile(r"[^/]*compose[^/]*$|\.env"),
}


def for_programs():
    """Return the names of what the programs look at as well."""
    everything = JUDGED + JUDGED_HARMLESS
    if WHOLE:
        return {each.id for each in everything}
    firsts = {each.rule: each.id for each in reversed(JUDGED)}
    theirs = {each.id for each in JUDGED if not each.rule.startswith("MAIL_")}
    sampled = random.Random(SEED).sample([each.id for each in everything], SAMPLE)  # noqa: S311
    return theirs.union(firsts.values(), sampled)


PROGRAMS = for_programs()


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    """Return a function that calls another one with a repository on disk that has some changes."""
    copies = {}

    def asked(root, texts, modes, ask):
        if root not in copies:
            copies[root] = shutil.copytree(
                root, tmp_path_factory.mktemp("copy") / "repository", symlinks=True
            )
        copy = copies[root]
        try:
            for file, text in texts.items():
                (copy / file).unlink(missing_ok=True)
                if text is not None:
                    (copy / file).parent.mkdir(parents=True, exist_ok=True)
                    (copy / file).write_text(text, encoding="utf-8")
            for file in {*texts, *modes}:
                if (copy / file).exists():
                    executable = modes.get(file, (root / file).exists() and Repository(root).executable(file))
                    (copy / file).chmod(0o755 if executable else 0o644)
            return ask(Repository(copy))
        finally:
            for file in {*texts, *modes}:
                (copy / file).unlink(missing_ok=True)
                if (root / file).exists():
                    shutil.copy2(root / file, copy / file)

    return asked


def programs(repository, frameworks, checkers):
    """Return what checkov and the checkers say."""
    said = own_checks.run(repository, frameworks)
    outcomes = [each.run(repository, {}) for each in checkers if each.needed(repository)]
    found = [*said.findings, *(each for outcome in outcomes for each in outcome.findings)]
    return found, [*said.problems, *(each for outcome in outcomes for each in outcome.problems)]


def judged(judge, written, mutation):
    """Return all that rules and schemas say of a mutation, and what checkers of the changed files say."""
    root = judge.base.root
    texts, modes = in_memory(root, mutation)
    files = {*texts, *modes} if mutation.id in PROGRAMS else ()
    frameworks = tuple(name for name, fits in FRAMEWORKS.items() if any(map(fits.match, files)))
    checkers = [tool for tool, fits in CHECKERS.items() if any(map(fits.match, files))]
    found, problems = rows.said(judge, texts, modes), []
    if frameworks or checkers:
        more, problems = written(root, texts, modes, lambda on_disk: programs(on_disk, frameworks, checkers))
        found += more
    return found, problems


def names(found):
    """Return the ids of what speaks; a problem stands for itself."""
    return {getattr(each, "rule", each) for each in found}


@pytest.mark.parametrize("mutation", JUDGED, ids=str)
def test_a_mutation_is_caught_by_exactly_its_rule_until_its_row_is_in_policy_yml(judge, written, mutation):
    judge = judge(mutation.answers)
    found, problems = judged(judge, written, mutation)
    assert names(found) - ({"SYNTAX_COMPOSE"} if mutation.refused else set()) == {mutation.rule}
    assert problems == []
    if any(each.row for each in found):
        left, _ = rows.left(judge, *in_memory(judge.base.root, mutation), found)
        assert {each.what for each in left} <= {each.what for each in found if not each.row}


@pytest.mark.parametrize("mutation", JUDGED_HARMLESS, ids=str)
def test_a_harmless_change_raises_nothing(judge, written, mutation):
    assert judged(judge(mutation.answers), written, mutation) == ([], [])


def test_the_generated_repository_is_clean(generate):
    report = check.judge(generate(), check.Options(), LOADED, tools=False).report
    assert (report.findings, report.problems) == ([], [])


def test_every_edit_still_changes_what_it_was_written_for(generate):
    for mutation in MUTATIONS + HARMLESS:
        assert any(in_memory(generate(mutation.answers), mutation)), mutation.id


def test_there_are_enough_mutations():
    assert len(MUTATIONS) >= FEWEST, f"{len(MUTATIONS)} mutations are left, {FEWEST} are asked for"


def test_no_two_mutations_have_one_name():
    names = [mutation.id for mutation in MUTATIONS + HARMLESS]
    assert len(names) == len(set(names))
