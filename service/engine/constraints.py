"""What must appear in a translation, as tokens, and how much of it a hypothesis has.

A constraint is met by any of its forms, its tokens side by side. Constraints may begin alike,
share tokens and overlap, as "New York" and "York Times" do; one that is given twice must be met
twice, without overlap. A partial match is not given up for another: all are followed at once, as
by an automaton that may be in several states.
"""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
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

    @property
    def tokens(self) -> tuple[int, ...]:
        """All tokens of all forms."""
        return tuple(token for form in self.forms for token in form.tokens)


class Match(NamedTuple):
    """The beginning of a form that a hypothesis ends with, perhaps all of it."""

    constraint: int
    form: int
    length: int


class Progress(NamedTuple):
    """How much of the constraints a hypothesis has."""

    left: tuple[int, ...]
    """How often each has still to be met."""
    matches: frozenset[Match]
    """What may become whole; what is whole already but wants something to follow."""


class Constraints:
    """The constraints of one sentence, equal ones counted together.

    Args:
        case_ids: Tokens that say how the next word is written.
    """

    def __init__(self, constraints: Sequence[Constraint], case_ids: Sequence[int] = ()) -> None:
        counts = Counter(constraints)
        self._constraints = list(counts)
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

    def advance(self, progress: Progress, last: int, token: int) -> Progress:
        """Return what a hypothesis has that went on with a token after another one."""
        if not progress.matches and token not in self._begins:
            return progress
        ended = {x.constraint for x in progress.matches if token in self._before(x)}
        left = [count - (i in ended) for i, count in enumerate(progress.left)]
        # What overlaps with a match that is whole now is none.
        grown = {self._grow(x, token) for x in progress.matches if x.constraint not in ended}
        begun = {x for x in self._begins.get(token, ()) if self._may_begin(x, last)}
        matches = {x for x in grown | begun if x is not None and left[x.constraint]}
        whole = {x.constraint for x in matches if self._is_whole(x)}
        return Progress(
            tuple(count - (i in whole) for i, count in enumerate(left)),
            frozenset(x for x in matches if x.constraint not in whole),
        )

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

    def _grow(self, match: Match, token: int) -> Match | None:
        """Return what a match becomes by a token that it was not waiting for to be whole."""
        tokens = self._tokens(match)
        if match.length == len(tokens):
            return match if token in self._case_ids else None
        return match._replace(length=match.length + 1) if tokens[match.length] == token else None
