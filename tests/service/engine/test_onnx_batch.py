"""Together equals alone, bit for bit; and the batch's bookkeeping against single sentences."""

import numpy as np
import pytest

from service.engine.onnx_batch import OnnxBatch, Sessions
from service.engine.search import BOS, EOS, Beams, Hypothesis, SearchOptions


@pytest.fixture(scope="module")
def sessions(tiny_bundle) -> Sessions:
    return Sessions(tiny_bundle)


@pytest.fixture(scope="module")
def vocabulary(tiny_bundle) -> int:
    return tiny_bundle.manifest.architecture.vocabulary_size


def random_source(random: np.random.Generator, vocabulary: int, longest: int) -> list[int]:
    return [*random.integers(4, vocabulary, size=random.integers(1, longest)).tolist(), EOS]


def decode(
    sessions: Sessions, work: list[tuple[list[int], SearchOptions, int]]
) -> list[list[Hypothesis]]:
    """Decode sources in one batch, each of which joins at a step of its own."""
    batch, beams, found = OnnxBatch(sessions), Beams(), {}
    waiting, active = dict(enumerate(work)), []
    step = 0
    while waiting or active:
        joining = [i for i, (_, _, start) in waiting.items() if start <= step or not active]
        if joining:
            sources, options, _ = zip(*(waiting.pop(i) for i in joining), strict=True)
            beams.join(options, batch.admit(sources))
            active += joining
        candidates = beams.width + 1 if beams.width > 1 else 1
        beams.advance(*batch.step(*beams.moves, candidates))
        done = beams.is_done
        found |= {active[k]: beams.hypotheses(k) for k in np.flatnonzero(done).tolist()}
        active = [i for i, is_done in zip(active, done, strict=True) if not is_done]
        beams.keep(~done)
        step += 1
    return [found[i] for i in range(len(work))]


def outcome(hypotheses: list[Hypothesis]) -> list[tuple[float, tuple[int, ...], str]]:
    return [(each.score, each.tokens, each.finish_reason) for each in hypotheses]


@pytest.mark.parametrize("widths", [(1,), (4,), (1, 2, 5)], ids=["greedy", "beam", "mixed"])
@pytest.mark.parametrize("longest", [12, 80])
@pytest.mark.parametrize("seed", range(3))
def test_sentence_is_decoded_alike_alone_and_in_any_company(
    sessions, vocabulary, seed, longest, widths
):
    random = np.random.default_rng(seed)
    work = [
        (
            random_source(random, vocabulary, longest),
            SearchOptions(int(random.choice(widths)), 1.0, int(random.integers(2, 20))),
            int(random.integers(0, 10)),
        )
        for _ in range(12)
    ]

    together = decode(sessions, work)

    alone = [decode(sessions, [each])[0] for each in work]
    assert [outcome(each) for each in together] == [outcome(each) for each in alone]


def test_random_sentences_are_decoded_to_different_ends(sessions, vocabulary):
    random = np.random.default_rng(0)
    options = SearchOptions(2, 1.0, 20)
    work = [(random_source(random, vocabulary, 30), options, 0) for _ in range(20)]

    found = [each[0] for each in decode(sessions, work)]

    # Else the comparison above would compare nothing.
    assert len({each.tokens for each in found}) > 10
    assert {each.finish_reason for each in found} == {"eos", "length"}


def test_row_continues_its_parent_wherever_it_stands(sessions):
    batch, mirrored = OnnxBatch(sessions), OnnxBatch(sessions)
    first, second = [5, 6, 7, EOS], [9, EOS]
    batch.admit([first, second])
    mirrored.admit([second, first])
    begin = np.array([BOS, BOS])
    batch.step(np.array([0, 1]), begin, 3)
    mirrored.step(np.array([1, 0]), begin, 3)

    scores_BC, tokens_BC = batch.step(np.array([1, 0, 0]), np.array([20, 21, 22]), 3)

    mirrored_scores_BC, mirrored_tokens_BC = mirrored.step(
        np.array([0, 0, 1]), np.array([22, 21, 20]), 3
    )
    assert np.array_equal(scores_BC, mirrored_scores_BC[::-1])
    assert np.array_equal(tokens_BC, mirrored_tokens_BC[::-1])


def test_admission_returns_the_rows_behind_those_of_the_last_step(sessions):
    batch = OnnxBatch(sessions)

    assert batch.admit([[5, EOS], [6, EOS]]) == range(2)
    batch.step(np.array([0, 0, 0, 1]), np.full(4, BOS), 1)
    assert batch.admit([[7, EOS]]) == range(4, 5)


def test_candidates_are_log_probabilities_best_first(sessions, vocabulary):
    batch = OnnxBatch(sessions)
    batch.admit([[5, 6, EOS]])

    scores_BC, tokens_BC = batch.step(np.array([0]), np.array([BOS]), vocabulary)

    assert np.exp(scores_BC.astype(np.float64)).sum() == pytest.approx(1, abs=1e-5)
    assert (np.diff(scores_BC[0]) <= 0).all()
    assert sorted(tokens_BC[0].tolist()) == list(range(vocabulary))


def test_cleared_batch_begins_anew(sessions):
    batch, fresh = OnnxBatch(sessions), OnnxBatch(sessions)
    batch.admit([[5, 6, 7, 8, EOS]])
    batch.clear()

    assert batch.admit([[9, EOS]]) == fresh.admit([[9, EOS]])
    scores = [each.step(np.array([0]), np.array([BOS]), 4)[0] for each in (batch, fresh)]
    assert np.array_equal(*scores)
