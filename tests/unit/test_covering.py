"""The combinations that the template is generated with leave no answer and no pair of answers out."""

from itertools import combinations as all_of

from tools import answers, covering


def test_every_pair_of_fixed_answers_meets_in_the_covering_array():
    options = covering.options()
    defaults = {question: values[0] for question, values in options.items()}
    rows = [{**defaults, **row} for row in covering.pairs()]
    wanted = {
        (one, first, other, second)
        for one, other in all_of(options, 2)
        for first in options[one]
        for second in options[other]
        if covering.go_together({one: first, other: second})
    }
    met = {(one, row[one], other, row[other]) for row in rows for one, other in all_of(options, 2)}
    assert met == wanted


def test_every_question_is_changed_alone():
    changed = {next(iter(row)) for row in covering.singles() if row}
    assert changed == set(answers.questions())


def test_every_fixed_answer_is_taken_alone():
    rows = [dict(row) for row in covering.singles()]
    beside = covering.BESIDE
    assert all(
        {q: v, **beside.get(q, {})} in rows for q, (_, *others) in covering.options().items() for v in others
    )


def test_every_combination_is_made_of_good_answers():
    assert {name: answers.problems(row) for name, row in covering.combinations().items()} == {
        name: [] for name in covering.combinations()
    }


def test_the_combinations_are_the_same_every_time():
    assert list(covering.combinations()) == list(covering.combinations())


def test_no_combination_stands_twice():
    rows = [tuple(sorted(row.items())) for row in covering.combinations().values()]
    assert len(rows) == len(set(rows))
