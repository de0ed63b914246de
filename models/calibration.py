"""How far the translation of a sentence can be trusted, as a bundle tells it."""

import math
from typing import Annotated

from pydantic import Field

from models.parts import Direction, Part, Size, VariantName


class Calibration(Part):
    """How confidence follows from what the search tells of a sentence, in one direction.

    It was fitted on one half of a development set and measured on the other. A sentence is good
    if its metric, beside the reference, is at least `good_from`.
    """

    direction: Direction
    variant: VariantName
    """What translated; what the others say differs little."""
    metric: str
    good_from: float
    bias: float
    probability_weight: float
    """Of the geometric mean of the tokens' probabilities."""
    length_weight: float
    """Of the logarithm of the number of target tokens, EOS included."""
    test_set: str
    sentences: Size
    """That it was fitted on."""
    held_out_sentences: Size
    """That it was measured on, and so the following."""
    share: Annotated[float, Field(ge=0, le=1)]
    """Of good sentences."""
    brier: Annotated[float, Field(ge=0, le=1)]
    """Mean square of the difference between confidence and 1 (good) or 0."""
    brier_of_share: Annotated[float, Field(ge=0, le=1)]
    """The same if every sentence had the share for its confidence."""
    calibration_error: Annotated[float, Field(ge=0, le=1)]
    """Mean difference between confidence and the share of good sentences, in ten bins."""

    def confidence(self, log_probability: float, num_tokens: int) -> float:
        """Return the probability that a sentence is good.

        Args:
            log_probability: Of all target tokens together.
            num_tokens: Target tokens, EOS included; at least 1.
        """
        logit = self.bias + self.probability_weight * math.exp(log_probability / num_tokens)
        logit += self.length_weight * math.log(num_tokens)
        return 1 / (1 + math.exp(-logit))
