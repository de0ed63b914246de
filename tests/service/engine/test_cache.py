"""A cache before a scheduler that copies, and before a bundle that works."""

import threading
from collections.abc import Iterator
from dataclasses import replace

import pytest

from models.bundle import Bundle
from service import metrics
from service.engine import EngineOptions, TranslationOptions, open_translator
from service.engine.cache import Cache
from service.engine.hypothesis import SearchOptions
from service.engine.scheduler import Scheduler
from service.errors import ModelFailure

GREEDY = SearchOptions(width=1)
HOW = {"priority": "interactive", "deadline": None}


@pytest.fixture
def scheduler(model) -> Iterator[Scheduler]:
    scheduler = Scheduler(model, workers=1, max_rows=16, max_waiting_tokens=200)
    yield scheduler
    model.may_step.set()
    scheduler.close()


@pytest.fixture
def cache(scheduler) -> Cache:
    return Cache(scheduler, 2, "copy/1")


def ask(cache, *sources, options=GREEDY):
    futures = cache.submit([list(each) for each in sources], [options] * len(sources), **HOW)
    return [list(future.result(5)[0].tokens) for future in futures]


def decoded(model):
    return [tuple(source) for sources in model.admitted for source in sources]


def test_sentence_that_is_known_is_not_decoded_again(cache, model):
    first, second = ask(cache, [10, 11]), ask(cache, [10, 11])

    assert first == second
    assert decoded(model) == [(10, 11)]


def test_sentence_is_known_in_the_same_search_only(cache, model):
    ask(cache, [10, 11])
    ask(cache, [10, 11], options=replace(GREEDY, length_penalty=0.5))
    ask(cache, [10, 11], options=replace(GREEDY, max_tokens=1))

    assert decoded(model) == [(10, 11)] * 3


def test_sentence_that_stands_twice_in_a_text_is_decoded_once(cache, model):
    answers = ask(cache, [10, 11], [20], [10, 11])

    assert answers[0] == answers[2] != answers[1]
    assert sorted(decoded(model)) == [(10, 11), (20,)]


def test_sentence_that_was_asked_for_least_lately_is_forgotten(cache, model):
    ask(cache, [10])
    ask(cache, [20])
    ask(cache, [10])
    ask(cache, [30])
    ask(cache, [10])
    ask(cache, [20])

    assert len(cache) == 2
    assert decoded(model) == [(10,), (20,), (30,), (20,)]


def test_failure_is_not_kept(cache, model, caplog):
    model.fails = True
    with pytest.raises(ModelFailure):
        ask(cache, [10])
    model.fails = False

    assert ask(cache, [10]) == ask(cache, [10])
    assert "concurrent.futures" not in {record.name for record in caplog.records}


def test_sentence_that_was_given_up_is_not_kept(cache, model, caplog):
    model.may_step.clear()
    [given_up] = cache.submit([[10]], [GREEDY], **HOW)
    assert model.is_stepping.wait(5)
    given_up.cancel()
    model.may_step.set()

    assert ask(cache, [10]) == [[10]]
    assert "concurrent.futures" not in {record.name for record in caplog.records}


def test_hits_and_misses_are_counted(cache):
    def count(outcome):
        return metrics.CACHE.labels("copy/1", outcome)._value.get()

    before = count("hit"), count("miss")
    ask(cache, [10], [20], [10])
    ask(cache, [10])

    assert (count("hit") - before[0], count("miss") - before[1]) == (2, 2)


def test_translations_are_the_same_with_cache_and_without(tiny_bundle: Bundle):
    texts = ["Guten Morgen. Guten Morgen.", "Das Haus.", "Guten Morgen.", "Das Haus."] * 2
    options = TranslationOptions(beam=2, alternatives=1)
    plain = open_translator(tiny_bundle.path, ("de", "en"))
    engine = EngineOptions(device="cpu", cache_sentences=100)
    remembering = open_translator(tiny_bundle.path, ("de", "en"), options=engine)

    expected = list(plain.translate_all(texts, options))

    assert list(remembering.translate_all(texts, options)) == expected
    assert list(remembering.translate_all(texts, options)) == expected
    assert len(remembering.cache) == 2
    plain.close()
    remembering.close()


@pytest.mark.parametrize("wanted", [{"use_cache": False}, {"alignment": True}])
def test_caller_may_do_without_the_cache_and_attention_is_not_kept(tiny_bundle: Bundle, wanted):
    engine = EngineOptions(device="cpu", cache_sentences=100)
    translator = open_translator(tiny_bundle.path, ("de", "en"), options=engine)

    list(translator.translate_all(["Guten Morgen."], TranslationOptions(**wanted)))

    assert len(translator.cache) == 0
    translator.close()


def test_threads_that_ask_together_all_have_their_answers(cache):
    found = {}

    def work(i):
        found[i] = [ask(cache, [10 + (i + j) % 3]) for j in range(30)]

    threads = [threading.Thread(target=work, args=(i,)) for i in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)

    assert found == {i: [[[10 + (i + j) % 3]] for j in range(30)] for i in range(4)}
