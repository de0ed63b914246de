"""Versions that are lent: beside what serves, and whatever becomes of it."""

import os
import shutil
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from service.engine import EngineOptions, Library
from service.errors import Overloaded, UnknownModel, UnsupportedPair, UnusableModel
from tests.events import TIMEOUT_SECONDS
from tests.service.engine.test_library import count, decoding, served
from tests.versions import hold_back, publish_damaged, publish_version

OPTIONS = EngineOptions(device="cpu", workers=2)


@pytest.fixture
def root(tmp_path, tiny_bundle):
    publish_version(tiny_bundle, tmp_path / "bundles", 1, scale=1.5)
    publish_version(tiny_bundle, tmp_path / "bundles", 2)
    return tmp_path / "bundles"


def start(root, linger_seconds: float = 0.0) -> Library:
    library = Library(root, OPTIONS, linger_seconds=linger_seconds)
    library.start()
    library.started.result(TIMEOUT_SECONDS)
    return library


@pytest.fixture
def library(root, events) -> Iterator[Library]:
    library = start(root)
    yield library
    library.close()


def translate(models) -> str:
    [translation] = models.find("de", "en").translate_all(["Guten Morgen."])
    return translation.model


def test_version_that_does_not_serve_is_lent(library):
    with library.lend("tiny", "1") as models:
        assert translate(models) == "tiny/1"
        assert served(library) == ["tiny/2"]


def test_lent_version_translates_as_it_does_when_it_serves(library, root, tiny_bundle, tmp_path):
    alone = tmp_path / "alone"
    publish_version(tiny_bundle, alone, 1, scale=1.5)
    other = start(alone)
    texts = ["Guten Morgen. Wie geht es dir?", "Ich sehe einen Hund."]

    with other.hold() as serving, library.lend("tiny", 1) as lent, library.hold() as newer:
        [here, there, of_newer] = [
            [each.text for each in models.find("de", "en").translate_all(texts)]
            for models in (serving, lent, newer)
        ]
    other.close()

    assert here == there
    assert here != of_newer


def test_without_a_version_the_serving_one_is_lent_and_not_loaded_again(library):
    loaded = count("dragoman_model_loads_total", outcome="loaded")

    with library.lend("tiny") as models, library.hold() as serving:
        assert models.loaded == serving.loaded

    assert count("dragoman_model_loads_total", outcome="loaded") == loaded


def test_lent_models_are_of_one_bundle_alone(root, tiny_bundle):
    publish_version(tiny_bundle, root, 1, name="other")
    library = start(root)

    with library.lend("other") as models:
        assert [each.identity for each in models.describe()] == ["other/1"]
        with pytest.raises(UnsupportedPair):
            models.find("fr", "en")
    library.close()


def test_version_stays_until_its_last_borrower_has_gone(library, root, events, tiny_bundle):
    with library.lend("tiny", 1) as models:
        with library.lend("tiny", 1):
            pass
        # The thread that unloads has been through its loop once more, and has kept it.
        publish_version(tiny_bundle, root, 3)
        library.reload()
        assert events.wait_for("model unloaded").model == "tiny/2"
        assert translate(models) == "tiny/1"


def test_version_that_was_given_back_goes(library, events):
    with library.lend("tiny", 1):
        pass

    assert events.wait_for("model unloaded").model == "tiny/1"
    assert decoding("tiny/1") == []
    assert decoding("tiny/2") != []


def test_version_that_is_asked_for_again_soon_is_not_loaded_again(root, events):
    library = start(root, linger_seconds=TIMEOUT_SECONDS)
    loaded = count("dragoman_model_loads_total", outcome="loaded")

    for _ in range(3):
        with library.lend("tiny", 1) as models:
            assert translate(models) == "tiny/1"

    assert count("dragoman_model_loads_total", outcome="loaded") == loaded + 1
    library.close()
    assert decoding("tiny/1") == []


def test_version_that_stops_serving_while_it_is_lent_goes_on(library, root, events, tiny_bundle):
    with library.lend("tiny") as models:
        publish_version(tiny_bundle, root, 3)
        library.reload()
        events.wait_for("models swapped")

        assert served(library) == ["tiny/3"]
        assert translate(models) == "tiny/2"
        with library.lend("tiny", 2) as again:
            assert again.loaded == models.loaded

    assert events.wait_for("model unloaded").model == "tiny/2"


def test_version_whose_bundle_goes_while_it_is_lent_goes_on(library, root):
    with library.lend("tiny", 1) as models:
        shutil.rmtree(root / "tiny" / "1")

        assert translate(models) == "tiny/1"
        assert library.identify("tiny", 1) == ("tiny", "1")


def test_all_who_ask_at_once_wait_for_one_load(library, root):
    let_go = hold_back(root / "tiny" / "1")
    loaded = count("dragoman_model_loads_total", outcome="loaded")
    both_have_it = threading.Barrier(2, timeout=TIMEOUT_SECONDS)

    def borrow() -> str:
        with library.lend("tiny", 1) as models:
            both_have_it.wait()
            return translate(models)

    with ThreadPoolExecutor(2) as pool:
        borrowers = [pool.submit(borrow) for _ in range(2)]
        let_go()
        assert [each.result(TIMEOUT_SECONDS) for each in borrowers] == ["tiny/1"] * 2
    assert count("dragoman_model_loads_total", outcome="loaded") == loaded + 1


def test_version_that_yields_is_not_lent_to_who_needs_one_that_does_not(library):
    with library.lend("tiny", 1) as one, library.lend("tiny", 1, yields=False) as other:
        assert [each.yields for each in (*one.loaded, *other.loaded)] == [True, False]


@pytest.mark.skipif(sys.platform != "linux", reason="threads have a niceness of their own")
def test_lent_version_yields_to_what_serves(library):
    with library.lend("tiny", 1):
        niceness = {
            thread.name.split(" ")[1]: os.getpriority(os.PRIO_PROCESS, thread.native_id)
            for thread in threading.enumerate()
            if thread.name.startswith("decoding ")
        }

    assert niceness["tiny/1"] == min(19, niceness["tiny/2"] + 10)
    assert os.getpriority(os.PRIO_PROCESS, 0) == niceness["tiny/2"]


def test_version_that_comes_to_serve_while_it_is_lent_does_not_yield(root, tiny_bundle, events):
    library = start(root, linger_seconds=TIMEOUT_SECONDS)
    with library.lend("tiny", 1) as lent:
        shutil.rmtree(root / "tiny" / "2")
        library.reload()
        events.wait_for("models swapped")

        with library.hold() as serving:
            assert served(library) == ["tiny/1"]
            assert serving.loaded != lent.loaded
        assert len(decoding("tiny/1")) == 4
    library.close()


def test_series_of_a_version_stay_while_another_of_its_models_serves(root, events):
    library = start(root)
    info = {"model": "tiny/1", "variant": "fp32", "provider": "CPUExecutionProvider"}
    with library.lend("tiny", 1):
        shutil.rmtree(root / "tiny" / "2")
        library.reload()
        events.wait_for("models swapped")
        events.wait_for("model unloaded")  # tiny/2
    events.wait_for("model unloaded")  # what was lent

    assert count("dragoman_model_info", **info) == 1
    library.close()


@pytest.mark.parametrize(
    ("name", "version", "message"),
    [
        ("tiny", "7", "the model tiny has no version 7; it has 1, 2"),
        ("tiny", "../tiny/1", "the model tiny has no version ../tiny/1; it has 1, 2"),
        ("huge", "1", "there is no model huge; there are tiny"),
        ("huge", None, "there is no model huge; there are tiny"),
    ],
)
def test_what_does_not_exist_is_not_lent(library, name, version, message):
    for ask in (library.identify, lambda *key: library.lend(*key).__enter__()):
        with pytest.raises(UnknownModel, match=f"^{message}$"):
            ask(name, version)


def test_damaged_version_is_refused_by_a_sentence_and_may_be_mended(library, root, tiny_bundle):
    folder = publish_damaged(tiny_bundle, root, 3)

    for _ in range(2):
        with (
            pytest.raises(UnusableModel, match=r"tiny/3 cannot be used: .* has 0 bytes"),
            library.lend("tiny", 3),
        ):
            pass
    shutil.rmtree(folder)
    publish_version(tiny_bundle, root, 3)

    with library.lend("tiny", 3) as models:
        assert translate(models) == "tiny/3"
    assert served(library) == ["tiny/2"]


def test_bundle_that_goes_before_it_is_loaded_is_told(library, root, events):
    let_go = hold_back(root / "tiny" / "1")
    with ThreadPoolExecutor(1) as pool:
        asking = pool.submit(library.lend("tiny", 1).__enter__)
        (root / "tiny" / "1" / "fp32" / "weights.bin").unlink()
        let_go()

        with pytest.raises(UnusableModel, match=r"weights\.bin is missing"):
            asking.result(TIMEOUT_SECONDS)


def test_identify_names_the_serving_version(library, root):
    assert library.identify("tiny") == ("tiny", "2")
    assert library.identify("tiny", 1) == ("tiny", "1")
    assert decoding("tiny/1") == []


def test_nothing_is_lent_before_the_models_serve(root):
    library = Library(root, OPTIONS)

    with pytest.raises(Overloaded, match="being loaded"), library.lend("tiny", 1):
        pass


def test_closing_ends_what_is_being_loaded_to_be_lent(root):
    let_go = hold_back(root / "tiny" / "1")
    library = start(root)
    with ThreadPoolExecutor(1) as pool:
        asking = pool.submit(library.lend("tiny", 1).__enter__)
        let_go(meanwhile=library.close)

        with pytest.raises(Overloaded, match="being unloaded"):
            asking.result(TIMEOUT_SECONDS)
    assert decoding("tiny/1") == []
    with pytest.raises(Overloaded, match="being unloaded"), library.lend("tiny", 1):
        pass
