"""What was done for each caller in each month, between two writes to the store.

    used = written + on the way to the store + done since + under way now

Its methods run on the event loop, which alone changes it. What is done without a key is counted
too, but for this process only.
"""

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime

from service.store import Work, month_of

ANONYMOUS = ""
"""Instead of the id of a key: all callers without one."""


def utc_now() -> datetime:
    """Return the time, with its zone."""
    return datetime.now(UTC)


@dataclass(frozen=True, slots=True)
class Page:
    """What is to be written down.

    Attributes:
        done: by id of the key, and month.
        last_used: when each key was used the last time.
    """

    done: dict[tuple[str, str], Work] = field(default_factory=dict)
    last_used: dict[str, datetime] = field(default_factory=dict)


class Ledger:
    """Counts without waiting for the store."""

    def __init__(self, now: Callable[[], datetime] = utc_now) -> None:
        self.now = now
        self._written: Mapping[str, Work] = {}
        self._written_month = ""
        self._on_the_way = Page()
        self._open = Page()
        self._anonymous: dict[str, Work] = {}
        self._held: Counter[str] = Counter()

    def used(self, id: str) -> Work:
        """Return what was done for a caller in this month, what is under way included."""
        month = month_of(self.now())
        held = Work(self._held[id])
        if id == ANONYMOUS:
            return self._anonymous.get(month, Work()) + held
        written = self._written.get(id, Work()) if month == self._written_month else Work()
        parts = (page.done.get((id, month), Work()) for page in (self._on_the_way, self._open))
        return sum(parts, written + held)

    def hold(self, id: str, characters: int) -> None:
        """Count characters as used while they are worked on; a negative number lets them go."""
        self._held[id] += characters
        if not self._held[id]:
            del self._held[id]

    def add(self, id: str, work: Work) -> None:
        """Count what was done, or take back what was not, with negative numbers."""
        now = self.now()
        month = month_of(now)
        if id == ANONYMOUS:
            self._anonymous = {month: self._anonymous.get(month, Work()) + work}
            return
        self._open.done[id, month] = self._open.done.get((id, month), Work()) + work
        self._open.last_used[id] = now

    def turn_page(self) -> Page:
        """Return what was done since the last time; `written` or `lost` says what came of it."""
        self._on_the_way, self._open = self._open, Page()
        return self._on_the_way

    def written(self, total: Mapping[str, Work], month: str) -> None:
        """Take over what the store now says of a month; the page turned last is part of it."""
        self._written, self._written_month = total, month
        self._on_the_way = Page()

    def lost(self) -> None:
        """Take back the page turned last, which was not written."""
        page, self._on_the_way = self._on_the_way, Page()
        for key, work in page.done.items():
            self._open.done[key] = self._open.done.get(key, Work()) + work
        for id, instant in page.last_used.items():
            self._open.last_used.setdefault(id, instant)
