"""What a search is asked for, what a model tells it, and what it finds.

Shapes: N sentences, K rows of each, C candidates for each row, S source positions, T target
positions.
"""

from dataclasses import dataclass, field
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from service.engine.constraints import Constraint

BOS, EOS = 1, 2

FinishReason = Literal["eos", "length", "repetition"]
Lane = tuple[int, Literal["free", "constrained", "forced"]]


@dataclass(frozen=True, slots=True)
class SearchOptions:
    """How to search; sentences in one batch may differ in all but the width."""

    width: int = 1
    """Hypotheses kept after each step."""
    length_penalty: float = 1.0
    """Exponent of the length normalisation, at least 0; 0 turns it off."""
    max_tokens: int = 256
    """Target length at which decoding stops, EOS included."""
    num_best: int = 1
    """Hypotheses the caller wants; search may end once no other can get among them."""
    no_repeat_ngram: int = 0
    """No n-gram of so many tokens occurs twice; 0 turns it off."""
    coverage_penalty: float = 0.0
    """Weight of the penalty for source tokens that got little attention; 0 turns it off."""
    with_attention: bool = False
    """Whether hypotheses tell what they attended to."""
    num_tags: int = 0
    """Source tokens at the beginning that nothing translates, so that they need no coverage."""
    case_ids: tuple[int, ...] = ()
    """Tokens that say how the next word is written: no part of an n-gram."""
    constraints: tuple[Constraint, ...] = ()
    """What must appear; a beam of width 1 takes it as soon as it can."""
    forced: tuple[int, ...] | None = None
    """A translation to be scored, without EOS: it is taken token by token, and nothing else is
    looked for; the width is 1 and no n-gram is blocked."""

    @property
    def reads_attention(self) -> bool:
        """Whether the search needs the attention weights of every step."""
        return (
            self.with_attention
            or self.coverage_penalty > 0
            or any(each.places for each in self.constraints)
        )

    @property
    def limit(self) -> int:
        """Target length at which decoding stops, EOS included."""
        return self.max_tokens if self.forced is None else len(self.forced) + 1

    @property
    def lane(self) -> Lane:
        """What sentences must have in common to be decoded together."""
        if self.forced is not None:
            return self.width, "forced"
        return self.width, "constrained" if self.constraints else "free"

    @property
    def wanted_tokens(self) -> tuple[int, ...]:
        """Tokens that the search must be able to choose, whatever its source."""
        return self.forced or tuple(id for each in self.constraints for id in each.tokens)


@dataclass(frozen=True, slots=True, order=True)
class Hypothesis:
    """A target sentence, ended by EOS or cut off."""

    score: float
    """Length-normalised log-probability, natural logarithm, less the coverage penalty."""
    tokens: tuple[int, ...] = field(compare=False)
    """Token ids without BOS and EOS."""
    finish_reason: FinishReason = field(compare=False, default="eos")
    """`length` if cut off at `max_tokens`, `repetition` if nothing but copies followed."""
    attention_TS: NDArray[np.float32] | None = field(compare=False, default=None)
    """What each token, EOS included, attended to, if asked for."""
    unmet: int = field(compare=False, default=0)
    """Constraints that it does not meet."""
    credit: float = field(compare=False, default=0.0)
    """What its constraints are worth in the choice among hypotheses, beyond the score, normalised
    as it is."""
    token_scores: tuple[float, ...] | None = field(compare=False, default=None)
    """Log-probability of each token, EOS included, of a translation that was forced."""
    log_probability: float = field(compare=False, default=0.0)
    """Of all tokens together, EOS included; natural logarithm."""

    @property
    def num_tokens(self) -> int:
        """Number of tokens, EOS included if it came that far."""
        return len(self.tokens) + (self.finish_reason == "eos")


class StepResult(NamedTuple):
    """What a model thinks may follow in each row."""

    scores_NKC: NDArray[np.float32]
    """Log-probabilities, best first."""
    tokens_NKC: NDArray[np.int64]
    attention_NKS: NDArray[np.float32] | None = None
    """The weights of this step, if asked for."""
