"""What an examination of parallel text says: findings, each with a verdict and what to do."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, Literal, Protocol

from training.pairs import Pair

Verdict = Literal["ok", "look", "stop"]
"""Nothing to do; worth a look; must not be trained on."""

PAIRS = "pairs"
"""The finding on how many there are; that few are usable follows from other findings."""
MAX_EXAMPLES = 3
MAX_CHARACTERS = 50
"""Of an example; the line number leads to the rest."""


@dataclass(frozen=True, slots=True)
class Example:
    """A place in the text."""

    line: int
    """Line of the file, from 1; in a TMX the pair, counted in its order."""
    text: str = ""


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was looked at."""

    name: str
    verdict: Verdict
    said: str
    """What was found, in words and figures."""
    advice: str = ""
    """What to do, unless the verdict is ok."""
    count: int = 0
    """Pairs that it concerns."""
    examples: tuple[Example, ...] = ()

    def refusal(self) -> str:
        """Return what is found and what to do, as one message."""
        return f"{self.name}: {self.said}. {self.advice}"


@dataclass(frozen=True, slots=True)
class Examination:
    """All that is said of one text."""

    name: str
    findings: tuple[Finding, ...]

    @property
    def verdict(self) -> Verdict:
        """The worst of its findings'."""
        verdicts = {finding.verdict for finding in self.findings}
        return "stop" if "stop" in verdicts else "look" if "look" in verdicts else "ok"

    @property
    def stops(self) -> list[Finding]:
        """Findings that forbid training, causes before what follows from them."""
        stops = [finding for finding in self.findings if finding.verdict == "stop"]
        return sorted(stops, key=lambda finding: finding.name == PAIRS)

    def fields(self) -> dict[str, Any]:
        """Return everything, for JSON."""
        return {"text": self.name, "verdict": self.verdict, **asdict(self)}


@dataclass(frozen=True, slots=True)
class Line:
    """A pair as it is looked at, with its forms worked out once for all that look."""

    number: int
    raw: Pair
    pair: Pair
    """Normalised."""
    prints: Pair
    """What each side is compared by."""
    fault: str | None
    """Why the pair is unusable, if it is."""


class Check(Protocol):
    """Looks at every line once, in order, and says in the end what it found."""

    def look(self, line: Line) -> None:
        """Take the next line."""

    def conclude(self) -> Sequence[Finding]:
        """Return what was found."""


@dataclass(slots=True)
class Tally:
    """Counts what it is told of and keeps the first few as examples."""

    count: int = 0
    examples: list[Example] = field(default_factory=list)

    def add(self, number: int, text: str = "") -> None:
        """Count one; the text is cut to what fits a line."""
        self.count += 1
        if len(self.examples) < MAX_EXAMPLES:
            short = text if len(text) <= MAX_CHARACTERS else text[: MAX_CHARACTERS - 3] + "..."
            self.examples.append(Example(number, short))


def judge(share: float, limit: float) -> Verdict:
    """Return whether a share is worth a look: when it exceeds its limit."""
    return "look" if share > limit else "ok"


def count_of(count: int, total: int, what: str = "pairs") -> str:
    """Return a number and its share in words; few are not rounded to none."""
    if not count:
        return "none"
    share = count / total
    shown = "under 0.1 %" if share < 0.001 else f"{share:.1%}".replace("%", " %")
    return f"{count:,} {what} ({shown})"
