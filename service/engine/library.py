"""The models that serve now, kept in step with a folder of bundles.

A new bundle is loaded and run beside the old model and takes its place at once; the old one
is unloaded when its last holder has gone. A bundle that cannot be loaded changes nothing.

    shelf -> load -> swap -> hold ... release -> unload

One thread loads, swaps and unloads. Whoever translates holds a `Models`, which never
changes, so one request is served by one version of each model.

Besides, a version may be lent that does not serve: it is loaded for who asked for it, yields
to all that serve, and is unloaded some seconds after it was given back.
"""

import logging
import math
import threading
from collections.abc import Iterator, Mapping
from concurrent.futures import Future
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from time import monotonic

from models.bundle import find_bundles
from service import metrics
from service.engine.device import choose_device
from service.engine.gpu_memory import watch_memory
from service.engine.holdings import UNLOAD_SECONDS, Holdings
from service.engine.identity import Key, versions_of, what_there_is
from service.engine.model import EngineOptions, Model, ModelDescription
from service.engine.registry import Models, close_all
from service.engine.shelf import Shelf
from service.errors import Overloaded, UnknownModel

log = logging.getLogger(__name__)


class Library:
    """Holds the models of a folder ready for use; `start` begins to load them.

    Any thread may use it, and nothing but `lend` and `close` blocks.

    Args:
        reload_seconds: how often to look whether the folder has changed; 0 for only when told.
        linger_seconds: how long a version that was lent stays loaded after that.
        follows_newest: whether a version takes the place of an older one by itself; if not, what
            serves stays, until another version is pinned.

    Raises:
        CannotRun: the device of the options cannot be had.
    """

    def __init__(
        self,
        root: Path,
        options: EngineOptions = EngineOptions(),
        *,
        reload_seconds: float = 0.0,
        linger_seconds: float = 20.0,
        follows_newest: bool = True,
    ) -> None:
        # Once: `auto` must not become another device while models serve.
        self._options = replace(options, device=choose_device(options.device))
        if self._options.device == "cuda":
            watch_memory()
        self._root = root
        self._shelf = Shelf(root, self._options)
        self._reload_seconds = reload_seconds or math.inf
        self._next_look = math.inf
        # A handler of signals may interrupt its own thread while that has the lock.
        self._changed = threading.Condition(threading.RLock())
        self._holdings = Holdings(self._changed, linger_seconds)
        self._follows_newest = follows_newest
        self._pins: Mapping[str, str] = {}
        self._awaiting: list[Future[None]] = []
        self._is_wanted = False
        self._thread = threading.Thread(target=self._run, name="loading", daemon=True)
        self.started: Future[None] = Future()
        """Done when the models serve for the first time; fails if they never will."""

    @property
    def has_started(self) -> bool:
        """Whether the models have begun to serve."""
        return self._holdings.current is not None

    @property
    def is_alive(self) -> bool:
        """Whether every decoding thread runs and none is stuck; true while models load."""
        return not self._holdings.unwell()

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
        with self._holdings.hold() as models:
            yield models

    @contextmanager
    def lend(
        self, name: str, version: int | str | None = None, *, yields: bool = True
    ) -> Iterator[Models]:
        """Lend one version of one model, whether it serves or not; wait until it is loaded.

        It works until the context ends, whatever serves meanwhile.

        Args:
            version: the one that serves if not given.
            yields: whether its threads yield to those of the models that serve, if it is none of
                them; what does not can serve later without being loaded again.

        Raises:
            Overloaded: the models are still being loaded, or being unloaded.
            UnknownModel: there is no such bundle.
            UnusableModel: it cannot be loaded.
        """
        key = self.identify(name, version)
        with self._holdings.lend(key, self._root, self._options, yields=yields) as models:
            yield models

    def identify(self, name: str, version: int | str | None = None) -> Key:
        """Return the name and the version that `lend` would lend now, without loading it.

        Raises:
            Overloaded: the models are still being loaded, or being unloaded.
            UnknownModel: there is no such bundle.
        """
        self._holdings.check_open()
        serving, known = self.serving(), self._known()
        if version is None and name in serving:
            return name, serving[name]
        if version is not None and (name, str(version)) in known:
            return name, str(version)
        raise UnknownModel(what_there_is(name, version, known))

    def pin(self, versions: Mapping[str, str]) -> Future[None]:
        """Let these versions serve, by name, whatever others there are; it replaces earlier pins.

        A pinned version that cannot be loaded leaves serving what serves; where nothing does, the
        next older one that can be loaded comes in its place, or else the next newer one.

        Returns:
            What is done when they serve, as far as they can.
        """
        done: Future[None] = Future()
        with self._changed:
            self._pins = dict(versions)
            if self._holdings.is_closed:
                done.set_exception(Overloaded("the models are being unloaded"))
            else:
                self._awaiting.append(done)
            self.reload()
        return done

    def serving(self) -> dict[str, str]:
        """Return the versions that serve, by name; empty while the models are being loaded."""
        current = self._holdings.current
        return {} if current is None else dict(model.key for model in current.loaded)

    def versions(self, name: str) -> list[str]:
        """Return all versions of a model that there are, in ascending order.

        Raises:
            UnknownModel: there are none.
        """
        known = self._known()
        if versions := versions_of(name, known):
            return versions
        raise UnknownModel(what_there_is(name, None, known))

    def troubles(self) -> list[str]:
        """Return why texts are not accepted; empty if they are."""
        if self._holdings.is_closed:
            return ["the models are being unloaded"]
        if not self.has_started:
            return ["the models are being loaded"]
        return [f"the model {identity} does not decode" for identity in self._holdings.unwell()]

    def describe(self) -> list[ModelDescription]:
        """Describe the models that serve, by name."""
        current = self._holdings.current
        return [] if current is None else current.describe()

    def refused(self) -> Mapping[str, str]:
        """Return why bundles of the folder are not served, by their name and version."""
        return self._shelf.refused()

    def close(self, timeout_seconds: float | None = None) -> None:
        """Finish what was accepted, then stop; what is not done in time fails."""
        self._holdings.close()
        self._unload_all(timeout_seconds)
        if self._thread.is_alive():
            self._thread.join(timeout_seconds)

    def _run(self) -> None:
        try:
            self._fill()
        except Exception as failure:  # noqa: BLE001  # whatever it is, those who wait must hear of it
            self.started.set_exception(failure)
        else:
            self._next_look = monotonic() + self._reload_seconds
            self.started.set_result(None)
            while not self._holdings.is_closed:
                self._turn()
        # What was loaded while `close` was under way.
        self._unload_all(UNLOAD_SECONDS)

    def _fill(self) -> None:
        with self._honouring() as pins:
            models = self._shelf.choose({}, pins)
            self._holdings.add(list(models.values()))
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
            # Not `wait_for`: how long to wait changes when something is given back.
            while not self._has_work() and (seconds := self._seconds_to_wait()):
                self._changed.wait(None if seconds == math.inf else seconds)
            is_due = self._is_wanted or monotonic() >= self._next_look
            if is_due:
                self._is_wanted = False
                self._next_look = monotonic() + self._reload_seconds
            return is_due and not self._holdings.is_closed

    def _has_work(self) -> bool:
        return self._holdings.is_closed or self._is_wanted or bool(self._holdings.unused())

    def _seconds_to_wait(self) -> float:
        look = max(0.0, self._next_look - monotonic())
        return min(look, self._holdings.seconds_left())

    def _refresh(self) -> None:
        assert self._holdings.current is not None, "the first models come before"
        serving = {model.name: model for model in self._holdings.current.loaded}
        with self._honouring() as pins:
            models = self._shelf.choose(serving, pins, self._holdings.ready())
            if models == serving:
                return
            self._swap(models)
            metrics.MODEL_SWAPS.inc()
            log.info("models swapped", extra={"models": [m.identity for m in models.values()]})

    def _swap(self, models: Mapping[str, Model]) -> None:
        present = self._holdings.current
        self._holdings.serve(Models(list(models.values()), present.detector if present else None))

    def _unload_unused(self) -> None:
        unused, remaining = self._holdings.take_unused()
        for model in unused:
            model.close(UNLOAD_SECONDS)
            if model.identity not in remaining:
                metrics.forget(model.identity)
            log.info("model unloaded", extra={"model": model.identity})

    def _unload_all(self, timeout_seconds: float | None) -> None:
        with self._changed:
            awaiting, self._awaiting = self._awaiting, []
        for each in awaiting:
            each.set_exception(Overloaded("the models are being unloaded"))
        close_all(self._holdings.take_all(), timeout_seconds)

    def _known(self) -> set[Key]:
        """Return the bundles of the folder, and those that are loaded but have gone."""
        there = {(path.parent.name, path.name) for path in find_bundles(self._root)}
        return there | self._holdings.known()

    @contextmanager
    def _honouring(self) -> Iterator[Mapping[str, str]]:
        """Give the versions that are to serve, by name; tell who waits whether they do."""
        with self._changed:
            kept = {} if self._follows_newest else self.serving()
            pins = {**kept, **self._pins}
            awaiting, self._awaiting = self._awaiting, []
        try:
            yield pins
        except Exception as failure:
            for each in awaiting:
                each.set_exception(failure)
            raise
        for each in awaiting:
            each.set_result(None)
