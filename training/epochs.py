"""The examples of one epoch after the other.

With BPE-dropout each epoch segments its text anew, on one core of the CPU. Where a GPU does the
learning it would wait for that, so a process of its own makes the next epoch's meanwhile. Where
the CPU learns, there is no idle core to give.
"""

from multiprocessing import get_context
from multiprocessing.connection import Connection
from multiprocessing.context import SpawnProcess

import torch

from training.prepare import Examples, Prepared
from training.run import Run


class Epochs:
    """Gives the examples of an epoch, and may begin to make those of the next.

    Args:
        is_ahead: whether it does.
    """

    def __init__(self, run: Run, prepared: Prepared, *, is_ahead: bool) -> None:
        self._run, self._prepared, self._is_ahead = run, prepared, is_ahead
        self._coming: tuple[int, SpawnProcess, Connection] | None = None

    def examples(self, epoch: int) -> Examples:
        """Return the examples of an epoch: the same, whoever has made them."""
        examples = self._take(epoch) or self._prepared.examples(epoch)
        if self._is_ahead:
            self._begin(epoch + 1)
        return examples

    def close(self) -> None:
        """Let go of what was begun."""
        if self._coming is not None:
            _, process, connection = self._coming
            process.terminate()
            process.join()
            connection.close()
            self._coming = None

    def _begin(self, epoch: int) -> None:
        self.close()
        context = get_context("spawn")  # a fork would take the GPU's driver along
        receiver, sender = context.Pipe(duplex=False)
        process = context.Process(target=_make, args=(self._run, epoch, sender), daemon=True)
        process.start()
        sender.close()
        self._coming = epoch, process, receiver

    def _take(self, epoch: int) -> Examples | None:
        """Return what was made for an epoch, if it was; wait for it."""
        if self._coming is None or self._coming[0] != epoch:
            return None
        try:
            examples: Examples = self._coming[2].recv()
        except EOFError:  # it failed, and has said why; here it fails again, or does not
            return None
        return examples


def _make(run: Run, epoch: int, sender: Connection) -> None:
    torch.set_num_threads(1)
    sender.send(Prepared(run).examples(epoch))
