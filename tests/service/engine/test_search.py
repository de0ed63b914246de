"""The beam against an exhaustive search, which needs no beam to be right."""

from collections.abc import Iterable, Sequence
from dataclasses import replace
from itertools import pairwise, product

import numpy as np
import pytest

from service.engine.hypothesis import EOS, Hypothesis, SearchOptions, StepResult
from service.engine.repetition import blocked_tokens
from service.engine.search import Beams

VOCABULARY = 5
MAX_TOKENS = 5
WORDS = [token for token in range(VOCABULARY) if token != EOS]


class RandomLanguage:
    """Says how likely each token is after a prefix; at random, but always the same."""

    def __init__(self, seed: int) -> None:
        self._seed = seed

    def scores(self, prefix: tuple[int, ...]) -> np.ndarray:
        logits = 2 * np.random.default_rng([self._seed, *prefix]).normal(size=VOCABULARY)
        logits[EOS] += len(prefix) - 3  # or the empty sentence would nearly always win
        return (logits - np.log(np.exp(logits).sum())).astype(np.float32)

    def ranked(self, length_penalty: float) -> list[tuple[float, tuple[int, ...]]]:
        """Score every sentence there is, best first."""
        sentences = (s for n in range(MAX_TOKENS) for s in product(WORDS, repeat=n))
        scored = ((self._score((*s, EOS), length_penalty), s) for s in sentences)
        return sorted(scored, reverse=True)

    def _score(self, ended: tuple[int, ...], length_penalty: float) -> float:
        total = sum(float(self.scores(ended[:i])[token]) for i, token in enumerate(ended))
        return total / ((5 + len(ended)) / 6) ** length_penalty


class Decoding:
    """Sentences in one batch, each with its own language; new ones may join at any step."""

    def __init__(self, width: int) -> None:
        self.found: dict[RandomLanguage, list[Hypothesis]] = {}
        self._beams = Beams(width)
        self._languages: list[RandomLanguage] = []
        self._rows: list[tuple[RandomLanguage, tuple[int, ...]]] = []

    def join(self, language: RandomLanguage, options: SearchOptions) -> None:
        self._beams.join([options], [len(self._rows)], [[7, EOS]])
        self._languages.append(language)
        self._rows.append((language, ()))

    def step(self) -> None:
        parents_NK, tokens_NK = self._beams.moves
        moves = zip(parents_NK.ravel().tolist(), tokens_NK.ravel().tolist(), strict=True)
        self._rows = [(self._rows[p][0], (*self._rows[p][1], token)) for p, token in moves]
        # Every prefix begins with BOS, which the languages do not know.
        scores = np.stack([language.scores(prefix[1:]) for language, prefix in self._rows])
        tokens = np.argsort(-scores, axis=1)[:, : self._beams.count_candidates()]
        scores = np.take_along_axis(scores, tokens, axis=1)
        shape = (*tokens_NK.shape, -1)
        self._beams.advance(StepResult(scores.reshape(shape), tokens.reshape(shape)))
        done = self._beams.is_done
        for i in np.flatnonzero(done).tolist():
            self.found[self._languages[i]] = self._beams.hypotheses(i)
        self._languages = [self._languages[i] for i in self._beams.keep(~done).tolist()]

    @property
    def has_work(self) -> bool:
        return bool(self._languages)

    def run(self) -> "Decoding":
        while self.has_work:
            self.step()
        return self


def search(language: RandomLanguage, options: SearchOptions) -> list[Hypothesis]:
    decoding = Decoding(options.width)
    decoding.join(language, options)
    return decoding.run().found[language]


def simple_search(language: RandomLanguage, options: SearchOptions) -> tuple[int, ...]:
    """The textbook's beam: lists, one sentence, no early end; to compare narrow beams with."""
    live, ended = [(0.0, ())], []
    for _ in range(options.max_tokens):
        following = [
            (total + float(score), (*prefix, token))
            for total, prefix in live
            for token, score in enumerate(language.scores(prefix))
        ]
        live = []
        for total, tokens in sorted(following, reverse=True):
            if len(live) == options.width:
                break
            if tokens[-1] == EOS:
                norm = ((5 + len(tokens)) / 6) ** options.length_penalty
                ended.append((total / norm, tokens[:-1]))
            else:
                live.append((total, tokens))
        if len(ended) >= options.width:
            break
    return max(ended)[1] if ended else live[0][1]


@pytest.mark.parametrize("length_penalty", [0.0, 0.6, 1.0])
@pytest.mark.parametrize("seed", range(6))
def test_beam_wide_enough_finds_the_best_sentence(seed, length_penalty):
    language = RandomLanguage(seed)

    found = search(language, SearchOptions(300, length_penalty, MAX_TOKENS))[0]

    score, tokens = language.ranked(length_penalty)[0]
    assert found.tokens == tokens
    assert found.score == pytest.approx(score, abs=1e-5)
    assert found.finish_reason == "eos"


@pytest.mark.parametrize("seed", range(6))
def test_beam_wide_enough_finds_the_best_five_in_order(seed):
    language = RandomLanguage(seed)

    found = search(language, SearchOptions(300, 0.6, MAX_TOKENS, num_best=5))[:5]

    assert [each.tokens for each in found] == [tokens for _, tokens in language.ranked(0.6)[:5]]


@pytest.mark.parametrize("width", [2, 3, 5])
@pytest.mark.parametrize("seed", range(10))
def test_narrow_beam_finds_what_the_textbook_beam_finds(seed, width):
    language, options = RandomLanguage(seed), SearchOptions(width, 0.6, 12)

    assert search(language, options)[0].tokens == simple_search(language, options)


@pytest.mark.parametrize("seed", range(6))
def test_greedy_takes_the_likeliest_token_at_each_step(seed):
    language, tokens = RandomLanguage(seed), ()
    while len(tokens) < MAX_TOKENS and (token := int(language.scores(tokens).argmax())) != EOS:
        tokens = (*tokens, token)

    assert search(language, SearchOptions(1, 0.6, MAX_TOKENS))[0].tokens == tokens


@pytest.mark.parametrize("width", [1, 2, 5])
@pytest.mark.parametrize("seed", range(10))
def test_sentences_that_join_at_different_steps_do_not_touch_each_other(seed, width):
    random = np.random.default_rng(seed)
    decoding, expected = Decoding(width), {}
    for number in range(8):
        language = RandomLanguage(100 * seed + number)
        options = SearchOptions(
            width,
            0.6,
            int(random.integers(3, 9)),
            no_repeat_ngram=int(random.choice([0, 0, 1, 2])),
        )
        expected[language] = search(language, options)
        decoding.join(language, options)
        for _ in range(int(random.integers(0, 3))):
            if decoding.has_work:
                decoding.step()

    assert decoding.run().found == expected


def begin(options: SearchOptions, source: Sequence[int] = (7, EOS)) -> Beams:
    beams = Beams(options.width)
    beams.join([options], [0], [source])
    return beams


def result(
    scores: list[list[float]], tokens: list[list[int]], attention: list[list[float]] | None = None
) -> StepResult:
    """One sentence's step: a line for each row."""
    attention_NKS = None if attention is None else np.array([attention], np.float32)
    return StepResult(np.array([scores], np.float32), np.array([tokens]), attention_NKS)


FOUR = SearchOptions(width=4, length_penalty=1.0, max_tokens=7)


def test_search_ends_when_no_live_hypothesis_can_win_any_more():
    beams = begin(FOUR)

    # The norm of 7 tokens is 2: an end at -1 beats whatever continues from -2.1.
    beams.advance(result([[-1.0, -2.1, -3, -4, -5]] * 4, [[EOS, 7, 8, 9, 10]] * 4))

    assert beams.is_done.tolist() == [True]


def test_search_goes_on_while_a_live_hypothesis_can_still_win():
    beams = begin(FOUR)

    beams.advance(result([[-1.0, -1.9, -3, -4, -5]] * 4, [[EOS, 7, 8, 9, 10]] * 4))

    assert beams.is_done.tolist() == [False]


def test_search_waits_for_as_many_hypotheses_as_are_wanted():
    beams = begin(replace(FOUR, num_best=2))

    beams.advance(result([[-1.0, -2.1, -3, -4, -5]] * 4, [[EOS, 7, 8, 9, 10]] * 4))

    assert beams.is_done.tolist() == [False]


def greedy_tokens(beams: Beams, tokens: Iterable[int]) -> None:
    for token in tokens:
        beams.advance(result([[-1.0]], [[token]]))


def test_length_limit_cuts_off_a_sentence_that_never_ends():
    beams = begin(SearchOptions(width=1, max_tokens=70))

    greedy_tokens(beams, range(10, 80))

    assert beams.is_done.tolist() == [True]
    assert beams.hypotheses(0)[0].score == pytest.approx(-70 / (75 / 6))
    assert beams.hypotheses(0)[0].tokens == tuple(range(10, 80))
    assert beams.hypotheses(0)[0].finish_reason == "length"


def test_sentence_that_is_done_is_not_touched_by_further_results():
    beams = Beams(1)
    beams.join([SearchOptions(max_tokens=9)] * 2, [0, 1], [[7, EOS]] * 2)
    for first, second in [(7, 8), (EOS, 9), (10, 11), (12, EOS)]:
        beams.advance(
            StepResult(np.full((2, 1, 1), -1.0, np.float32), np.array([[[first]], [[second]]]))
        )

    assert beams.is_done.tolist() == [True, True]
    assert beams.hypotheses(0)[0].tokens == (7,)
    assert beams.hypotheses(1)[0].tokens == (8, 9, 11)


def test_kept_sentences_fill_the_places_of_those_that_left():
    beams = Beams(1)
    beams.join([SearchOptions()] * 6, range(6), [[7, EOS]] * 6)

    order = beams.keep(np.array([True, False, True, False, True, True]))

    assert order.tolist() == [0, 4, 2, 5]
    assert beams.moves[0].ravel().tolist() == [0, 4, 2, 5]


def decode_endlessly(language: RandomLanguage, size: int, width: int) -> Hypothesis:
    """Decode ten tokens with EOS out of the question, blocking n-grams of `size`."""
    language.scores = lambda prefix: np.where(
        np.arange(VOCABULARY) == EOS, -99.0, RandomLanguage.scores(language, prefix)
    )
    return search(language, SearchOptions(width, 0.0, 10, no_repeat_ngram=size))[0]


@pytest.mark.parametrize("width", [1, 3])
@pytest.mark.parametrize("seed", range(5))
def test_no_ngram_occurs_twice_where_that_is_forbidden(seed, width):
    found = decode_endlessly(RandomLanguage(seed), 2, width).tokens

    pairs = list(pairwise(found))
    assert len(found) == 10
    assert len(set(pairs)) == len(pairs)
    # Free to do so, it does repeat itself: else the above would say nothing.
    free = decode_endlessly(RandomLanguage(seed), 0, width).tokens
    assert len(set(pairwise(free))) < 9


def test_blocked_tokens_are_those_that_followed_the_same_words_before():
    prefix = np.array([5, 6, 7, 5, 6, 8, 5, 6], np.int32)

    assert blocked_tokens(prefix, 3) == {7, 8}
    assert blocked_tokens(prefix, 2) == {7, 8}
    assert blocked_tokens(prefix, 1) == {5, 6, 7, 8}
    assert blocked_tokens(prefix, 9) == set()


def test_tokens_of_case_are_no_part_of_an_ngram():
    beams = begin(SearchOptions(no_repeat_ngram=2, case_ids=(4,), max_tokens=9))
    two = StepResult(np.array([[[-1.0, -2.0]]], np.float32), np.zeros((1, 1, 2), np.int64))

    def advance(*tokens: int) -> int:
        beams.advance(two._replace(tokens_NKC=np.array([[tokens]])))
        return beams.moves[1].item()

    # "Tom Tom saw": a name may come again, two words may not, whatever is between them.
    said = [advance(*tokens) for tokens in [(4, 9), (20, 9), (4, 9), (20, 9), (4, 9), (20, 21)]]

    assert said == [4, 20, 4, 20, 4, 21]


def test_sentence_that_only_repeats_itself_is_stopped_and_loses_the_copies():
    beams = begin(SearchOptions(width=1, length_penalty=0.0, max_tokens=100))

    greedy_tokens(beams, [20, 21, 22, *[30, 31] * 15])

    assert beams.is_done.tolist() == [True]
    assert beams.hypotheses(0)[0].tokens == (20, 21, 22, 30, 31)
    assert beams.hypotheses(0)[0].finish_reason == "repetition"


def test_sentence_that_repeats_what_its_source_repeats_is_not_stopped():
    source = [7, *[8] * 15, EOS]
    beams = begin(SearchOptions(width=1, max_tokens=100), source)

    greedy_tokens(beams, [20, *[30] * 15, EOS])

    assert beams.hypotheses(0)[0].tokens == (20, *[30] * 15)
    assert beams.hypotheses(0)[0].finish_reason == "eos"


def test_sentence_that_ended_is_preferred_to_a_likelier_loop():
    beams = begin(SearchOptions(width=2, length_penalty=1.0, max_tokens=100))
    beams.advance(result([[-0.1, -2.0, -3.0]] * 2, [[30, 20, 40]] * 2))
    for i in range(15):
        beams.advance(result([[-0.1, -50, -60], [-0.2, -50, -60]], [[30, 5, 6], [40 + i, 5, 6]]))
    # The loop of row 0 was seen at step 16 and its row is dead; the other goes on and ends.
    beams.advance(result([[-0.1, -50, -60], [-0.1, -50, -60]], [[30, 5, 6], [EOS, 5, 6]]))

    assert [each.finish_reason for each in beams.hypotheses(0)] == ["eos"]


def test_hypotheses_carry_the_attention_of_their_own_past():
    beams = begin(SearchOptions(width=2, num_best=2, with_attention=True, max_tokens=9), (7, 8, 2))
    first, second = [0.5, 0.25, 0.25], [0.125, 0.5, 0.375]
    beams.advance(result([[-1, -2, -3]] * 2, [[10, 11, 12]] * 2, [first, [9, 9, 9]]))
    # Both go on from row 1, the one of token 11.
    beams.advance(
        result([[-9, -9, -9], [-1, -2, -3]], [[5, 6, 7], [20, 21, 22]], [[9, 9, 9], second])
    )
    last = [[0.0, 1.0, 0.0], [1.0, 0.0, 0.0]]
    beams.advance(result([[-1, -9, -9], [-1, -9, -9]], [[EOS, 6, 7], [EOS, 6, 7]], last))

    found = {each.tokens: each.attention_TS.tolist() for each in beams.hypotheses(0)}
    assert found == {(11, 20): [first, second, last[0]], (11, 21): [first, second, last[1]]}


def test_attention_is_not_kept_unless_asked_for():
    beams = begin(SearchOptions(max_tokens=3))
    assert not beams.reads_attention
    beams.advance(result([[-1]], [[EOS]]))

    assert beams.hypotheses(0)[0].attention_TS is None


def test_coverage_penalty_is_that_of_the_equation():
    options = SearchOptions(length_penalty=0.0, coverage_penalty=0.25, num_tags=1)
    beams = begin(options, (90, 7, 8, EOS))
    beams.advance(result([[-1.0]], [[10]], [[0.0, 0.75, 0.125, 0.125]]))
    beams.advance(result([[-1.5]], [[EOS]], [[0.0, 0.75, 0.125, 0.125]]))

    # Token 7 received 1.5, which counts as 1, and token 8 received 0.25.
    assert beams.hypotheses(0)[0].score == pytest.approx(-2.5 + 0.25 * np.log(0.25))
