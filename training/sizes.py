"""How large a network is right for a text, a machine and an evening; and why.

    words  -> tier: depth, vocabulary, batch, dropout        (how much there is to learn from)
    pace   -> shape: the largest that gets round often enough (how fast this machine is)
    budget -> passes -> steps                                 (how long it may take)

Source: Sennrich & Zhang 2019, "Revisiting Low-Resource Neural Machine Translation: A Case Study",
sections 3 and 5: depth and vocabulary follow the size of the text; the less there is, the more
dropout and the smaller batches.
"""

import math
from dataclasses import dataclass

MILLION = 1_000_000


@dataclass(frozen=True, slots=True)
class Volume:
    """How much text there is to learn from."""

    pairs: int
    words: int
    """Of one side, the mean of both."""
    long_words: int
    """Words that 99 % of the sides do not exceed."""
    directions: int = 1


@dataclass(frozen=True, slots=True)
class Tier:
    """What suits texts of up to so many words."""

    words: float
    """Words of a side, exclusively."""
    depth: int
    vocabulary: tuple[int, int]
    """At the lower and at the upper end."""
    batch_tokens: int
    dropout: float
    word_dropout: float
    smoothing: float
    passes: int
    """Over the text, after which more teach nothing."""


TIERS = (
    Tier(0.2 * MILLION, 1, (2000, 2000), 1000, 0.5, 0.2, 0.2, 80),
    Tier(1 * MILLION, 2, (4000, 6000), 1500, 0.4, 0.15, 0.1, 60),
    Tier(5 * MILLION, 3, (8000, 10_000), 4000, 0.3, 0.1, 0.1, 40),
    Tier(math.inf, 4, (16_000, 32_000), 4000, 0.2, 0.05, 0.1, 15),
)
LARGE = 50 * MILLION
"""Words at which the vocabulary of the last tier is full."""
WORDS_PER_PIECE = 10
"""A piece that is seen less often is not learnt; so small texts have small vocabularies."""
BYTES = 300
"""Tokens of a vocabulary that are bytes and signs."""


@dataclass(frozen=True, slots=True)
class Shape:
    """Layers and widths of a network."""

    encoder_layers: int
    decoder_layers: int
    embedding_size: int
    encoder_size: int
    decoder_size: int


SHAPES = (
    Shape(1, 2, 128, 128, 256),
    Shape(1, 2, 256, 256, 512),
    Shape(2, 2, 256, 256, 512),
    Shape(2, 2, 512, 384, 768),
    Shape(3, 3, 512, 512, 768),
    Shape(4, 4, 512, 512, 1024),
)
"""From small to large. Two decoder layers are the least: one asks the attention, the other reads
what it answers, as the two halves of a conditional GRU do."""
LARGEST = ((0.2 * MILLION, 1), (0.5 * MILLION, 2), (1 * MILLION, 3), (5 * MILLION, 4))
"""Index of the largest shape for texts of up to so many words."""

ENOUGH_PASSES = 10
ENOUGH_TOKENS = 15 * MILLION
"""A larger shape is taken only if there is time for these passes, or for these tokens: German and
English Tatoeba with the third shape was good after 21 million."""
STRONG_PASSES = 20
"""Passes from which the full dropout pays; with fewer, nothing can be learnt by heart."""
LEAST_DROPOUT = 0.3
"""Share of it that is left with a single pass."""
VALIDATIONS = 12
VALIDATION_SHARE = 0.15
"""Of the time, at most, that goes into validating."""
VALIDATION_SENTENCES = 500
MIN_VALIDATION_SENTENCES = 50


@dataclass(frozen=True, slots=True)
class Pace:
    """How fast a network of one shape learns on this machine, as timed."""

    step_seconds: float
    pass_steps: int
    pass_tokens: int
    """Target tokens of one pass over the text."""
    between_seconds: float
    """To make ready the batches of a pass."""
    sentence_seconds: float
    """To validate one sentence of one direction."""

    @property
    def pass_seconds(self) -> float:
        """One pass over the text, without validations."""
        return self.pass_steps * self.step_seconds + self.between_seconds


@dataclass(frozen=True, slots=True)
class Duration:
    """How long is trained."""

    steps: int
    passes: float
    validate_steps: int
    validation_sentences: int
    seconds: float
    """All of it, as far as can be told."""
    is_complete: bool
    """Whether more time would teach nothing more."""
    complete_seconds: float
    """The time that would."""


def find_tier(volume: Volume) -> Tier:
    """Return the tier of a text."""
    return next(tier for tier in TIERS if volume.words < tier.words)


def choose_vocabulary(volume: Volume) -> int:
    """Return the size of the joint vocabulary."""
    tier = find_tier(volume)
    before = max((each.words for each in TIERS if each.words < tier.words), default=0.0)
    upper = min(tier.words, LARGE)
    share = min(1.0, (volume.words - before) / (upper - before))
    low, high = tier.vocabulary
    wanted = round(low + share * (high - low), -2)
    return int(min(wanted, BYTES + round(volume.words / WORDS_PER_PIECE, -2)))


def list_shapes(volume: Volume) -> list[Shape]:
    """Return the shapes that suit a text, the largest first."""
    largest = next((i for words, i in LARGEST if volume.words < words), len(SHAPES) - 1)
    return list(SHAPES[largest::-1])


def is_affordable(pace: Pace, minutes: float) -> bool:
    """Tell whether a network of this pace gets round often enough in the time."""
    passes = 60 * minutes * (1 - VALIDATION_SHARE) / pace.pass_seconds
    return passes >= min(ENOUGH_PASSES, ENOUGH_TOKENS / pace.pass_tokens)


def choose_duration(volume: Volume, pace: Pace, minutes: float, dev_sentences: int) -> Duration:
    """Return how long to train: as long as it pays, or as long as it may take."""
    wanted = find_tier(volume).passes
    sentences = _validation_sentences(volume, pace, minutes, dev_sentences)
    validating = VALIDATIONS * sentences * volume.directions * pace.sentence_seconds
    learning = max(0.0, 60 * minutes - validating)
    passes = min(wanted, learning / pace.pass_seconds)
    steps = max(VALIDATIONS, round(passes * pace.pass_steps))
    return Duration(
        steps=steps,
        passes=steps / pace.pass_steps,
        validate_steps=math.ceil(steps / VALIDATIONS),
        validation_sentences=sentences,
        seconds=steps / pace.pass_steps * pace.pass_seconds + validating,
        is_complete=passes >= wanted,
        complete_seconds=wanted * pace.pass_seconds + validating,
    )


def dropout_share(duration: Duration) -> float:
    """Return which part of the tier's dropout suits so many passes."""
    return min(1.0, max(LEAST_DROPOUT, duration.passes / STRONG_PASSES))


def _validation_sentences(volume: Volume, pace: Pace, minutes: float, dev_sentences: int) -> int:
    seconds = VALIDATION_SHARE * 60 * minutes / VALIDATIONS
    affordable = int(seconds / (pace.sentence_seconds * volume.directions))
    most = min(VALIDATION_SENTENCES, dev_sentences)
    return max(min(MIN_VALIDATION_SENTENCES, dev_sentences), min(most, affordable))
