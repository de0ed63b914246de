"""How the scheduler decides: who is accepted, who joins a batch, and when."""

import random
from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Policy:
    """The numbers behind the decisions; `tests/benchmarks/policies.py` measures them."""

    max_wait_seconds: float = 4.0
    """The longest wait foreseen at which interactive texts are accepted. Batch may wait as
    long as it must."""
    jitter: Callable[[], float] = random.random
    """A number from 0 to 1, by which those who are refused are told to come back later than
    the wait foreseen, so that they do not come together."""
    length_ratio: float = 1.5
    """Of sentences that join together, the longest has at most so many times the tokens of the
    shortest ..."""
    length_slack: int = 4
    """... and so many more."""
    join_share: float = 0.25
    """Part of the rows that must be free before some of many who wait join: the encoder is
    slow with few sentences. Where fewer wait, room for them is enough."""
    batch_share: float = 0.125
    """Part of the work that batch gets while interactive sentences wait."""
    batch_rows: float = 0.75
    """Part of a worker's rows that batch may hold: an interactive sentence finds the others
    free, for what is being decoded is not put out."""
