"""Constraints against a count by hand, and the search against an exhaustive one."""

from collections import Counter

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.tokenizer import BOS, EOS
from service.engine.constraints import Constraint, Constraints, Form
from service.engine.hypothesis import SearchOptions, StepResult
from service.engine.search import Beams
from service.engine.sessions import Sessions
from tests.service.engine.test_onnx_batch import decode, outcome, random_source
from tests.service.engine.test_search import (
    MAX_TOKENS,
    WORDS,
    Decoding,
    RandomLanguage,
    search,
)

CASE = 9
"""A token that says how the next word is written."""


def must_have(*forms: tuple[int, ...], before: frozenset[int] | None = None) -> Constraint:
    return Constraint(tuple(Form(form) for form in forms), before)


def occurs(tokens: tuple[int, ...], first: int, form: Form) -> bool:
    last = tokens[first - 1] if first else BOS
    is_there = tokens[first : first + len(form.tokens)] == form.tokens
    return is_there and (last != CASE if form.after is None else last in form.after)


def is_followed(tokens: tuple[int, ...], past: int, before: frozenset[int] | None) -> bool:
    rest = [token for token in tokens[past:] if token != CASE]
    return before is None or not rest or rest[0] in before


def count_by_hand(tokens: tuple[int, ...], constraint: Constraint) -> int:
    """Count occurrences that do not overlap, by looking at every place that one may end at."""
    count = free_from = 0
    for past in range(1, len(tokens) + 1):
        firsts = [(past - len(form.tokens), form) for form in constraint.forms]
        if is_followed(tokens, past, constraint.before) and any(
            first >= free_from and occurs(tokens, first, form) for first, form in firsts
        ):
            count, free_from = count + 1, past
    return count


def unmet_by_hand(tokens: tuple[int, ...], constraints: list[Constraint]) -> int:
    wanted = Counter(constraints)
    return sum(max(0, n - count_by_hand(tokens, each)) for each, n in wanted.items())


words = st.integers(5, 7)
forms = st.builds(
    Form,
    st.lists(words, min_size=1, max_size=3).map(tuple),
    st.none() | st.frozensets(words, max_size=2),
)
constraints = st.builds(
    Constraint,
    st.lists(forms, min_size=1, max_size=2).map(tuple),
    st.none() | st.frozensets(words, min_size=1, max_size=2),
)


@given(
    st.lists(constraints, min_size=1, max_size=3),
    st.lists(words | st.just(CASE), max_size=10).map(tuple),
)
def test_progress_says_what_is_missing(wanted, tokens):
    constraints = Constraints(wanted, [CASE])
    progress, last = constraints.beginning, BOS
    for token in tokens:
        progress, last = constraints.advance(progress, last, token), token

    assert constraints.num_left(progress) == unmet_by_hand(tokens, wanted)


def test_tokens_that_help_are_those_that_begin_or_continue_a_form():
    constraints = Constraints(
        [must_have((5, 6, 7), (8,)), must_have((5, 7), before=frozenset({10}))]
    )
    beginning = constraints.beginning
    after_5 = constraints.advance(beginning, BOS, 5)
    after_57 = constraints.advance(after_5, 5, 7)

    assert set(constraints.following(beginning, BOS)) == {5, 8}
    assert set(constraints.following(after_5, 5)) == {6, 7, 5, 8}
    assert constraints.num_begun(after_5) == 1
    assert constraints.awaited(after_57) == {10}
    assert constraints.num_left(after_57) == 1  # if it ends here
    assert constraints.num_left(constraints.advance(after_57, 7, 6)) == 2


# Those that can be met in MAX_TOKENS - 1 tokens of the random languages.
SETS = [
    [must_have((0,))],
    [must_have((3, 4))],
    [must_have((0, 1), (4,))],
    [must_have((0,)), must_have((4,))],
    [must_have((0, 1)), must_have((0, 3))],
    [must_have((0, 1)), must_have((1, 0))],
    [must_have((3,)), must_have((3,))],
    [must_have((3, 3)), must_have((3, 3))],
    [must_have((1,), before=frozenset({0, 4}))],
    [Constraint((Form((1, 3), frozenset({4})),))],
]


def best_by_hand(language: RandomLanguage, constraints: list[Constraint]) -> tuple[int, ...]:
    ranked = language.ranked(0.6)
    return next(tokens for _, tokens in ranked if not unmet_by_hand(tokens, constraints))


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("wanted", SETS, ids=range(len(SETS)))
def test_beam_wide_enough_finds_the_best_sentence_that_has_all(wanted, seed):
    language = RandomLanguage(seed)
    options = SearchOptions(300, 0.6, MAX_TOKENS, constraints=tuple(wanted))

    found = search(language, options)[0]

    assert found.tokens == best_by_hand(language, wanted)
    assert found.unmet == 0
    assert found.finish_reason == "eos"


def test_constraints_make_a_difference():
    # Else the comparison above would compare nothing.
    bests = [RandomLanguage(seed).ranked(0.6)[0][1] for seed in range(4)]

    assert all(any(unmet_by_hand(best, wanted) for best in bests) for wanted in SETS)


@pytest.mark.parametrize("width", [1, 2, 3, 5])
@pytest.mark.parametrize("seed", range(10))
def test_narrow_beam_meets_all_too(seed, width):
    random = np.random.default_rng(seed)
    wanted = [
        must_have(tuple(random.choice(WORDS, size=random.integers(1, 4)).tolist()))
        for _ in range(random.integers(1, 4))
    ]
    options = SearchOptions(width, 1.0, 30, constraints=tuple(wanted))

    for each in search(RandomLanguage(seed), options):
        assert each.unmet == unmet_by_hand(each.tokens, wanted) == 0


def test_score_of_a_constrained_sentence_is_that_of_its_tokens():
    language, wanted = RandomLanguage(3), (must_have((4, 0)), must_have((3,)))

    found = search(language, SearchOptions(6, 0.6, 12, constraints=wanted))[0]

    again = search(language, SearchOptions(1, 0.6, forced=found.tokens))[0]
    assert found.score == pytest.approx(again.score, abs=1e-6)


def test_best_sentence_that_lacks_something_comes_back_if_none_has_all():
    language = RandomLanguage(1)
    too_much = must_have((0, 1, 3, 4, 0, 1, 3))

    found = search(language, SearchOptions(20, 0.6, MAX_TOKENS, constraints=(too_much,)))[0]

    assert found.unmet == 1
    assert found.finish_reason == "eos"
    assert found.tokens == language.ranked(0.6)[0][1]


def test_sentence_that_has_more_is_better_than_one_that_is_likelier():
    language = RandomLanguage(1)
    wanted = (must_have((0, 1, 3, 4, 0, 1, 3)), must_have((4, 3)))

    found = search(language, SearchOptions(20, 0.6, MAX_TOKENS, constraints=wanted))[0]

    assert found.unmet == 1
    assert unmet_by_hand(found.tokens, [wanted[1]]) == 0


@pytest.mark.parametrize("width", [1, 2, 5])
@pytest.mark.parametrize("seed", range(6))
def test_free_sentences_beside_constrained_ones_are_searched_as_alone(seed, width):
    random = np.random.default_rng(seed)
    decoding, expected = Decoding(width), {}
    for number in range(8):
        language = RandomLanguage(100 * seed + number)
        wanted = () if random.integers(2) else SETS[random.integers(len(SETS))]
        options = SearchOptions(
            width, 0.6, int(random.integers(3, 9)), constraints=tuple(wanted), no_repeat_ngram=0
        )
        expected[language] = search(language, options)
        decoding.join(language, options)
        for _ in range(int(random.integers(0, 3))):
            if decoding.has_work:
                decoding.step()

    assert decoding.run().found == expected


@pytest.mark.parametrize(
    ("variant", "shortlist"), [("fp32", "off"), ("int8", "off"), ("int8", "on")]
)
@pytest.mark.parametrize("width", [2, 5])
def test_company_changes_nothing_of_what_networks_say(listed_bundle, variant, shortlist, width):
    sessions = Sessions(listed_bundle, variant=variant, shortlist=shortlist)
    random, size = np.random.default_rng(width), sessions.vocabulary_size

    def options() -> SearchOptions:
        count = int(random.choice([0, 0, 1, 2]))
        wanted = [must_have(tuple(random.integers(4, size, 2).tolist())) for _ in range(count)]
        return SearchOptions(width, 1.0, 16, constraints=tuple(wanted))

    work = [(random_source(random, size, 30), options(), i // 2) for i in range(12)]

    together = decode(sessions, work)

    alone = [decode(sessions, [each])[0] for each in work]
    assert [outcome(each) for each in together] == [outcome(each) for each in alone]
    assert [[x.unmet for x in each] for each in together] == [
        [x.unmet for x in each] for each in alone
    ]
    assert any(options.constraints for _, options, _ in work)
    # The tokens are drawn from all there are: shortlists have them.
    assert all(not each[0].unmet for each in together)


def test_token_beyond_the_candidates_is_taken_at_the_score_of_the_last():
    beams = Beams(2)
    options = SearchOptions(2, 0.0, 9, constraints=(must_have((77,)),))
    beams.join([options], [0], [[7, EOS]])

    beams.advance(
        StepResult(np.array([[[-1.0, -2.0, -3.0]] * 2], np.float32), np.array([[[5, EOS, 6]] * 2]))
    )

    assert beams.moves[1].tolist() == [[5, 77]]
    beams.advance(
        StepResult(
            np.array([[[-1.0, -9.0, -9.5], [-0.5, -9.0, -9.5]]], np.float32),
            np.array([[[EOS, 5, 6]] * 2]),
        )
    )
    assert [(x.tokens, x.score, x.unmet) for x in beams.hypotheses(0)] == [
        ((77,), -3.5, 0),
    ]


@pytest.mark.parametrize(
    ("places", "expected"), [(frozenset(), (77, 5)), ({0}, (77, 5)), ({1}, (5, 77))]
)
def test_term_begins_where_the_source_of_it_is_looked_at(places, expected):
    constraint = Constraint((Form((77,)),), places=frozenset(places))
    beams = Beams(4)
    beams.join([SearchOptions(4, 0.0, 9, constraints=(constraint,))], [0], [[7, EOS]])
    # The model likes the token better at first, when it looks at the first token of the source.
    for chances, attention in [
        ({5: -0.1, 77: -4, EOS: -9}, [0.9, 0.1]),
        ({5: -0.1, 77: -6, EOS: -9}, [0.1, 0.9]),
        ({EOS: -0.1, 5: -9, 77: -9}, [0.5, 0.5]),
    ]:
        scores_NKC = np.array([[list(chances.values())] * 4], np.float32)
        tokens_NKC = np.array([[list(chances)] * 4])
        attention_NKS = np.array([[attention] * 4], np.float32)
        assert beams.reads_attention == bool(places)
        beams.advance(StepResult(scores_NKC, tokens_NKC, attention_NKS))

    found = beams.hypotheses(0)[0]
    assert found.tokens == expected
    # What the model thinks of it is told, whatever decided.
    cost = -4 if expected[0] == 77 else -6
    assert found.score == pytest.approx(cost - 0.2, abs=1e-6)


def test_words_that_only_begin_like_a_term_are_worth_what_the_model_says():
    constraints = Constraints([Constraint((Form((5, 6)),), places=frozenset({0}))])
    begun = constraints.advance(constraints.beginning, BOS, 5, -7.0, [-1.0])
    whole = constraints.advance(begun, 5, 6, -2.0, [-3.0])
    other = constraints.advance(begun, 5, 7, -2.0, [-3.0])

    assert constraints.credit(begun) == -1 + 7
    assert constraints.credit(whole) == -1 + 7 + 2
    assert constraints.credit(other) == 0
