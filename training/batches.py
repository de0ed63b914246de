"""Batches of like length under a budget of padded tokens.

Sentences are sorted by source length, then target length, with chance deciding among
equals, and cut so that `rows x longest side` stays within the budget. Little is padded
(under 3 % on short sentences) and every batch costs about the same.

    examples of an epoch --once--> flat on the device --gather by rows--> batch

A step copies nothing from the host and never waits for the device: every shape is known
here beforehand.
"""

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from models.tokenizer import PAD
from training.network import Batch
from training.prepare import Examples, Ragged


class Side:
    """The sources or the targets of an epoch, flat on the device, their lengths on the host."""

    def __init__(self, ragged: Ragged, device: torch.device) -> None:
        self.lengths = ragged.lengths
        # copied: what is mapped into memory cannot be written to, of which torch warns
        self._ids = torch.from_numpy(np.array(ragged.ids)).to(device)
        self._offsets = torch.from_numpy(np.array(ragged.offsets)).to(device)

    def pad(self, rows_B: Tensor, width: int) -> tuple[Tensor, Tensor]:
        """Return `ids_BS` of that width, right padded, and `lengths_B`."""
        starts_B, ends_B = self._offsets[rows_B], self._offsets[rows_B + 1]
        place_S = torch.arange(width, device=rows_B.device)
        place_BS = (starts_B[:, None] + place_S).clamp_(max=len(self._ids) - 1)
        lengths_B = ends_B - starts_B
        ids_BS = self._ids[place_BS].long().masked_fill_(place_S >= lengths_B[:, None], PAD)
        return ids_BS, lengths_B


class Epoch:
    """The batches of an epoch, in the order of training."""

    def __init__(
        self, examples: Examples, plan: Sequence[NDArray[np.int64]], device: torch.device
    ) -> None:
        self._source, self._target = (
            Side(side, device) for side in (examples.source, examples.target)
        )
        self._plan = plan
        self._rows = torch.from_numpy(np.concatenate(plan)).to(device)
        self._starts = np.cumsum([0, *map(len, plan)]).tolist()

    def __len__(self) -> int:
        return len(self._plan)

    def batch(self, index: int, share: slice = slice(None)) -> Batch:
        """Put a batch together.

        Args:
            share: those of its rows that this process learns from; there may be none.
        """
        rows = self._plan[index]
        own = rows[share]
        rows_B = self._rows[self._starts[index] : self._starts[index + 1]][share]
        source_BS, lengths_B = self._source.pad(rows_B, _longest(self._source, own))
        target_BT, _ = self._target.pad(rows_B, _longest(self._target, own))
        predicted_N = _predicted(target_BT, _count_predicted(self._target, own))
        return Batch(
            source_BS, lengths_B, target_BT, predicted_N, _count_predicted(self._target, rows)
        )


def plan_epoch(examples: Examples, batch_tokens: int, seed: int) -> list[NDArray[np.int64]]:
    """Return the example indices of each batch, in the order of training.

    The same arguments give the same plan. A sentence longer than the budget is a batch.
    """
    generator = np.random.default_rng(seed)
    source, target = examples.source.lengths, examples.target.lengths
    order = np.lexsort((generator.random(len(source)), target, source))
    longest = np.maximum(source, target)[order]
    plan: list[NDArray[np.int64]] = []
    start, widest = 0, 0
    for i, length in enumerate(longest.tolist()):
        widest = max(widest, length)
        if i > start and widest * (i + 1 - start) > batch_tokens:
            plan.append(order[start:i])
            start, widest = i, length
    plan.append(order[start:])
    generator.shuffle(plan)
    return plan


def make_batch(
    sources: Sequence[Sequence[int]], targets: Sequence[Sequence[int]], device: torch.device
) -> Batch:
    """Return the one batch of these sentences, in their order."""
    examples = Examples(Ragged.join(sources), Ragged.join(targets))
    return Epoch(examples, [np.arange(len(sources))], device).batch(0)


def pad(sentences: Sequence[Sequence[int]], device: torch.device) -> tuple[Tensor, Tensor]:
    """Return `ids_BS`, right padded, and `lengths_B`."""
    side, rows = Side(Ragged.join(sentences), device), np.arange(len(sentences))
    return side.pad(torch.from_numpy(rows).to(device), _longest(side, rows))


def _longest(side: Side, rows: NDArray[np.int64]) -> int:
    return int(side.lengths[rows].max(initial=1))


def _count_predicted(targets: Side, rows: NDArray[np.int64]) -> int:
    return int(targets.lengths[rows].sum()) - len(rows)  # all but BOS


def _predicted(target_BT: Tensor, count: int) -> Tensor:
    # `nonzero` would have to wait for the device to learn how many there are
    return (target_BT[:, 1:] != PAD).flatten().nonzero_static(size=count)[:, 0]
