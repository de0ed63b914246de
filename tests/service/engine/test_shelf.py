import logging
from collections.abc import Iterator, Mapping

import pytest
from prometheus_client import REGISTRY

from service.engine import EngineOptions
from service.engine.model import Model
from service.engine.shelf import Shelf
from tests.versions import publish_damaged, publish_version, weights_of


class Reader:
    """Looks at a shelf again and again, and closes what it got."""

    def __init__(self, shelf: Shelf) -> None:
        self.shelf = shelf
        self.models: Mapping[str, Model] = {}
        self._loaded: set[Model] = set()

    def look(self, *ready: Model, **pins: str) -> list[str]:
        self.models = self.shelf.choose(self.models, pins, ready)
        self._loaded |= set(self.models.values())
        return [model.identity for model in self.models.values()]

    def close(self) -> None:
        for model in self._loaded:
            model.close()


@pytest.fixture
def reader(tmp_path) -> Iterator[Reader]:
    reader = Reader(Shelf(tmp_path, EngineOptions(device="cpu", workers=1)))
    yield reader
    reader.close()


def loads(outcome: str) -> float:
    return REGISTRY.get_sample_value("dragoman_model_loads_total", {"outcome": outcome}) or 0.0


def test_newest_version_of_each_name_is_loaded(reader, tmp_path, tiny_bundle):
    for name, version in (("b", 1), ("a", 2), ("a", 10)):
        publish_version(tiny_bundle, tmp_path, version, name=name)

    assert reader.look() == ["a/10", "b/1"]


def test_model_that_serves_is_not_loaded_again(reader, tmp_path, tiny_bundle):
    publish_version(tiny_bundle, tmp_path, 1)
    reader.look()
    before = reader.models

    reader.look()

    assert reader.models == before


def test_name_that_appears_is_added(reader, tmp_path, tiny_bundle):
    publish_version(tiny_bundle, tmp_path, 1, name="a")
    reader.look()
    publish_version(tiny_bundle, tmp_path, 1, name="b")

    assert reader.look() == ["a/1", "b/1"]


def test_version_before_a_damaged_one_is_loaded(reader, tmp_path, tiny_bundle):
    publish_version(tiny_bundle, tmp_path, 1)
    publish_damaged(tiny_bundle, tmp_path, 2)

    assert reader.look() == ["tiny/1"]
    assert list(reader.shelf.refused()) == ["tiny/2"]


def test_damaged_bundle_is_tried_and_told_of_once(reader, tmp_path, tiny_bundle, caplog):
    publish_damaged(tiny_bundle, tmp_path, 1)
    before = loads("failed")

    with caplog.at_level(logging.WARNING):
        found = [reader.look() for _ in range(3)]

    assert found == [[], [], []]
    assert caplog.messages == ["bundle refused"]
    assert loads("failed") == before + 1


def test_bundle_that_was_mended_is_tried_again(reader, tmp_path, tiny_bundle):
    folder = publish_damaged(tiny_bundle, tmp_path, 2)
    reader.look()

    weights_of(folder).write_bytes(weights_of(tiny_bundle.path).read_bytes())

    assert reader.look() == ["tiny/2"]
    assert reader.shelf.refused() == {}


def test_model_without_sense_is_refused(reader, tmp_path, tiny_bundle):
    publish_version(tiny_bundle, tmp_path, 1, scale=float("nan"))

    assert reader.look() == []
    assert reader.shelf.refused() == {"tiny/1": "the model's scores are no numbers"}


def test_graph_that_onnx_runtime_cannot_read_is_refused_with_a_trace(
    reader, tmp_path, tiny_bundle, caplog
):
    publish_version(tiny_bundle, tmp_path, 1, graph=b"no graph")

    assert reader.look() == []
    assert reader.shelf.refused() == {"tiny/1": "cannot be loaded: InvalidProtobuf"}
    assert caplog.records[0].exc_info is not None


def test_bundle_without_the_variant_that_is_wanted_is_refused(tmp_path, tiny_bundle):
    publish_version(tiny_bundle, tmp_path, 1)
    shelf = Shelf(tmp_path, EngineOptions(device="cpu", variant="fp16"))

    assert shelf.choose({}) == {}
    assert shelf.refused() == {"tiny/1": "tiny/1 has no variant fp16, only fp32"}


def test_model_whose_bundle_was_damaged_later_serves_on(reader, tmp_path, tiny_bundle):
    publish_version(tiny_bundle, tmp_path, 1)
    folder = publish_version(tiny_bundle, tmp_path, 2)
    reader.look()
    model = reader.models["tiny"]

    (folder / "card.md").write_bytes(b"")

    assert [reader.look() for _ in range(2)] == [["tiny/2"], ["tiny/2"]]
    assert reader.models["tiny"] is model
    assert list(reader.shelf.refused()) == ["tiny/2"]


def test_refusal_of_a_version_that_was_overtaken_is_forgotten(reader, tmp_path, tiny_bundle):
    publish_damaged(tiny_bundle, tmp_path, 1)
    reader.look()
    publish_version(tiny_bundle, tmp_path, 2)

    assert reader.look() == ["tiny/2"]
    assert reader.shelf.refused() == {}


def test_refusal_of_a_bundle_that_was_removed_is_forgotten(reader, tmp_path, tiny_bundle):
    folder = publish_damaged(tiny_bundle, tmp_path, 1)
    reader.look()

    folder.rename(tmp_path / ".gone")

    assert reader.look() == []
    assert reader.shelf.refused() == {}


def test_pinned_version_is_loaded_whatever_newer_ones_there_are(reader, tmp_path, tiny_bundle):
    for name, version in (("a", 1), ("a", 2), ("b", 1), ("b", 2)):
        publish_version(tiny_bundle, tmp_path, version, name=name)

    assert reader.look(a="1") == ["a/1", "b/2"]
    assert reader.look(a="2", b="1") == ["a/2", "b/1"]
    assert reader.look() == ["a/2", "b/2"]


def test_pinned_version_that_cannot_be_loaded_changes_nothing(
    reader, tmp_path, tiny_bundle, caplog
):
    publish_version(tiny_bundle, tmp_path, 1)
    publish_version(tiny_bundle, tmp_path, 2)
    reader.look(tiny="1")
    publish_damaged(tiny_bundle, tmp_path, 3)

    with caplog.at_level(logging.WARNING):
        found = [reader.look(tiny="3") for _ in range(2)]

    assert found == [["tiny/1"]] * 2
    assert caplog.messages == ["bundle refused", "pinned version cannot serve"]
    assert list(reader.shelf.refused()) == ["tiny/3"]


@pytest.mark.parametrize(
    ("versions", "expected"), [((1, 2, 5, 6), "tiny/2"), ((5, 6), "tiny/5"), ((10, 9), "tiny/9")]
)
def test_next_older_version_serves_for_a_pinned_one_that_is_gone(
    reader, tmp_path, tiny_bundle, versions, expected
):
    for version in versions:
        publish_version(tiny_bundle, tmp_path, version)

    assert reader.look(tiny="4") == [expected]


def test_pinned_version_serves_as_soon_as_it_is_there(reader, tmp_path, tiny_bundle):
    publish_version(tiny_bundle, tmp_path, 3)
    reader.look(tiny="2")

    publish_version(tiny_bundle, tmp_path, 2)

    assert reader.look(tiny="2") == ["tiny/2"]


def test_pinned_version_whose_bundle_has_gone_serves_on(reader, tmp_path, tiny_bundle):
    publish_version(tiny_bundle, tmp_path, 1)
    folder = publish_version(tiny_bundle, tmp_path, 2)
    reader.look(tiny="2")

    folder.rename(tmp_path / ".gone")

    assert reader.look(tiny="2") == ["tiny/2"]


def test_damage_of_a_version_newer_than_the_pinned_one_is_told_once(
    reader, tmp_path, tiny_bundle, caplog
):
    publish_version(tiny_bundle, tmp_path, 1)
    publish_damaged(tiny_bundle, tmp_path, 2)
    publish_version(tiny_bundle, tmp_path, 3)

    with caplog.at_level(logging.WARNING):
        found = [reader.look(tiny="1") for _ in range(2)]

    assert found == [["tiny/1"]] * 2
    assert list(reader.shelf.refused()) == ["tiny/2"]
    assert caplog.messages == ["bundle refused"]


def test_model_that_is_ready_is_not_loaded_again_unless_its_files_changed(
    reader, tmp_path, tiny_bundle
):
    publish_version(tiny_bundle, tmp_path, 1)
    newer = publish_version(tiny_bundle, tmp_path, 2)
    reader.look(tiny="2")
    [ready] = reader.models.values()
    reader.look(tiny="1")
    before = loads("loaded")

    reader.look(ready, tiny="2")
    assert (reader.models, loads("loaded")) == ({"tiny": ready}, before)

    reader.look(tiny="1")
    (newer / "card.md").touch()
    reader.look(ready, tiny="2")
    assert reader.models != {"tiny": ready}
