"""A translation of a sentence with everything back in its place.

Nothing here depends on the model being good: a name that it did not copy is put where its
attention went, marks are placed by it too, and what cannot be kept is told.
"""

import re
from collections import Counter
from dataclasses import dataclass, field

import numpy as np

from models.normalisation import Span
from service.engine.alignment import WordShares
from service.engine.masking import NUMBER, MaskedSentence, Proxy
from service.engine.placement import Insertion, PlacedMark, Placer
from service.engine.rewriting import Rewriting

_ENDINGS = "(?:'s|\u2019s|s|n|'|\u2019)?"
_NOT_DIGITS = re.compile(r"\D")


@dataclass(frozen=True, slots=True)
class Restored:
    """The translation of a sentence, whole."""

    text: str
    lost: tuple[str, ...]
    """What of the sentence's placeholders, numbers and line breaks is not in it."""
    rewriting: Rewriting
    """From what the model wrote."""

    def span(self, begin: int, end: int) -> Span:
        """Return where a span of what the model wrote went."""
        return self.rewriting.span(begin, end)


def restore(sentence: MaskedSentence, decoded: str, shares: WordShares | None) -> Restored:
    """Make of the model's translation that of the sentence.

    Args:
        decoded: What the model wrote, without white space at its ends.
        shares: The attention between the words of `sentence.text` and of `decoded`; needed if
            `sentence.needs_attention`.
    """
    if not sentence.needs_attention:
        return _Restoration(sentence, decoded, WordShares((), (), np.zeros((0, 0)))).write({}, {})
    assert shares is not None, "attention was asked for"
    return _Restoration(sentence, decoded, shares).restore()


@dataclass(slots=True)
class _Restoration:
    sentence: MaskedSentence
    decoded: str
    shares: WordShares
    replacements: dict[Span, str] = field(default_factory=dict)
    """What of the model's translation becomes what; none overlaps another."""
    lost: list[str] = field(default_factory=list)

    def restore(self) -> Restored:
        marks = list(self.sentence.marks)
        # Copies first: no word of theirs must be taken for another one.
        missing = [proxy for proxy in self.sentence.proxies if not self._find_copy(proxy)]
        for proxy in missing:
            if not self._find_word(proxy):
                text = proxy.written if not self.decoded else f" {proxy.written}"
                marks.append(PlacedMark(proxy.begin, text, "point"))
        self._check_numbers()
        placer = Placer(self.shares, self.sentence.text)
        spaces = self._place_spaces(placer, marks)
        marks.sort(key=lambda mark: mark.place)
        insertions: dict[int, list[Insertion]] = {}
        for insertion in placer.place(marks):
            insertions.setdefault(insertion.gap, []).append(insertion)
        return self.write(insertions, spaces)

    def write(self, insertions: dict[int, list[Insertion]], spaces: dict[int, str]) -> Restored:
        """Write the translation with what goes into its gaps, and what its spaces become."""
        out = Rewriting(self.decoded)
        words = self.shares.target_words
        for gap, (begin, end) in enumerate([*words, (len(self.decoded),) * 2]):
            waiting = list(insertions.get(gap, ()))
            while waiting and waiting[0].is_behind:
                self._insert(out, waiting.pop(0), is_first=gap == 0)
            if gap in spaces:
                out.replace(begin, spaces[gap])
            self._write_to(out, begin)
            for insertion in waiting:
                self._insert(out, insertion, is_first=gap == 0)
            self._write_to(out, end)
        text = out.text
        self._verify(text)
        return Restored(text, tuple(self.lost), out)

    def _insert(self, out: Rewriting, insertion: Insertion, *, is_first: bool) -> None:
        text = insertion.text
        if is_first and text[:1].isspace():
            # The space parts it from the word before: here there is none, but one behind.
            text = text[1:] + text[:1] * bool(self.decoded)
        out.replace(out.passed, text)

    def _write_to(self, out: Rewriting, end: int) -> None:
        for (begin, last), text in sorted(self.replacements.items()):
            if out.passed <= begin < end:
                self._copy(out, begin)
                out.replace(last, text)
        self._copy(out, end)

    def _copy(self, out: Rewriting, end: int) -> None:
        escape = self.sentence.escape
        while out.passed < end:
            place = out.passed
            while place < end and escape(self.decoded[place]) == self.decoded[place]:
                place += 1
            out.copy(place)
            if place < end:
                out.replace(place + 1, escape(self.decoded[place]))

    def _find_copy(self, proxy: Proxy) -> bool:
        """Write a placeholder where the model copied its proxy, and nothing at further copies."""
        found = self._copies(proxy)
        if not found:
            return False
        column = self._column(proxy.begin)
        best = max(found, key=lambda span: (self._share_at(span[0], column), -span[0]))
        for begin, end in found:
            if (begin, end) != best:
                self.replacements[begin, end] = ""
                self._drop_space(begin - 1 if begin else end)
        end = best[0] + len(proxy.text) if proxy.may_be_inflected else best[1]
        self._write_proxy(best[0], end, proxy)
        return True

    def _find_word(self, proxy: Proxy) -> bool:
        """Write a placeholder over the word that came from its proxy more than from any other."""
        column, shares = self._column(proxy.begin), self.shares.shares
        if column < 0 or not shares.size:
            return False
        row = int(shares[:, column].argmax())
        begin, end = self.shares.target_words[row]
        is_its_own = shares[row, column] > 0 and int(shares[row].argmax()) == column
        if not (is_its_own and self._is_free(begin, end) and self.decoded[begin:end].isalnum()):
            return False
        self._write_proxy(begin, end, proxy)
        return True

    def _write_proxy(self, begin: int, end: int, proxy: Proxy) -> None:
        self.replacements[begin, end] = proxy.written
        if proxy.is_glued_before:
            self._drop_space(begin - 1)
        if proxy.is_glued_behind:
            self._drop_space(end)

    def _drop_space(self, place: int) -> None:
        if self.decoded[place : place + 1] == " ":
            self.replacements[place, place + 1] = ""

    def _is_free(self, begin: int, end: int) -> bool:
        return all(end <= left or right <= begin for left, right in self.replacements)

    def _copies(self, proxy: Proxy) -> list[Span]:
        if proxy.text.isdecimal():
            pattern = rf"(?<![\w.,]){proxy.text}(?!\w|[.,]\d)"
        else:
            pattern = rf"(?<!\w){proxy.text}{_ENDINGS}(?!\w)"
        return [match.span() for match in re.finditer(pattern, self.decoded)]

    def _column(self, place: int) -> int:
        words = enumerate(self.shares.source_words)
        return next((i for i, (begin, end) in words if begin <= place < end), -1)

    def _share_at(self, place: int, column: int) -> float:
        words = enumerate(self.shares.target_words)
        row = next((i for i, (begin, end) in words if begin <= place < end), None)
        return 0.0 if row is None or column < 0 else float(self.shares.shares[row, column])

    def _check_numbers(self) -> None:
        """Mend numbers that the model wrote down wrongly; tell those that are missing."""
        spans = [match.span() for match in NUMBER.finditer(self.decoded)]
        invented = [span for span in spans if self._is_free(*span)]
        missing: list[str] = []
        for number in (self.sentence.text[slice(*span)] for span in self.sentence.numbers):
            same = [span for span in invented if self._digits(span) == _digits(number)]
            if same:
                invented.remove(same[0])
            else:
                missing.append(number)
        for number in missing:
            if invented:
                self.replacements[invented.pop(0)] = number
            else:
                self.lost.append(number)

    def _digits(self, span: Span) -> str:
        return _digits(self.decoded[slice(*span)])

    def _place_spaces(self, placer: Placer, marks: list[PlacedMark]) -> dict[int, str]:
        """Return what the spaces before words become; a sign that finds none is a mark."""
        words = self.shares.target_words
        gaps = [i for i in range(1, len(words)) if words[i - 1][1] < words[i][0]]
        placed: dict[int, str] = {}
        for space in self.sentence.spaces:
            if not gaps:
                if space.text.isspace():
                    self.lost.append(space.text)
                else:
                    marks.append(space)
                continue
            gap = placer.gap(space.place, gaps)
            placed[gap] = space.text
            gaps = [each for each in gaps if each > gap]
        return placed

    def _verify(self, text: str) -> None:
        kept = Counter(
            [proxy.written for proxy in self.sentence.proxies]
            + [mark.text for mark in self.sentence.marks]
        )
        for written, count in kept.items():
            missing = count - text.count(written.strip(" "))
            self.lost += [written] * missing


def _digits(number: str) -> str:
    return _NOT_DIGITS.sub("", number)
