"""A recipe written for a text: complete, commented, to be kept, repeated and edited."""

import json
from collections.abc import Sequence
from dataclasses import dataclass

from training.sizes import (
    MILLION,
    Duration,
    Shape,
    Volume,
    choose_vocabulary,
    dropout_share,
    find_tier,
)
from training.text_recipe import CleaningRecipe

SLOW_STEPS = 10_000
"""From which there is time for a lower learning rate, which ends lower."""
JOINED = 0.1
SHORTLIST_VOCABULARY = 8000
"""From which choosing among fewer tokens saves int8 more than it costs."""
CERTAIN_SENTENCES = 1000
"""Dev sentences with which a variant may lose no more than `CERTAIN_LOSS` points of BLEU; the
fewer they are, the more a single word moves it."""
CERTAIN_LOSS = 0.3


@dataclass(frozen=True, slots=True)
class Heading:
    """What a recipe for a user's text is called and says of its origin."""

    name: str
    version: int
    source: str
    target: str
    both: bool
    origin: str
    """The file names, for people."""

    @property
    def directions(self) -> list[tuple[str, str]]:
        """Pairs of source and target."""
        one = (self.source, self.target)
        return [one, one[::-1]] if self.both else [one]


def explain(volume: Volume, shape: Shape, duration: Duration) -> list[str]:
    """Return what was chosen and why, one line for each choice."""
    tier, kept = find_tier(volume), dropout_share(duration)
    upto = f"under {tier.words / MILLION:g} million" if tier.words < 1e12 else "5 million or more"
    weak = f", {kept:.0%} of it for {duration.passes:.0f} passes" if kept < 1 else ""
    end = "as many as pay" if duration.is_complete else "all there is time for"
    return [
        f"text: {volume.pairs:,} pairs, {volume.words:,} words a side: {upto} words "
        "(Sennrich & Zhang 2019)",
        f"vocabulary: {choose_vocabulary(volume):,} pieces; more would be seen too seldom",
        f"network: {shape.encoder_layers} + {shape.decoder_layers} layers of "
        f"{shape.encoder_size} and {shape.decoder_size}; the text allows {tier.depth} deep, the "
        "time decides",
        f"dropout: {tier.dropout:g}; the smaller the text, the more{weak}",
        f"batch: {tier.batch_tokens:,} tokens; the smaller the text, the smaller",
        f"length: {duration.steps:,} steps, {duration.passes:.1f} passes over the text; {end}",
    ]


def write_recipe(
    heading: Heading,
    volume: Volume,
    shape: Shape,
    duration: Duration,
    cleaning: CleaningRecipe,
    held_out: tuple[int, int],
) -> str:
    """Return the text of a recipe.

    Args:
        held_out: sentences of dev and of test.
    """
    return (
        "\n\n".join(
            [
                _head(heading, explain(volume, shape, duration)),
                _corpus(heading, cleaning),
                *(
                    _text(heading, part, count)
                    for part, count in zip(("dev", "tests"), held_out, strict=True)
                ),
                _tokenizer(volume),
                _network(volume, shape, duration),
                _training(volume, shape, duration),
                _export(volume, held_out[0]),
            ]
        )
        + "\n"
    )


def _head(heading: Heading, reasons: Sequence[str]) -> str:
    lines = "\n".join(f"# {reason}" for reason in reasons)
    return (
        f"# Written for {heading.origin}. Edit it and repeat:\n"
        f"#   dragoman-train all RECIPE --corpora FOLDER, FOLDER being the one this file is in.\n"
        f"# Another network or vocabulary needs another name.\n"
        f"#\n{lines}\n\n"
        f"name = {_quote(heading.name)}\n"
        f"version = {heading.version}"
    )


def _corpus(heading: Heading, cleaning: CleaningRecipe) -> str:
    directions = ", ".join(f"[{_quote(s)}, {_quote(t)}]" for s, t in heading.directions)
    return f"""[corpus]
directions = [{directions}]
# dev and test were held out by sentence family: no side of theirs is in training
leaks = "side"
on_leak = "refuse"
# two or three sentences in one example, so that long input is not strange
joined = {JOINED:g}

[corpus.cleaning]
max_words = {cleaning.max_words}
# three times the usual ratio of this text
max_ratio = {cleaning.max_ratio:.1f}
min_ratio_characters = {cleaning.min_ratio_characters}

[[corpus.train]]
name = {_quote(heading.origin)}
languages = [{_quote(heading.source)}, {_quote(heading.target)}]
files = {_files(heading, "train")}
# both stand on the model card
licence = ""
attribution = \"\""""


def _text(heading: Heading, part: str, count: int) -> str:
    file = part.removesuffix("s")
    return f"""# {count:,} sentences
[[corpus.{part}]]
name = {_quote(f"{file} of {heading.origin}")}
languages = [{_quote(heading.source)}, {_quote(heading.target)}]
files = {_files(heading, file)}"""


def _tokenizer(volume: Volume) -> str:
    dropout = 0.1 if volume.words < MILLION else 0.0
    return f"""[tokenizer]
kind = "bpe"
size = {choose_vocabulary(volume)}
normalisation = "NFC"
# each pass sees other segmentations of its sources: pays below a million words
dropout_source = {dropout:g}
dropout_target = 0.0"""


def _network(volume: Volume, shape: Shape, duration: Duration) -> str:
    tier, kept = find_tier(volume), dropout_share(duration)
    return f"""[network]
cell = "gru"
attention = "general"
embedding_size = {shape.embedding_size}
encoder_layers = {shape.encoder_layers}
encoder_size = {shape.encoder_size}
decoder_layers = {shape.decoder_layers}
decoder_size = {shape.decoder_size}
# one table for both languages and the output: half the parameters
tying = "all"
# {kept:.0%} of what the size of the text asks for, for {duration.passes:.0f} passes
dropout_embedding = {tier.dropout * kept / 2:.2f}
dropout_layers = {tier.dropout * kept:.2f}
dropout_readout = {tier.dropout * kept:.2f}
word_dropout = {tier.word_dropout * kept:.2f}"""


def _training(volume: Volume, shape: Shape, duration: Duration) -> str:
    tier = find_tier(volume)
    is_slow = shape.encoder_layers > 2 or duration.steps > SLOW_STEPS
    return f"""[training]
seed = 1
precision = "auto"
batch_tokens = {tier.batch_tokens}
learning_rate = {0.001 if is_slow else 0.002:g}
# constant as long as possible, then down to zero, which is where most of the score is made
schedule = "trapezoid"
warmup_steps = {max(1, min(400, duration.steps // 10))}
decay_steps = {duration.steps // 3}
max_steps = {duration.steps}
clip_norm = 1.0
label_smoothing = {tier.smoothing:g}
ema_decay = {0.998 if duration.steps > 2000 else 0.99:g}
validate_steps = {duration.validate_steps}
validation_sentences = {duration.validation_sentences}
patience = 10"""


def _export(volume: Volume, dev_sentences: int) -> str:
    loss = CERTAIN_LOSS * (CERTAIN_SENTENCES / min(CERTAIN_SENTENCES, dev_sentences))
    lines = f"""[export]
variants = ["fp32", "int8", "fp16"]
# with {dev_sentences:,} dev sentences less may be chance
max_bleu_loss = {loss:.1f}
beams = [2, 4, 6]
length_penalties = [0.6, 1.0, 1.4]
sweep_sentences = {min(500, dev_sentences)}
parity_sentences = {min(100, dev_sentences)}
# 99 % of the sides have up to {volume.long_words} words; longer sentences are split
max_source_tokens = {min(200, max(80, 3 * volume.long_words))}"""
    if choose_vocabulary(volume) >= SHORTLIST_VOCABULARY:
        lines += "\nshortlist = { likeliest = 30, frequent = 100 }"
    return lines


def _files(heading: Heading, part: str) -> str:
    names = (f"corpus/{part}.{language}" for language in (heading.source, heading.target))
    return f"[{', '.join(map(_quote, names))}]"


def _quote(text: str) -> str:
    # what JSON escapes, TOML's basic strings escape alike
    return json.dumps(text, ensure_ascii=False)
