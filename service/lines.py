"""Translate lines: one translation for each line, in order, whatever their number."""

from collections import defaultdict
from collections.abc import Callable, Generator, Iterable, Iterator
from itertools import islice

from service.engine import Models, Translation, TranslationOptions, is_same_language

AUTO = "auto"
"""Instead of a source language: tell it for each line."""

LINES_TOGETHER = 64
"""Lines whose languages are told apart before they are decoded."""


def translate_lines(
    models: Models,
    pair: tuple[str, str],
    lines: Iterable[str],
    options: TranslationOptions,
    would_block: Callable[[], bool] = lambda: False,
) -> Generator[Translation]:
    """Yield the translation of each line; closing the generator gives up the rest.

    Holds a bounded number of lines. When the source is `AUTO`, a line that is in the target
    language already comes back as it is, from no model.

    Args:
        would_block: Whether the next line is still to come. If so, all translations of the
            lines before it are yielded first, for it may depend on them.

    Raises:
        UnsupportedPair: no model translates between these languages.
    """
    source, target = pair
    remaining = iter(lines)
    for first in remaining:
        burst = _burst(first, remaining, would_block)
        if source == AUTO:
            yield from _translate_chunk(
                models, target, list(islice(burst, LINES_TOGETHER)), options
            )
        else:
            yield from models.find(source, target).translate_all(burst, options)


def _burst(first: str, remaining: Iterator[str], would_block: Callable[[], bool]) -> Iterator[str]:
    yield first
    while not would_block():
        try:
            yield next(remaining)
        except StopIteration:
            return


def _translate_chunk(
    models: Models, target: str, chunk: list[str], options: TranslationOptions
) -> Iterator[Translation]:
    places_by_language = defaultdict(list)
    for place, line in enumerate(chunk):
        places_by_language[models.detect(line).language].append(place)
    finished: dict[int, Translation] = {}
    for language, places in places_by_language.items():
        texts = [chunk[place] for place in places]
        if is_same_language(language, target):
            translations: Iterable[Translation] = [
                Translation.unchanged(text, language) for text in texts
            ]
        else:
            translations = models.find(language, target).translate_all(texts, options)
        finished.update(zip(places, translations, strict=True))
    return (finished[place] for place in range(len(chunk)))
