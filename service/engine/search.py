"""Beam search over the sentences of one batch, as plain arithmetic on scores.

Nothing here knows of models, threads or devices: a worker asks `Beams` which tokens to try
next and tells it what the model thought of them. Greedy decoding is a beam of width 1; one
pass over arrays advances all sentences together.

Shapes: N sentences, K rows of each (its live hypotheses, best first; the beam's width), C
candidates for each row, S source positions, T target positions.
"""

from collections.abc import Iterator, Sequence
from typing import TypeVar

import numpy as np
from numpy.typing import ArrayLike, NDArray

from service.engine.attention_trace import AttentionTrace
from service.engine.constrained import ConstrainedGuide
from service.engine.guides import Attention, ForcedGuide, Guide
from service.engine.hypothesis import BOS, FinishReason, Hypothesis, SearchOptions, StepResult
from service.engine.repetition import CHECK_STEPS, blocked_tokens, surplus_tokens
from service.engine.selection import Integers, Selection, Totals, select

T = TypeVar("T", bound=np.generic)

# Target positions there is room for at first.
_MIN_PREFIX = 32


class Beams:
    """The hypotheses of all sentences of one batch; `width` rows for each."""

    def __init__(self, width: int) -> None:
        self._width = width
        self._options: list[SearchOptions] = []
        self._sources: list[Sequence[int]] = []
        self._ended: list[list[Hypothesis]] = []
        # Only of those sentences that want them, by place.
        self._traces: dict[int, AttentionTrace] = {}
        self._ngram_sizes: dict[int, int] = {}
        self._guides: dict[int, Guide] = {}
        self._steps_N = np.zeros(0, np.int64)
        self._max_tokens_N = np.zeros(0, np.int64)
        self._num_ended_N = np.zeros(0, np.int64)
        self._is_done_N = np.zeros(0, np.bool_)
        self._totals_NK = np.zeros((0, width))
        self._parents_NK = np.zeros((0, width), np.int64)
        self._tokens_NK = np.zeros((0, width), np.int64)
        self._prefixes_NKT = np.zeros((0, width, _MIN_PREFIX), np.int32)
        # Also what follows from these, lest every step compute it anew.
        self._has_done = False
        self._longest = 0
        self._count_places()

    def __len__(self) -> int:
        return len(self._options)

    @property
    def moves(self) -> tuple[Integers, Integers]:
        """Parents and tokens, what the next model step has to compute.

        Row k of sentence n continues row `parents_NK[n, k]` of the step before, counted over
        all sentences, with token `tokens_NK[n, k]`.
        """
        return self._parents_NK, self._tokens_NK

    @property
    def is_done(self) -> NDArray[np.bool_]:
        """Of each sentence, whether it has its hypotheses or has reached its length limit."""
        return self._is_done_N.copy()

    @property
    def num_live(self) -> int:
        """Rows that are live hypotheses; the others only keep the grid full."""
        if self._width == 1:
            return len(self) - int(self._is_done_N.sum())
        return int((self._totals_NK[~self._is_done_N] > -np.inf).sum())

    @property
    def reads_attention(self) -> bool:
        """Whether the next `advance` needs attention."""
        return bool(self._traces) or any(each.reads_attention for each in self._guides.values())

    def count_candidates(self) -> int:
        """Return how many candidates of each row the next `advance` needs."""
        guided = (guide.num_candidates for guide in self._guides.values())
        return max(self._count_free(), *guided) if self._guides else self._count_free()

    def _count_free(self) -> int:
        """Return how many candidates of each row the sentences without a guide choose among."""
        # One of them may be EOS; the best of a single row is enough, whatever it is.
        # Where n-grams are blocked it is not: one candidate lets a model go on by itself.
        enough = self._width + 1 if self._width > 1 or self._ngram_sizes else 1
        return enough + max((len(tokens) for _, _, tokens in self._blocked()), default=0)

    def join(
        self,
        options: Sequence[SearchOptions],
        rows: Sequence[int],
        sources: Sequence[Sequence[int]],
    ) -> None:
        """Append sentences; `rows` are those of the model from which they start."""
        first, count = len(self), len(options)
        self._options += options
        self._sources += sources
        self._ended += [[] for _ in options]
        for i, (each, source) in enumerate(zip(options, sources, strict=True), first):
            if guide := _guide(each):
                self._guides[i] = guide
            if each.no_repeat_ngram and each.forced is None:
                self._ngram_sizes[i] = each.no_repeat_ngram
            if each.with_attention or each.coverage_penalty > 0:
                self._traces[i] = AttentionTrace(
                    self._width, len(source), keeps_weights=each.with_attention
                )
        # A beam opens with one hypothesis, the empty one; its other rows are dead.
        totals_NK = np.full((count, self._width), -np.inf)
        totals_NK[:, 0] = 0
        parents_NK = np.repeat(np.array(rows, np.int64)[:, None], self._width, axis=1)
        size = self._prefixes_NKT.shape[2]
        self._max_tokens_N = _append(self._max_tokens_N, [each.limit for each in options])
        self._totals_NK = _append(self._totals_NK, totals_NK)
        self._parents_NK = _append(self._parents_NK, parents_NK)
        self._tokens_NK = _append(self._tokens_NK, np.full_like(parents_NK, BOS))
        self._steps_N = _append(self._steps_N, [0] * count)
        self._num_ended_N = _append(self._num_ended_N, [0] * count)
        self._is_done_N = _append(self._is_done_N, [False] * count)
        self._prefixes_NKT = _append(self._prefixes_NKT, np.zeros((count, self._width, size)))
        self._count_places()

    def keep(self, keep_N: NDArray[np.bool_]) -> Integers:
        """Forget the sentences that are False here; return which now stands at each place.

        The last ones fill the places that become free, so that few change theirs.
        """
        order = _closing_gaps(keep_N)
        places = {old: new for new, old in enumerate(order.tolist())}
        self._options = [self._options[old] for old in places]
        self._sources = [self._sources[old] for old in places]
        self._ended = [self._ended[old] for old in places]
        self._traces = {places[i]: x for i, x in self._traces.items() if i in places}
        self._ngram_sizes = {places[i]: x for i, x in self._ngram_sizes.items() if i in places}
        self._guides = {places[i]: x for i, x in self._guides.items() if i in places}
        self._steps_N, self._max_tokens_N = self._steps_N[order], self._max_tokens_N[order]
        self._num_ended_N, self._is_done_N = self._num_ended_N[order], self._is_done_N[order]
        self._totals_NK, self._parents_NK = self._totals_NK[order], self._parents_NK[order]
        self._tokens_NK, self._prefixes_NKT = self._tokens_NK[order], self._prefixes_NKT[order]
        self._has_done = bool(self._is_done_N.any())
        self._longest = int(self._steps_N.max(initial=0))
        self._count_places()
        return order

    def advance(self, result: StepResult) -> None:
        """Extend the live hypotheses by one token each; what is done stays as it is.

        `result` holds at least `count_candidates()` candidates for each row.
        """
        scores_NKC, tokens_NKC, attention_NKS = result
        self._note_attention(attention_NKS)
        totals_NKC = self._totals_NK[:, :, None] + scores_NKC
        for n, k, tokens in self._blocked():
            totals_NKC[n, k, np.isin(tokens_NKC[n, k], list(tokens))] = -np.inf
        rows_NK, tokens_NK, totals_NK, ended = self._select(totals_NKC, tokens_NKC, attention_NKS)
        for n, k, total in ended:
            self._end(n, k, total)
        self._continue(rows_NK, tokens_NK, totals_NK)
        for guide in self._guides.values():
            guide.follow()
        self._stop_loops()
        self._mark_done()

    def hypotheses(self, sentence: int) -> list[Hypothesis]:
        """Return what has ended, else what only repeated itself, else what is live; best first.

        Only those that meet most of the constraints.
        """
        found = self._ended[sentence]
        whole = [each for each in found if each.finish_reason == "eos"]
        if not found:
            totals = self._totals_NK[sentence].tolist()
            live = [k for k, total in enumerate(totals) if total > -np.inf]
            found = [self._hypothesis(sentence, k, totals[k], "length") for k in live]
        found = whole or found
        fewest = min((each.unmet for each in found), default=0)
        found = [each for each in found if each.unmet == fewest]
        return sorted(found, key=lambda each: each.score + each.credit, reverse=True)

    def _select(
        self, totals_NKC: Totals, tokens_NKC: Integers, attention_NKS: Attention | None
    ) -> Selection:
        is_done_N = self._is_done_N if self._has_done else None
        if not self._guides:
            return select(totals_NKC, tokens_NKC, is_done_N)
        # What guides want to see must not change what the others choose, even among equals.
        count = self._count_free()
        found = select(totals_NKC[:, :, :count], tokens_NKC[:, :, :count], is_done_N).copy()
        ended = [each for each in found.ended if each[0] not in self._guides]
        for n, guide in self._guides.items():
            if self._is_done_N[n]:
                continue
            attention_KS = None if attention_NKS is None else attention_NKS[n]
            choice = guide.choose(totals_NKC[n], tokens_NKC[n], attention_KS)
            ended += [(n, *each) for each in choice.ended]
            going = slice(len(choice.rows))
            found.totals_NK[n] = -np.inf
            found.rows_NK[n, going], found.tokens_NK[n, going] = choice.rows, choice.tokens
            found.totals_NK[n, going] = choice.totals
        return found._replace(ended=ended)

    def _continue(self, rows_NK: Integers, tokens_NK: Integers, totals_NK: Totals) -> None:
        """Let each row continue one of its sentence; what is done keeps its own."""
        if self._has_done:
            done_N1 = self._is_done_N[:, None]
            totals_NK = np.where(done_N1, self._totals_NK, totals_NK)
            rows_NK = np.where(done_N1, np.arange(self._width), rows_NK)
        self._totals_NK, self._tokens_NK = totals_NK, tokens_NK
        self._parents_NK = self._width * self._places_N1 + rows_NK
        self._write(rows_NK, tokens_NK)
        for n, trace in self._traces.items():
            trace.follow(rows_NK[n])

    def _write(self, rows_NK: Integers, tokens_NK: Integers) -> None:
        if self._width > 1:
            self._prefixes_NKT = self._prefixes_NKT[self._places_N1, rows_NK]
        if self._longest == self._prefixes_NKT.shape[2]:
            padding = ((0, 0), (0, 0), (0, self._longest))
            self._prefixes_NKT = np.pad(self._prefixes_NKT, padding)
        self._longest += 1
        going = np.flatnonzero(~self._is_done_N) if self._has_done else self._places_N1[:, 0]
        self._prefixes_NKT[going, :, self._steps_N[going]] = tokens_NK[going]
        self._steps_N[going] += 1

    def _stop_loops(self) -> None:
        for n in np.flatnonzero(self._steps_N % CHECK_STEPS == 0).tolist():
            if self._is_done_N[n] or self._options[n].forced is not None:
                continue
            for k in np.flatnonzero(self._totals_NK[n] > -np.inf).tolist():
                surplus = surplus_tokens(self._prefix(n, k), self._sources[n])
                if surplus:
                    self._end(n, k, float(self._totals_NK[n, k]), surplus)
                    self._totals_NK[n, k] = -np.inf

    def _count_places(self) -> None:
        self._places_N1 = np.arange(len(self))[:, None]

    def _end(self, n: int, k: int, total: float, surplus: int | None = None) -> None:
        """Note that a row has ended: by EOS, or by a loop of so many tokens."""
        if surplus is None:
            hypothesis = self._hypothesis(n, k, total, "eos")
            self._num_ended_N[n] += not hypothesis.unmet
        else:
            hypothesis = self._hypothesis(n, k, total, "repetition", surplus)
        self._ended[n].append(hypothesis)

    def _hypothesis(
        self, n: int, k: int, total: float, reason: FinishReason, surplus: int = 0
    ) -> Hypothesis:
        options = self._options[n]
        prefix = self._prefix(n, k)
        num_tokens = len(prefix) + (reason == "eos")
        score = total / _norm(max(num_tokens, 1), options.length_penalty)
        weights_TS = None
        if trace := self._traces.get(n):
            score += options.coverage_penalty * trace.coverage(k, options.num_tags)
            weights_TS = trace.weights(k, num_tokens - surplus)
        tokens = tuple(prefix[: len(prefix) - surplus].tolist())
        hypothesis = Hypothesis(score, tokens, reason, weights_TS, log_probability=total)
        guide = self._guides.get(n)
        return hypothesis if guide is None else guide.complete(hypothesis, k)

    def _prefix(self, n: int, k: int) -> NDArray[np.int32]:
        return self._prefixes_NKT[n, k, : self._steps_N[n]]

    def _text(self, n: int, k: int) -> NDArray[np.int32]:
        """Return the prefix without the tokens that are no text."""
        prefix, case_ids = self._prefix(n, k), self._options[n].case_ids
        return prefix[~np.isin(prefix, case_ids)] if case_ids else prefix

    def _note_attention(self, attention_NKS: NDArray[np.float32] | None) -> None:
        if self._traces:
            assert attention_NKS is not None, "attention was asked for"
            for n, trace in self._traces.items():
                trace.note(attention_NKS[n])

    def _blocked(self) -> Iterator[tuple[int, int, set[int]]]:
        """Yield what may not follow in the rows of the sentences that block n-grams."""
        for n, size in self._ngram_sizes.items():
            for k in range(self._width):
                yield n, k, blocked_tokens(self._text(n, k), size)

    def _mark_done(self) -> None:
        best_N = self._totals_NK.max(axis=1) if self._width > 1 else self._totals_NK[:, 0]
        done_N = self._is_done_N
        done_N |= (self._steps_N >= self._max_tokens_N) | (self._num_ended_N >= self._width)
        done_N |= best_N == -np.inf
        if self._width > 1:
            for n in np.flatnonzero(~done_N & (self._num_ended_N > 0)).tolist():
                done_N[n] = self._is_beyond_reach(n, float(best_N[n]))
        self._has_done = bool(done_N.any())

    def _is_beyond_reach(self, n: int, best_total: float) -> bool:
        # A total only falls, so a live hypothesis ends at best with what it has now, divided
        # by the norm of the longest sentence that is allowed.
        options = self._options[n]
        ended = (each for each in self._ended[n] if each.finish_reason == "eos")
        scores = sorted(each.score for each in ended if not each.unmet)
        reach = best_total / _norm(options.max_tokens, options.length_penalty)
        return len(scores) >= options.num_best and scores[-options.num_best] >= reach


def _guide(options: SearchOptions) -> Guide | None:
    if options.forced is not None:
        return ForcedGuide(options.forced)
    return ConstrainedGuide(options) if options.constraints else None


def _append(old: NDArray[T], new: ArrayLike) -> NDArray[T]:
    return np.concatenate([old, np.asarray(new, old.dtype)])


def _norm(num_tokens: int, length_penalty: float) -> float:
    # Wu et al. 2016 (GNMT), equation 14; EOS counts, for it was predicted too.
    return float(((5 + num_tokens) / 6) ** length_penalty)


def _closing_gaps(keep_N: NDArray[np.bool_]) -> Integers:
    """Return the kept places, the last of them where others became free."""
    count = int(keep_N.sum())
    order = np.arange(count)
    order[~keep_N[:count]] = count + np.flatnonzero(keep_N[count:])
    return order
