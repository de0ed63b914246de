"""Versions that somebody has asked for by name, whether they serve or not.

A loan outlasts its borrowers by some seconds, so that who comes again and again, as a job
does for each of its chunks, finds the model loaded.

    borrow -> lent ... give back -> kept for a while -> over
"""

import math
import os
import sys
import threading
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass, field
from pathlib import Path
from time import monotonic

from service.engine.identity import Key
from service.engine.loading import load
from service.engine.model import EngineOptions, Model
from service.engine.registry import Models

# A model that does not serve gets a tenth of the time of one that does, where both want all. On
# one core, a sentence took 79 ms alone, 109 ms beside a lent version that was kept busy, and 244 ms
# beside one that did not yield (medians of 60, int8).
_NICENESS = 10


@dataclass(eq=False, slots=True)
class Loan:
    """One version, for all who borrow it."""

    key: Key
    yields: bool
    """Whether it yields to what serves, if it has to be loaded."""
    models: Future[Models] = field(default_factory=Future)
    num_borrowers: int = 0
    ends: float = math.inf
    """As `time.monotonic` counts; infinite while somebody has it."""

    @property
    def has_failed(self) -> bool:
        """Whether it came to nothing."""
        return self.models.done() and self.models.exception() is not None

    def start(self, folder: Path, options: EngineOptions, keep: Callable[[Model], Models]) -> None:
        """Begin to load the model in a thread; all who wait for it are told if it cannot be.

        Args:
            keep: takes the model over, and returns what to lend.
        """
        name, arguments = f"lending {'/'.join(self.key)}", (folder, options, keep)
        thread = threading.Thread(target=self._fetch, args=arguments, name=name, daemon=True)
        try:
            thread.start()
        except RuntimeError as failure:  # there are too many threads
            self.models.set_exception(failure)

    def _fetch(self, folder: Path, options: EngineOptions, keep: Callable[[Model], Models]) -> None:
        if self.yields:
            step_back()
        try:
            models = keep(load(folder, options, yields=self.yields))
        except Exception as failure:  # noqa: BLE001  # whatever it is, those who wait must hear of it
            self.models.set_exception(failure)
        else:
            self.models.set_result(models)

    def holds(self) -> tuple[Model, ...]:
        """Return what must not be unloaded, once it is loaded."""
        is_loaded = self.models.done() and not self.has_failed
        return self.models.result().loaded if is_loaded else ()


class Loans:
    """The loans of a library, under whose lock every call is made.

    Args:
        linger_seconds: how long a loan outlasts its borrowers.
    """

    def __init__(self, linger_seconds: float) -> None:
        self._linger_seconds = linger_seconds
        self._loans: dict[tuple[Key, bool], Loan] = {}

    def borrow(self, key: Key, *, yields: bool) -> tuple[Loan, bool]:
        """Return the loan of a version, and whether it is new: then the caller has to fill it."""
        loan = self._loans.get((key, yields))
        is_new = loan is None or loan.has_failed
        if loan is None or is_new:
            loan = self._loans[key, yields] = Loan(key, yields)
        loan.num_borrowers += 1
        loan.ends = math.inf
        return loan, is_new

    def give_back(self, loan: Loan) -> None:
        """Tell that one borrower has done."""
        loan.num_borrowers -= 1
        if not loan.num_borrowers:
            loan.ends = monotonic() + self._linger_seconds

    def used(self) -> set[Model]:
        """Return the models that loans need; those that are over are forgotten."""
        now = monotonic()
        self._loans = {key: loan for key, loan in self._loans.items() if loan.ends > now}
        return {model for loan in self._loans.values() for model in loan.holds()}

    def seconds_left(self) -> float:
        """Return when the next loan may be over; infinite if none will be by itself."""
        next_end = min((loan.ends for loan in self._loans.values()), default=math.inf)
        return max(0.0, next_end - monotonic())


def step_back() -> None:
    """Let the calling thread, and whatever threads it starts, run after all others.

    Only Linux has a niceness of its own for each thread.
    """
    if sys.platform == "linux":
        os.nice(_NICENESS)
