"""How long a sentence that arrives now will wait, from how fast the line went of late."""

# After so many seconds of a worker's turns what was measured before counts half: long enough for
# many turns, short beside the wait that is bounded, for under load turns become slow.
_HALF_LIFE_SECONDS = 1.0


class Forecast:
    """The speed at which work leaves the line, as a moving average over turns.

    Only turns count in which more wait than there is room for: then workers take as much as
    they can, while with little to do they take what there is, which says nothing of how fast
    they could be.
    Work counts when it is taken, not when it is done, or the first sentences of a burst would
    seem to need as long as all those that are decoded beside them. Until anything has been
    measured no wait is foreseen; after idleness the last speed stands.
    """

    def __init__(self) -> None:
        self._work = 0.0
        self._seconds = 0.0

    def note(self, work: int, seconds: float) -> None:
        """Add a turn of one worker that took so much while there was not room for all."""
        decay = 0.5 ** (seconds / _HALF_LIFE_SECONDS)
        self._work = decay * self._work + work
        self._seconds = decay * self._seconds + seconds

    def seconds_for(self, work: float, workers: int) -> float:
        """Return how long it will take until so much work has been taken."""
        if not self._work:
            return 0.0
        return work * self._seconds / self._work / max(1, workers)
