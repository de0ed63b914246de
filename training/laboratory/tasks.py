"""Tasks whose answers are known: copy, reverse, sort, addition, parity.

Digits stand behind an underscore, `_12+_345`: the service keeps numbers of a text as they are
(`service/engine/placeholders.py`), and here the network is to read them. The answer to a sum has
its last digit first, as it is reckoned by hand: every digit then depends on two digits and on a
carry that is known already. (Questions written so too were learnt more slowly: 6 % after 1,600
steps, where these came to 63 %.)
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

Pair = tuple[str, str]
Draw = Callable[[np.random.Generator, int], Pair]
"""Draws a pair of at most that length."""

LETTERS = "abcdefgh"


@dataclass(frozen=True, slots=True)
class Task:
    """Something to learn, of any length."""

    name: str
    says: str
    """What is to be done, for people."""
    draw: Draw
    length: int
    """Unless told otherwise: characters of the longest source, digits of the longest number."""
    measured_in: str


def _letters(random: np.random.Generator, length: int) -> str:
    size = int(random.integers(1, length + 1))
    return "".join(LETTERS[i] for i in random.integers(len(LETTERS), size=size))


def draw_copy(random: np.random.Generator, length: int) -> Pair:
    """Return a word and itself."""
    word = _letters(random, length)
    return word, word


def draw_reverse(random: np.random.Generator, length: int) -> Pair:
    """Return a word and the same from its end."""
    word = _letters(random, length)
    return word, word[::-1]


def draw_sort(random: np.random.Generator, length: int) -> Pair:
    """Return a word and its letters in the order of the alphabet."""
    word = _letters(random, length)
    return word, "".join(sorted(word))


def draw_addition(random: np.random.Generator, length: int) -> Pair:
    """Return two numbers, each of a length drawn by itself, and their sum, last digit first."""
    first, second = (_number(random, length) for _ in range(2))
    return f"_{first}+_{second}", str(first + second)[::-1]


def _number(random: np.random.Generator, length: int) -> int:
    digits = int(random.integers(1, length + 1))
    return int(random.integers(10 ** (digits - 1) if digits > 1 else 0, 10**digits))


def draw_parity(random: np.random.Generator, length: int) -> Pair:
    """Return bits and, behind each, whether an odd number of them up to there is 1.

    The last is the parity of all. Were it asked for alone, nothing would say which way to go
    before all of it is right: the loss stayed at chance for all of the 800 steps that were tried.
    """
    bits = random.integers(2, size=int(random.integers(1, length + 1)))
    return "_" + "".join(map(str, bits)), "".join(map(str, bits.cumsum() % 2))


TASKS = {
    task.name: task
    for task in (
        Task("copy", "the same letters", draw_copy, 12, "letters"),
        Task("reverse", "the letters from the end", draw_reverse, 12, "letters"),
        Task("sort", "the letters in the order of the alphabet", draw_sort, 12, "letters"),
        Task(
            "addition",
            "the sum, last digit first",
            draw_addition,
            4,
            "digits",
        ),
        Task(
            "parity", "after each bit, whether the number of ones is odd", draw_parity, 12, "bits"
        ),
    )
}


def length_of(source: str) -> int:
    """Return how long a source of a task is: letters, bits, or digits of the longer number."""
    return max(len(part.strip("_")) for part in source.split("+"))
