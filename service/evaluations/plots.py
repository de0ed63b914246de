"""Where the marks of a report's charts stand, in percent of the width that they are given."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

EDGE = 6.0
"""Percent left free at both ends, for the labels of ticks."""
MAX_TICKS = 6
"""Numbers beside each other that a narrow chart has room for."""
LONGEST = 78.0
"""Percent that the longest bar takes; its figure stands behind it."""


@dataclass(frozen=True)
class Span:
    """A score on an axis, with its interval if it has one."""

    at: float
    low: float | None
    high: float | None


@dataclass(frozen=True)
class Tick:
    """A number on an axis."""

    at: float
    label: str


@dataclass(frozen=True)
class Axis:
    """A piece of the line of numbers."""

    low: float
    high: float

    def place(self, value: float) -> float:
        """Return where a value stands, in percent."""
        share = (value - self.low) / (self.high - self.low)
        return round(EDGE + share * (100 - 2 * EDGE), 3)

    def span(self, score: float, interval: Sequence[float] | None) -> Span:
        """Place a score and its interval."""
        low, high = map(self.place, interval) if interval else (None, None)
        return Span(self.place(score), low, high)

    def ticks(self) -> list[Tick]:
        """Return round numbers along the axis, at least two and at most `MAX_TICKS`."""
        step = _round_step((self.high - self.low) / (MAX_TICKS - 1))
        decimals = max(0, -math.floor(math.log10(step) + 1e-9))
        first, last = math.ceil(self.low / step), math.floor(self.high / step)
        return [
            Tick(self.place(i * step), f"{i * step:.{decimals}f}") for i in range(first, last + 1)
        ]


def draw_axes(groups: Sequence[Sequence[float]]) -> list[Axis]:
    """Make an axis around each group of values; all are of one length, so that they compare."""
    length = max(1.0, *(1.15 * (max(values) - min(values)) for values in groups))
    middles = [(max(values) + min(values)) / 2 for values in groups]
    return [Axis(middle - length / 2, middle + length / 2) for middle in middles]


def measure_bars(values: Sequence[float | None]) -> list[float | None]:
    """Return how long a bar for each value is, from zero, in percent."""
    longest = max((value for value in values if value), default=1.0)
    return [None if value is None else round(LONGEST * value / longest, 3) for value in values]


def _round_step(least: float) -> float:
    """Return the smallest of 1, 2, 5 times a power of ten that is not below a number."""
    power = 10.0 ** math.floor(math.log10(least))
    return next(power * factor for factor in (1, 2, 5, 10) if power * factor >= least * (1 - 1e-9))
