"""Who is taken next: interactive sentences before batch ones, which have a guaranteed share.

While both wait, every piece of interactive work that is taken earns batch a part of it, and
batch is due as soon as it is owed what its oldest sentence costs: deficit round robin
(Shreedhar and Varghese 1995) where one class lends its turn and the other collects. So under
an endless interactive stream batch gets `batch_share` of the work, and before an interactive
sentence goes at most what batch is owed, however long the line of batch is. What no
interactive sentence wants costs batch nothing.

Not safe between threads by itself; the scheduler's lock guards it.
"""

import math
from dataclasses import dataclass

from service.engine.policy import Policy
from service.engine.waiting_line import Priority, Sentence, WaitingLine


@dataclass(frozen=True, slots=True)
class Vacancy:
    """The rows that a worker has to offer, beside those of the others."""

    total: int
    """All of its rows, in use or not."""
    in_use: int
    batch: int = 0
    """Those in use by batch sentences."""
    demand: int = 0
    """Rows of all workers together, those in use and those that are waited for."""
    workers: int = 1

    @property
    def free(self) -> int:
        """Rows not in use."""
        return self.total - self.in_use

    @property
    def share(self) -> int:
        """Rows that it may take if the other workers are to get as many."""
        return min(self.free, -(-self.demand // self.workers) - self.in_use)

    @property
    def is_short(self) -> bool:
        """Whether somebody waits for want of rows, whoever has them."""
        return self.demand > self.total * self.workers


class WaitingRoom:
    """A waiting line for each priority."""

    def __init__(self, policy: Policy) -> None:
        self._policy = policy
        self._interactive = WaitingLine(policy)
        self._batch = WaitingLine(policy)
        self._owed = 0.0  # work that batch may claim although interactive sentences wait
        self.lines: dict[Priority, WaitingLine] = {
            "interactive": self._interactive,
            "batch": self._batch,
        }
        """For reading; who adds and takes goes through this class."""
        # Turns of which somebody who waits could have had a part, since somebody had.
        self._passed_over = {self._interactive: 0, self._batch: 0}

    def __len__(self) -> int:
        return len(self._interactive) + len(self._batch)

    @property
    def rows(self) -> int:
        """Rows that all who wait will take."""
        return self._interactive.rows + self._batch.rows

    def add(self, sentence: Sentence) -> None:
        """Put a sentence at the end of its line."""
        self.lines[sentence.priority].add(sentence)

    def remove(self, sentence: Sentence) -> bool:
        """Take a sentence out, wherever it stands; False if it is not waiting."""
        return self.lines[sentence.priority].remove(sentence)

    def clear(self) -> list[Sentence]:
        """Take everybody out."""
        return self._interactive.clear() + self._batch.clear()

    def work_before(self, priority: Priority) -> float:
        """Return the work that will be taken before a sentence which arrives now."""
        work = self._interactive.work + self._batch.work
        if priority == "batch":
            return work
        return min(work, self._interactive.work / (1 - self._policy.batch_share))

    def take(self, vacancy: Vacancy) -> list[Sentence]:
        """Take those who join a worker now: sentences of one priority and width, like in length.

        Nobody is taken while the oldest finds no room, so that it is not overtaken for ever.
        """
        if self._is_batch_due(vacancy):
            taken = self._take_batch(vacancy, self._owed)
            self._owed -= sum(sentence.work for sentence in taken)
        elif self._interactive:
            taken = self._take_interactive(vacancy)
            if self._batch:
                share = self._policy.batch_share
                self._owed += sum(each.work for each in taken) * share / (1 - share)
        else:
            taken = self._take_batch(vacancy)
            self._owed = max(0.0, self._owed - sum(each.work for each in taken))
        if not self._batch:
            self._owed = 0.0
        if taken:
            self._passed_over[self.lines[taken[0].priority]] = 0
        return taken

    def _is_batch_due(self, vacancy: Vacancy) -> bool:
        oldest = self._batch.oldest
        if oldest is None or not self._interactive or self._owed < oldest.work:
            return False
        return not vacancy.batch or oldest.options.width <= self._room_for_batch(vacancy)

    def _take_interactive(self, vacancy: Vacancy) -> list[Sentence]:
        # Rows of batch stand still for it as long as it likes.
        in_use = vacancy.in_use - vacancy.batch
        rows = vacancy.share
        if not self._may_join(self._interactive, rows, in_use, vacancy):
            return []
        return self._interactive.take(rows, vacancy.free, math.inf)

    def _take_batch(self, vacancy: Vacancy, due: float | None = None) -> list[Sentence]:
        """Take batch sentences: of so much work if they are due, else as many as may join."""
        room = self._room_for_batch(vacancy)
        rows = min(room, vacancy.share)
        if due is None and not self._may_join(self._batch, rows, vacancy.in_use, vacancy):
            return []
        # A beam wider than all that batch may hold is decoded beside no other of batch.
        room_for_oldest = min(room, vacancy.free) if vacancy.batch else vacancy.free
        return self._batch.take(rows, room_for_oldest, math.inf if due is None else due)

    def _may_join(self, line: WaitingLine, rows: int, in_use: int, vacancy: Vacancy) -> bool:
        """Whether those who could join are worth a run of the encoder, for which others wait."""
        joining = min(rows, line.rows)
        if joining <= 0:
            return False
        patience = self._policy.join_patience * vacancy.workers
        if joining < self._policy.join_ratio * in_use and self._passed_over[line] < patience:
            self._passed_over[line] += 1
            return False
        return True

    def _room_for_batch(self, vacancy: Vacancy) -> int:
        return max(1, int(vacancy.total * self._policy.batch_rows)) - vacancy.batch
