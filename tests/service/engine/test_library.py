import asyncio
import shutil
import threading
import weakref
from collections.abc import Iterator
from contextlib import ExitStack

import pytest
from prometheus_client import REGISTRY

from models.bundle import DamagedBundle
from service.engine import EngineOptions, Library, Translation, open_translator
from service.errors import Overloaded
from tests.events import TIMEOUT_SECONDS
from tests.versions import hold_back, publish_damaged, publish_version, weights_of

OPTIONS = EngineOptions(device="cpu", workers=2)
TEXTS = ["Guten Morgen. Wie geht es dir?", "Das Haus.", "Ich sehe einen Hund,\nzwei Katzen.", ""]


@pytest.fixture
def root(tmp_path, tiny_bundle):
    publish_version(tiny_bundle, tmp_path / "bundles", 1)
    return tmp_path / "bundles"


@pytest.fixture
def library(root, events) -> Iterator[Library]:
    library = Library(root, OPTIONS)
    library.start()
    library.started.result(TIMEOUT_SECONDS)
    yield library
    library.close()


def served(library: Library) -> list[str]:
    return [each.identity for each in library.describe()]


def decoding(model: str) -> list[str]:
    return [each.name for each in threading.enumerate() if f"decoding {model} " in each.name]


def count(series: str, **labels: str) -> float:
    return REGISTRY.get_sample_value(series, labels) or 0.0


def test_newer_version_takes_the_place_of_the_old_one(library, root, events, tiny_bundle):
    publish_version(tiny_bundle, root, 2)
    before = count("dragoman_model_swaps_total")

    library.reload()
    events.wait_for("model unloaded")

    assert count("dragoman_model_swaps_total") == before + 1
    assert served(library) == ["tiny/2"]
    assert decoding("tiny/1") == []
    with library.hold() as models:
        assert asyncio.run(models.find("de", "en").translate("Ja.")).model == "tiny/2"


def test_folder_is_looked_at_unasked(root, events, tiny_bundle):
    library = Library(root, OPTIONS, reload_seconds=0.01)
    library.start()
    library.started.result(TIMEOUT_SECONDS)

    publish_version(tiny_bundle, root, 2)
    events.wait_for("models swapped")

    assert served(library) == ["tiny/2"]
    library.close()


def test_held_model_works_until_it_is_released(library, root, events, tiny_bundle):
    publish_version(tiny_bundle, root, 2)

    with library.hold() as held, library.hold():
        library.reload()
        events.wait_for("models swapped")
        # The thread that unloads has been through its loop once more, and has kept it.
        publish_version(tiny_bundle, root, 3)
        library.reload()
        events.wait_for("model unloaded")
        [translation] = held.find("de", "en").translate_all(["Guten Morgen."])
        threads = decoding("tiny/1")
    last = events.wait_for("model unloaded")

    assert translation.model == "tiny/1"
    assert len(threads) == 2
    assert last.model == "tiny/1"
    assert decoding("tiny/1") == []


def test_unloaded_model_is_freed(library, root, events, tiny_bundle):
    is_freed = threading.Event()
    with library.hold() as models:
        [translation] = models.find("de", "en").translate_all(["Guten Morgen."])
        weakref.finalize(models.loaded[0], is_freed.set)
    del models
    publish_version(tiny_bundle, root, 2)

    library.reload()

    assert translation.model == "tiny/1"
    assert is_freed.wait(TIMEOUT_SECONDS)


def test_series_of_an_unloaded_model_go(library, root, events, tiny_bundle):
    info = {"variant": "fp32", "provider": "CPUExecutionProvider"}
    publish_version(tiny_bundle, root, 2)

    library.reload()
    events.wait_for("model unloaded")

    assert REGISTRY.get_sample_value("dragoman_rows", {"model": "tiny/1"}) is None
    assert REGISTRY.get_sample_value("dragoman_model_info", {"model": "tiny/1", **info}) is None
    assert REGISTRY.get_sample_value("dragoman_model_info", {"model": "tiny/2", **info}) == 1


class Callers:
    """Threads and an event loop that translate without a pause until they are stopped."""

    def __init__(self, library: Library) -> None:
        self._library = library
        self._is_over = threading.Event()
        self._threads = [threading.Thread(target=self._go_on) for _ in range(3)]
        self._threads.append(threading.Thread(target=lambda: asyncio.run(self._ask_at_once())))
        self.answers: list[list[Translation]] = []
        self.failures: list[Exception] = []
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        self._is_over.set()
        for thread in self._threads:
            thread.join(TIMEOUT_SECONDS)

    def ask(self) -> None:
        try:
            with self._library.hold() as models:
                translator = models.find("de", "en")
                self.answers.append(list(translator.translate_all(TEXTS)))
        except Exception as failure:  # noqa: BLE001  # whatever it is, it must not be
            self.failures.append(failure)

    def _go_on(self) -> None:
        while not self._is_over.is_set():
            self.ask()

    async def _ask_at_once(self) -> None:
        while not self._is_over.is_set():
            together = [self._ask_on_the_loop() for _ in range(4)]
            for answer in await asyncio.gather(*together, return_exceptions=True):
                (self.failures if isinstance(answer, Exception) else self.answers).append(answer)

    async def _ask_on_the_loop(self) -> list[Translation]:
        with self._library.hold() as models:
            return [await models.find("de", "en").translate(text) for text in TEXTS]


def test_no_request_is_lost_or_mixed_while_models_are_swapped(library, root, events, tiny_bundle):
    folders = {"tiny/1": root / "tiny" / "1"}
    callers = Callers(library)
    callers.ask()
    for version in range(2, 6):
        folder = publish_version(tiny_bundle, root, version, scale=1 + 0.1 * version)
        folders[f"tiny/{version}"] = folder
        library.reload()
        events.wait_for("model unloaded")
        callers.ask()  # so that each version has been in use
    callers.stop()

    alone = {}
    with ExitStack() as stack:
        for model, folder in folders.items():
            translator = open_translator(folder, ("de", "en"), options=OPTIONS)
            stack.callback(translator.close)
            alone[model] = list(translator.translate_all(TEXTS))
    assert callers.failures == []
    assert [each for each in callers.answers if each != alone.get(each[0].model)] == []
    assert {each[0].model for each in callers.answers} == folders.keys()
    assert len({tuple(each.text for each in answers) for answers in alone.values()}) == 5


def test_bundle_that_cannot_be_loaded_changes_nothing(library, root, events, tiny_bundle):
    failed = count("dragoman_model_loads_total", outcome="failed")
    publish_damaged(tiny_bundle, root, 2)

    library.reload()
    refusal = events.wait_for("bundle refused")

    assert (refusal.model, refusal.reason) == (
        "tiny/2",
        "fp32/weights.bin has 0 bytes, the manifest says "
        f"{weights_of(tiny_bundle.path).stat().st_size}",
    )
    with library.hold() as models:
        assert asyncio.run(models.find("de", "en").translate("Ja.")).model == "tiny/1"
    assert count("dragoman_model_loads_total", outcome="failed") == failed + 1


def test_refusal_is_told_until_a_better_version_comes(library, root, events, tiny_bundle):
    publish_damaged(tiny_bundle, root, 2)
    library.reload()
    events.wait_for("bundle refused")
    publish_version(tiny_bundle, root, 3, name="other")
    library.reload()
    events.wait_for("models swapped")

    assert list(library.refused()) == ["tiny/2"]
    assert library.troubles() == []
    assert count("dragoman_refused_bundles") == 1

    publish_version(tiny_bundle, root, 3)
    library.reload()
    events.wait_for("models swapped")

    assert served(library) == ["other/3", "tiny/3"]
    assert library.refused() == {}
    assert count("dragoman_refused_bundles") == 0


def test_models_of_which_no_bundle_can_be_loaded_never_start(tmp_path, tiny_bundle):
    publish_version(tiny_bundle, tmp_path, 1, name="sound")
    publish_damaged(tiny_bundle, tmp_path, 1)
    library = Library(tmp_path, OPTIONS)

    library.start()

    with pytest.raises(DamagedBundle, match=r"tiny/1: .*weights\.bin"):
        library.started.result(TIMEOUT_SECONDS)
    library.close(TIMEOUT_SECONDS)
    assert decoding("sound/1") == []


def test_folder_without_bundles_never_starts(tmp_path):
    library = Library(tmp_path, OPTIONS)

    library.start()

    with pytest.raises(FileNotFoundError, match="there is no bundle"):
        library.started.result(TIMEOUT_SECONDS)


def test_library_that_has_not_started_is_alive_and_says_so(root):
    library = Library(root, OPTIONS)

    assert (library.is_alive, library.has_started) == (True, False)
    assert library.troubles() == ["the models are being loaded"]
    with pytest.raises(Overloaded, match="being loaded"), library.hold():
        pass


def test_model_whose_threads_have_ended_is_named(library):
    assert (library.is_alive, library.troubles()) == (True, [])

    with library.hold() as models:
        models.loaded[0].close()

    assert not library.is_alive
    assert library.troubles() == ["the model tiny/1 does not decode"]


def test_closed_library_refuses_and_its_threads_end(root, events):
    library = Library(root, OPTIONS)
    library.start()
    library.started.result(TIMEOUT_SECONDS)

    library.close(TIMEOUT_SECONDS)

    assert library.troubles() == ["the models are being unloaded"]
    assert decoding("tiny/1") == []
    with library.hold() as models, pytest.raises(Overloaded):
        asyncio.run(models.find("de", "en").translate("Ja."))


def test_model_that_is_loaded_when_the_library_has_closed_is_unloaded(root):
    let_go = hold_back(root / "tiny" / "1")
    library = Library(root, OPTIONS)
    library.start()
    [loading] = [each for each in threading.enumerate() if each.name == "loading"]

    library.close(timeout_seconds=0)
    was_loading = loading.is_alive()
    let_go()
    loading.join(TIMEOUT_SECONDS)

    assert was_loading
    assert not loading.is_alive()
    assert decoding("tiny/1") == []


def test_version_that_is_withdrawn_gives_way_to_the_one_before(library, root, events, tiny_bundle):
    publish_version(tiny_bundle, root, 2)
    library.reload()
    events.wait_for("model unloaded")

    shutil.rmtree(root / "tiny" / "2")
    library.reload()
    events.wait_for("model unloaded")

    assert served(library) == ["tiny/1"]


def test_model_whose_bundle_has_gone_serves_on(library, root, events):
    shutil.rmtree(root / "tiny")

    library.reload()
    events.wait_for("bundle has gone, its model serves on")

    assert served(library) == ["tiny/1"]
    with library.hold() as models:
        assert asyncio.run(models.find("de", "en").translate("Ja.")).model == "tiny/1"
