"""What was learnt, measured as it would be served: through the service's engine, on held-out text.

An answer is right if every character of it is.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from service.engine import TranslationOptions, open_translator
from training.laboratory.experiment import LANGUAGES
from training.laboratory.tasks import Pair

Key = TypeVar("Key", int, tuple[int, int])
GREEDY = TranslationOptions(beam=1, split="lines")


@dataclass(frozen=True, slots=True)
class Answer:
    """What was said to one question."""

    source: str
    expected: str
    given: str

    @property
    def is_right(self) -> bool:
        """Whether every character is."""
        return self.given == self.expected


@dataclass(frozen=True, slots=True)
class Accuracy:
    """Answers of a kind, and how many of them are right."""

    right: int
    all: int

    @property
    def share(self) -> float:
        """Of right ones; 0 to 1."""
        return self.right / max(1, self.all)


def ask(bundle: Path, pairs: Sequence[Pair]) -> list[Answer]:
    """Let a bundle answer, greedily, through the service's engine."""
    translator = open_translator(bundle, LANGUAGES)
    try:
        given = [
            each.text for each in translator.translate_all((source for source, _ in pairs), GREEDY)
        ]
    finally:
        translator.close()
    return [Answer(*pair, said) for pair, said in zip(pairs, given, strict=True)]


def accuracy_of(answers: Sequence[Answer]) -> Accuracy:
    """Return how many answers are right."""
    return Accuracy(sum(answer.is_right for answer in answers), len(answers))


def group(answers: Sequence[Answer], key: Callable[[Answer], Key]) -> dict[Key, Accuracy]:
    """Return the accuracy of the answers of each kind, the kinds in their order."""
    by_key: dict[Key, list[Answer]] = {}
    for answer in answers:
        by_key.setdefault(key(answer), []).append(answer)
    return {each: accuracy_of(by_key[each]) for each in sorted(by_key)}
