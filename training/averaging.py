"""The checkpoints of the best dev BLEU, and their mean.

Averaging the weights of the last or best checkpoints of one run finds a point in the middle of
where it went, which is often better than any of them.

Source: Junczys-Dowmunt et al. 2016, "The AMU-UEDIN Submission to the WMT16 News Translation Task";
Vaswani et al. 2017, section 6.1.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Literal

import torch
from torch import Tensor

from training import checkpoint

Weights = Mapping[str, Tensor]
Kind = Literal["network", "average"]
"""The weights as they were learnt, or their moving average."""


class KeptCheckpoints:
    """Files of the best checkpoints, one each.

    Args:
        capacity: how many are kept; 0 keeps none.
    """

    def __init__(self, folder: Path, capacity: int) -> None:
        self._folder, self._capacity = folder, capacity
        self.bleu_by_step: dict[int, float] = {}

    def __len__(self) -> int:
        return len(self.bleu_by_step)

    @property
    def best_step(self) -> int:
        """Step of the best of them, the first among equals."""
        return self._ranked()[0]

    def offer(self, step: int, bleu: float, weights: Mapping[str, Weights]) -> None:
        """Keep a checkpoint if it is among the best; an earlier one goes before its equals."""
        self.bleu_by_step[step] = bleu
        self.bleu_by_step = {
            each: self.bleu_by_step[each] for each in self._ranked()[: self._capacity]
        }
        if step in self.bleu_by_step:
            checkpoint.save(dict(weights), self._path(step))

    def forget_others(self) -> None:
        """Remove the files of those that are not kept.

        Call it when what is kept has been written down: an interrupted run may want them back.
        """
        for path in self._folder.glob("*.pt"):
            if int(path.stem) not in self.bleu_by_step:
                path.unlink()

    def load(self, step: int, kind: Kind) -> Weights:
        """Return the weights of one of them."""
        weights: Weights = checkpoint.load(self._path(step))[kind]
        return weights

    def mean(self, kind: Kind) -> Weights:
        """Return the mean of the weights of all of them."""
        steps = sorted(self.bleu_by_step)
        mean = {name: torch.zeros_like(value) for name, value in self.load(steps[0], kind).items()}
        for step in steps:
            for name, value in self.load(step, kind).items():
                mean[name] += value / len(steps)
        return mean

    def _ranked(self) -> list[int]:
        return sorted(self.bleu_by_step, key=lambda step: (-self.bleu_by_step[step], step))

    def _path(self, step: int) -> Path:
        return self._folder / f"{step}.pt"
