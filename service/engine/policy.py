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
    # Simulated with the measured costs of both graphs, 64 rows, arrivals at 1.6 times what whole
    # batches can do: p99 of int8 is 128 ms where everybody joins at once, 58 ms for 0.5 with the
    # patience of 8, 51 ms for 1; of fp32 240, 195 and 217 ms. Throughput differs by 3 % at most.
    join_ratio: float = 0.5
    """Rows that join, for each that is decoded meanwhile: all of these stand still while the
    encoder runs, and it is slow with few sentences ..."""
    join_patience: int = 8
    """... but after so many turns of its worker a sentence does not wait for company."""
    batch_share: float = 0.125
    """Part of the work that batch gets while interactive sentences wait."""
    batch_rows: float = 0.75
    """Part of a worker's rows that batch may hold: an interactive sentence finds the others
    free, for what is being decoded is not put out."""
