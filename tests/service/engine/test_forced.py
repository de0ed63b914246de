"""A translation that is given is scored token by token, and nobody else notices."""

from dataclasses import replace

import numpy as np
import pytest

from models.tokenizer import BOS, EOS
from service.engine.hypothesis import SearchOptions, StepResult
from service.engine.onnx_batch import OnnxBatch
from service.engine.search import Beams
from service.engine.sessions import Sessions
from tests.service.engine.conftest import GREEDY, submit
from tests.service.engine.test_onnx_batch import decode, outcome, random_source


@pytest.fixture(scope="module", params=[("fp32", "off"), ("int8", "off"), ("int8", "on")])
def sessions(listed_bundle, request) -> Sessions:
    variant, shortlist = request.param
    return Sessions(listed_bundle, variant=variant, shortlist=shortlist)


def forced(*tokens: int, length_penalty: float = 0.0) -> SearchOptions:
    return SearchOptions(length_penalty=length_penalty, forced=tokens)


def score_by_hand(sessions: Sessions, source: list[int], tokens: list[int]) -> list[float]:
    """Step through a translation, looking each token up among all that may follow."""
    batch, scores = OnnxBatch(sessions, 1), []
    batch.admit([source], [tokens])
    for last, token in zip([BOS, *tokens], [*tokens, EOS], strict=True):
        step = batch.step(np.array([[0]]), np.array([[last]]), 10_000)[0]
        chances = dict(zip(step.tokens_NKC[0, 0].tolist(), step.scores_NKC[0, 0], strict=True))
        scores.append(float(chances[token]))
    return scores


def test_every_token_gets_its_log_probability(sessions):
    random = np.random.default_rng(1)
    sources = [random_source(random, sessions.vocabulary_size, 12) for _ in range(6)]
    targets = [random_source(random, sessions.vocabulary_size, 12)[:-1] for _ in range(6)]
    work = [
        (source, forced(*target), i // 2)
        for i, (source, target) in enumerate(zip(sources, targets, strict=True))
    ]

    found = [each[0] for each in decode(sessions, work)]

    for each, source, target in zip(found, sources, targets, strict=True):
        assert each.tokens == tuple(target)
        assert each.finish_reason == "eos"
        assert each.token_scores == pytest.approx(score_by_hand(sessions, source, target), abs=1e-5)
        assert each.score == pytest.approx(sum(each.token_scores), abs=1e-9)


def test_translation_of_its_own_scores_what_it_scored_when_it_was_found(sessions):
    random = np.random.default_rng(2)
    sources = [random_source(random, sessions.vocabulary_size, 12) for _ in range(12)]
    options = SearchOptions(1, 0.7, 20)
    translated = [decode(sessions, [(each, options, 0)])[0][0] for each in sources]
    ended = [(s, t) for s, t in zip(sources, translated, strict=True) if t.finish_reason == "eos"]

    assert len(ended) > 3
    for source, translation in ended:
        again = replace(options, forced=translation.tokens)
        assert decode(sessions, [(source, again, 0)])[0][0].score == translation.score


def test_empty_translation_is_scored_by_its_end(sessions):
    source = [5, 6, 7, EOS]

    [[found]] = decode(sessions, [(source, forced(), 0)])

    assert found.tokens == ()
    assert found.token_scores == pytest.approx(score_by_hand(sessions, source, []), abs=1e-5)


def test_loops_and_long_translations_are_scored_to_their_end():
    tokens = [30, 31] * 150
    beams = Beams(1)
    beams.join([replace(forced(*tokens), max_tokens=8, no_repeat_ngram=2)], [0], [[7, EOS]])
    following = np.array([[[30, 31, EOS]]])

    for _ in range(301):
        assert not beams.is_done[0]
        beams.advance(StepResult(np.array([[[-1.0, -2.0, -3.0]]], np.float32), following))

    assert beams.is_done[0]
    [found] = beams.hypotheses(0)
    assert found.tokens == tuple(tokens)
    assert found.token_scores == (-1.0, -2.0) * 150 + (-3.0,)


@pytest.mark.parametrize("seed", range(4))
def test_free_sentences_beside_a_forced_one_are_decoded_as_alone(sessions, seed):
    random = np.random.default_rng(seed)
    size = sessions.vocabulary_size

    def options() -> SearchOptions:
        if random.integers(2):
            return forced(*random_source(random, size, 20)[:-1])
        return SearchOptions(1, 1.0, 20, with_attention=bool(random.integers(2)))

    work = [(random_source(random, size, 30), options(), i // 2) for i in range(10)]

    together = decode(sessions, work)

    alone = [decode(sessions, [each])[0] for each in work]
    assert [outcome(each) for each in together] == [outcome(each) for each in alone]
    assert [each[0].token_scores for each in together] == [each[0].token_scores for each in alone]


def test_forced_sentences_are_kept_apart_from_those_that_are_free(busy, model):
    free = submit(busy, [20, 21], GREEDY)
    given = submit(busy, [10, 11], forced(10, 11))
    model.may_step.set()

    assert given.result(5)[0].token_scores == pytest.approx([model.score] * 3)
    assert free.result(5)[0].tokens == (20, 21)
    # Two batches: neither step had both.
    assert max(model.step_sizes) == 2


def test_token_that_the_model_cannot_say_has_no_finite_score():
    beams = Beams(1)
    beams.join([forced(9)], [0], [[7, EOS]])

    beams.advance(StepResult(np.array([[[-1.0]]], np.float32), np.array([[[8]]])))

    assert beams.is_done[0]
    assert beams.hypotheses(0) == []


def test_shortlists_have_the_tokens_of_a_translation_that_is_given(listed_bundle):
    sessions = Sessions(listed_bundle)
    source = [5, 6, EOS]
    own = set(sessions.shortlists.choose(source).tolist())
    foreign = [id for id in range(4, sessions.vocabulary_size) if id not in own][:5]

    [[found]] = decode(sessions, [(source, forced(*foreign), 0)])

    assert np.isfinite(found.token_scores).all()


def test_free_sentences_ask_for_no_more_candidates_than_ever():
    beams = Beams(3)
    beams.join([SearchOptions(3)], [0], [[7, EOS]])

    assert beams.count_candidates() == 4
