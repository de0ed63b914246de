"""How layers stand on one another: what each passes on to those who read it.

    sum  = outputs + sum of the layer below    with `residual`, from the second layer up
    read = (sum - mean) / deviation            with `layer_norm`, over the units of a position

Without them both are the layer's outputs. What is carried along time is neither added to nor
normalised, so that a layer stays one call of a fused kernel. Sums are normalised for who reads
them, not on their way up: no layer is scaled down beside the next.

There is no gain and no bias. Whoever reads is a linear layer or, for the memory, attention, whose
context goes to linear layers: their own weights can do the same. Without them integers of 8 bits
have one step for all units.

Legend beyond `models/README.md`: D units of a layer's outputs.

Source: Wu et al. 2016 (GNMT), section 3.1, equation 6, from the second layer rather than the
third; Ba et al. 2016, "Layer Normalization", section 3; Xu et al. 2019, "Understanding and
Improving Layer Normalization", section 3, LayerNorm-simple, which leaves out gain and bias.
"""

from torch import Tensor
from torch.nn.functional import layer_norm

from training.recipe import NetworkRecipe


def pass_on(
    recipe: NetworkRecipe, out_BTD: Tensor, below_BTD: Tensor | None
) -> tuple[Tensor, Tensor]:
    """Return the sum for the layer above to be added to, and what is read of it.

    Args:
        below_BTD: The sum of the layer below; None for the first one.
    """
    sum_BTD = out_BTD if below_BTD is None or not recipe.residual else out_BTD + below_BTD
    if not recipe.layer_norm:
        return sum_BTD, sum_BTD
    return sum_BTD, layer_norm(sum_BTD, sum_BTD.shape[-1:])
