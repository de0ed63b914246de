"""Which bundles of a folder should serve: of each name, the newest that can be loaded.

A bundle that cannot be loaded is tried again only when its files have changed. A model whose
bundle has gone stays, unless another version of it is there.
"""

import logging
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path

from models.bundle import DamagedBundle, find_bundles
from service import metrics
from service.engine.loading import identity_of, load
from service.engine.model import EngineOptions, Model
from service.errors import UnusableModel

log = logging.getLogger(__name__)

_Mark = frozenset[tuple[Path, int, int, int]]


class Shelf:
    """A folder of bundles, and what became of those that were tried. For one thread."""

    def __init__(self, root: Path, options: EngineOptions) -> None:
        self._root = root
        self._options = options
        self._marks: dict[Path, _Mark] = {}
        self._reasons: Mapping[Path, str] = {}
        self._gone: set[Path] = set()

    def refused(self) -> Mapping[str, str]:
        """Return why bundles cannot be loaded, by name and version; any thread may ask."""
        return {identity_of(folder): reason for folder, reason in self._reasons.items()}

    def choose(self, serving: Mapping[str, Model]) -> dict[str, Model]:
        """Return the models that should serve, by name: those that do, and some newly loaded.

        The caller owns all of them.
        """
        folders_by_name: dict[str, list[Path]] = {name: [] for name in serving}
        for folder in find_bundles(self._root):  # in ascending order of versions
            folders_by_name.setdefault(folder.parent.name, []).insert(0, folder)
        chosen = {
            name: self._choose(folders_by_name[name], serving.get(name))
            for name in sorted(folders_by_name)
        }
        models = {name: model for name, model in chosen.items() if model is not None}
        for name, folders in folders_by_name.items():
            folders_by_name[name] = _tried(folders, chosen[name])
        self._forget_all_but({folder for each in folders_by_name.values() for folder in each})
        self._tell_gone(models, folders_by_name)
        metrics.REFUSED_BUNDLES.set(len(self._reasons))
        return models

    def check_complete(self, models: Mapping[str, Model]) -> None:
        """Check that there is a model of every name in the folder.

        Raises:
            DamagedBundle: of some name no bundle can be loaded.
            FileNotFoundError: there is no bundle.
        """
        for folder, reason in self._reasons.items():
            if folder.parent.name not in models:
                raise DamagedBundle(f"{folder}: {reason}")
        if not models:
            raise FileNotFoundError(f"there is no bundle under {self._root}")

    def _choose(self, folders: Sequence[Path], present: Model | None) -> Model | None:
        """Return the model of the first of these folders that can be loaded."""
        for folder in folders:
            mark = _mark(folder)
            is_known = self._marks.get(folder) == mark
            is_present = present is not None and present.folder == folder
            if is_known and is_present:
                return present
            if is_known and folder in self._reasons:
                continue
            self._marks[folder] = mark
            if model := self._load(folder):
                return model
            if is_present:
                return present  # it was changed for the worse, after it had been loaded
        return present

    def _load(self, folder: Path) -> Model | None:
        reasons = {each: why for each, why in self._reasons.items() if each != folder}
        try:
            model = load(folder, self._options)
        except UnusableModel as refusal:
            self._reasons = {**reasons, folder: refusal.reason}
            return None
        self._reasons = reasons
        return model

    def _forget_all_but(self, folders: set[Path]) -> None:
        self._marks = {each: mark for each, mark in self._marks.items() if each in folders}
        self._reasons = {each: why for each, why in self._reasons.items() if each in folders}

    def _tell_gone(
        self, models: Mapping[str, Model], folders_by_name: Mapping[str, Sequence[Path]]
    ) -> None:
        gone = {
            model.folder
            for name, model in models.items()
            if model.folder not in folders_by_name[name]
        }
        for folder in sorted(gone - self._gone):
            extra = {"model": identity_of(folder)}
            log.warning("bundle has gone, its model serves on", extra=extra)
        self._gone = gone


def _tried(folders: list[Path], found: Model | None) -> list[Path]:
    """Return those of the folders that were looked at until the model was found."""
    is_there = found is not None and found.folder in folders
    return folders[: folders.index(found.folder) + 1] if found and is_there else folders


def _mark(folder: Path) -> _Mark:
    """Return what differs when a file of the folder has been changed, added or removed."""
    found = set()
    with suppress(OSError):  # it goes while it is looked at; the next look tells more
        for path in folder.rglob("*"):
            stat = path.stat()
            found.add((path, stat.st_ino, stat.st_size, stat.st_mtime_ns))
    return frozenset(found)
