"""The batch for a GPU, on the CPU: whatever moves where, rows get what `OnnxBatch` gives them."""

import numpy as np
import pytest

from models.bundle import Bundle, describe_file
from service.engine.constraints import Constraint, Form
from service.engine.cuda_batch import CudaBatch
from service.engine.cuda_graphs import CudaGraphs
from service.engine.device import CannotRun
from service.engine.hypothesis import BOS, EOS, Hypothesis, SearchOptions, StepResult
from service.engine.onnx_batch import OnnxBatch
from service.engine.search import Beams
from service.engine.sessions import Sessions
from tests.conftest import PLAN, random_weights
from training.cuda_graphs import CANDIDATES
from training.graphs import Precision, write_graphs

# Kernels for other shapes add in another order.
TOLERANCE = 1e-5
SIZES = (4, 8, 16)
"""Of tables, in rows: small, so that sentences must move."""


def bundle_with(tiny_bundle: Bundle, folder, precision: Precision, positions: int) -> Bundle:
    """Return a bundle like the tiny one, whose greedy graph computes so many positions."""
    weights = random_weights(PLAN, tiny_bundle.manifest.tokenizer.size)
    files = write_graphs(PLAN, weights, folder, precision, positions=positions)
    names = ("encoder", "step", "weights", "greedy", "beam", "join")
    described = {name: describe_file(getattr(files, name), folder) for name in names}
    variant = tiny_bundle.manifest.variants["fp32"].model_copy(update=described)
    manifest = tiny_bundle.manifest.model_copy(update={"variants": {precision: variant}})
    return Bundle(folder, manifest)


@pytest.fixture(scope="module", params=[1, 4], ids=["one position", "four positions"])
def sessions(request, tiny_bundle, tmp_path_factory) -> Sessions:
    folder = tmp_path_factory.mktemp("graphs")
    return Sessions(bundle_with(tiny_bundle, folder, "fp32", request.param))


@pytest.fixture(scope="module")
def graphs(sessions) -> CudaGraphs:
    return CudaGraphs(sessions)


def random_source(random: np.random.Generator, vocabulary: int, longest: int) -> list[int]:
    return [*random.integers(4, vocabulary, size=random.integers(1, longest)).tolist(), EOS]


def assert_alike(found: StepResult, expected: StepResult) -> None:
    scores_NKC, tokens_NKC, attention_NKS = expected
    assert np.array_equal(found.tokens_NKC, tokens_NKC)
    assert np.allclose(found.scores_NKC, scores_NKC, atol=TOLERANCE)
    assert (found.attention_NKS is None) == (attention_NKS is None)
    if attention_NKS is not None:
        num_positions = attention_NKS.shape[2]
        assert np.allclose(found.attention_NKS[:, :, :num_positions], attention_NKS, atol=1e-6)
        assert not found.attention_NKS[:, :, num_positions:].any()


def follow(batch: OnnxBatch, first: StepResult, steps: int, with_attention: bool) -> StepResult:
    """Let every row continue with its best token; return the last step's result."""
    results = [first]
    for _ in range(steps):
        tokens_N1 = results[-1].tokens_NKC[:, :, 0]
        parents_N1 = np.arange(len(tokens_N1))[:, None]
        results += batch.step(parents_N1, tokens_N1, 1, with_attention=with_attention)
    return results


@pytest.mark.parametrize("width", [1, 3])
@pytest.mark.parametrize("seed", range(3))
def test_rows_are_computed_alike_wherever_they_sit(sessions, graphs, seed, width):
    random = np.random.default_rng(seed)
    batch, reference = CudaBatch(graphs, width, SIZES), OnnxBatch(sessions, width)
    rows_of_sentences: list[range] = []
    for _ in range(12):
        count = int(random.integers(0, 5)) if rows_of_sentences else 2
        if count:
            # Now and then one that is longer than the table has positions.
            longest = int(random.choice([8, 70], p=[0.8, 0.2]))
            sources = [
                random_source(random, sessions.vocabulary_size, longest) for _ in range(count)
            ]
            rows = batch.admit(sources)
            assert rows == reference.admit(sources)
            rows_of_sentences += [range(row, row + 1) for row in rows]
        kept = random.permutation(len(rows_of_sentences))[: random.integers(1, 12)]
        parents_NK = np.array([random.choice(rows_of_sentences[i], width) for i in kept])
        tokens_NK = random.integers(4, sessions.vocabulary_size, size=parents_NK.shape)
        candidates = int(random.choice([1 if width == 1 else width + 1, 5, CANDIDATES + 8]))
        with_attention = bool(random.integers(2))

        found = batch.step(parents_NK, tokens_NK, candidates, with_attention=with_attention)

        expected = reference.step(parents_NK, tokens_NK, candidates, with_attention=with_attention)
        expected = follow(reference, expected[0], len(found) - 1, with_attention)
        for pair in zip(found, expected, strict=True):
            assert_alike(*pair)
        rows_of_sentences = [range(i * width, (i + 1) * width) for i in range(len(kept))]


def test_greedy_run_computes_several_positions_and_any_other_run_one(graphs):
    positions = graphs.counts["greedy"]
    greedy, beam = CudaBatch(graphs, 1), CudaBatch(graphs, 2)
    greedy.admit([[5, EOS]])
    beam.admit([[5, EOS]])
    parents_NK = np.zeros((1, 2), np.int64)

    assert (greedy.num_steps, beam.num_steps) == (positions, 1)
    assert len(greedy.step(parents_NK[:, :1], np.array([[BOS]]), 1)) == positions
    assert len(greedy.step(parents_NK[:, :1], np.array([[7]]), 2)) == 1
    assert len(beam.step(parents_NK, np.array([[BOS, BOS]]), 3)) == 1


def decode(batch: CudaBatch | OnnxBatch, sources, options: SearchOptions) -> list[Hypothesis]:
    """Decode sources that join one at each step; return the best hypothesis of each."""
    beams, found = Beams(options.width), {}
    waiting, active = list(enumerate(sources)), []
    while waiting or active:
        if waiting:
            i, source = waiting.pop(0)
            beams.join([options], batch.admit([source]), [source])
            active.append(i)
        reads_attention = beams.reads_attention
        for result in batch.step(
            *beams.moves, beams.count_candidates(), with_attention=reads_attention
        ):
            beams.advance(result)
        done = beams.is_done
        found |= {active[k]: beams.hypotheses(k)[0] for k in np.flatnonzero(done).tolist()}
        active = [active[k] for k in beams.keep(~done).tolist()]
    return [found[i] for i in range(len(sources))]


@pytest.mark.parametrize("width", [1, 4])
def test_search_ends_alike_on_both_batches(sessions, graphs, width):
    random = np.random.default_rng(7)
    sources = [random_source(random, sessions.vocabulary_size, 40) for _ in range(25)]
    options = SearchOptions(width, max_tokens=18)

    found = decode(CudaBatch(graphs, width, SIZES), sources, options)

    expected = decode(OnnxBatch(sessions, width), sources, options)
    assert [(x.tokens, x.finish_reason) for x in found] == [
        (x.tokens, x.finish_reason) for x in expected
    ]
    assert [x.score for x in found] == pytest.approx([x.score for x in expected], abs=TOLERANCE)
    assert len({x.tokens for x in found}) > 10


def test_given_translation_is_scored_alike_on_both_batches(sessions, graphs):
    random = np.random.default_rng(8)
    sources = [random_source(random, sessions.vocabulary_size, 40) for _ in range(6)]
    options = SearchOptions(forced=tuple(random_source(random, sessions.vocabulary_size, 20)[:-1]))

    found = decode(CudaBatch(graphs, 1, SIZES), sources, options)

    expected = decode(OnnxBatch(sessions, 1), sources, options)
    for each, other in zip(found, expected, strict=True):
        assert each.tokens == options.forced
        assert each.token_scores == pytest.approx(other.token_scores, abs=10 * TOLERANCE)


@pytest.mark.parametrize("places", [frozenset(), frozenset({0, 1})])
def test_constraints_are_met_alike_on_both_batches(sessions, graphs, places):
    random = np.random.default_rng(9)
    sources = [random_source(random, sessions.vocabulary_size, 40) for _ in range(8)]
    form = Form(tuple(random.integers(4, sessions.vocabulary_size, 2).tolist()))
    constraint = Constraint((form,), places=places)
    options = SearchOptions(4, max_tokens=18, constraints=(constraint,))

    found = decode(CudaBatch(graphs, 4, SIZES), sources, options)

    expected = decode(OnnxBatch(sessions, 4), sources, options)
    assert [(x.tokens, x.unmet) for x in found] == [(x.tokens, 0) for x in expected]


def test_half_precision_follows_single(tiny_bundle, tmp_path):
    single = Sessions(tiny_bundle)
    half = CudaGraphs(Sessions(bundle_with(tiny_bundle, tmp_path, "fp16", 4), variant="fp16"))
    random = np.random.default_rng(3)
    batch, reference = CudaBatch(half, 1), OnnxBatch(single, 1)
    sources = [random_source(random, single.vocabulary_size, 30) for _ in range(20)]
    parents_N1 = np.array([*batch.admit(sources)])[:, None]
    reference.admit(sources)
    tokens_N1 = np.full_like(parents_N1, BOS)
    for _ in range(6):
        found = batch.step(parents_N1, tokens_N1, CANDIDATES)[0]
        # All of them: the candidates of both are not quite the same.
        expected = reference.step(parents_N1, tokens_N1, single.vocabulary_size)[0]

        order_N1V = np.argsort(expected.tokens_NKC, axis=2)
        places_N1C = np.take_along_axis(order_N1V, found.tokens_NKC, axis=2)
        scores_N1C = np.take_along_axis(expected.scores_NKC, places_N1C, axis=2)
        # Half precision has three digits; rows that were mixed up would differ by whole numbers.
        assert np.abs(found.scores_NKC - scores_N1C).max() < 0.1
        tokens_N1 = expected.tokens_NKC[:, :, 0]
        parents_N1 = np.arange(len(sources))[:, None]


def test_cleared_batch_begins_anew(graphs):
    batch, fresh = CudaBatch(graphs, 1), CudaBatch(graphs, 1)
    batch.admit([[5, 6, 7, 8, EOS]])
    batch.step(np.array([[0]]), np.array([[BOS]]), 1)
    batch.clear()

    assert batch.admit([[9, EOS]]) == fresh.admit([[9, EOS]]) == range(1)
    both = [each.step(np.array([[0]]), np.array([[BOS]]), 4)[0] for each in (batch, fresh)]
    assert np.array_equal(both[0].scores_NKC, both[1].scores_NKC)


def test_bundle_without_the_graphs_is_refused(tiny_bundle):
    with pytest.raises(CannotRun, match=r"^variant fp32 of tiny/1 has no join graph"):
        CudaGraphs(Sessions(tiny_bundle))
