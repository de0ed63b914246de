"""The processes that train one network together, each on its share of every batch.

    torchrun --nproc-per-node 2 -m training train RECIPE

starts them and tells each of them, in its environment, how many there are. All hold the same
weights and plan the same batches. The gradients of the shares are added up, together with the
losses, in one tensor: that of a whole batch to rounding, because each share was divided by the
tokens of all. The first alone validates, writes and prints; the others wait for its word. All of
them read the same folders.

It is not `DistributedDataParallel`, which sends gradients off while others are still being made:
these networks are too small to gain by it, and a sum over all shares is all that is needed.
"""

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import TypeVar

import torch
import torch.distributed as dist
from torch import Tensor, nn

Answer = TypeVar("Answer")

TIMEOUT = timedelta(hours=1)
"""Longest that others wait for the first to validate. One that died is noticed at once."""


class ProcessLost(ValueError):
    """Another of the processes that train together is gone."""


@dataclass(frozen=True, slots=True)
class Ranks:
    """Which of the processes this is."""

    rank: int = 0
    count: int = 1

    @property
    def is_first(self) -> bool:
        """Whether this one validates, writes and prints."""
        return self.rank == 0

    @property
    def share(self) -> slice:
        """Those rows of a batch that this process learns from."""
        return slice(self.rank, None, self.count)

    def add_up(self, parameters: Sequence[nn.Parameter], loss: Tensor) -> Tensor:
        """Replace the gradients by the sum over all processes; return that of the losses."""
        if self.count == 1:
            return loss
        for parameter in parameters:
            if parameter.grad is None:  # its share was empty
                parameter.grad = torch.zeros_like(parameter)
        parts = [parameter.grad for parameter in parameters if parameter.grad is not None]
        sums = torch.cat([part.flatten() for part in (*parts, loss)])
        with _others():
            dist.all_reduce(sums)
        *gradients, loss = torch.split(sums, [*(part.numel() for part in parts), 1])
        torch._foreach_copy_(
            parts, [each.view_as(part) for each, part in zip(gradients, parts, strict=True)]
        )
        return loss[0]

    def ask_first(self, answer: Callable[[], Answer]) -> Answer:
        """Let the first process find an answer, and tell all others."""
        if self.count == 1:
            return answer()
        told = [answer() if self.is_first else None]
        with _others():
            dist.broadcast_object_list(told)
        return told[0]  # type: ignore[return-value]

    def collect(self, mine: Answer) -> list[Answer]:
        """Return what each process has, by rank; the others get nothing."""
        if self.count == 1:
            return [mine]
        all_of_them: list[Answer] | None = [mine] * self.count if self.is_first else None
        with _others():
            dist.gather_object(mine, all_of_them)
        return all_of_them or []


ALONE = Ranks()
"""One process that trains by itself."""


def is_one_of_several() -> bool:
    """Tell whether torchrun started this process together with others."""
    return int(os.environ.get("WORLD_SIZE", "1")) > 1


@contextmanager
def join() -> Iterator[tuple[Ranks, torch.device]]:
    """Meet the other processes, if there are any; give each a device of its own.

    Raises:
        ProcessLost: the others did not come.
    """
    has_gpu = torch.cuda.is_available()
    if not is_one_of_several():
        yield ALONE, torch.device("cuda" if has_gpu else "cpu")
        return
    device = torch.device("cpu")
    if has_gpu:
        device = torch.device("cuda", int(os.environ["LOCAL_RANK"]))
        torch.cuda.set_device(device)
    with _others():
        # what is told goes by gloo on a GPU too: nobody waits there while the first validates
        dist.init_process_group("cpu:gloo,cuda:nccl" if has_gpu else "gloo", timeout=TIMEOUT)
    try:
        yield Ranks(dist.get_rank(), dist.get_world_size()), device
    finally:
        dist.destroy_process_group()


@contextmanager
def _others() -> Iterator[None]:
    try:
        yield
    except RuntimeError as failure:
        raise ProcessLost(
            "another process of this training has ended, see what it says; "
            "the same command goes on from the last checkpoint"
        ) from failure
