"""What a caller may choose, and what a translation tells.

All spans are [begin, end) in characters of whole texts: of the text as the caller wrote it, or of
its translation.
"""

from dataclasses import dataclass
from typing import Literal, NamedTuple, Self

from models.normalisation import Span
from service.engine.hypothesis import FinishReason
from service.engine.markup import Markup
from service.engine.terms import Term
from service.engine.waiting_line import Priority

SplitMode = Literal["sentences", "lines", "nonewlines"]
"""Where a sentence may end: as the language has it and at every newline; at newlines only; or as
the language has it, newlines being white space like any other."""


@dataclass(frozen=True, slots=True)
class TranslationOptions:
    """What the caller may choose; what is None is the bundle's own choice."""

    beam: int | None = None
    """Width of the beam; 1 is greedy search."""
    length_penalty: float | None = None
    """Exponent of the length normalisation."""
    alternatives: int = 0
    """Further translations wanted; fewer may come."""
    max_tokens: int | None = None
    """Target tokens of a sentence, EOS included."""
    no_repeat_ngram: int = 0
    """No n-gram of so many target tokens occurs twice in a sentence; 0 turns it off."""
    coverage_penalty: float = 0.0
    """Weight of the penalty for source tokens that got little attention; 0 turns it off."""
    split: SplitMode = "sentences"
    """Where sentences may end; what is too long is split in any case."""
    attention: bool = False
    """Whether the translation tells what it attended to."""
    alignment: bool = False
    """Whether the translation tells which of its words stand for which of the source."""
    markup: Markup | None = None
    """How to treat tags; None if the text has none."""
    terms: tuple[Term, ...] = ()
    """What must be translated in a given way."""
    use_cache: bool = True
    """Whether a sentence that was decoded before in the same way may be answered from memory."""
    priority: Priority = "interactive"
    """Who goes first; what `translate_all` asks for is always `batch`."""
    deadline_seconds: float | None = None
    """After which nobody waits any more, counted from the call; at least 0."""


@dataclass(frozen=True, slots=True)
class SentenceAttention:
    """What each target token of a sentence attended to."""

    source_tokens: list[str]
    """Pieces of the vocabulary; the target tag, if there is one, and EOS included."""
    target_tokens: list[str]
    """Those of the best hypothesis; EOS included unless the sentence was cut off."""
    weights: list[list[float]]
    """A row for each target token, with a number for each source token; rows sum to 1."""


@dataclass(frozen=True, slots=True)
class Sentence:
    """One sentence that was decoded: where it stands and how it fared."""

    source_span: Span
    target_span: Span
    score: float
    """Length-normalised log-probability."""
    confidence: float | None
    """Probability that the translation is good; None if the bundle was not calibrated."""
    finish_reason: FinishReason
    log_probability: float = 0.0
    """Of all target tokens together; natural logarithm."""
    num_tokens: int = 1
    """Target tokens, the end of the sentence included if it came that far; at least 1."""


@dataclass(frozen=True, slots=True)
class FinishedSentence:
    """One sentence of a text whose others may still be decoded.

    What stands between the sentences of a text stays as it is, so a text may be put together from
    its sentences in whatever order they come.
    """

    index: int
    """Place among the sentences of the text, from 0."""
    num_sentences: int
    source_span: Span
    text: str
    """Its translation."""
    score: float
    """Length-normalised log-probability."""
    confidence: float | None
    """Probability that the translation is good; None if the bundle was not calibrated."""
    finish_reason: FinishReason


class TokenScore(NamedTuple):
    """A token of a translation that was scored; the end of a sentence is one too."""

    begin: int
    """In the translation, as `end`; equal to it where the token stands for no character."""
    end: int
    log_probability: float


@dataclass(frozen=True, slots=True)
class SentenceScore:
    """One sentence of a translation that was scored."""

    source_span: Span
    target_span: Span
    score: float
    """Length-normalised log-probability, as that of a translation."""
    log_probability: float
    """Of all its tokens together."""
    confidence: float | None
    """Probability that it is good; None if the bundle was not calibrated."""
    tokens: tuple[TokenScore, ...]


@dataclass(frozen=True, slots=True)
class Score:
    """What a model thinks of a translation that it was given."""

    source: str
    target: str
    model: str
    log_probability: float
    """Of all tokens together, the ends of sentences included; natural logarithm."""
    num_tokens: int
    score: float
    """The mean of the sentences' by their tokens."""
    confidence: float | None
    """The mean of the sentences' by their tokens."""
    sentences: tuple[SentenceScore, ...]
    """Those of the source with those of the translation, if there are as many; else one pair."""


class AlignedSpan(NamedTuple):
    """A word of the source and a word of the translation that stand for each other."""

    source_begin: int
    source_end: int
    target_begin: int
    target_end: int


@dataclass(frozen=True, slots=True)
class TermUse:
    """A term that the source has, and whether the translation has it too."""

    source: str
    target: str
    is_used: bool


@dataclass(frozen=True, slots=True)
class Translation:
    """A translated text and where it came from."""

    text: str
    source: str
    target: str
    model: str
    """Name and version of the bundle; of both, joined by `+`, if it came through a third language.
    """
    score: float
    """Length-normalised log-probability, the mean of the sentences' by their target tokens."""
    finish_reason: FinishReason
    """Of the sentence that fared worst: `length` is worse than `eos`, `repetition` than both."""
    alternatives: list[str]
    """Other translations, best first; the i-th is made of every sentence's i-th hypothesis."""
    attention: list[SentenceAttention] | None = None
    """One for each sentence that was decoded, if asked for."""
    confidence: float | None = None
    """Probability that a sentence is good, the mean of the sentences' by their target tokens; None
    if the bundle was not calibrated."""
    sentences: tuple[Sentence, ...] = ()
    """Those that were decoded, in the order of the text."""
    alignment: tuple[AlignedSpan, ...] | None = None
    """Words that stand for each other, if asked for, in the order of the translation."""
    lost: tuple[str, ...] = ()
    """Tags, placeholders and symbols of the source that could not be kept."""
    terms: tuple[TermUse, ...] = ()
    """The terms asked for that the source has."""
    pivot: str | None = None
    """The language it came through, if no model translates between the two."""

    @classmethod
    def unchanged(cls, text: str, language: str) -> Self:
        """Return a text that is in the target language already, as it is, from no model."""
        return cls(text, language, language, "", 0.0, "eos", [])
