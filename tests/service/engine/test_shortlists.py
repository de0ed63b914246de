"""Decoding with shortlists: each sentence has its own choice, and company changes nothing of it."""

import numpy as np
import pytest

from models.tokenizer import BOS, EOS
from service.engine.device import CannotRun
from service.engine.hypothesis import SearchOptions
from service.engine.onnx_batch import OnnxBatch
from service.engine.sessions import Sessions
from service.engine.shortlists import LiveShortlists
from tests.service.engine.test_onnx_batch import decode, outcome, random_source


@pytest.fixture(scope="module")
def sessions(listed_bundle) -> Sessions:
    return Sessions(listed_bundle)


@pytest.fixture(scope="module")
def vocabulary(listed_bundle) -> int:
    return listed_bundle.manifest.architecture.vocabulary_size


def random_work(seed, vocabulary, width, longest=40):
    random = np.random.default_rng(seed)
    return [
        (
            random_source(random, vocabulary, longest),
            SearchOptions(
                width,
                1.0,
                int(random.integers(2, 20)),
                no_repeat_ngram=int(random.choice([0, 0, 2])),
                with_attention=bool(random.integers(2)),
            ),
            int(random.integers(0, 10)),
        )
        for _ in range(12)
    ]


@pytest.mark.parametrize("width", [1, 2, 5])
@pytest.mark.parametrize("seed", range(6))
def test_sentence_is_decoded_alike_alone_and_in_any_company(sessions, vocabulary, seed, width):
    work = random_work(seed, vocabulary, width)

    together = decode(sessions, work)

    alone = [decode(sessions, [each])[0] for each in work]
    assert [outcome(each) for each in together] == [outcome(each) for each in alone]


def test_sentence_is_made_of_its_own_shortlist(sessions, vocabulary):
    work = random_work(0, vocabulary, 4)

    for (source, _, _), found in zip(work, decode(sessions, work), strict=True):
        own = set(sessions.shortlists.choose(source).tolist())
        assert {token for each in found for token in each.tokens} <= own


def test_choices_differ_and_so_do_ends(sessions, listed_bundle, vocabulary):
    without = Sessions(listed_bundle, shortlist="off")
    work = random_work(0, vocabulary, 2)

    found = [each[0] for each in decode(sessions, work)]

    # Else the comparisons above would compare nothing.
    assert len({each.tokens for each in found}) > 8
    assert {each.finish_reason for each in found} >= {"eos", "length"}
    assert [each.tokens for each in found] != [each[0].tokens for each in decode(without, work)]


def test_candidates_are_log_probabilities_over_the_shortlist(sessions, vocabulary):
    batch = OnnxBatch(sessions, 1)
    sources = [[5, 6, EOS], [7, 8, 9, 10, 11, EOS]]
    batch.admit(sources)

    result = batch.step(np.array([[0], [1]]), np.full((2, 1), BOS), vocabulary)[0]

    for source, scores, tokens in zip(
        sources, result.scores_NKC[:, 0], result.tokens_NKC[:, 0], strict=True
    ):
        own = sessions.shortlists.choose(source).tolist()
        assert sorted(tokens[: len(own)].tolist()) == own
        assert np.exp(scores[: len(own)].astype(np.float64)).sum() == pytest.approx(1, abs=1e-5)
        assert (np.diff(scores[: len(own)]) <= 0).all()
        # The rest is padding, which no hypothesis survives.
        assert (scores[len(own) :] == -np.inf).all()


def test_scores_differ_from_those_of_all_tokens_by_what_others_weigh(sessions, listed_bundle):
    source, begin = [5, 6, EOS], (np.array([[0]]), np.full((1, 1), BOS))
    own = sessions.shortlists.choose(source)
    batches = OnnxBatch(Sessions(listed_bundle, shortlist="off"), 1), OnnxBatch(sessions, 1)
    by_token = []
    for batch in batches:
        batch.admit([source])
        result = batch.step(*begin, 10_000)[0]
        pairs = zip(result.tokens_NKC[0, 0].tolist(), result.scores_NKC[0, 0], strict=True)
        by_token.append(dict(pairs))

    everything, listed = ([scores[id] for id in own.tolist()] for scores in by_token)

    normalised = np.array(everything) - np.logaddexp.reduce(everything)
    assert np.array(listed) == pytest.approx(normalised, abs=1e-5)


class Gathered:
    """Hands out columns that say for which tokens they are, and keeps count."""

    def __init__(self):
        self.asked = []

    def __call__(self, ids_U):
        self.asked.append(ids_U.tolist())
        return {"ids_U": ids_U}


def test_columns_are_gathered_once_for_those_who_join_together(sessions):
    gathered = Gathered()
    live = LiveShortlists(sessions.shortlists, gathered, 1)
    live.append([[5, EOS], [6, EOS], [7, EOS], [8, EOS]])
    live.arrange(np.arange(4))
    live.arrange(np.arange(4))
    live.arrange(np.array([0, 3, 2]))

    assert len(gathered.asked) == 1

    live.append([[9, EOS]])
    live.arrange(np.array([0, 1, 3]))

    needed = {0, *sessions.shortlists.choose([5, 8, 9, EOS]).tolist()}
    assert gathered.asked[1:] == [sorted(needed)]


def test_columns_that_nobody_needs_go_when_half_the_sentences_have(sessions):
    gathered = Gathered()
    live = LiveShortlists(sessions.shortlists, gathered, 1)
    live.append([[5, EOS], [6, EOS], [7, EOS], [8, EOS]])
    live.arrange(np.arange(4))

    live.arrange(np.array([2, 1]))

    assert gathered.asked[1:] == [[0, *sessions.shortlists.choose([6, 7, EOS]).tolist()]]


def test_places_lead_to_the_columns_of_the_shortlist(sessions):
    live = LiveShortlists(sessions.shortlists, Gathered(), 2)
    live.append([[5, EOS], [6, 7, 8, EOS], [9, 10, EOS]])
    live.arrange(np.arange(3))

    for order in (np.array([0, 2]), np.array([1])):
        live.arrange(order)
        feed = live.feed
        for k in range(2):
            assert np.array_equal(feed["ids_U"][feed["places_NKX"][:, k]], feed["shortlist_NX"])
        assert all(each.flags.c_contiguous for each in feed.values())


def test_columns_are_contiguous_and_padding_is_never_chosen(sessions):
    ids_U = np.array([0, 3, 17, 60, 200])

    columns, everything = sessions.columns(ids_U), sessions.columns(np.arange(300))

    assert all(each.flags.c_contiguous for each in columns.values())
    for name, each in columns.items():
        assert np.array_equal(each, everything[name][..., ids_U])
    assert columns["bias_U"][0] == -np.inf
    assert np.isfinite(columns["bias_U"][1:]).all()


def test_shortlists_can_be_turned_off_and_demanded(listed_bundle, tiny_bundle):
    assert Sessions(listed_bundle, shortlist="on").shortlists is not None
    assert Sessions(listed_bundle, shortlist="off").shortlists is None
    assert Sessions(tiny_bundle).shortlists is None
    assert Sessions(listed_bundle, variant="fp32").shortlists is None
    with pytest.raises(CannotRun, match="variant fp32 of tiny/1 has no shortlists"):
        Sessions(tiny_bundle, shortlist="on")
