"""Digits to be said again: text so plain that a small network learns it in seconds."""

import random
from collections.abc import Mapping
from pathlib import Path

# words, because lines of figures are cleaned away; both sides must not be equal either
DIGITS = ["zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine"]
LANGUAGES = "aa", "bb"

CORPUS = """
[corpus]
directions = [["aa", "bb"]]
cleaning = { max_words = 20, max_ratio = 3.0, min_ratio_characters = 30 }

[[corpus.train]]
name = "digits to learn"
languages = ["aa", "bb"]
files = ["train.aa", "train.bb"]

[[corpus.dev]]
name = "digits to validate"
languages = ["aa", "bb"]
files = ["dev.aa", "dev.bb"]

[[corpus.tests]]
name = "digits to test"
languages = ["aa", "bb"]
files = ["test.aa", "test.bb"]
"""
"""The section of recipes that reads what `write_digits` writes."""


def write_digits(folder: Path, sizes: Mapping[str, int], shortest: int, longest: int) -> None:
    """Write texts of so many lines each, all different: what is told, and what is to be said."""
    draw = random.Random(4)
    lines = {
        " ".join(draw.choices(DIGITS, k=draw.randint(shortest, longest)))
        for _ in range(2 * sum(sizes.values()))
    }
    shuffled = sorted(lines, key=lambda line: (draw.random(), line))
    for name, size in sizes.items():
        own = [shuffled.pop() for _ in range(size)]
        (folder / f"{name}.aa").write_text("".join(f"Say {line}\n" for line in own))
        (folder / f"{name}.bb").write_text("".join(f"{line}\n" for line in own))


def read_test(folder: Path) -> tuple[list[str], list[str]]:
    """Return what is told in the test, and what is to be said."""
    told, said = ((folder / f"test.{side}").read_text().splitlines() for side in LANGUAGES)
    return told, said
