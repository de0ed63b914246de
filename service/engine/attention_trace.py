"""What the hypotheses of one sentence attended to, followed through the beam.

Kept only for sentences that want alignments or a coverage penalty: the others pay nothing.
Shapes: K rows, S source positions, T target positions.
"""

import numpy as np
from numpy.typing import NDArray

# A position that nobody looked at: the logarithm must stay finite.
_MIN_COVERAGE = 1e-4


class AttentionTrace:
    """The attention of a sentence's rows so far; rows move with the beam."""

    def __init__(self, width: int, num_positions: int, *, keeps_weights: bool) -> None:
        self._coverage_KS = np.zeros((width, num_positions), np.float32)
        # Rows share their past: each holds its last weights and what came before them.
        self._weights: list[tuple[object, NDArray[np.float32]] | None] = [None] * width
        self._keeps_weights = keeps_weights

    def note(self, attention_KS: NDArray[np.float32]) -> None:
        """Add one step of all rows; positions beyond the sentence are padding."""
        attention_KS = attention_KS[:, : self._coverage_KS.shape[1]].astype(np.float32)
        self._coverage_KS += attention_KS
        if self._keeps_weights:
            pairs = zip(self._weights, attention_KS, strict=True)
            self._weights = [(past, attention_S) for past, attention_S in pairs]

    def follow(self, parents_K: NDArray[np.int64]) -> None:
        """Let row i continue row `parents_K[i]`."""
        self._coverage_KS = self._coverage_KS[parents_K]
        self._weights = [self._weights[parent] for parent in parents_K.tolist()]

    def weights(self, row: int, num_tokens: int) -> NDArray[np.float32] | None:
        """Return attention_TS of a row's first tokens; None if it was not asked for."""
        if not self._keeps_weights:
            return None
        steps: list[NDArray[np.float32]] = []
        link = self._weights[row]
        while link is not None:
            link, attention_S = link  # type: ignore[assignment]  # a recursive type
            steps.append(attention_S)
        return np.stack(steps[::-1])[:num_tokens]

    def coverage(self, row: int, num_tags: int) -> float:
        """Return the sum of log(min(attention received, 1)) over the source's own tokens.

        Source: Wu et al. 2016 (GNMT), equation 14. The tags at the beginning and EOS, which
        nothing translates, are left out.
        """
        received_S = self._coverage_KS[row, num_tags:-1]
        return float(np.log(np.clip(received_S, _MIN_COVERAGE, 1)).sum())
