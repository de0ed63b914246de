"""Which bundles of a folder should serve: of each name, the newest that can be loaded.

Where a version is pinned, that one should, and those newer than it are examined only.

A bundle that cannot be loaded is tried again only when its files have changed. A model whose
bundle has gone stays, unless another version of it is there.
"""

import logging
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path

from models.bundle import DamagedBundle, find_bundles
from service import metrics
from service.engine.loading import examine, identity_of, load
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
        self._ready: Mapping[Path, Model] = {}
        self._unpinned: dict[str, tuple[str, str | None]] = {}

    def refused(self) -> Mapping[str, str]:
        """Return why bundles cannot be loaded, by name and version; any thread may ask."""
        return {identity_of(folder): reason for folder, reason in self._reasons.items()}

    def choose(
        self,
        serving: Mapping[str, Model],
        pins: Mapping[str, str] = {},
        ready: Sequence[Model] = (),
    ) -> dict[str, Model]:
        """Return the models that should serve, by name: those that do, and some newly loaded.

        The caller owns all of them.

        Args:
            pins: the version that should serve, by name.
            ready: models that need not be loaded again, if they should serve.
        """
        self._ready = {model.folder: model for model in ready}
        folders_by_name: dict[str, list[Path]] = {name: [] for name in serving}
        for folder in find_bundles(self._root):  # in ascending order of versions
            folders_by_name.setdefault(folder.parent.name, []).insert(0, folder)
        models: dict[str, Model] = {}
        looked_at: set[Path] = set()
        for name, folders in sorted(folders_by_name.items()):
            wanted = _in_order(folders, pins.get(name), name in serving)
            model = self._choose(wanted, serving.get(name))
            looked_at.update(_tried(wanted, model))
            if model is not None:
                models[name] = model
            if name in pins:
                looked_at.update(self._examine_newer(folders, pins[name]))
                self._tell_unpinned(name, pins[name], model)
        self._forget_all_but(looked_at)
        self._tell_gone(models, folders_by_name)
        metrics.REFUSED_BUNDLES.set(len(self._reasons))
        self._ready = {}
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
            # What is ready was made of these files, unless they are seen to have changed.
            is_changed = is_present or self._marks.get(folder, mark) != mark
            ready = None if is_changed else self._ready.get(folder)
            self._marks[folder] = mark
            if model := self._load(folder, ready):
                return model
            if is_present:
                return present  # it was changed for the worse, after it had been loaded
        return present

    def _load(self, folder: Path, ready: Model | None) -> Model | None:
        reasons = {each: why for each, why in self._reasons.items() if each != folder}
        try:
            model = ready or load(folder, self._options)
        except UnusableModel as refusal:
            self._reasons = {**reasons, folder: refusal.reason}
            return None
        self._reasons = reasons
        return model

    def _examine_newer(self, folders: Sequence[Path], pinned: str) -> Sequence[Path]:
        """Find out which of the bundles that could be promoted are damaged, and return all."""
        newer = [folder for folder in folders if _order(folder.name) > _order(pinned)]
        for folder in newer:
            mark = _mark(folder)
            if self._marks.get(folder) == mark:
                continue
            self._marks[folder] = mark
            reasons = {each: why for each, why in self._reasons.items() if each != folder}
            try:
                examine(folder)
            except UnusableModel as refusal:
                reasons[folder] = refusal.reason
            self._reasons = reasons
        return newer

    def _tell_unpinned(self, name: str, pinned: str, model: Model | None) -> None:
        """Say once that another version than the pinned one serves."""
        instead = model.folder.name if model else None
        if instead == pinned:
            self._unpinned.pop(name, None)
        elif self._unpinned.get(name) != (pinned, instead):
            self._unpinned[name] = pinned, instead
            extra = {"model": f"{name}/{pinned}", "instead": model.identity if model else None}
            log.warning("pinned version cannot serve", extra=extra)

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


def _order(version: str) -> tuple[int, str]:
    return len(version), version


def _in_order(folders: list[Path], pinned: str | None, serves: bool) -> list[Path]:
    """Return what to try, the best first, of folders whose newest version is the first."""
    if pinned is None:
        return folders
    wanted = [folder for folder in folders if folder.name == pinned]
    if serves:
        return wanted
    older = [folder for folder in folders if _order(folder.name) < _order(pinned)]
    newer = [folder for folder in folders if _order(folder.name) > _order(pinned)]
    return [*wanted, *older, *reversed(newer)]


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
