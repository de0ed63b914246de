"""Who is accepted: nobody who would wait too long, or make too much wait.

What counts is what waits already, not what a text brings: however long, it is accepted where
nobody waits. Interactive texts are bounded by tokens and by the wait foreseen, batch by its
own tokens only: it is there to wait.
"""

import math
from functools import partial
from typing import Literal

from service import metrics
from service.engine.forecast import Forecast
from service.engine.policy import Policy
from service.engine.waiting_line import Priority
from service.engine.waiting_room import WaitingRoom
from service.errors import Overloaded


class Admission:
    """Bounds the waiting room of one model. Not safe between threads by itself.

    Args:
        max_tokens: source tokens of one priority that may wait before texts are refused.
    """

    def __init__(self, room: WaitingRoom, policy: Policy, max_tokens: int, model: str) -> None:
        self._room = room
        self._policy = policy
        self._max_tokens = max_tokens
        self._model = model
        self.forecast = Forecast()
        self.workers = 0
        """How many take from the room; none while the model is being unloaded."""
        for priority, line in room.lines.items():
            # Asked for when they are read: a line changes with every sentence.
            metrics.WAITING_SENTENCES.labels(model, priority).set_function(partial(len, line))
            tokens = metrics.WAITING_TOKENS.labels(model, priority)
            tokens.set_function(partial(getattr, line, "tokens"))
            wait = metrics.PREDICTED_WAIT.labels(model, priority)
            wait.set_function(partial(self.predict, priority))

    def predict(self, priority: Priority) -> float:
        """Return how many seconds a sentence that arrives now will wait."""
        return self.forecast.seconds_for(self._room.work_before(priority), self.workers)

    def check(self, priority: Priority) -> None:
        """Let a text in.

        Raises:
            Overloaded: too much is waiting, or nobody works.
        """
        tokens, seconds = self._room.lines[priority].tokens, self.predict(priority)
        limit = self._policy.max_wait_seconds
        if not self.workers:
            self._refuse("unloading", "the model is being unloaded", priority)
        if tokens > self._max_tokens:
            message = f"{tokens} tokens are waiting, more than {self._max_tokens}"
            self._refuse("tokens", message, priority, seconds)
        if priority == "interactive" and seconds > limit:
            message = f"the wait would be {seconds:.1f} s, more than {limit:g} s"
            self._refuse("wait", message, priority, seconds)

    def _refuse(
        self,
        reason: Literal["tokens", "wait", "unloading"],
        message: str,
        priority: Priority,
        seconds: float = 0.0,
    ) -> None:
        metrics.OVERLOADED.labels(self._model, priority, reason).inc()
        # When that time is over those who wait now have been served. The unluckiest is told
        # to wait twice as long, or all who were refused would come back together.
        later = math.ceil(seconds * (1 + self._policy.jitter()))
        raise Overloaded(message, retry_after_seconds=max(1, later))
