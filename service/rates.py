"""How often: limits per minute, counted in this process.

They are counted in windows of a minute that begin with the first draw in them, so that
`Retry-After` is exact: who waits so long finds all of it again.
"""

import math
import time

from limits import RateLimitItemPerMinute
from limits.storage import MemoryStorage
from limits.strategies import FixedWindowRateLimiter

from service.errors import RateLimited


class Rates:
    """What was drawn by whom in his present minute."""

    def __init__(self) -> None:
        self._limiter = FixedWindowRateLimiter(MemoryStorage())

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
