"""Scores of given translations, by a bundle that works and by hypotheses that are written down."""

import asyncio
from collections.abc import Iterator
from concurrent.futures import Future
from dataclasses import replace

import pytest

from service.engine import TranslationOptions, Translator, open_translator
from service.engine.hypothesis import Hypothesis
from service.errors import TextTooLong

SOURCE = "Guten Morgen.  Wie geht es dir?"


@pytest.fixture(scope="module")
def translator(tiny_bundle) -> Iterator[Translator]:
    translator = open_translator(tiny_bundle.path, ("de", "en"))
    yield translator
    translator.close()


def score(translator, source, target, **options):
    return asyncio.run(translator.score(source, target, TranslationOptions(**options)))


class ForcedScheduler:
    """Gives token i of every sentence the log-probability -(i + 1)."""

    def __init__(self) -> None:
        self.asked = []

    def submit(self, sources, options, *, priority, deadline):
        self.asked += zip(sources, options, strict=True)
        futures = [Future() for _ in sources]
        for future, each in zip(futures, options, strict=True):
            scores = tuple(-(i + 1.0) for i in range(len(each.forced) + 1))
            total = sum(scores)
            found = Hypothesis(total / 2, each.forced, token_scores=scores, log_probability=total)
            future.set_result([found])
        return futures


def test_sentences_are_paired_in_order(translator):
    scheduler = ForcedScheduler()
    target = "Good morning. How  are you?"

    scored = score(replace(translator, scheduler=scheduler), SOURCE, target)

    first, second = scored.sentences
    assert [SOURCE[slice(*each.source_span)] for each in (first, second)] == [
        "Guten Morgen.",
        "Wie geht es dir?",
    ]
    assert [target[slice(*each.target_span)] for each in (first, second)] == [
        "Good morning.",
        "How  are you?",
    ]
    tokenizer = translator.tokenizer
    (source, options), _ = scheduler.asked
    assert source[1:-1] == tokenizer.encode("Guten Morgen.")
    assert options.forced == tuple(tokenizer.encode("Good morning."))


def test_tokens_tell_where_they_stand_in_the_translation(translator):
    target = " Good morning. How  are you?"

    scored = score(replace(translator, scheduler=ForcedScheduler()), SOURCE, target)

    for sentence in scored.sentences:
        said = "".join(target[token.begin : token.end] for token in sentence.tokens)
        assert said == target[slice(*sentence.target_span)].replace(" ", "")
        assert [each.log_probability for each in sentence.tokens] == [
            -(i + 1) for i in range(len(sentence.tokens))
        ]
        assert sentence.tokens[-1][:2] == (sentence.target_span[1],) * 2


def test_text_scores_the_sum_of_its_tokens_and_the_mean_of_its_sentences(translator):
    scored = score(replace(translator, scheduler=ForcedScheduler()), SOURCE, "Good. How are you?")

    counts = [len(each.tokens) for each in scored.sentences]
    totals = [-n * (n + 1) / 2 for n in counts]
    assert scored.log_probability == pytest.approx(sum(totals))
    assert scored.num_tokens == sum(counts)
    mean = sum(total / 2 * n for total, n in zip(totals, counts, strict=True)) / sum(counts)
    assert scored.score == pytest.approx(mean)


@pytest.mark.parametrize("target", ["Good morning, how are you", "Good. Fine. Bye.", "", " * "])
def test_texts_of_different_numbers_of_sentences_are_one_pair(translator, target):
    source = "Hallo. Du da."
    scored = score(replace(translator, scheduler=ForcedScheduler()), source, target)

    [only] = scored.sentences
    assert source[slice(*only.source_span)] == source
    assert target[slice(*only.target_span)] == target.strip()


def test_pair_that_is_too_long_is_refused_with_its_limit(translator):
    with pytest.raises(TextTooLong, match="tokens in one sentence exceed 24") as refused:
        score(translator, "Guten Morgen. " * 40, "Good morning.")
    assert (refused.value.field, refused.value.limit) == ("source", 24)


def test_length_penalty_of_the_caller_counts(translator):
    scored = score(translator, "Guten Morgen.", "Good morning.", length_penalty=0.0)

    assert scored.score == pytest.approx(scored.log_probability)
