"""What must appear in a translation, as tokens, and how much of it a hypothesis has.

A constraint is met by any of its forms, its tokens side by side. Constraints may begin alike,
share tokens and overlap, as "New York" and "York Times" do; one that is given twice must be met
twice, without overlap. A partial match is not given up for another: all are followed at once, as
by an automaton that may be in several states.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple


@dataclass(frozen=True, slots=True)
class Form:
    """One way to meet a constraint."""

    tokens: tuple[int, ...]
    """At least one."""
    after: frozenset[int] | None = None
    """Tokens of which one must stand right before; None: any that is no mark of case, or none."""


@dataclass(frozen=True, slots=True)
class Constraint:
    """What must appear, in any of its forms."""

    forms: tuple[Form, ...]
    before: frozenset[int] | None = None
    """Tokens of which one must follow, marks of case left out, or else the end; None: any."""
    places: frozenset[int] = field(compare=False, default=frozenset())
    """Source tokens that it translates; none if it may stand anywhere."""

    @property
    def tokens(self) -> tuple[int, ...]:
        """All tokens of all forms."""
        return tuple(token for form in self.forms for token in form.tokens)


class Match(NamedTuple):
    """The beginning of a form that a hypothesis ends with, perhaps all of it."""

    constraint: int
    form: int
    length: int
    credit: float = 0.0
    """What it is worth beyond the log-probability of its tokens; see `Constraints.advance`."""


class Progress(NamedTuple):
    """How much of the constraints a hypothesis has."""

    left: tuple[int, ...]
    """How often each has still to be met."""
    matches: frozenset[Match]
    """What may become whole; what is whole already but wants something to follow."""
    credit: float = 0.0
    """Of those that were met, in all."""


class Constraints:
    """The constraints of one sentence, equal ones counted together.

    Args:
        case_ids: Tokens that say how the next word is written.
    """

    def __init__(self, constraints: Sequence[Constraint], case_ids: Sequence[int] = ()) -> None:
        counts = Counter(constraints)
        self._constraints = list(counts)
        self.places = [
            sorted(frozenset[int]().union(*(x.places for x in constraints if x == each)))
            for each in counts
        ]
        """Source tokens of each of those that differ."""
        self._sizes = [max(len(form.tokens) for form in each.forms) for each in counts]
        self._case_ids = frozenset(case_ids)
        self._begins: dict[int, list[Match]] = {}
        for i, constraint in enumerate(self._constraints):
            for j, form in enumerate(constraint.forms):
                self._begins.setdefault(form.tokens[0], []).append(Match(i, j, 1))
        self.count = len(constraints)
        """How many there are to be met."""
        self.beginning = Progress(tuple(counts.values()), frozenset())
        """What the empty hypothesis has."""

    def advance(
        self,
        progress: Progress,
        last: int,
        token: int,
        log_probability: float = 0.0,
        attention: Sequence[float] = (),
    ) -> Progress:
        """Return what a hypothesis has that went on with a token after another one.

        Where it is known what a constraint translates, it is worth the attention that was on it
        when it began, as if it had been copied from there: not what the model thinks of words
        that it would not have chosen.

        Args:
            log_probability: Of the token.
            attention: Of each constraint, the logarithm of what of it is on its places.
        """
        if not progress.matches and token not in self._begins:
            return progress
        ended = _best_credits(x for x in progress.matches if token in self._before(x))
        left = [count - (i in ended) for i, count in enumerate(progress.left)]
        # What overlaps with a match that is whole now is none.
        going = (x for x in progress.matches if x.constraint not in ended)
        grown = {self._grow(x, token, log_probability) for x in going}
        begun = {
            self._credit(x, attention[x.constraint] - log_probability) if attention else x
            for x in self._begins.get(token, ())
            if self._may_begin(x, last)
        }
        matches = {x for x in grown | begun if x is not None and left[x.constraint]}
        whole = _best_credits(x for x in matches if self._is_whole(x))
        return Progress(
            tuple(count - (i in whole) for i, count in enumerate(left)),
            frozenset(x for x in matches if x.constraint not in whole),
            progress.credit + sum(ended.values()) + sum(whole.values()),
        )

    def credit(self, progress: Progress) -> float:
        """Return what its matches are worth to a hypothesis, with what may become one."""
        return progress.credit + max((match.credit for match in progress.matches), default=0.0)

    def following(self, progress: Progress, last: int) -> Iterator[int]:
        """Yield the tokens that take a hypothesis further; some may come twice."""
        for match in progress.matches:
            tokens = self._tokens(match)
            if match.length < len(tokens):
                yield tokens[match.length]
        for token, matches in self._begins.items():
            if any(progress.left[x.constraint] and self._may_begin(x, last) for x in matches):
                yield token

    def awaited(self, progress: Progress) -> frozenset[int]:
        """Return the tokens that make whole what wants something to follow."""
        sets = [self._before(match) for match in progress.matches]
        return frozenset[int]().union(*sets)

    def is_mark(self, token: int) -> bool:
        """Whether a token only says how the next word is written."""
        return token in self._case_ids

    def num_left(self, progress: Progress) -> int:
        """Return how many are not met if a hypothesis ends here."""
        whole = {match.constraint for match in progress.matches if self._before(match)}
        return sum(progress.left) - len(whole)

    def num_begun(self, progress: Progress) -> int:
        """Return how many are met, and one more if any is under way."""
        return self.count - sum(progress.left) + bool(progress.matches)

    def num_tokens(self, progress: Progress) -> int:
        """Return a number that grows with every token that is met, of one under way too."""
        left = sum(count * size for count, size in zip(progress.left, self._sizes, strict=True))
        return max((match.length for match in progress.matches), default=0) - left

    def _tokens(self, match: Match) -> tuple[int, ...]:
        return self._constraints[match.constraint].forms[match.form].tokens

    def _may_begin(self, match: Match, last: int) -> bool:
        after = self._constraints[match.constraint].forms[match.form].after
        return last not in self._case_ids if after is None else last in after

    def _is_whole(self, match: Match) -> bool:
        is_long = match.length == len(self._tokens(match))
        return is_long and self._constraints[match.constraint].before is None

    def _before(self, match: Match) -> frozenset[int]:
        """Return the tokens that make a match whole; none if tokens of its own are missing."""
        is_long = match.length == len(self._tokens(match))
        return (is_long and self._constraints[match.constraint].before) or frozenset()

    def _credit(self, match: Match, credit: float) -> Match:
        if not self.places[match.constraint]:
            return match
        return match._replace(credit=match.credit + credit)

    def _grow(self, match: Match, token: int, log_probability: float) -> Match | None:
        """Return what a match becomes by a token that it was not waiting for to be whole."""
        tokens = self._tokens(match)
        if match.length == len(tokens):
            return match if token in self._case_ids else None
        if tokens[match.length] != token:
            return None
        return self._credit(match._replace(length=match.length + 1), -log_probability)


def _best_credits(matches: Iterable[Match]) -> dict[int, float]:
    """Return the highest credit of each constraint that is among these."""
    best: dict[int, float] = {}
    for match in matches:
        best[match.constraint] = max(match.credit, best.get(match.constraint, match.credit))
    return best
