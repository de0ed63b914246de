"""What is translated: the lines of a file, or sentences drawn by chance from a vocabulary."""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from models.tokenizer import Tokenizer

MEAN_TOKENS, SHAPE = 14, 3
MIN_TOKENS, MAX_TOKENS = 4, 40
# Below are control tokens, target tags and, where the vocabulary has them, single bytes.
FIRST_WORD = 300


def source_lengths(count: int, random: np.random.Generator) -> NDArray[np.int64]:
    """Draw the lengths of sentences, in tokens: gamma distributed, 14 on average, 4 to 40."""
    drawn = random.gamma(SHAPE, MEAN_TOKENS / SHAPE, count)
    return np.clip(np.rint(drawn), MIN_TOKENS, MAX_TOKENS).astype(np.int64)


def words(tokenizer: Tokenizer) -> range:
    """Return the ids that stand for words and parts of words."""
    return range(min(FIRST_WORD, tokenizer.size // 2), tokenizer.size)


def generate(tokenizer: Tokenizer, count: int, seed: int = 0) -> list[str]:
    """Draw texts of one sentence each, without meaning; their lengths as above."""
    random = np.random.default_rng(seed)
    ids = words(tokenizer)
    # A full stop inside would make two sentences of one.
    drawn = (
        tokenizer.decode(random.integers(ids.start, ids.stop, length).tolist())
        for length in source_lengths(count, random)
    )
    return ["".join(c for c in text if c.isalnum() or c == " ").strip() or "a" for text in drawn]


def read(path: Path, count: int) -> list[str]:
    """Return the first lines of a file that are not empty."""
    lines = path.read_text(encoding="utf-8").split("\n")
    return [line for line in lines if line.strip()][:count]
