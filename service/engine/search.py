"""Beam search over the sentences of one batch, as plain arithmetic on scores.

Nothing here knows of models, threads or devices: a worker asks `Beams` which tokens to try
next and tells it what the model thought of them. Greedy decoding is a beam of width 1; one
pass over arrays advances all sentences together, whatever their widths.

Shapes: N sentences, B rows (the live hypotheses of all of them, those of one sentence
side by side, best first), C candidates for each row, T target positions.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
from numpy.typing import NDArray

BOS, EOS = 1, 2

FinishReason = Literal["eos", "length"]

# Target positions there is room for at first.
_MIN_PREFIX = 32


@dataclass(frozen=True, slots=True)
class SearchOptions:
    """How to search; sentences in one batch may differ."""

    width: int = 1
    """Hypotheses kept after each step."""
    length_penalty: float = 1.0
    """Exponent of the length normalisation, at least 0; 0 turns it off."""
    max_tokens: int = 256
    """Target length at which decoding stops, EOS included."""
    num_best: int = 1
    """Hypotheses the caller wants; search may end once no other can get among them."""


@dataclass(frozen=True, slots=True, order=True)
class Hypothesis:
    """A target sentence, ended by EOS or cut off at `max_tokens`."""

    score: float
    """Length-normalised log-probability, natural logarithm."""
    tokens: tuple[int, ...] = field(compare=False)
    """Token ids without BOS and EOS."""
    finish_reason: FinishReason = field(compare=False, default="eos")


# One record per sentence and per row, so that what belongs together is selected together.
_SENTENCE = np.dtype(
    [
        ("width", np.int64),
        ("max_tokens", np.int64),
        ("steps", np.int64),
        ("ended", np.int64),
        ("is_done", np.bool_),
    ]
)
_ROW = np.dtype(
    [("sentence", np.int64), ("total", np.float64), ("parent", np.int64), ("token", np.int64)]
)


class Beams:
    """The hypotheses of all sentences of one batch, in the order in which these joined."""

    def __init__(self) -> None:
        self._options: list[SearchOptions] = []
        self._ended: list[list[Hypothesis]] = []
        self._sentences_N = np.zeros(0, _SENTENCE)
        self._rows_B = np.zeros(0, _ROW)
        self._prefixes_BT = np.zeros((0, _MIN_PREFIX), np.int64)

    def __len__(self) -> int:
        return len(self._options)

    @property
    def moves(self) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Parents and tokens, what the next model step has to compute.

        Its row i continues row `parents_B[i]` of the step before with token `tokens_B[i]`.
        """
        return self._rows_B["parent"], self._rows_B["token"]

    @property
    def is_done(self) -> NDArray[np.bool_]:
        """Of each sentence, whether it has its hypotheses or has reached its length limit."""
        return self._sentences_N["is_done"].copy()

    @property
    def width(self) -> int:
        """The widest beam, 0 without sentences."""
        return int(self._sentences_N["width"].max(initial=0))

    def join(self, options: Sequence[SearchOptions], rows: Sequence[int]) -> None:
        """Append sentences; `rows` are those of the model from which they start."""
        first, count = len(self), len(options)
        sentences = [(each.width, each.max_tokens, 0, 0, False) for each in options]
        starts = [(first + i, 0.0, row, BOS) for i, row in enumerate(rows)]
        self._options += options
        self._ended += [[] for _ in options]
        self._sentences_N = np.append(self._sentences_N, np.array(sentences, _SENTENCE))
        self._rows_B = np.append(self._rows_B, np.array(starts, _ROW))
        self._prefixes_BT = np.pad(self._prefixes_BT, ((0, count), (0, 0)))

    def keep(self, keep_N: NDArray[np.bool_]) -> None:
        """Forget the sentences that are False here, and their rows."""
        keep_B = keep_N[self._rows_B["sentence"]]
        self._options = [o for o, keep in zip(self._options, keep_N, strict=True) if keep]
        self._ended = [e for e, keep in zip(self._ended, keep_N, strict=True) if keep]
        self._sentences_N = self._sentences_N[keep_N]
        self._rows_B, self._prefixes_BT = self._rows_B[keep_B], self._prefixes_BT[keep_B]
        self._rows_B["sentence"] = (np.cumsum(keep_N) - 1)[self._rows_B["sentence"]]
        self._prefixes_BT = _resize(self._prefixes_BT, self._sentences_N["steps"])

    def advance(self, scores_BC: NDArray[np.float32], tokens_BC: NDArray[np.int64]) -> None:
        """Extend the live hypotheses by one token each.

        Args:
            scores_BC: log-probabilities of the candidates, one line per row.
            tokens_BC: their token ids. C is at least `width + 1`, so that enough
                candidates remain when one of them is EOS; 1 is enough for width 1.
        """
        totals_BC: NDArray[np.float64] = self._rows_B["total"][:, None] + scores_BC
        live, ended = self._select(totals_BC, tokens_BC == EOS)
        for row, candidate in np.argwhere(ended).tolist():
            self._end(row, float(totals_BC[row, candidate]))
        self._sentences_N["steps"] += 1
        self._continue(live, tokens_BC, totals_BC)
        self._mark_done()

    def hypotheses(self, sentence: int) -> list[Hypothesis]:
        """Return what has ended, or what is live if nothing has, best first."""
        found = self._ended[sentence]
        if not found:
            rows = np.flatnonzero(self._rows_B["sentence"] == sentence).tolist()
            totals = self._rows_B["total"].tolist()
            found = [self._hypothesis(row, totals[row], "length") for row in rows]
        return sorted(found, reverse=True)

    def _select(
        self, totals_BC: NDArray[np.float64], is_end_BC: NDArray[np.bool_]
    ) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
        """Return what stays live, as flat indices in new order, and a mask of what ends."""
        # Sorted by sentence, then best first. The first `width` that go on stay live; an
        # EOS counts if it comes before the last of these.
        sentences = np.repeat(self._rows_B["sentence"], totals_BC.shape[1])
        order = np.lexsort((-totals_BC.ravel(), sentences))
        sentences, goes_on = sentences[order], ~is_end_BC.ravel()[order]
        rank: NDArray[np.int64] = np.cumsum(goes_on) - goes_on
        firsts_N = np.searchsorted(sentences, np.arange(len(self)))
        is_in = rank - rank[firsts_N][sentences] < self._sentences_N["width"][sentences]
        ended_BC = np.zeros_like(is_end_BC)
        ended_BC.ravel()[order[is_in & ~goes_on]] = True
        return order[is_in & goes_on], ended_BC

    def _continue(
        self,
        live: NDArray[np.int64],
        tokens_BC: NDArray[np.int64],
        totals_BC: NDArray[np.float64],
    ) -> None:
        parents_B = live // totals_BC.shape[1]
        rows_B = self._rows_B[parents_B]
        rows_B["parent"] = parents_B
        rows_B["token"] = tokens_BC.ravel()[live]
        rows_B["total"] = totals_BC.ravel()[live]
        positions_B = self._sentences_N["steps"][rows_B["sentence"]] - 1
        prefixes_BT = _resize(self._prefixes_BT[parents_B], self._sentences_N["steps"])
        prefixes_BT[np.arange(len(rows_B)), positions_B] = rows_B["token"]
        self._rows_B, self._prefixes_BT = rows_B, prefixes_BT

    def _end(self, row: int, total: float) -> None:
        sentence = self._rows_B["sentence"][row]
        self._ended[sentence].append(self._hypothesis(row, total, "eos"))
        self._sentences_N["ended"][sentence] += 1

    def _hypothesis(self, row: int, total: float, reason: FinishReason) -> Hypothesis:
        sentence = self._rows_B["sentence"][row]
        tokens = self._prefixes_BT[row, : self._sentences_N["steps"][sentence]].tolist()
        norm = _norm(len(tokens) + 1, self._options[sentence].length_penalty)
        return Hypothesis(total / norm, tuple(tokens), reason)

    def _mark_done(self) -> None:
        all_N = self._sentences_N
        live_N = np.bincount(self._rows_B["sentence"], minlength=len(self))
        is_done_N = (all_N["ended"] >= all_N["width"]) | (all_N["steps"] >= all_N["max_tokens"])
        is_done_N |= live_N == 0
        best_rows_N = np.cumsum(live_N) - live_N
        for sentence in np.flatnonzero(~is_done_N & (all_N["ended"] > 0)).tolist():
            best_total = float(self._rows_B["total"][best_rows_N[sentence]])
            is_done_N[sentence] = self._is_beyond_reach(sentence, best_total)
        all_N["is_done"] = is_done_N

    def _is_beyond_reach(self, sentence: int, best_total: float) -> bool:
        # A total only falls, so a live hypothesis ends at best with what it has now, divided
        # by the norm of the longest sentence that is allowed.
        options, found = self._options[sentence], sorted(self._ended[sentence], reverse=True)
        reach = best_total / _norm(options.max_tokens, options.length_penalty)
        return len(found) >= options.num_best and found[options.num_best - 1].score >= reach


def _resize(prefixes_BT: NDArray[np.int64], steps_N: NDArray[np.int64]) -> NDArray[np.int64]:
    # To a power of two, so that it happens rarely.
    size = max(_MIN_PREFIX, 1 << int(steps_N.max(initial=0)).bit_length())
    missing = size - prefixes_BT.shape[1]
    return np.pad(prefixes_BT, ((0, 0), (0, missing))) if missing > 0 else prefixes_BT[:, :size]


def _norm(num_tokens: int, length_penalty: float) -> float:
    # Wu et al. 2016 (GNMT), equation 14; EOS counts, for it was predicted too.
    return float(((5 + num_tokens) / 6) ** length_penalty)
