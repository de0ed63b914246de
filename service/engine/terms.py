"""The terms of a glossary: where a sentence has them, and what its translation must have then.

    sentence -> the terms in it -> constraints -> search
    its translation, the terms -> which of them it has

A term is found as whole words, written as the glossary has it but for case and white space:
inflected forms are not found. Which is also how its translation is looked for, in the text
itself, whatever tokens it came from.
"""

import re
import unicodedata
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property

from models.normalisation import Span
from models.tokenizer import BOS, UNK, Tokenizer
from service.engine.constraints import Constraint, Form

# Scripts without spaces between words: each character is a word of its own.
_UNSPACED = "\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u9fff\U00020000-\U0003ffff"
_WORD = re.compile(f"[{_UNSPACED}]|[^\\W{_UNSPACED}]+|[^\\w\\s]")
# What may stand before a word without a space: from it, how a term is written there is learnt.
_OPENER = "("


@dataclass(frozen=True, slots=True)
class Term:
    """An entry of a glossary: wherever the source says the one, the target says the other."""

    source: str
    target: str
    is_case_sensitive: bool = False
    """Whether the source must be written so; a sentence may begin with a capital in any case."""


@dataclass(frozen=True, slots=True)
class FoundTerm:
    """A term where a sentence has it."""

    term: Term
    span: Span
    """In characters of the sentence."""


Words = tuple[str, ...]


class Terms(tuple[Term, ...]):
    """Terms that are ready to be found, however many they are."""

    @cached_property
    def _by_word(self) -> dict[str, list[tuple[Words, Term]]]:
        by_word: dict[str, list[tuple[Words, Term]]] = {}
        for term in self:
            words = _words(term.source)
            if words:
                by_word.setdefault(words[0].casefold(), []).append((words, term))
        for found in by_word.values():
            # The longest wins; of the same words, those written as the sentence has them.
            found.sort(key=lambda each: (-len(each[0]), not each[1].is_case_sensitive))
        return by_word

    def find(self, sentence: str) -> "list[FoundTerm]":
        """Return the terms in a sentence, one for each place; those places do not overlap."""
        # Composed, as terms are; what is decomposed in a sentence is no letter of a word.
        spans = [match.span() for match in _WORD.finditer(sentence)]
        words, found, place = tuple(sentence[slice(*span)] for span in spans), [], 0
        while place < len(words):
            match = next(self._matches(words, place), None)
            if match is None:
                place += 1
            else:
                past = place + len(match[0])
                found.append(FoundTerm(match[1], (spans[place][0], spans[past - 1][1])))
                place = past
        return found

    def _matches(self, words: Words, place: int) -> Iterator[tuple[Words, Term]]:
        for wanted, term in self._by_word.get(words[place].casefold(), ()):
            there = words[place : place + len(wanted)]
            if term.is_case_sensitive:
                is_match = _is_written(wanted, there)
            else:
                is_match = [x.casefold() for x in wanted] == [x.casefold() for x in there]
            if is_match:
                yield wanted, term


def constraints_of(
    terms: Sequence[FoundTerm], tokenizer: Tokenizer, token_spans: Sequence[Span]
) -> tuple[Constraint, ...]:
    """Return what makes a translation have the targets of these terms, each as whole words.

    At the beginning of the sentence a target may begin with a capital. One that the vocabulary
    cannot write is left out.

    Args:
        token_spans: What of the sentence each token of the source stands for.
    """
    borders = tokenizer.borders
    constraints = []
    for each in terms:
        target = each.term.target.strip()
        places = [i for i, span in enumerate(token_spans) if _overlap(span, each.span)]
        forms = tuple(_forms(target, tokenizer))
        if forms:
            constraints.append(Constraint(forms, borders.after_word, frozenset(places)))
    return tuple(constraints)


def used_terms(terms: Sequence[Term], translation: str) -> list[bool]:
    """Return of each term whether a translation has its target, as often as they have it."""
    words, places = _words(translation), Counter[Words]()
    uses = []
    for term in terms:
        target = _words(term.target)
        places[target] += 1
        uses.append(bool(target) and places[target] <= _count(target, words))
    return uses


def _forms(target: str, tokenizer: Tokenizer) -> Iterator[Form]:
    alone, opener = tokenizer.encode(target), tokenizer.encode(_OPENER)
    if not alone or UNK in alone:
        return
    yield Form(tuple(alone))
    opened = tokenizer.encode(_OPENER + target)
    if opened[: len(opener)] == opener and len(opened) > len(opener):
        yield Form(tuple(opened[len(opener) :]), tokenizer.borders.before_word)
    first = _capitalised(target)
    if first != target:
        yield Form(tuple(tokenizer.encode(first)), frozenset({BOS}))


def _overlap(one: Span, other: Span) -> bool:
    return max(one[0], other[0]) < min(one[1], other[1])


def _words(text: str) -> Words:
    return tuple(_WORD.findall(unicodedata.normalize("NFC", text)))


def _count(wanted: Words, words: Words) -> int:
    """Return how often some words are among others, without overlap."""
    count = place = 0
    while place < len(words):
        is_there = _is_written(wanted, words[place : place + len(wanted)])
        count += is_there
        place += len(wanted) if is_there else 1
    return count


def _is_written(wanted: Words, words: Words) -> bool:
    """Whether words are those wanted, of which the first may begin with a capital."""
    return words[1:] == wanted[1:] and words[:1] in {wanted[:1], (_capitalised(wanted[0]),)}


def _capitalised(text: str) -> str:
    # Titlecase, not upper case: U+01C6 is a digraph and becomes U+01C5.
    return text[:1].title() + text[1:]
