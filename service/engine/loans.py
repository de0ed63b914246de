"""Versions that somebody has asked for by name, whether they serve or not.

A loan outlasts its borrowers by some seconds, so that who comes again and again, as a job
does for each of its chunks, finds the model loaded.

    borrow -> lent ... give back -> kept for a while -> over
"""

import math
import os
import sys
from concurrent.futures import Future
from dataclasses import dataclass, field
from time import monotonic

from service.engine.model import Model
from service.engine.registry import Models

# A model that does not serve gets a tenth of the time of one that does, where both want all.
_NICENESS = 10

Key = tuple[str, str]
"""Name and version, as the folders are called."""


@dataclass(eq=False, slots=True)
class Loan:
    """One version, for all who borrow it."""

    key: Key
    models: Future[Models] = field(default_factory=Future)
    num_borrowers: int = 0
    ends: float = math.inf
    """As `time.monotonic` counts; infinite while somebody has it."""

    def holds(self) -> tuple[Model, ...]:
        """Return what must not be unloaded, once it is loaded."""
        is_loaded = self.models.done() and not self.models.exception()
        return self.models.result().loaded if is_loaded else ()


class Loans:
    """The loans of a library, under whose lock every call is made.

    Args:
        linger_seconds: how long a loan outlasts its borrowers.
    """

    def __init__(self, linger_seconds: float) -> None:
        self._linger_seconds = linger_seconds
        self._loans: dict[Key, Loan] = {}

    def borrow(self, key: Key) -> Loan:
        """Return the loan of a version; it is new if nobody has begun to load it."""
        loan = self._loans.setdefault(key, Loan(key))
        loan.num_borrowers += 1
        loan.ends = math.inf
        return loan

    def give_back(self, loan: Loan) -> None:
        """Tell that one borrower has done."""
        loan.num_borrowers -= 1
        if not loan.num_borrowers:
            loan.ends = monotonic() + self._linger_seconds

    def drop(self, loan: Loan) -> None:
        """Forget a loan that came to nothing; who asks next begins anew."""
        if self._loans.get(loan.key) is loan:
            del self._loans[loan.key]

    def used(self) -> set[Model]:
        """Return the models that loans need; those that are over are forgotten."""
        now = monotonic()
        self._loans = {key: loan for key, loan in self._loans.items() if loan.ends > now}
        return {model for loan in self._loans.values() for model in loan.holds()}

    def seconds_left(self) -> float:
        """Return when the next loan may be over; infinite if none will be by itself."""
        return max(
            0.0, min((each.ends for each in self._loans.values()), default=math.inf) - monotonic()
        )


def step_back() -> None:
    """Let the calling thread, and whatever threads it starts, run after all others.

    Only Linux has a niceness of its own for each thread.
    """
    if sys.platform == "linux":
        os.nice(_NICENESS)
