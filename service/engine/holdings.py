"""The models that are loaded, and who still needs them: what serves, what is held, what is lent."""

import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from service.engine.identity import Key
from service.engine.loans import Loan, Loans
from service.engine.model import EngineOptions, Model
from service.engine.registry import Models
from service.errors import Overloaded

# Nobody holds a model that is unloaded: its threads have a last step to end, and no more.
UNLOAD_SECONDS = 10.0


class Holdings:
    """The loaded models; any thread may use it.

    Args:
        changed: notified when a model may have become unused; its lock guards all of this.
        linger_seconds: how long a version that was lent stays loaded after that.
    """

    def __init__(self, changed: threading.Condition, linger_seconds: float) -> None:
        self._changed = changed
        self._loans = Loans(linger_seconds)
        self._holders: dict[Models, int] = {}
        self._loaded: list[Model] = []
        self.current: Models | None = None
        """What serves."""
        self.is_closed = False

    def close(self) -> None:
        """Lend nothing any more; what serves may still be held."""
        with self._changed:
            self.is_closed = True
            self._changed.notify_all()

    def check_open(self) -> Models:
        """Return what serves.

        Raises:
            Overloaded: the models are still being loaded, or being unloaded.
        """
        if self.is_closed:
            raise Overloaded("the models are being unloaded")
        if self.current is None:
            raise Overloaded("the models are being loaded")
        return self.current

    def serve(self, models: Models) -> None:
        """Let these serve from now on."""
        with self._changed:
            self.add(models.loaded)
            self.current = models

    def add(self, models: Sequence[Model]) -> None:
        """Take models over."""
        with self._changed:
            self._loaded += [model for model in models if model not in self._loaded]

    @contextmanager
    def hold(self) -> Iterator[Models]:
        """See `Library`."""
        with self._changed:
            models = self.current
            if models is None:
                raise Overloaded("the models are being loaded")
            self._holders[models] = self._holders.get(models, 0) + 1
        try:
            yield models
        finally:
            self._release(models)

    @contextmanager
    def lend(
        self, key: Key, root: Path, options: EngineOptions, *, yields: bool
    ) -> Iterator[Models]:
        """See `Library`.

        Args:
            root: where the bundles are.
        """
        loan, is_new = self._borrow(key, yields=yields)
        try:
            if is_new:
                loan.start(root.joinpath(*key), options, self._keep)
            yield loan.models.result()
        finally:
            with self._changed:
                self._loans.give_back(loan)
                self._changed.notify_all()

    def known(self) -> set[Key]:
        """Return which versions are loaded."""
        with self._changed:
            return {model.key for model in self._loaded}

    def ready(self) -> list[Model]:
        """Return the models that serve or could."""
        with self._changed:
            return [model for model in self._loaded if not model.yields]

    def unwell(self) -> list[str]:
        """Return the models that have a decoding thread that has died or is stuck."""
        with self._changed:
            return [model.identity for model in self._loaded if not model.is_alive]

    def unused(self) -> list[Model]:
        """Return the models that nobody needs."""
        sets = [*self._holders, *([self.current] if self.current else [])]
        used = {model for models in sets for model in models.loaded} | self._loans.used()
        return [model for model in self._loaded if model not in used]

    def take_unused(self) -> tuple[list[Model], set[str]]:
        """Hand over the models that nobody needs, and tell the identities of all others."""
        with self._changed:
            unused = self.unused()
            self._loaded = [model for model in self._loaded if model not in unused]
            return unused, {model.identity for model in self._loaded}

    def take_all(self) -> list[Model]:
        """Hand over all models."""
        with self._changed:
            loaded, self._loaded = self._loaded, []
            return loaded

    def seconds_left(self) -> float:
        """Return when something may become unused by the passing of time; perhaps infinite."""
        return self._loans.seconds_left()

    def _release(self, models: Models) -> None:
        with self._changed:
            self._holders[models] -= 1
            if not self._holders[models]:
                del self._holders[models]
                if models is not self.current:
                    self._changed.notify_all()

    def _borrow(self, key: Key, *, yields: bool) -> tuple[Loan, bool]:
        """Return a loan, and whether it has to be fetched."""
        with self._changed:
            current = self.check_open()
            loan, is_new = self._loans.borrow(key, yields=yields)
            if not is_new:
                return loan, False
            # What serves comes first, for it does not yield.
            present = [*current.loaded, *self._loaded]
            present = [each for each in present if each.key == key and each.yields <= yields]
            if present:
                loan.models.set_result(Models(present[:1], current.detector))
            return loan, not present

    def _keep(self, model: Model) -> Models:
        """Take over a model that was fetched to be lent."""
        with self._changed:
            if not self.is_closed:
                assert self.current is not None, "nothing is lent before"
                self.add([model])
                return Models([model], self.current.detector)
        model.close(UNLOAD_SECONDS)
        raise Overloaded("the models are being unloaded")
