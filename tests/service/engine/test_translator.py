"""Translators of a model that copies, so that what must come back is the text itself."""

import asyncio
import math
from collections.abc import Iterator
from concurrent.futures import Future
from dataclasses import replace
from itertools import cycle
from time import monotonic

import numpy as np
import pytest
from prometheus_client import REGISTRY

from models.bundle import Calibration, Direction
from models.tokenizer import Tokenizer
from service.engine.composition import Rendering
from service.engine.hypothesis import EOS, Hypothesis, SearchOptions
from service.engine.scheduler import Scheduler
from service.engine.text_counts import TextCounts
from service.engine.translation import TranslationOptions
from service.engine.translator import Translator
from service.errors import DeadlineExceeded, InvalidRequest, ModelFailure, Overloaded

TEXT = "Guten Morgen. Wie geht es dir?"


@pytest.fixture(scope="module")
def tokenizer(tiny_bundle):
    return tiny_bundle.tokenizer()


@pytest.fixture
def scheduler(model) -> Iterator[Scheduler]:
    scheduler = Scheduler(model, workers=1, max_rows=16, max_waiting_tokens=200)
    yield scheduler
    model.may_step.set()
    scheduler.close()


@pytest.fixture
def translator(tiny_bundle, tokenizer, scheduler) -> Translator:
    defaults = tiny_bundle.manifest.decoding
    return Translator("de", "en", "copy/1", defaults, tokenizer, scheduler, "<2en>")


def translate(translator: Translator, text: str, **options):
    return asyncio.run(translator.translate(text, TranslationOptions(**options)))


def test_inline_case_comes_through_and_is_no_part_of_ngrams(translator):
    texts = ["Guten Morgen, ihr HUNDE.", "das Haus"] * 3
    tokenizer = Tokenizer.train(texts, kind="char", size=300, normalisation="NFC", case="inline")
    marking, scheduler = replace(translator, tokenizer=tokenizer, tag=None), AnsweringScheduler()

    translation = translate(marking, "Guten Hunde. das HAUS")
    translate(replace(marking, scheduler=scheduler), "Guten Morgen.")

    assert translation.text == "Guten Hunde. das HAUS"
    assert [options.case_ids for options, _, _ in scheduler.asked] == [tokenizer.case_ids]


@pytest.mark.parametrize(
    "text",
    [
        TEXT,
        "  Eins.\r\n\r\n\tZwei.\u00a0Drei.\n\n\n   Vier. \n",
        "Eins.\n* * *\nZwei. ☞ ☜\n",
        "\n\nEins",
        "Ende.\u202f",
        "",
        " \t\r\n ",
        "→ ★ ←",
    ],
)
def test_white_space_and_signs_between_sentences_are_kept(translator, text):
    assert translate(translator, text).text == text


@pytest.mark.parametrize("text", ["", " \n ", "* * *"])
def test_text_without_words_never_reaches_the_model(translator, model, text):
    translation = translate(translator, text)

    assert (translation.score, translation.finish_reason) == (0.0, "eos")
    assert model.admitted == []


def test_source_is_tag_tokens_and_eos(translator, tokenizer, model):
    translate(translator, "Guten Morgen.")

    assert model.admitted == [
        [[tokenizer.tag_id("<2en>"), *tokenizer.encode("Guten Morgen."), EOS]]
    ]


@pytest.mark.parametrize(
    "text",
    [
        " ".join(["der kleine Hund sieht die Katze"] * 20),
        ", ".join(["der Hund sieht die Katze"] * 20),
        "Donaudampfschifffahrt" * 20,
        "schön" * 60,
        "x" * 1000,
    ],
)
def test_long_sentence_is_split_and_nothing_is_lost(translator, model, text):
    translation = translate(translator, text)

    assert translation.text == text
    longest = max(len(source) for sources in model.admitted for source in sources)
    assert longest <= translator.defaults.max_source_tokens + 2  # tag and EOS


def test_sentences_of_a_line_are_one_source_when_they_are_not_to_be_split(
    translator, tokenizer, model
):
    translate(translator, "Eins. Zwei.", split="lines")

    ((source,),) = model.admitted
    assert tokenizer.decode(source[1:-1]) == "Eins. Zwei."


def test_long_text_is_translated_whole(translator):
    text = "Das Haus ist klein.\n" * 1000

    assert translate(translator, text).text == text


def test_translation_says_where_it_came_from(translator):
    translation = translate(translator, TEXT)

    assert (translation.source, translation.target) == ("de", "en")
    assert translation.model == "copy/1"
    assert translation.finish_reason == "eos"


def test_score_is_the_mean_of_the_sentences_by_their_tokens(translator, tokenizer):
    lengths = [2 + len(tokenizer.encode(each)) for each in ("Guten Morgen.", "Wie geht es dir?")]

    translation = translate(translator, TEXT)

    # The copying model gives each token -0.1; the penalty of the bundle is 1.
    scores = [-0.1 * length / ((5 + length) / 6) for length in lengths]
    expected = sum(s * n for s, n in zip(scores, lengths, strict=True)) / sum(lengths)
    assert translation.score == pytest.approx(expected)


def test_each_sentence_tells_where_it_stands_and_how_it_fared(translator):
    text = " Eins.\n* * *\n Zwei und drei. "
    reasons = ("eos", "length")
    scheduler = AnsweringScheduler(
        *(Hypothesis(-i, (50,) * i, r) for i, r in enumerate(reasons, 1))
    )

    translation = translate(replace(translator, scheduler=scheduler), text)

    first, second = translation.sentences
    assert [text[slice(*each.source_span)] for each in (first, second)] == [
        "Eins.",
        "Zwei und drei.",
    ]
    parts = [translation.text[slice(*each.target_span)] for each in (first, second)]
    assert translation.text == " {}\n* * *\n {} ".format(*parts)
    assert parts == [translator.tokenizer.decode((50,) * i).strip() for i in (1, 2)]
    assert [(each.score, each.finish_reason) for each in (first, second)] == [
        (-1, "eos"),
        (-2, "length"),
    ]


CALIBRATION = Calibration(
    direction=Direction(source="de", target="en"),
    variant="fp32",
    metric="chrF2",
    good_from=50.0,
    bias=-1.0,
    probability_weight=2.0,
    length_weight=0.0,
    test_set="dev",
    sentences=1,
    held_out_sentences=1,
    share=0.5,
    brier=0.2,
    brier_of_share=0.25,
    calibration_error=0.0,
)


def test_confidence_is_the_calibrations_for_each_sentence_and_their_mean_for_the_text(translator):
    # The mean probability of a token is 1/2 in the first sentence and 1 in the second.
    hypotheses = [
        Hypothesis(-9.0, (50, 50, 50), log_probability=4 * math.log(0.5)),
        Hypothesis(-9.0, (50,), log_probability=0.0),
    ]
    scheduler = AnsweringScheduler(*hypotheses)
    calibrated = replace(translator, scheduler=scheduler, calibration=CALIBRATION)

    translation = translate(calibrated, TEXT)

    first, second = 1 / (1 + math.exp(0)), 1 / (1 + math.exp(-1))
    assert [each.confidence for each in translation.sentences] == pytest.approx([first, second])
    assert translation.confidence == pytest.approx((4 * first + 2 * second) / 6)
    assert translate(calibrated, "* * *").confidence is None


def test_bundle_that_was_not_calibrated_gives_no_confidence(translator):
    translation = translate(translator, TEXT)

    assert translation.confidence is None
    assert [each.confidence for each in translation.sentences] == [None, None]


def test_length_penalty_of_the_caller_wins(translator, tokenizer):
    length = 2 + len(tokenizer.encode("Guten Morgen."))

    translation = translate(translator, "Guten Morgen.", length_penalty=0.0)

    assert translation.score == pytest.approx(-0.1 * length)


def test_sentence_that_is_cut_off_is_told(translator):
    translation = translate(translator, TEXT, max_tokens=3)

    assert translation.finish_reason == "length"


def test_alternatives_differ_from_the_text_and_from_each_other(translator):
    translation = translate(translator, "Guten Morgen.", alternatives=3)

    assert translation.text == "Guten Morgen."
    assert 1 <= len(translation.alternatives) <= 3
    assert len({translation.text, *translation.alternatives}) == 1 + len(translation.alternatives)


def test_alternatives_differ_in_a_letter(translator, tokenizer):
    best, *others = ("Das Haus", "das haus.", "Der Hund", "Das  Haus!", "Die Katze", "zwei Katzen")
    hypotheses = [Hypothesis(-1.0, tuple(tokenizer.encode(text))) for text in (best, *others)]
    answering = replace(translator, scheduler=AnsweringScheduler(hypotheses))

    translation = translate(answering, "Eins", alternatives=2, beam=6)

    assert translation.text == "Das Haus"
    assert translation.alternatives == ["Der Hund", "Die Katze"]


def test_no_alternatives_come_unasked(translator):
    assert translate(translator, TEXT, beam=4).alternatives == []


def test_alternatives_beyond_the_beam_are_refused(translator):
    with pytest.raises(InvalidRequest, match="2 alternatives need a wider beam than 2") as refused:
        translate(translator, TEXT, beam=2, alternatives=2)
    assert (refused.value.field, refused.value.limit) == ("alternatives", 1)


def test_beam_wider_than_the_batch_is_refused(translator):
    with pytest.raises(InvalidRequest, match="beam width 17 exceeds 16"):
        translate(translator, TEXT, beam=17)


async def collect(stream):
    return [each async for each in stream]


class HeldScheduler:
    """Answers when it is told to, in whatever order."""

    def submit(self, sources, options, *, priority, deadline):
        self.futures = [Future() for _ in sources]
        return self.futures


def test_stream_yields_sentences_as_they_are_done_and_the_text_at_last(translator, tokenizer):
    scheduler = HeldScheduler()
    streaming = replace(translator, scheduler=scheduler)
    words = ["Das", "Haus", "Katze"]
    hypotheses = [Hypothesis(-i, tuple(tokenizer.encode(each))) for i, each in enumerate(words)]
    text = " Eins.\n* * *\nZwei. Drei."

    async def run():
        stream = streaming.stream(text)
        seen = []
        for i in (2, 0, 1):
            coming = asyncio.ensure_future(anext(stream))
            await asyncio.sleep(0)
            scheduler.futures[i].set_result([hypotheses[i]])
            seen.append(await coming)
        return seen, await collect(stream)

    seen, [whole] = asyncio.run(run())

    assert [(each.index, each.text, each.score) for each in seen] == [
        (2, "Katze", -2),
        (0, "Das", 0),
        (1, "Haus", -1),
    ]
    assert {each.num_sentences for each in seen} == {3}
    assert [text[slice(*each.source_span)] for each in seen] == ["Drei.", "Eins.", "Zwei."]
    assert whole.text == " Das\n* * *\nHaus Katze"
    assert [whole.text[slice(*each.target_span)] for each in whole.sentences] == words


def test_stream_ends_in_what_translate_returns(translator):
    whole = asyncio.run(collect(translator.stream(TEXT)))

    assert whole[-1] == translate(translator, TEXT)
    assert len(whole) == 3


def test_stream_of_a_text_without_words_is_the_text(translator):
    [only] = asyncio.run(collect(translator.stream(" * * ")))

    assert only.text == " * * "


def test_stream_that_is_closed_gives_up_its_sentences(translator):
    scheduler = HeldScheduler()

    async def run():
        stream = replace(translator, scheduler=scheduler).stream(TEXT)
        coming = asyncio.ensure_future(anext(stream))
        await asyncio.sleep(0)
        scheduler.futures[1].set_result([Hypothesis(0.0, ())])
        await coming
        await stream.aclose()

    asyncio.run(run())

    assert scheduler.futures[0].cancelled()


def test_failure_of_a_sentence_ends_the_stream(translator, model):
    model.fails = True

    with pytest.raises(ModelFailure):
        asyncio.run(collect(translator.stream(TEXT)))


def test_model_failure_reaches_the_caller(translator, model):
    model.fails = True

    with pytest.raises(ModelFailure):
        translate(translator, TEXT)


def test_cancelled_translation_frees_its_rows(translator, model):
    async def run() -> None:
        task = asyncio.create_task(translator.translate(TEXT))
        await asyncio.to_thread(model.is_stepping.wait, 5)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    model.may_step.clear()
    asyncio.run(run())
    model.may_step.set()

    assert translate(translator, "Ende.", beam=1).text == "Ende."
    assert model.step_sizes[1] == 1


class AnsweringScheduler:
    """Answers every sentence at once, by what a test gives it, and notes how it was asked."""

    def __init__(self, *hypotheses: Hypothesis | list[Hypothesis]) -> None:
        found = [each if isinstance(each, list) else [each] for each in hypotheses]
        self._found = cycle(found or [[Hypothesis(0.0, ())]])
        self.asked = []

    def submit(self, sources, options, *, priority, deadline):
        self.asked += [(each, priority, deadline) for each in options]
        futures = [Future() for _ in sources]
        for future in futures:
            future.set_result(next(self._found))
        return futures


def test_options_reach_the_search(translator):
    scheduler = AnsweringScheduler(Hypothesis(0.0, (), attention_TS=np.zeros((1, 5), np.float32)))

    translate(
        replace(translator, scheduler=scheduler),
        TEXT,
        beam=3,
        length_penalty=0.5,
        alternatives=1,
        max_tokens=9,
        no_repeat_ngram=2,
        coverage_penalty=0.25,
        attention=True,
        priority="batch",
    )

    # The tag is the first token of a source.
    options = SearchOptions(3, 0.5, 9, 2, 2, 0.25, with_attention=True, num_tags=1)
    assert scheduler.asked == [(options, "batch", None)] * 2


def test_options_that_are_not_given_are_the_bundles(translator, tokenizer):
    scheduler = AnsweringScheduler()

    translate(replace(translator, scheduler=scheduler), "Guten Morgen.")

    most = math.ceil(1.5 * len(tokenizer.encode("Guten Morgen."))) + 4
    assert scheduler.asked == [(SearchOptions(2, 1.0, most, num_tags=1), "interactive", None)]


def test_deadline_is_one_for_all_sentences(translator):
    scheduler, began = AnsweringScheduler(), monotonic()

    translate(replace(translator, scheduler=scheduler), TEXT, deadline_seconds=60)

    first, second = (deadline for _, _, deadline in scheduler.asked)
    assert began <= first - 60 <= monotonic()
    assert first == second


def test_many_texts_let_others_go_first_and_share_a_deadline(translator):
    scheduler = AnsweringScheduler()

    list(
        replace(translator, scheduler=scheduler).translate_all(
            [TEXT, "Ende."], TranslationOptions(priority="interactive", deadline_seconds=60)
        )
    )

    assert [priority for _, priority, _ in scheduler.asked] == ["batch"] * 3
    assert len({deadline for _, _, deadline in scheduler.asked}) == 1


def test_deadline_that_passes_gives_up_the_other_sentences(translator):
    class LateScheduler:
        def submit(self, sources, options, *, priority, deadline):
            self.futures = [Future() for _ in sources]
            self.futures[0].set_exception(DeadlineExceeded("too late"))
            return self.futures

    scheduler = LateScheduler()
    late = replace(translator, scheduler=scheduler)

    with pytest.raises(DeadlineExceeded):
        translate(late, TEXT, deadline_seconds=1)
    assert scheduler.futures[1].cancelled()
    with pytest.raises(DeadlineExceeded):
        list(late.translate_all([TEXT]))
    assert scheduler.futures[1].cancelled()


@pytest.mark.parametrize(
    ("reasons", "worst"),
    [
        (["eos", "eos"], "eos"),
        (["eos", "length"], "length"),
        (["repetition", "length"], "repetition"),
        (["eos", "repetition"], "repetition"),
    ],
)
def test_text_ends_as_its_worst_sentence(translator, reasons, worst):
    scheduler = AnsweringScheduler(*(Hypothesis(-1.0, (5,), reason) for reason in reasons))

    translation = translate(replace(translator, scheduler=scheduler), TEXT)

    assert translation.finish_reason == worst


@pytest.mark.parametrize(("reason", "end"), [("eos", ["</s>"]), ("length", []), ("repetition", [])])
def test_attention_lays_the_pieces_of_both_sides_beside_the_weights(
    translator, tokenizer, reason, end
):
    source, target = tokenizer.encode("Guten Morgen."), tokenizer.encode("Das Haus")
    weights = np.random.default_rng(1).random((len(target) + len(end), len(source) + 2))
    hypothesis = Hypothesis(-1.0, tuple(target), reason, weights.astype(np.float32))
    answering = replace(translator, scheduler=AnsweringScheduler(hypothesis))

    [sentence] = translate(answering, "Guten Morgen.", attention=True).attention

    assert sentence.source_tokens[0] == "<2en>"
    assert sentence.source_tokens[-1] == "</s>"
    assert "".join(sentence.source_tokens[1:-1]) == "▁Guten▁Morgen."
    assert "".join(sentence.target_tokens) == "".join(["▁Das▁Haus", *end])
    assert np.shape(sentence.weights) == weights.shape
    assert max(len(str(weight)) for row in sentence.weights for weight in row) <= len("0.1234")
    assert np.abs(np.array(sentence.weights) - weights).max() < 0.00005 + 1e-7


def test_alignment_is_told_in_characters_of_both_texts(translator, tokenizer):
    text = " Guten  Morgen.\nDas Haus"
    hypotheses = []
    for sentence in ("Guten  Morgen.", "Das Haus"):
        ids = tokenizer.encode(sentence)
        # Each token comes from the one in its place; the first column is the tag's.
        weights = np.eye(len(ids) + 1, len(ids) + 2, 1, dtype=np.float32)
        hypotheses.append(Hypothesis(-1.0, tuple(ids), attention_TS=weights))
    answering = replace(translator, scheduler=AnsweringScheduler(*hypotheses))

    translation = translate(answering, text, alignment=True)

    assert translation.text == text
    assert [
        (text[begin:end], translation.text[from_:to])
        for begin, end, from_, to in translation.alignment
    ] == [(word, word) for word in ("Guten", "Morgen", ".", "Das", "Haus")]


def test_alignment_is_none_unless_asked_for(translator):
    assert translate(translator, TEXT, attention=False).alignment is None


def test_attention_is_none_unless_asked_for(translator):
    assert translate(translator, TEXT).attention is None


def test_text_without_words_has_no_attention_to_tell(translator):
    assert translate(translator, "* * *", attention=True).attention == []


def test_many_texts_come_back_in_order(translator):
    texts = [f"Satz {i}. Und {'noch ' * (i % 7)}einer." for i in range(300)]

    assert [each.text for each in translator.translate_all(texts)] == texts


class ReleasingScheduler(Scheduler):
    """Lets its batch step only after it has refused somebody."""

    num_refused = 0

    def submit(self, sources, options, **how):
        try:
            return super().submit(sources, options, **how)
        except Overloaded:
            self.num_refused += 1
            self.release()
            raise


def test_many_texts_wait_where_one_would_be_refused(translator, model):
    scheduler = ReleasingScheduler(model, workers=1, max_rows=16, max_waiting_tokens=50)
    scheduler.release = model.may_step.set
    model.may_step.clear()
    texts = ["Das Haus ist klein. Es ist aber schön."] * 20

    translations = list(replace(translator, scheduler=scheduler).translate_all(texts))

    assert [each.text for each in translations] == texts
    assert scheduler.num_refused >= 1
    scheduler.close()


def test_iterator_that_is_given_up_frees_its_rows(translator, model):
    def arriving() -> Iterator[str]:
        yield "Eins."
        assert model.is_stepping.wait(5)
        yield "Zwei."
        raise EOFError

    model.may_step.clear()
    with pytest.raises(EOFError):
        list(translator.translate_all(arriving(), TranslationOptions(beam=1)))
    model.may_step.set()
    translator.close()

    assert model.step_sizes == [1]  # the step that was under way


def test_closed_translator_refuses(translator):
    translator.close()

    with pytest.raises(Overloaded, match="unloaded"):
        translate(translator, TEXT)


def test_what_becomes_of_texts_is_counted(translator, tokenizer):
    def told(name: str, **labels: str) -> float | None:
        return REGISTRY.get_sample_value(f"dragoman_{name}", {"model": "texts/1", **labels})

    counting = replace(translator, model="texts/1")
    translate(counting, "Guten Morgen.")
    translate(replace(counting, scheduler=AnsweringScheduler()), "Guten Abend.")

    assert told("characters_total", side="source") == len("Guten Morgen." + "Guten Abend.")
    assert told("characters_total", side="target") == len("Guten Morgen.")
    assert told("tokenise_seconds_count") == told("detokenise_seconds_count") == 2
    assert told("unknown_tokens_total") == 0


def test_what_translations_lack_is_counted(translator):
    work = translator._prepare("Guten Morgen.", TranslationOptions())

    TextCounts("losing/1").note_composed(work, Rendering("", (), (), ("{a}", "{b}"), ()), 0.0)

    assert REGISTRY.get_sample_value("dragoman_lost_total", {"model": "losing/1"}) == 2


def test_words_that_the_vocabulary_lacks_are_counted(translator):
    words = Tokenizer.train(["Guten Morgen"] * 3, kind="word", size=20, normalisation="NFC")

    translate(replace(translator, tokenizer=words, tag=None, model="words/1"), "Abend Guten Abend")

    labels = {"model": "words/1"}
    assert REGISTRY.get_sample_value("dragoman_unknown_tokens_total", labels) == 2
