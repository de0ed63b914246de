"""The models that serve now, kept in step with a folder of bundles.

A new bundle is loaded and run beside the old model and takes its place at once; the old one
is unloaded when its last holder has gone. A bundle that cannot be loaded changes nothing.

    shelf -> load -> swap -> hold ... release -> unload

One thread loads, swaps and unloads. Whoever translates holds a `Models`, which never
changes, so one request is served by one version of each model.
"""

import logging
import threading
from collections.abc import Iterator, Mapping
from concurrent.futures import Future
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from service import metrics
from service.engine.device import choose_device
from service.engine.model import EngineOptions, Model, ModelDescription
from service.engine.registry import Models, close_all
from service.engine.shelf import Shelf
from service.errors import Overloaded

log = logging.getLogger(__name__)

# Nobody holds a model that is unloaded: its threads have a last step to end, and no more.
_UNLOAD_SECONDS = 10.0


class Library:
    """Holds the models of a folder ready for use; `start` begins to load them.

    Any thread may use it, and nothing but `close` blocks.

    Args:
        reload_seconds: how often to look whether the folder has changed; 0 for only when told.

    Raises:
        CannotRun: the device of the options cannot be had.
    """

    def __init__(
        self, root: Path, options: EngineOptions = EngineOptions(), *, reload_seconds: float = 0.0
    ) -> None:
        # Once: `auto` must not become another device while models serve.
        device = choose_device(options.device)
        self._shelf = Shelf(root, replace(options, device=device))
        self._reload_seconds = reload_seconds
        # A handler of signals may interrupt its own thread while that has the lock.
        self._changed = threading.Condition(threading.RLock())
        self._current: Models | None = None
        self._holders: dict[Models, int] = {}
        self._loaded: list[Model] = []
        self._is_wanted = self._is_closed = False
        self._thread = threading.Thread(target=self._run, name="loading", daemon=True)
        self.started: Future[None] = Future()
        """Done when the models serve for the first time; fails if they never will."""

    @property
    def has_started(self) -> bool:
        """Whether the models have begun to serve."""
        return self._current is not None

    @property
    def is_alive(self) -> bool:
        """Whether every decoding thread runs and none is stuck; true while models load."""
        return not self._unwell()

    def start(self) -> None:
        """Begin to load the models."""
        self._thread.start()

    def reload(self) -> None:
        """Look soon whether the folder has changed; a handler of signals may call this."""
        with self._changed:
            self._is_wanted = True
            self._changed.notify_all()

    @contextmanager
    def hold(self) -> Iterator[Models]:
        """Hold the present models: they work until the context ends, whatever is loaded.

        Raises:
            Overloaded: the models are still being loaded.
        """
        with self._changed:
            models = self._current
            if models is None:
                raise Overloaded("the models are being loaded")
            self._holders[models] = self._holders.get(models, 0) + 1
        try:
            yield models
        finally:
            self._release(models)

    def troubles(self) -> list[str]:
        """Return why texts are not accepted; empty if they are."""
        if self._is_closed:
            return ["the models are being unloaded"]
        if not self.has_started:
            return ["the models are being loaded"]
        return [f"the model {identity} does not decode" for identity in self._unwell()]

    def describe(self) -> list[ModelDescription]:
        """Describe the models that serve, by name."""
        current = self._current
        return [] if current is None else current.describe()

    def refused(self) -> Mapping[str, str]:
        """Return why bundles of the folder are not served, by their name and version."""
        return self._shelf.refused()

    def close(self, timeout_seconds: float | None = None) -> None:
        """Finish what was accepted, then stop; what is not done in time fails."""
        with self._changed:
            self._is_closed = True
            self._changed.notify_all()
        self._unload_all(timeout_seconds)
        if self._thread.is_alive():
            self._thread.join(timeout_seconds)

    def _unwell(self) -> list[str]:
        with self._changed:
            return [model.identity for model in self._loaded if not model.is_alive]

    def _release(self, models: Models) -> None:
        with self._changed:
            self._holders[models] -= 1
            if not self._holders[models]:
                del self._holders[models]
                if models is not self._current:
                    self._changed.notify_all()

    def _run(self) -> None:
        try:
            self._fill()
        except Exception as failure:  # noqa: BLE001  # whatever it is, those who wait must hear of it
            self.started.set_exception(failure)
        else:
            self.started.set_result(None)
            while not self._is_closed:
                self._turn()
        # What was loaded while `close` was under way.
        self._unload_all(_UNLOAD_SECONDS)

    def _fill(self) -> None:
        models = self._shelf.choose({})
        with self._changed:
            self._loaded = list(models.values())
        self._shelf.check_complete(models)
        self._swap(models)
        log.info("ready", extra={"models": [model.identity for model in models.values()]})

    def _turn(self) -> None:
        try:
            is_due = self._await_work()
            self._unload_unused()
            if is_due:
                self._refresh()
        except Exception:
            # What serves goes on, and the next look at the folder may succeed.
            log.exception("reloading failed")

    def _await_work(self) -> bool:
        """Wait; return whether it is time to look at the folder."""
        with self._changed:
            has_work = self._changed.wait_for(self._has_work, self._reload_seconds or None)
            is_due = self._is_wanted or not has_work
            self._is_wanted = False
            return is_due and not self._is_closed

    def _has_work(self) -> bool:
        return self._is_closed or self._is_wanted or bool(self._unused())

    def _unused(self) -> list[Model]:
        sets = [*self._holders, *([self._current] if self._current else [])]
        used = {model for models in sets for model in models.loaded}
        return [model for model in self._loaded if model not in used]

    def _refresh(self) -> None:
        assert self._current is not None, "the first models come before"
        serving = {model.name: model for model in self._current.loaded}
        models = self._shelf.choose(serving)
        if models != serving:
            self._swap(models)
            log.info("models swapped", extra={"models": [m.identity for m in models.values()]})

    def _swap(self, models: Mapping[str, Model]) -> None:
        detector = self._current.detector if self._current else None
        successor = Models(list(models.values()), detector)
        with self._changed:
            self._loaded += [model for model in successor.loaded if model not in self._loaded]
            self._current = successor

    def _unload_unused(self) -> None:
        with self._changed:
            unused = self._unused()
            self._loaded = [model for model in self._loaded if model not in unused]
            remaining = {model.identity for model in self._loaded}
        for model in unused:
            model.close(_UNLOAD_SECONDS)
            if model.identity not in remaining:
                metrics.forget(model.identity)
            log.info("model unloaded", extra={"model": model.identity})

    def _unload_all(self, timeout_seconds: float | None) -> None:
        with self._changed:
            loaded, self._loaded = self._loaded, []
        close_all(loaded, timeout_seconds)
