"""Shortlists: which tokens may follow in the translation of a source, looked up by its tokens.

A file of shortlists holds one row of target tokens for each source token. A sentence may use
the tokens in the rows of its source tokens, and no others; what a sentence may use depends on
nothing but itself.

Shapes: R ids in all rows, X ids of one sentence.
"""

from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from typing import Self
from zipfile import BadZipFile

import numpy as np
from numpy.lib.npyio import NpzFile
from numpy.typing import NDArray

from models.bundle import Bundle, DamagedBundle, File


def open_shortlists(bundle: Bundle, file: File) -> "Shortlists":
    """Load the shortlists of a bundle.

    Raises:
        DamagedBundle: the file holds none, or not those of the vocabulary.
    """
    try:
        shortlists = Shortlists.open(bundle.file(file))
    except ValueError as error:
        raise DamagedBundle(f"{bundle.path}: {file.path} cannot be read: {error}") from error
    size = bundle.manifest.tokenizer.size
    if shortlists.size != size:
        reason = f"has {shortlists.size} rows, the manifest says {size}"
        raise DamagedBundle(f"{bundle.path}: {file.path} {reason}")
    return shortlists


class Shortlists:
    """The target tokens for each source token.

    Args:
        ids_R: All rows, end to end.
        offsets: Row i is `ids_R[offsets[i]:offsets[i + 1]]`; there is a row for every token.

    Raises:
        ValueError: these are no rows of token ids.
    """

    def __init__(self, ids_R: NDArray[np.int32], offsets: NDArray[np.int64]) -> None:
        self.size = len(offsets) - 1
        """Tokens of the vocabulary."""
        bounds = [0, *offsets, len(ids_R)]
        if self.size < 1 or offsets[0] or np.any(np.diff(bounds) < 0):
            raise ValueError("shortlists are not divided into rows")
        if len(ids_R) and not 0 <= ids_R.min() <= ids_R.max() < self.size:
            raise ValueError(f"shortlists name tokens beyond the {self.size} there are")
        self._ids_R, self._offsets = ids_R, offsets
        self._bounds = [slice(*pair) for pair in pairwise(offsets.tolist())]

    @classmethod
    def open(cls, path: Path) -> Self:
        """Read a file of shortlists.

        Raises:
            ValueError: it holds none.
        """
        try:
            with path.open("rb") as file, NpzFile(file) as arrays:
                return cls(arrays["ids"].astype(np.int32), arrays["offsets"].astype(np.int64))
        except (OSError, KeyError, BadZipFile) as error:
            raise ValueError(f"{path.name} is not a file of shortlists") from error

    def save(self, path: Path) -> Path:
        """Write the file that `open` reads and return it; the same rows give the same bytes."""
        np.savez_compressed(path, ids=self._ids_R, offsets=self._offsets)
        return path

    def choose(self, source: Sequence[int]) -> NDArray[np.int64]:
        """Return the tokens that may follow in the translation of a source, in order."""
        may_follow_V = np.zeros(self.size, np.bool_)
        rows = [self._ids_R[self._bounds[token]] for token in source]
        may_follow_V[np.concatenate(rows)] = True
        return np.flatnonzero(may_follow_V)
