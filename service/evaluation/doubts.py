"""What makes one doubt that lines are what they should be: a score of them would mislead."""

import re
from collections.abc import Callable, Sequence

from service.evaluation.task import Task

# Left behind by tokenizers: Moses' escapes and hyphens, the marks of subword-nmt.
_TRACE = re.compile(r"&(?:apos|quot|#91|#93|#124);|(?:^| )@-@ |@@(?: |$)")
# Not ":", ";", "?" and "!", before which French has a space.
_LOOSE = re.compile(r"\w [.,](?: |$)")

UNSPACED_WITH_TOKENIZER = {"zh", "ja"}
"""Languages written without spaces that BLEU knows how to split."""

UNSPACED = {"th", "lo", "km", "my", "bo"}
"""Languages written without spaces that it does not."""

TRACES_SHARE = 0.01
"""Of lines with traces of a tokenizer, from which on they are no chance."""

LOOSE_SHARE = 0.1
"""Of lines with a space before a full stop or a comma; some occur in good texts."""

FEW_LINES = 100
"""With fewer, what is drawn from them is too much alike to say how sure a score is."""

CASED_SHARE = 0.1
"""Of lines with small letters, or with capitals, from which on a language has both."""

COPIED_SHARE = 0.1
"""Of references that equal their source; names and numbers do."""


def find_doubts(task: Task) -> list[str]:
    """Return sentences, each on one thing that looks wrong; most test sets give none."""
    doubts = [
        *_doubt_tokens("The hypotheses", task.hypotheses),
        *_doubt_words(task),
        *_doubt_statistics(task),
    ]
    for number, reference in enumerate(task.references, start=1):
        name = "The reference" if len(task.references) == 1 else f"Reference {number}"
        doubts += _doubt_reference(name, reference, task)
    return doubts


def _doubt_reference(name: str, reference: Sequence[str], task: Task) -> list[str]:
    doubts = _doubt_tokens(name, reference)
    is_lower = _share(_has_small, reference) >= CASED_SHARE and not any(
        map(_has_capital, reference)
    )
    if is_lower and _share(_has_capital, task.hypotheses) >= CASED_SHARE:
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


def _doubt_words(task: Task) -> list[str]:
    language = task.target.partition("-")[0].lower()
    misled = {
        "TER": "ter" in task.metrics and language in UNSPACED | UNSPACED_WITH_TOKENIZER,
        "BLEU": "bleu" in task.metrics and language in UNSPACED,
    }
    return [
        f"{name} takes for a word what white space separates, and {language} is written without."
        for name, is_misled in misled.items()
        if is_misled
    ]


def _doubt_statistics(task: Task) -> list[str]:
    doubts = []
    if task.baseline is not None and list(task.baseline) == list(task.hypotheses):
        doubts.append("The baseline has the same hypotheses: there is nothing to compare.")
    elif (lines := len(task.hypotheses)) < FEW_LINES and _draws(task):
        doubts.append(f"Intervals and p-values of {lines} lines say little.")
    return doubts


def _draws(task: Task) -> bool:
    return bool(task.resamples) or (task.baseline is not None and task.paired != "none")


def _has_capital(line: str) -> bool:
    return line != line.lower()


def _has_small(line: str) -> bool:
    return line != line.upper()


def _share(is_so: Callable[[str], bool], lines: Sequence[str]) -> float:
    return sum(map(is_so, lines)) / len(lines)
