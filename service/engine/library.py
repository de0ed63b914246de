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
from service.engine.loading import load
from service.engine.loans import Key, Loan, Loans, step_back
from service.engine.model import EngineOptions, Model, ModelDescription
from service.engine.registry import Models, close_all
from service.engine.shelf import Shelf
from service.errors import Overloaded, UnknownModel

log = logging.getLogger(__name__)

# Nobody holds a model that is unloaded: its threads have a last step to end, and no more.
_UNLOAD_SECONDS = 10.0


class Library:
    """Holds the models of a folder ready for use; `start` begins to load them.

    Any thread may use it, and nothing but `lend` and `close` blocks.

    Args:
        reload_seconds: how often to look whether the folder has changed; 0 for only when told.
        linger_seconds: how long a version that was lent stays loaded after that.

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
    ) -> None:
        # Once: `auto` must not become another device while models serve.
        self._options = replace(options, device=choose_device(options.device))
        self._root = root
        self._shelf = Shelf(root, self._options)
        self._reload_seconds = reload_seconds or math.inf
        self._next_look = math.inf
        self._loans = Loans(linger_seconds)
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

    @contextmanager
    def lend(self, name: str, version: int | str | None = None) -> Iterator[Models]:
        """Lend one version of one model, whether it serves or not; wait until it is loaded.

        It works until the context ends, whatever serves meanwhile.

        Args:
            version: the one that serves if not given.

        Raises:
            Overloaded: the models are still being loaded, or being unloaded.
            UnknownModel: there is no such bundle.
            UnusableModel: it cannot be loaded.
        """
        loan = self._borrow(self.identify(name, version))
        try:
            yield loan.models.result()
        finally:
            with self._changed:
                self._loans.give_back(loan)
                self._changed.notify_all()

    def identify(self, name: str, version: int | str | None = None) -> Key:
        """Return the name and the version that `lend` would lend now, without loading it.

        Raises:
            Overloaded: the models are still being loaded, or being unloaded.
            UnknownModel: there is no such bundle.
        """
        with self._changed:
            self._check_open()
            assert self._current is not None
            serving = dict(_key(model) for model in self._current.loaded)
            loaded = {_key(model) for model in self._loaded}
        if version is None and name in serving:
            return name, serving[name]
        known = {*loaded, *self._folders()}
        if version is not None and (name, str(version)) in known:
            return name, str(version)
        raise UnknownModel(_what_there_is(name, version, known))

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
            self._next_look = monotonic() + self._reload_seconds
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
            # Not `wait_for`: how long to wait changes when something is given back.
            while not self._has_work() and (seconds := self._seconds_to_wait()):
                self._changed.wait(None if seconds == math.inf else seconds)
            is_due = self._is_wanted or monotonic() >= self._next_look
            if is_due:
                self._is_wanted = False
                self._next_look = monotonic() + self._reload_seconds
            return is_due and not self._is_closed

    def _has_work(self) -> bool:
        return self._is_closed or self._is_wanted or bool(self._unused())

    def _seconds_to_wait(self) -> float:
        look = max(0.0, self._next_look - monotonic())
        return min(look, self._loans.seconds_left())

    def _unused(self) -> list[Model]:
        sets = [*self._holders, *([self._current] if self._current else [])]
        used = {model for models in sets for model in models.loaded} | self._loans.used()
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

    def _check_open(self) -> None:
        if self._is_closed:
            raise Overloaded("the models are being unloaded")
        if self._current is None:
            raise Overloaded("the models are being loaded")

    def _borrow(self, key: Key) -> Loan:
        with self._changed:
            self._check_open()
            assert self._current is not None
            loan = self._loans.borrow(key)
            if loan.models.running() or loan.models.done():
                return loan
            loan.models.set_running_or_notify_cancel()
            # What serves comes first: what was only lent yields to it.
            present = [each for each in (*self._current.loaded, *self._loaded) if _key(each) == key]
            if present:
                loan.models.set_result(Models(present[:1], self._current.detector))
                return loan
        name = f"lending {'/'.join(key)}"
        threading.Thread(target=self._fetch, args=(loan,), name=name, daemon=True).start()
        return loan

    def _fetch(self, loan: Loan) -> None:
        """Load what is to be lent, or tell all who wait for it why it is not."""
        step_back()
        try:
            model = load(self._folder(loan.key), self._options)
        except Exception as failure:  # noqa: BLE001  # whatever it is, those who wait must hear of it
            with self._changed:
                self._loans.drop(loan)
            loan.models.set_exception(failure)
            return
        with self._changed:
            if not self._is_closed:
                assert self._current is not None
                self._loaded.append(model)
                loan.models.set_result(Models([model], self._current.detector))
                return
        model.close(_UNLOAD_SECONDS)
        loan.models.set_exception(Overloaded("the models are being unloaded"))

    def _folder(self, key: Key) -> Path:
        if key not in (folders := self._folders()):
            raise UnknownModel(f"the model {'/'.join(key)} has gone")
        return folders[key]

    def _folders(self) -> dict[Key, Path]:
        return {(path.parent.name, path.name): path for path in find_bundles(self._root)}


def _key(model: Model) -> Key:
    return model.name, model.folder.name


def _what_there_is(name: str, version: int | str | None, known: set[Key]) -> str:
    versions = sorted((each[1] for each in known if each[0] == name), key=lambda v: (len(v), v))
    if not versions:
        names = ", ".join(sorted({each[0] for each in known}))
        return f"there is no model {name}; there are {names}"
    if version is None:
        return f"no version of the model {name} serves; there are {', '.join(versions)}"
    return f"the model {name} has no version {version}; it has {', '.join(versions)}"
