"""The corpus doctor: looks at parallel text before anybody spends hours on training with it.

    text -> line by line -> checks -> findings: ok | look | stop

A text is read once and never held: checks keep counts, 64-bit hashes and lengths, some 50 bytes
for each pair. Examples are for the terminal of the text's owner; nothing here logs them.
"""

from array import array
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from models.normalisation import Normalisation, normalise
from training.alignment import Alignment, Block, is_telling, overall
from training.characters import CharacterCheck
from training.corpus import BOTH_EQUAL, clean, find_fault, find_leaks, fingerprint
from training.corpus import Report as CleaningReport
from training.findings import (
    MAX_EXAMPLES,
    PAIRS,
    Check,
    Examination,
    Example,
    Finding,
    Line,
    Tally,
    Verdict,
    count_of,
    judge,
)
from training.languages import LanguageCheck
from training.pairs import read_pairs
from training.run import Run
from training.text_recipe import CleaningRecipe, CorpusRecipe, TextRecipe

MIN_PAIRS = 50
"""Usable pairs below which nothing can be learnt and held out."""
FEW_PAIRS = 5000
"""Below it a model hardly translates sentences that it has not seen (Sennrich & Zhang 2019: of
100,000 words, some 5,000 pairs, the best recipes make 16 BLEU, others none)."""
MANY_FAULTS = 0.01
MANY_REPEATS = 0.2
MANY_EQUAL = 0.5
"""Share of pairs with twice the same text from which there is nothing to translate."""
MANY_UNALIGNED = 0.1
FEW_BLOCKS = 4
"""Up to which a single shifted block stops the training."""
RELATED = 6.0
"""z-score of a whole text below which its sides have nothing to do with each other."""
MIN_RELATED_PAIRS = 200
"""Fewer need not show that their sides belong together."""

FAULT_ADVICE = {
    "too long": "Preparation drops them; split them into sentences to keep them",
    "lengths differ": "Preparation drops them; many of them mean a bad alignment",
    BOTH_EQUAL: "Preparation drops them; leave untranslated text out",
}


def examine(
    text: TextRecipe,
    corpora: Path,
    rules: CleaningRecipe,
    form: Normalisation,
    *,
    is_learnt: bool = True,
) -> Examination:
    """Look at a text.

    Args:
        is_learnt: that there must be enough of it to learn from; else it is measured on.

    Raises:
        ValueError: it cannot be read.
    """
    checks: list[Check] = [
        UsableCheck(is_learnt=is_learnt),
        LanguageCheck(text.languages),
        AlignmentCheck(),
        RepeatCheck(text.languages),
        LengthCheck(text.languages),
        CharacterCheck(),
    ]
    for line in read_lines(text, corpora, rules, form):
        for check in checks:
            check.look(line)
    return Examination(text.name, tuple(each for check in checks for each in check.conclude()))


def examine_run(run: Run) -> Iterator[Examination]:
    """Look at every text of a recipe; what training text shares with dev and tests too.

    Raises:
        ValueError: a text cannot be read.
    """
    corpus, form = run.recipe.corpus, run.recipe.tokenizer.normalisation
    for text in corpus.train:
        pairs = read_pairs(text, run.corpora)
        cleaned = clean(pairs, corpus.cleaning, form, CleaningReport(text.name))
        leaks = find_leaks(cleaned, text, corpus, run.corpora)
        found = examine(text, run.corpora, corpus.cleaning, form)
        yield Examination(text.name, (*found.findings, *_leak_findings(leaks, corpus)))
    for text in corpus.dev + corpus.tests:
        yield examine(text, run.corpora, corpus.cleaning, form, is_learnt=False)


def read_lines(
    text: TextRecipe, corpora: Path, rules: CleaningRecipe, form: Normalisation
) -> Iterator[Line]:
    """Yield the pairs of a text with all that is compared of them.

    Raises:
        ValueError: it cannot be read.
    """
    for number, raw in enumerate(read_pairs(text, corpora), 1):
        pair = normalise(raw[0], form), normalise(raw[1], form)
        prints = fingerprint(pair[0]), fingerprint(pair[1])
        yield Line(number, raw, pair, prints, find_fault(pair, rules))


class UsableCheck:
    """How many pairs are left when preparation has cleaned them, and why the others are not."""

    def __init__(self, *, is_learnt: bool = True) -> None:
        self._is_learnt = is_learnt
        self._read = 0
        self._hashes = array("q")
        self._faults: dict[str, Tally] = {BOTH_EQUAL: Tally()}

    def look(self, line: Line) -> None:
        """Take the next line."""
        self._read += 1
        if line.fault is None:
            self._hashes.append(hash(line.pair))
        else:
            shown = " | ".join(line.pair)
            self._faults.setdefault(line.fault, Tally()).add(line.number, shown)

    def conclude(self) -> list[Finding]:
        """Return the number of pairs and each fault."""
        usable = len(np.unique(_as_numbers(self._hashes)))
        findings = [self._judge_number(usable)]
        for name, tally in sorted(self._faults.items(), key=lambda item: -item[1].count):
            share = tally.count / max(1, self._read)
            verdict = judge(share, MANY_FAULTS)
            if name == BOTH_EQUAL and share > MANY_EQUAL:
                verdict = "stop"
            advice = FAULT_ADVICE.get(name, "Preparation drops them")
            said = count_of(tally.count, self._read)
            findings.append(
                Finding(name, verdict, said, advice, tally.count, tuple(tally.examples))
            )
        return findings

    def _judge_number(self, usable: int) -> Finding:
        said = f"{self._read:,} read, {usable:,} usable"
        if not self._is_learnt:
            return Finding(PAIRS, "ok", said, "", usable)
        if usable < MIN_PAIRS:
            said += f", {MIN_PAIRS} are the least"
            advice = f"Add text: a model that is of use begins at some {FEW_PAIRS:,} pairs"
            return Finding(PAIRS, "stop", said, advice, usable)
        advice = f"Expect little of fewer than {FEW_PAIRS:,} pairs; add text of the same kind"
        return Finding(PAIRS, "look" if usable < FEW_PAIRS else "ok", said, advice, usable)


class AlignmentCheck:
    """Whether line N of both sides belong together."""

    def __init__(self) -> None:
        self._alignment = Alignment()
        self._read = 0

    def look(self, line: Line) -> None:
        """Take the next line."""
        self._read += 1
        self._alignment.add(line.pair)

    def conclude(self) -> list[Finding]:
        """Return one finding."""
        blocks = self._alignment.finish()
        shifted = [block for block in blocks if block.is_shifted]
        if shifted:
            return [_describe_shift(blocks, shifted)]
        stray = [block for block in blocks if not block.is_aligned]
        if self._read >= MIN_RELATED_PAIRS and blocks and overall(blocks) < RELATED:
            said = "line N of one side is no more like line N of the other than like its neighbours"
            advice = (
                "Neither lengths nor numbers, names and marks agree: the files are no translations "
                "of each other line by line, or are sorted differently. Export both anew, together"
            )
            return [Finding("alignment", "stop", said, advice, self._read)]
        if stray and is_telling(blocks):
            return [_describe_stray(blocks, stray)]
        if not any(block.is_aligned for block in blocks):
            return [Finding("alignment", "ok", "too little text to tell", "", 0)]
        return [Finding("alignment", "ok", "line N of both sides belong together", "", 0)]


class RepeatCheck:
    """What occurs more than once: pairs, and sides with several translations."""

    def __init__(self, languages: tuple[str, str]) -> None:
        self._languages = languages
        self._sides = array("q"), array("q")

    def look(self, line: Line) -> None:
        """Take the next line."""
        for hashes, side in zip(self._sides, line.prints, strict=True):
            hashes.append(hash(side))

    def conclude(self) -> list[Finding]:
        """Return duplicate pairs, and for each side what has several translations."""
        sides = [_as_numbers(hashes) for hashes in self._sides]
        pairs = np.stack(sides, 1)
        _, firsts = np.unique(pairs, axis=0, return_index=True)
        is_first = np.zeros(len(pairs), bool)
        is_first[firsts] = True
        again = np.flatnonzero(~is_first)
        examples = tuple(_describe_repeat(pairs, int(row)) for row in again[:MAX_EXAMPLES])
        said = count_of(len(again), len(pairs))
        verdict = judge(len(again) / max(1, len(pairs)), MANY_REPEATS)
        advice = "Preparation keeps one of each; none is needed twice"
        return [
            Finding("duplicates", verdict, said, advice, len(again), examples),
            *(self._several(pairs[is_first][:, order], order) for order in (0, 1)),
        ]

    def _several(self, hashes: NDArray[np.int64], order: int) -> Finding:
        _, counts = np.unique(hashes, return_counts=True)
        several = int((counts > 1).sum())
        here, there = self._languages[order], self._languages[1 - order]
        said = count_of(several, len(counts), f"of {len(counts):,} sentences")
        return Finding(f"{here} with several {there}", "ok", said, "", several)


class LengthCheck:
    """How long the sides are, and in what ratio."""

    def __init__(self, languages: tuple[str, str]) -> None:
        self._languages = languages
        self._words = array("q"), array("q")
        self._ratios = array("d")

    def look(self, line: Line) -> None:
        """Take the next line; one with an empty side is a fault, not a length."""
        if all(line.pair):
            for words, side in zip(self._words, line.pair, strict=True):
                words.append(len(side.split()))
            self._ratios.append(len(line.pair[1]) / len(line.pair[0]))

    def conclude(self) -> list[Finding]:
        """Return the distributions; outliers are among the faults of pairs."""
        if not self._ratios:
            return []
        sides = []
        for language, words in zip(self._languages, self._words, strict=True):
            middle, most = np.quantile(_as_numbers(words), (0.5, 0.99))
            sides.append(f"{language} median {middle:.0f}, 99 % up to {most:.0f}")
        low, middle, high = np.quantile(np.frombuffer(self._ratios), (0.01, 0.5, 0.99))
        ratio = f"median {middle:.2f}, 98 % between {low:.2f} and {high:.2f}"
        return [
            Finding("words", "ok", "; ".join(sides)),
            Finding("length ratio", "ok", f"{ratio} ({self._ratio_name})"),
        ]

    @property
    def _ratio_name(self) -> str:
        return f"characters of {self._languages[1]} / {self._languages[0]}"


def _describe_shift(blocks: Sequence[Block], shifted: Sequence[Block]) -> Finding:
    first = shifted[0]
    count = sum(block.last - block.first + 1 for block in shifted)
    said = (
        f"{count:,} pairs are shifted, the first between lines {first.first:,} and "
        f"{first.last:,}: there line N of the first side belongs to line N{first.shift:+d} of the "
        "second"
    )
    advice = (
        "A line is missing or too many on one side, there or before: compare the files, or export "
        "both anew, together"
    )
    is_much = count > MANY_UNALIGNED * blocks[-1].last or len(blocks) <= FEW_BLOCKS
    verdict: Verdict = "stop" if is_much else "look"
    return Finding("alignment", verdict, said, advice, count, (Example(first.first),))


def _describe_stray(blocks: Sequence[Block], stray: Sequence[Block]) -> Finding:
    count = sum(block.last - block.first + 1 for block in stray)
    said = (
        f"{count_of(count, blocks[-1].last)} have sides that do not agree, the "
        f"first between lines {stray[0].first:,} and {stray[0].last:,}"
    )
    advice = "Compare both sides there: from some line on they may belong to different sentences"
    verdict: Verdict = "stop" if count > MANY_UNALIGNED * blocks[-1].last else "look"
    examples = tuple(Example(block.first) for block in stray[:MAX_EXAMPLES])
    return Finding("alignment", verdict, said, advice, count, examples)


def _describe_repeat(pairs: NDArray[np.int64], row: int) -> Example:
    first = int(np.flatnonzero((pairs == pairs[row]).all(1))[0])
    return Example(row + 1, f"the same as line {first + 1}")


def _leak_findings(leaks: Sequence[tuple[str, ...]], corpus: CorpusRecipe) -> Iterator[Finding]:
    counts = Counter(name for names in leaks for name in names)
    verdict: Verdict = "stop" if corpus.on_leak == "refuse" else "look"
    shared = "a side" if corpus.leaks == "side" else "both sides"
    advice = {
        "refuse": 'Remove them from training, or let on_leak = "drop" do it',
        "drop": "Preparation drops them",
    }[corpus.on_leak]
    for text in corpus.dev + corpus.tests:
        count = counts[text.name]
        said = count_of(count, len(leaks), f"training pairs share {shared}")
        yield Finding(f"leakage into {text.name}", verdict if count else "ok", said, advice, count)


def _as_numbers(numbers: "array[int]") -> NDArray[np.int64]:
    return np.frombuffer(numbers, np.int64)
