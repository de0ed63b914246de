"""Dropout of activations, with a mask for each sentence or for each position.

Nothing is dropped outside training.

Legend beyond `models/README.md`: D units of whatever is dropped.
"""

from torch import Tensor, nn

from training.kinds import DropoutKind


class LockedDropout(nn.Module):
    """Dropout whose mask is drawn once for a sentence and held along time.

    Besides learning better than a mask for each position it costs a tenth of it: drawing
    random numbers for every position took 15 % of a training step on two CPU cores.

    Source: Gal & Ghahramani 2016, "A Theoretically Grounded Application of Dropout in
    Recurrent Neural Networks", section 4, along depth only.
    """

    def __init__(self, probability: float) -> None:
        super().__init__()
        self.probability = probability

    def forward(self, x_BTD: Tensor) -> Tensor:
        """Return the input with the same units of a sentence zeroed at all positions."""
        if not self.training or self.probability == 0:
            return x_BTD
        keep = 1 - self.probability
        mask_B1D = x_BTD.new_empty(x_BTD.shape[0], 1, x_BTD.shape[2]).bernoulli_(keep)
        return x_BTD * mask_B1D.div_(keep)


Dropout = LockedDropout | nn.Dropout


def build_dropout(kind: DropoutKind, probability: float) -> Dropout:
    """Return dropout along depth; `independent` draws a mask for each position.

    Source of `independent`: Zaremba et al. 2014, "Recurrent Neural Network Regularization",
    section 3.2.
    """
    kinds: dict[DropoutKind, type[Dropout]] = {"locked": LockedDropout, "independent": nn.Dropout}
    return kinds[kind](probability)
