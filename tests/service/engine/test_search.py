"""The beam against an exhaustive search, which needs no beam to be right."""

from itertools import product

import numpy as np
import pytest

from service.engine.search import EOS, Beams, Hypothesis, SearchOptions

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

    def __init__(self) -> None:
        self.found: dict[RandomLanguage, list[Hypothesis]] = {}
        self.num_steps = 0
        self._beams = Beams()
        self._languages: list[RandomLanguage] = []
        self._rows: list[tuple[RandomLanguage, tuple[int, ...]]] = []

    def join(self, language: RandomLanguage, options: SearchOptions) -> None:
        self._beams.join([options], [len(self._rows)])
        self._languages.append(language)
        self._rows.append((language, ()))

    def step(self) -> None:
        scores = np.stack([language.scores(prefix) for language, prefix in self._rows])
        tokens = np.argsort(-scores, axis=1)[:, : self._beams.width + 1]
        self._beams.advance(np.take_along_axis(scores, tokens, axis=1), tokens)
        self.num_steps += 1
        done = self._beams.is_done
        for i in np.flatnonzero(done).tolist():
            self.found[self._languages[i]] = self._beams.hypotheses(i)
        self._languages = [x for x, d in zip(self._languages, done, strict=True) if not d]
        self._beams.keep(~done)
        moves = zip(*(each.tolist() for each in self._beams.moves), strict=True)
        self._rows = [(self._rows[p][0], (*self._rows[p][1], token)) for p, token in moves]

    @property
    def has_work(self) -> bool:
        return bool(self._languages)

    def run(self) -> "Decoding":
        while self.has_work:
            self.step()
        return self


def search(language: RandomLanguage, options: SearchOptions) -> list[Hypothesis]:
    decoding = Decoding()
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

    found = search(language, SearchOptions(10_000, length_penalty, MAX_TOKENS))[0]

    score, tokens = language.ranked(length_penalty)[0]
    assert found.tokens == tokens
    assert found.score == pytest.approx(score, abs=1e-5)
    assert found.finish_reason == "eos"


@pytest.mark.parametrize("seed", range(6))
def test_beam_wide_enough_finds_the_best_five_in_order(seed):
    language = RandomLanguage(seed)

    found = search(language, SearchOptions(10_000, 0.6, MAX_TOKENS, num_best=5))[:5]

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


@pytest.mark.parametrize("seed", range(10))
def test_sentences_that_join_at_different_steps_do_not_touch_each_other(seed):
    random = np.random.default_rng(seed)
    decoding, expected = Decoding(), {}
    for number in range(8):
        language = RandomLanguage(100 * seed + number)
        options = SearchOptions(int(random.integers(1, 6)), 0.6, int(random.integers(3, 9)))
        expected[language] = search(language, options)
        decoding.join(language, options)
        for _ in range(int(random.integers(0, 3))):
            if decoding.has_work:
                decoding.step()

    assert decoding.run().found == expected


def test_search_ends_when_no_live_hypothesis_can_win_any_more():
    beams = Beams()
    beams.join([SearchOptions(width=4, length_penalty=1.0, max_tokens=7)], [0])

    # The norm of 7 tokens is 2: an end at -1 beats whatever continues from -2.1.
    beams.advance(np.array([[-1.0, -2.1, -3, -4, -5]], np.float32), np.array([[EOS, 7, 8, 9, 10]]))

    assert beams.is_done.tolist() == [True]


def test_search_goes_on_while_a_live_hypothesis_can_still_win():
    beams = Beams()
    beams.join([SearchOptions(width=4, length_penalty=1.0, max_tokens=7)], [0])

    beams.advance(np.array([[-1.0, -1.9, -3, -4, -5]], np.float32), np.array([[EOS, 7, 8, 9, 10]]))

    assert beams.is_done.tolist() == [False]


def test_length_limit_cuts_off_a_sentence_that_never_ends():
    beams = Beams()
    beams.join([SearchOptions(width=1, max_tokens=70)], [0])
    while not beams.is_done[0]:
        beams.advance(np.array([[-1.0]], np.float32), np.array([[7]]))

    assert beams.hypotheses(0)[0].tokens == (7,) * 70
    assert beams.hypotheses(0)[0].finish_reason == "length"
