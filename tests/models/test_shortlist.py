"""A file of shortlists: what may follow, by source token."""

import numpy as np
import pytest

from models.bundle import Bundle, DamagedBundle, Variant
from models.shortlist import Shortlists, open_shortlists

ROWS = [[0], [1, 4], [], [3, 5, 4], [5], [0, 4]]


def make_shortlists(rows=ROWS):
    ids = np.array([id for row in rows for id in row], np.int32)
    return Shortlists(ids, np.cumsum([0, *map(len, rows)]))


def test_sentence_may_use_what_stands_in_the_rows_of_its_tokens():
    shortlists = make_shortlists()

    assert shortlists.choose([3, 1]).tolist() == [1, 3, 4, 5]
    assert shortlists.choose([1, 3, 3, 2]).tolist() == [1, 3, 4, 5]
    assert shortlists.choose([2]).tolist() == []


def test_file_holds_what_was_saved(tmp_path):
    make_shortlists().save(tmp_path / "shortlists.npz")

    opened = Shortlists.open(tmp_path / "shortlists.npz")

    assert opened.size == 6
    assert [opened.choose([token]).tolist() for token in range(6)] == [sorted(row) for row in ROWS]


def test_same_rows_are_the_same_bytes(tmp_path):
    paths = [make_shortlists().save(tmp_path / name) for name in ("one.npz", "two.npz")]

    assert paths[0].read_bytes() == paths[1].read_bytes()


@pytest.mark.parametrize(
    ("ids", "offsets"),
    [
        ([0, 1], [0, 2, 1]),
        ([0, 1], [0, 3, 3]),
        ([0, 1], [1, 1, 2]),
        ([0, 2], [0, 1, 2]),
        ([0, -1], [0, 1, 2]),
        ([], [0]),
    ],
)
def test_what_is_no_row_for_every_token_is_refused(ids, offsets):
    with pytest.raises(ValueError, match="shortlists"):
        Shortlists(np.array(ids, np.int32), np.array(offsets))


@pytest.mark.parametrize("content", [b"", b"text", b"PK\x03\x04"])
def test_other_files_are_refused(content, tmp_path):
    (tmp_path / "shortlists.npz").write_bytes(content)

    with pytest.raises(ValueError, match=r"shortlists\.npz is not a file of shortlists"):
        Shortlists.open(tmp_path / "shortlists.npz")


def test_pickled_objects_are_not_loaded(tmp_path):
    objects = np.array([{"any": "object"}], dtype=object)
    np.savez(tmp_path / "shortlists.npz", ids=objects, offsets=objects)

    with pytest.raises(ValueError, match="pickle"):
        Shortlists.open(tmp_path / "shortlists.npz")


def test_shortlists_of_another_vocabulary_are_refused(listed_bundle, tmp_path):
    file = listed_bundle.manifest.variants["int8"].shortlists
    bundle = Bundle(tmp_path, listed_bundle.manifest)
    bundle.file(file).parent.mkdir()
    make_shortlists().save(bundle.file(file))

    with pytest.raises(DamagedBundle, match=r"int8/shortlists\.npz has 6 rows, the manifest says"):
        open_shortlists(bundle, file)


@pytest.mark.parametrize("part", ["columns", "shortlist_step", "shortlists"])
def test_shortlists_without_one_of_their_parts_are_refused(part, listed_bundle):
    described = dict(listed_bundle.manifest.variants["int8"])
    assert listed_bundle.manifest.files.keys() >= {described[part].path}

    with pytest.raises(ValueError, match="must come together"):
        Variant.model_validate(described | {part: None})
