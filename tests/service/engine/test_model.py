import asyncio
import gc
import logging
import threading
import weakref
from collections.abc import Iterator

import pytest
from prometheus_client import REGISTRY

from models.bundle import Bundle
from service.engine import EngineOptions, TranslationOptions, open_translator
from service.engine.device import CannotRun
from service.engine.model import Model, open_model
from service.engine.sessions import Sessions
from service.errors import ModelFailure, UnsupportedPair
from tests.versions import publish_version

OPTIONS = EngineOptions(device="cpu", workers=1)
TEXTS = [
    "Guten Morgen. Wie geht es dir?",
    "Das Haus.",
    "Ich sehe einen Hund,\nzwei Katzen und ein schönes, aber kleines Haus.",
    "Hund!",
    "",
] * 4


@pytest.fixture
def model(tiny_bundle) -> Iterator[Model]:
    model = open_model(tiny_bundle, OPTIONS)
    yield model
    model.close()


def count(series: str, **labels: str) -> float:
    return REGISTRY.get_sample_value(series, labels) or 0.0


def test_description_is_the_manifests(model, tiny_bundle):
    described = model.description

    assert (described.name, described.version) == ("tiny", "1")
    assert described.directions == tiny_bundle.manifest.directions
    assert (described.variant, described.provider) == ("fp32", "CPUExecutionProvider")
    assert described.parameters == tiny_bundle.manifest.architecture.parameters


def test_model_shows_in_the_metrics_and_the_log(tiny_bundle, caplog):
    labels = {"model": "tiny/1", "variant": "fp32", "provider": "CPUExecutionProvider"}

    with caplog.at_level(logging.INFO):
        open_model(tiny_bundle, OPTIONS).close()

    assert count("dragoman_model_info", **labels) == 1
    [record] = [each for each in caplog.records if each.message == "model loaded"]
    assert {each: getattr(record, each) for each in labels} == labels


def test_model_decodes_greedily_and_by_its_own_beam_before_anybody_has_it(tiny_bundle):
    before = {reason: count_sentences(reason) for reason in ("eos", "length", "repetition")}

    open_model(tiny_bundle, OPTIONS).close()

    # A short and a long source, each with width 1 and with the bundle's 2.
    assert sum(count_sentences(reason) - number for reason, number in before.items()) == 4


def count_sentences(reason: str) -> float:
    return count("dragoman_sentences_total", model="tiny/1", finish_reason=reason)


def test_beam_of_the_bundle_may_be_wider_than_the_batch(tiny_bundle):
    model = open_model(tiny_bundle, EngineOptions(device="cpu", workers=1, max_rows=1))

    assert model.is_alive
    model.close()


def test_model_without_sense_is_refused_and_its_threads_end(tiny_bundle, tmp_path):
    folder = publish_version(tiny_bundle, tmp_path, 1, name="senseless", scale=float("nan"))

    with pytest.raises(ModelFailure):
        open_model(Bundle.open(folder), OPTIONS)

    assert [each.name for each in threading.enumerate() if "senseless" in each.name] == []


def test_variant_that_the_bundle_lacks_is_refused(tiny_bundle):
    with pytest.raises(CannotRun, match="tiny/1 has no variant int8"):
        open_translator(tiny_bundle.path, ("de", "en"), variant="int8")


def open_sessions() -> list[Sessions]:
    return [each for each in gc.get_objects() if type(each) is Sessions]


def test_closed_model_is_freed_without_the_garbage_collector(tiny_bundle):
    others = open_sessions()
    gc.disable()
    try:
        model = open_model(tiny_bundle, OPTIONS)
        asyncio.run(model.translators[0].translate("Guten Morgen."))
        [sessions] = [weakref.ref(each) for each in open_sessions() if each not in others]
        was_there = sessions() is not None

        model.close()
        del model

        assert was_there
        assert sessions() is None
    finally:
        gc.enable()


def test_direction_that_a_bundle_lacks_is_refused(tiny_bundle):
    with pytest.raises(UnsupportedPair, match="de-fr is not served"):
        open_translator(tiny_bundle.path, ("de", "fr"))


@pytest.mark.parametrize("beam", [1, 3])
def test_texts_translate_alike_alone_and_in_any_company(tiny_bundle, beam):
    options = TranslationOptions(beam=beam, alternatives=beam - 1)
    crowd = EngineOptions(device="cpu", workers=2, max_rows=7)
    alone = open_translator(tiny_bundle.path, ("de", "en"), options=OPTIONS)
    crowded = open_translator(tiny_bundle.path, ("de", "en"), options=crowd)

    together = list(crowded.translate_all(TEXTS, options))

    assert together == [asyncio.run(alone.translate(text, options)) for text in TEXTS]
    alone.close()
    crowded.close()
