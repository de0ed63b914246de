"""Together equals alone, bit for bit; and the batch's bookkeeping against single sentences."""

import numpy as np
import pytest

from service.engine.hypothesis import BOS, EOS, Hypothesis, SearchOptions
from service.engine.onnx_batch import OnnxBatch
from service.engine.search import Beams
from service.engine.sessions import Sessions


@pytest.fixture(scope="module", params=["fp32", "int8"])
def sessions(varied_bundle, request) -> Sessions:
    return Sessions(varied_bundle, variant=request.param)


@pytest.fixture(scope="module")
def vocabulary(varied_bundle) -> int:
    return varied_bundle.manifest.architecture.vocabulary_size


Work = tuple[list[int], SearchOptions, int]
"""A source, how to search, and the step at which it joins."""


def random_source(random: np.random.Generator, vocabulary: int, longest: int) -> list[int]:
    return [*random.integers(4, vocabulary, size=random.integers(1, longest)).tolist(), EOS]


def decode(sessions: Sessions, work: list[Work]) -> list[list[Hypothesis]]:
    """Decode sources of one width in one batch, each of which joins at a step of its own."""
    width = work[0][1].width
    batch, beams, found = OnnxBatch(sessions, width), Beams(width), {}
    waiting, active = dict(enumerate(work)), []
    step = 0
    while waiting or active:
        joining = [i for i, (_, _, start) in waiting.items() if start <= step or not active]
        if joining:
            sources, options, _ = zip(*(waiting.pop(i) for i in joining), strict=True)
            rows = batch.admit(sources, [each.wanted_tokens for each in options])
            beams.join(options, rows, sources)
            active += joining
        results = batch.step(
            *beams.moves, beams.count_candidates(), with_attention=beams.reads_attention
        )
        for result in results:
            beams.advance(result)
        done = beams.is_done
        found |= {active[k]: beams.hypotheses(k) for k in np.flatnonzero(done).tolist()}
        active = [active[k] for k in beams.keep(~done).tolist()]
        step += 1
    return [found[i] for i in range(len(work))]


def outcome(hypotheses: list[Hypothesis]) -> list[tuple[object, ...]]:
    """All that is said of the hypotheses, in a form that can be compared."""
    return [
        (
            x.score,
            x.tokens,
            x.finish_reason,
            None if x.attention_TS is None else x.attention_TS.tolist(),
        )
        for x in hypotheses
    ]


@pytest.mark.parametrize("width", [1, 4, 5])
@pytest.mark.parametrize("longest", [12, 80])
@pytest.mark.parametrize("seed", range(4))
def test_sentence_is_decoded_alike_alone_and_in_any_company(
    sessions, vocabulary, seed, longest, width
):
    random = np.random.default_rng(seed)
    work = [
        (
            random_source(random, vocabulary, longest),
            SearchOptions(
                width,
                1.0,
                int(random.integers(2, 20)),
                no_repeat_ngram=int(random.choice([0, 0, 2])),
                coverage_penalty=float(random.choice([0, 0, 0.2])),
                with_attention=bool(random.integers(2)),
            ),
            int(random.integers(0, 10)),
        )
        for _ in range(12)
    ]

    together = decode(sessions, work)

    alone = [decode(sessions, [each])[0] for each in work]
    assert [outcome(each) for each in together] == [outcome(each) for each in alone]


@pytest.mark.parametrize(
    ("variant", "shortlist"), [("fp32", "off"), ("int8", "off"), ("int8", "on")]
)
@pytest.mark.parametrize("width", [1, 4])
def test_company_changes_nothing_of_what_deep_layers_say(deep_bundle, variant, shortlist, width):
    sessions = Sessions(deep_bundle, variant=variant, shortlist=shortlist)
    random = np.random.default_rng(7)
    options = SearchOptions(width, 1.0, 20)
    sources = [random_source(random, sessions.vocabulary_size, 60) for _ in range(12)]
    work = [(source, options, i // 2) for i, source in enumerate(sources)]

    together = decode(sessions, work)

    assert len({each.tokens for found in together for each in found}) > 3
    alone = [decode(sessions, [each])[0] for each in work]
    assert [outcome(each) for each in together] == [outcome(each) for each in alone]


def test_random_sentences_are_decoded_to_different_ends(sessions, vocabulary):
    random = np.random.default_rng(0)
    options = SearchOptions(2, 1.0, 20)
    work = [(random_source(random, vocabulary, 30), options, 0) for _ in range(20)]

    found = [each[0] for each in decode(sessions, work)]

    # Else the comparison above would compare nothing.
    assert len({each.tokens for each in found}) > 10
    assert {each.finish_reason for each in found} >= {"eos", "length"}


def test_row_continues_its_parent_wherever_it_stands(sessions):
    batch, mirrored = OnnxBatch(sessions, 2), OnnxBatch(sessions, 2)
    first, second = [5, 6, 7, EOS], [9, EOS]
    batch.admit([first, second])
    mirrored.admit([second, first])
    begin = np.full((2, 2), BOS)
    batch.step(np.array([[0, 0], [1, 1]]), begin, 3)
    mirrored.step(np.array([[0, 0], [1, 1]]), begin, 3)

    result = batch.step(np.array([[2, 3], [1, 0]]), np.array([[20, 21], [22, 23]]), 3)[0]

    other = mirrored.step(np.array([[2, 3], [0, 1]]), np.array([[22, 23], [20, 21]]), 3)[0]
    assert np.array_equal(result.scores_NKC, other.scores_NKC[::-1])
    assert np.array_equal(result.tokens_NKC, other.tokens_NKC[::-1])


def test_admission_returns_the_rows_behind_those_of_the_last_step(sessions):
    batch = OnnxBatch(sessions, 3)

    assert batch.admit([[5, EOS], [6, EOS]]) == range(2)
    batch.step(np.array([[0] * 3, [1] * 3]), np.full((2, 3), BOS), 1)
    assert batch.admit([[7, EOS]]) == range(6, 7)


def test_attention_is_a_distribution_over_the_source(sessions):
    batch = OnnxBatch(sessions, 1)
    batch.admit([[5, 6, EOS], [5, 6, 7, 8, EOS]])

    begin = np.array([[0], [1]]), np.full((2, 1), BOS)
    attention_NKS = batch.step(*begin, 1, with_attention=True)[0].attention_NKS

    assert attention_NKS.sum(axis=2) == pytest.approx(1)
    assert (attention_NKS[0, 0, 3:] == 0).all()
    assert (attention_NKS[0, 0, :3] > 0).all()


def test_candidates_are_log_probabilities_best_first(sessions, vocabulary):
    batch = OnnxBatch(sessions, 1)
    batch.admit([[5, 6, EOS]])

    # More than there are is as many as there are.
    result = batch.step(np.array([[0]]), np.array([[BOS]]), vocabulary + 7)[0]

    assert np.exp(result.scores_NKC.astype(np.float64)).sum() == pytest.approx(1, abs=1e-5)
    assert (np.diff(result.scores_NKC[0, 0]) <= 0).all()
    assert sorted(result.tokens_NKC[0, 0].tolist()) == list(range(vocabulary))


def test_cleared_batch_begins_anew(sessions):
    batch, fresh = OnnxBatch(sessions, 1), OnnxBatch(sessions, 1)
    batch.admit([[5, 6, 7, 8, EOS]])
    batch.clear()

    assert batch.admit([[9, EOS]]) == fresh.admit([[9, EOS]])
    steps = [each.step(np.array([[0]]), np.array([[BOS]]), 4) for each in (batch, fresh)]
    assert np.array_equal(steps[0][0].scores_NKC, steps[1][0].scores_NKC)
