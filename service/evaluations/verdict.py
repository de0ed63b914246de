"""What a comparison with a baseline says, in a word and in a sentence, as cautiously as it may."""

from collections.abc import Sequence
from typing import Literal

from service.evaluation import Comparison

Verdict = Literal["better", "worse", "unclear", "untested"]

SIGNIFICANT = 0.05
"""Below this, what was measured is not put down to chance."""

_PHRASES: dict[Verdict, str] = {
    "worse": "worse in",
    "better": "better in",
    "unclear": "no clear difference in",
    "untested": "not tested in",
}


def judge(comparison: Comparison) -> Verdict:
    """Tell what the tests say of one metric.

    It is better if every test that was made finds so, and worse if any does.
    """
    if not comparison.tests:
        return "untested"
    found = [test.p_value < SIGNIFICANT for test in comparison.tests]
    if improves(comparison):
        return "better" if all(found) else "unclear"
    return "worse" if any(found) and comparison.delta else "unclear"


def improves(comparison: Comparison) -> bool:
    """Tell whether the score is the better one, by whatever little; TER counts errors."""
    return comparison.delta < 0 if comparison.metric == "ter" else comparison.delta > 0


def signed(number: float) -> str:
    """Write a number with its sign; zero has none."""
    text = f"{number:+.2f}"
    return "0.00" if float(text) == 0 else text.replace("-", "\u2212")


def summarise(comparisons: Sequence[Comparison]) -> tuple[Verdict, str]:
    """Return the verdict over all metrics and a sentence that says of which it holds.

    One metric that is worse makes the whole worse.
    """
    by_verdict: dict[Verdict, list[str]] = {verdict: [] for verdict in _PHRASES}
    for comparison in comparisons:
        by_verdict[judge(comparison)].append(_amount(comparison))
    found = {verdict: names for verdict, names in by_verdict.items() if names}
    phrases = [f"{_PHRASES[verdict]} {_list(names)}" for verdict, names in found.items()]
    sentence = ", ".join(phrases)
    return next(iter(found), "untested"), sentence[:1].upper() + sentence[1:] + "."


def _amount(comparison: Comparison) -> str:
    return f"{comparison.name} ({signed(comparison.delta)})"


def _list(names: Sequence[str]) -> str:
    *first, last = names
    return f"{', '.join(first)} and {last}" if first else last
