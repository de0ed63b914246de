"""What lies on disk of jobs: one folder for each, which appears and goes away as a whole.

    documents/ID/  document.json  upload  source-0.json ...

    with folders.create(id) as draft:           all of it is kept, or nothing
        dump(draft / "document.json", record)
    write(folders.path(id) / "result", content)

Folders and files appear by a rename, files after their content has reached the disk, so that what
is there is whole, whenever a process or a machine dies.
"""

import errno
import json
import logging
import os
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, Any

from service.errors import StoreUnavailable

log = logging.getLogger(__name__)

ID = re.compile(r"[0-9a-f]{32}")

_FULL = {errno.ENOSPC, errno.EDQUOT}


class JobFolders:
    """The folders of all jobs of a kind; any thread may use it.

    Args:
        root: Where they lie; its name is what they are called in messages, such as `documents`.
    """

    def __init__(self, root: Path) -> None:
        self._root = root

    @contextmanager
    def create(self, id: str) -> Iterator[Path]:
        """Give a folder to fill, which becomes that of a new job at the end of the `with` block.

        If the block raises, nothing is kept.

        Raises:
            StoreUnavailable: the disk is full, or cannot be written to.
        """
        draft = self._draft(id)
        try:
            draft.mkdir(mode=0o700, parents=True)
            yield draft
            draft.rename(self._root / id)
            _sync(self._root)
        except OSError as failure:
            self.remove(id)
            log.exception("job cannot be kept", extra={"folder": self._root.name})
            reason = ": the disk is full" if is_full(failure) else ""
            raise StoreUnavailable(f"{self._root.name} cannot be kept now{reason}") from None
        except BaseException:
            self.remove(id)
            raise

    def path(self, id: str) -> Path:
        """Return the folder of a job, which need not be there."""
        return self._root / id

    def find(self, id: str) -> Path | None:
        """Return the folder of a job of which a caller has told the id; None if there is none."""
        folder = self._root / id
        return folder if ID.fullmatch(id) and folder.is_dir() else None

    def ids(self) -> list[str]:
        """Return all jobs, those included that are only half created or removed."""
        folders = self._root.iterdir() if self._root.exists() else ()
        names = {folder.name.removeprefix(".") for folder in folders}
        return sorted(name for name in names if ID.fullmatch(name))

    def changed(self, id: str) -> float:
        """Return when a file of the job was written last, in seconds since 1970.

        It is 0 if the job is gone.
        """
        for folder in (self._root / id, self._draft(id)):
            with suppress(FileNotFoundError):
                return folder.stat().st_mtime
        return 0.0

    def remove(self, id: str) -> None:
        """Remove all that is left of a job; from the first moment on, none of it is seen."""
        draft = self._draft(id)
        shutil.rmtree(draft, ignore_errors=True)
        with suppress(OSError):
            (self._root / id).rename(draft)
        for folder in (draft, self._root / id):
            shutil.rmtree(folder, ignore_errors=True)

    def _draft(self, id: str) -> Path:
        return self._root / f".{id}"


def is_full(failure: OSError) -> bool:
    """Tell whether there is no room on the disk, or none for this user."""
    return failure.errno in _FULL


@contextmanager
def replacing(path: Path) -> Iterator[IO[bytes]]:
    """Give a file to write, which takes its place at the end of the `with` block.

    If the block raises, nothing of it stays, and a file that was there does.
    """
    draft = path.with_name(f".{path.name}.draft")
    try:
        with draft.open("wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        draft.rename(path)
    except BaseException:
        with suppress(OSError):
            draft.unlink()  # there may be no room for the next try otherwise
        raise
    _sync(path.parent)


def write(path: Path, content: bytes) -> None:
    """Write a whole file."""
    with replacing(path) as file:
        file.write(content)


def dump(path: Path, value: object) -> None:
    """Write a whole file of JSON."""
    write(path, json.dumps(value, ensure_ascii=False).encode())


def load(path: Path) -> Any:  # noqa: ANN401  # what JSON can hold
    """Read a file of JSON."""
    return json.loads(path.read_text(encoding="utf-8"))


def _sync(folder: Path) -> None:
    """Let what was renamed in a folder reach the disk."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
