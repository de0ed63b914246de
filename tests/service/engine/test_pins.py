"""Which version serves when somebody has said so, while models are loaded and requests run."""

import logging
import shutil
from collections.abc import Iterator

import pytest

from service.engine import EngineOptions, Library
from service.errors import Overloaded, UnknownModel
from tests.events import TIMEOUT_SECONDS
from tests.service.engine.test_library import count
from tests.versions import hold_back, publish_damaged, publish_version

OPTIONS = EngineOptions(device="cpu", workers=1)


@pytest.fixture
def root(tmp_path, tiny_bundle):
    for version in (1, 2):
        publish_version(tiny_bundle, tmp_path / "bundles", version)
    return tmp_path / "bundles"


@pytest.fixture
def library(root, events) -> Iterator[Library]:
    library = Library(root, OPTIONS, linger_seconds=0)
    yield library
    library.close()


def start(library: Library) -> None:
    library.start()
    library.started.result(TIMEOUT_SECONDS)


def pin(library: Library, **versions: str) -> None:
    library.pin(versions).result(TIMEOUT_SECONDS)


def test_pin_given_before_the_start_is_honoured_from_the_first(library):
    library.pin({"tiny": "1"})

    start(library)

    assert library.serving() == {"tiny": "1"}


def test_pin_is_honoured_while_requests_run(library):
    start(library)
    with library.hold() as models:
        pin(library, tiny="1")

        assert library.serving() == {"tiny": "1"}
        [translation] = models.find("de", "en").translate_all(["Guten Morgen."])
        assert translation.model == "tiny/2"

    pin(library)
    assert library.serving() == {"tiny": "2"}


def test_newer_version_does_not_take_the_place_of_a_pinned_one(library, root, tiny_bundle):
    start(library)
    pin(library, tiny="2")
    publish_version(tiny_bundle, root, 3)

    pin(library, tiny="2")

    assert library.serving() == {"tiny": "2"}
    assert library.versions("tiny") == ["1", "2", "3"]


def test_names_are_pinned_independently(library, root, tiny_bundle):
    for version in (1, 2, 3):
        publish_version(tiny_bundle, root, version, name="other")
    start(library)

    pin(library, other="2")
    assert library.serving() == {"other": "2", "tiny": "2"}
    pin(library, other="2", tiny="1")
    assert library.serving() == {"other": "2", "tiny": "1"}
    pin(library, tiny="1")
    assert library.serving() == {"other": "3", "tiny": "1"}


def test_pin_given_in_the_middle_of_a_reload_is_honoured_after_it(library, root, tiny_bundle):
    start(library)
    publish_version(tiny_bundle, root, 3)
    let_go = hold_back(root / "tiny" / "3")
    pins = []

    library.reload()
    let_go(meanwhile=lambda: pins.append(library.pin({"tiny": "1"})))
    pins[0].result(TIMEOUT_SECONDS)

    assert library.serving() == {"tiny": "1"}


def test_version_that_was_lent_without_yielding_serves_without_another_load(library):
    start(library)
    with library.lend("tiny", 1, yields=False) as lent:
        loaded = count("dragoman_model_loads_total", outcome="loaded")
        pin(library, tiny="1")

        with library.hold() as serving:
            assert serving.loaded == lent.loaded
    assert count("dragoman_model_loads_total", outcome="loaded") == loaded


def test_what_serves_stays_where_newest_is_not_followed(root, tiny_bundle, events):
    library = Library(root, OPTIONS, follows_newest=False)
    start(library)
    publish_version(tiny_bundle, root, 3)
    publish_damaged(tiny_bundle, root, 4)
    publish_version(tiny_bundle, root, 1, name="new")

    library.reload()
    events.wait_for("models swapped")

    assert library.serving() == {"new": "1", "tiny": "2"}
    assert list(library.refused()) == ["tiny/4"]
    library.close()


def test_pin_of_what_cannot_be_loaded_changes_nothing(library, root, tiny_bundle, caplog):
    publish_damaged(tiny_bundle, root, 3)
    start(library)

    with caplog.at_level(logging.WARNING):
        pin(library, tiny="3")

    assert library.serving() == {"tiny": "2"}
    assert "pinned version cannot serve" in caplog.messages


def test_pins_of_a_library_that_closes_are_given_up(library):
    waiting = library.pin({"tiny": "1"})

    library.close()

    for pin in (waiting, library.pin({})):
        with pytest.raises(Overloaded, match="being unloaded"):
            pin.result(TIMEOUT_SECONDS)


def test_versions_are_in_ascending_order_with_those_that_have_gone(library, root, tiny_bundle):
    publish_version(tiny_bundle, root, 10)
    start(library)

    shutil.rmtree(root / "tiny" / "10")

    assert library.versions("tiny") == ["1", "2", "10"]
    with pytest.raises(UnknownModel, match="there is no model huge; there are tiny"):
        library.versions("huge")
