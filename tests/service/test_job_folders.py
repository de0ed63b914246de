import errno
import os
import secrets

import pytest

from service.errors import Overloaded, StoreUnavailable
from service.job_folders import JobFolders, dump, load, replacing, write

ID = "0123456789abcdef" * 2


@pytest.fixture
def folders(tmp_path) -> JobFolders:
    return JobFolders(tmp_path / "evaluations")


def fail_to_sync(monkeypatch, number: int) -> None:
    def fsync(descriptor: int) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(os, "fsync", fsync)


def create(folders: JobFolders, id: str) -> None:
    with folders.create(id) as draft:
        write(draft / "source.txt", b"a\n")


def test_folder_appears_when_all_of_it_is_there(folders):
    with folders.create(ID) as draft:
        write(draft / "source.txt", b"a\n")
        assert folders.find(ID) is None
        assert folders.ids() == [ID]

    assert folders.find(ID) == folders.path(ID)
    assert (folders.path(ID) / "source.txt").read_bytes() == b"a\n"
    assert folders.path(ID).stat().st_mode & 0o777 == 0o700


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT])
def test_full_disk_is_told_and_leaves_nothing(folders, monkeypatch, number, tmp_path):
    with monkeypatch.context() as patch:
        fail_to_sync(patch, number)
        with pytest.raises(
            StoreUnavailable, match=r"^evaluations cannot be kept now: the disk is full$"
        ):
            create(folders, ID)

    assert list((tmp_path / "evaluations").iterdir()) == []
    create(folders, ID)
    assert folders.find(ID)


def test_disk_that_fails_is_told(folders, monkeypatch):
    fail_to_sync(monkeypatch, errno.EIO)

    with pytest.raises(StoreUnavailable, match=r"^evaluations cannot be kept now$"):
        create(folders, ID)


def test_refusal_while_a_folder_is_filled_travels_and_leaves_nothing(folders):
    def fill() -> None:
        with folders.create(ID) as draft:
            write(draft / "source.txt", b"a\n")
            raise Overloaded("too many")

    with pytest.raises(Overloaded):
        fill()

    assert folders.ids() == []


def test_removed_folder_is_gone_with_what_was_left_of_its_creation(folders):
    create(folders, ID)
    (folders.path(ID).parent / f".{ID}" / "chunks").mkdir(parents=True)

    folders.remove(ID)
    folders.remove(ID)

    assert folders.find(ID) is None
    assert folders.ids() == []
    assert folders.changed(ID) == 0


def test_folder_half_removed_when_the_process_died_is_seen_by_those_who_clean_up(folders):
    create(folders, ID)
    folders.path(ID).rename(folders.path(ID).parent / f".{ID}")

    assert folders.find(ID) is None
    assert folders.ids() == [ID]
    assert folders.changed(ID) > 0
    folders.remove(ID)
    assert folders.ids() == []


@pytest.mark.parametrize("id", ["", "..", "../documents", ID.upper(), f"{ID}0", f"{ID}/.."])
def test_id_of_a_caller_leads_nowhere_else(folders, id):
    create(folders, ID)

    assert folders.find(id) is None


def test_other_things_in_the_folder_are_no_jobs(folders):
    ids = sorted(secrets.token_hex(16) for _ in range(3))
    for id in ids:
        create(folders, id)
    (folders.path("lost+found")).mkdir()

    assert folders.ids() == ids


def test_writing_counts_as_a_change(folders):
    create(folders, ID)
    os.utime(folders.path(ID), (1000, 1000))
    assert folders.changed(ID) == 1000

    dump(folders.path(ID) / "chunk-0.json", ["\N{GRINNING FACE}"])

    assert folders.changed(ID) > 1000
    assert load(folders.path(ID) / "chunk-0.json") == ["\N{GRINNING FACE}"]


def test_file_that_cannot_be_written_leaves_the_one_before(tmp_path, monkeypatch):
    path = tmp_path / "report.json"
    write(path, b"before")

    def write_half() -> None:
        with replacing(path) as file:
            file.write(b"half")
            raise ValueError("line 7")

    with monkeypatch.context() as patch:
        fail_to_sync(patch, errno.ENOSPC)
        with pytest.raises(OSError, match="No space left"):
            write(path, b"after")
    with pytest.raises(ValueError, match="line 7"):
        write_half()

    assert path.read_bytes() == b"before"
    assert list(tmp_path.iterdir()) == [path]
