"""What makes one doubt that lines are what they should be: a score of them would mislead."""

import re
from collections.abc import Callable, Sequence

from service.evaluation.task import Task

# Left behind by tokenizers: Moses' escapes and hyphens, the marks of subword-nmt.
_TRACE = re.compile(r"&(?:apos|quot|#91|#93|#124);|(?:^| )@-@ |@@(?: |$)")
# Not ":", ";", "?" and "!", before which French has a space.
_LOOSE = re.compile(r"\w [.,](?: |$)")

TRACES_SHARE = 0.01
"""Of lines with traces of a tokenizer, from which on they are no chance."""

LOOSE_SHARE = 0.1
"""Of lines with a space before a full stop or a comma; some occur in good texts."""

COPIED_SHARE = 0.1
"""Of references that equal their source; names and numbers do."""


def find_doubts(task: Task) -> list[str]:
    """Return sentences, each on one thing that looks wrong; most test sets give none."""
    doubts = [
        *_doubt_tokens("The hypotheses", task.hypotheses),
        *_doubt_baseline(task),
    ]
    for number, reference in enumerate(task.references, start=1):
        name = "The reference" if len(task.references) == 1 else f"Reference {number}"
        doubts += _doubt_reference(name, reference, task)
    return doubts


def _doubt_reference(name: str, reference: Sequence[str], task: Task) -> list[str]:
    doubts = _doubt_tokens(name, reference)
    if not any(map(_has_capital, reference)) and _share(_has_capital, task.hypotheses) >= 0.1:
        doubts.append(
            f"{name} has no capital letters, but the hypotheses have: BLEU and chrF count each "
            "as a fault."
        )
    if empty := sum(not line.strip() for line in reference):
        doubts.append(f"{name} has {empty} empty lines of {len(reference)}.")
    if task.source is not None:
        pairs = zip(task.source, reference, strict=True)
        copied = sum(source == line and bool(line.strip()) for source, line in pairs)
        if copied > COPIED_SHARE * len(reference):
            doubts.append(f"{name} equals the source in {copied} of {len(reference)} lines.")
    return doubts


def _doubt_tokens(name: str, lines: Sequence[str]) -> list[str]:
    traces = _share(lambda line: bool(_TRACE.search(line)), lines)
    loose = _share(lambda line: bool(_LOOSE.search(line)), lines)
    if traces < TRACES_SHARE and loose < LOOSE_SHARE:
        return []
    verb = "look" if name.endswith("ses") else "looks"
    return [
        f"{name} {verb} tokenised, with spaces before marks or what tokenizers leave behind: "
        "scores are comparable only for text as people write it."
    ]


def _doubt_baseline(task: Task) -> list[str]:
    if task.baseline is None or list(task.baseline) != list(task.hypotheses):
        return []
    return ["The baseline has the same hypotheses: there is nothing to compare."]


def _has_capital(line: str) -> bool:
    return line != line.lower()


def _share(is_so: Callable[[str], bool], lines: Sequence[str]) -> float:
    return sum(map(is_so, lines)) / len(lines)
