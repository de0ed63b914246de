"""How often: limits per minute, counted in this process.

They are counted in windows of a minute that begin with the first draw in them, so that
`Retry-After` is exact: who waits so long finds all of it again.
"""

import math
import time

from limits import RateLimitItemPerMinute
from limits.storage import Storage
from limits.strategies import FixedWindowRateLimiter

from service.errors import RateLimited


class Rates:
    """What was drawn by whom in his present minute."""

    def __init__(self) -> None:
        self._limiter = FixedWindowRateLimiter(_Windows())

    def draw(self, who: str, what: str, limit: int, cost: int = 1) -> None:
        """Take `cost` of what someone may have in a minute; a refusal takes nothing.

        Args:
            what: `requests` or the like, for the message; each is counted for itself.

        Raises:
            RateLimited: there is not so much left.
        """
        rate = RateLimitItemPerMinute(limit)
        if self._limiter.test(rate, who, what, cost=cost):
            self._limiter.hit(rate, who, what, cost=cost)
            return
        ends = self._limiter.get_window_stats(rate, who, what).reset_time
        seconds = max(1, math.ceil(ends - time.time()))
        raise RateLimited(
            f"more than {limit} {what} a minute; try again in {seconds} s",
            rate=str(rate),
            limit=limit,
            retry_after_seconds=seconds,
        )


class _Windows(Storage):
    """Counts in memory, on one thread.

    The library's own starts a thread to forget old counts, again and again: 0.2 ms a request.
    """

    STORAGE_SCHEME = ["windows"]  # noqa: RUF012  # the library's way to name it

    def __init__(self) -> None:
        super().__init__()
        self._windows: dict[str, tuple[int, float]] = {}
        self._most = 1024

    @property
    def base_exceptions(self) -> type[Exception]:
        return ValueError

    def incr(self, key: str, expiry: float, amount: int = 1) -> int:
        count, ends = self._windows.get(key, (0, 0.0))
        now = time.time()
        if ends <= now:
            count, ends = 0, now + expiry
        self._windows[key] = count + amount, ends
        if len(self._windows) > self._most:
            self._forget(now)
        return count + amount

    def _forget(self, now: float) -> None:
        self._windows = {key: each for key, each in self._windows.items() if each[1] > now}
        self._most = max(1024, 2 * len(self._windows))  # so that looking at all stays rare

    def get(self, key: str) -> int:
        count, ends = self._windows.get(key, (0, 0.0))
        return count if ends > time.time() else 0

    def get_expiry(self, key: str) -> float:
        return self._windows.get(key, (0, time.time()))[1]

    def check(self) -> bool:
        return True

    def reset(self) -> int:
        count = len(self._windows)
        self._windows.clear()
        return count

    def clear(self, key: str) -> None:
        self._windows.pop(key, None)
