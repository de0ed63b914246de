"""Many texts at once, as every dialect translates them."""

import asyncio
from collections.abc import Callable, Coroutine, Sequence
from dataclasses import replace
from time import monotonic
from typing import Any, TypeVar

from service.api.dependencies import RequestLimits
from service.engine import (
    Detection,
    Markup,
    Models,
    Translation,
    TranslationOptions,
    is_same_language,
    visible,
)
from service.errors import ServiceError, TextTooLong, TooLarge
from service.record import current_record

CHARACTERS_AT_ONCE = 10_000
"""Of one request, in the engine together: enough to fill batches, and far less than may wait
there, so that a long request neither fills the waiting line nor is refused by its own length.
"""

T = TypeVar("T")
Work = Callable[[int, TranslationOptions], Coroutine[Any, Any, T]]


def check_totals(texts: Sequence[str], limits: RequestLimits) -> None:
    """Refuse more texts than the limit, or more characters in all.

    Raises:
        TextTooLong: there are more characters.
        TooLarge: there are more texts.
    """
    if len(texts) > limits.max_texts:
        message = f"text: {len(texts)} texts exceed {limits.max_texts}"
        raise TooLarge(message, field="text", limit=limits.max_texts)
    most, characters = limits.max_characters, sum(map(len, texts))
    if characters > most:
        message = f"text: {characters} characters in all exceed {most}"
        raise TextTooLong(message, field="text", limit=most)


def check_length(texts: Sequence[str], i: int, limits: RequestLimits, field: str = "text") -> None:
    """Refuse the text at `i` if it is too long.

    Raises:
        TextTooLong: it is; the field is `text`, or `text.3` if there are several.
    """
    most, length = limits.max_text_characters, len(texts[i])
    if length > most:
        field = f"{field}.{i}" if len(texts) > 1 else field
        message = f"{field}: {length} characters exceed {most}"
        raise TextTooLong(message, field=field, limit=most)


def check_texts(texts: Sequence[str], limits: RequestLimits) -> None:
    """Refuse texts that go beyond the limits.

    Raises:
        TextTooLong: one has too many characters, or all of them together.
        TooLarge: there are too many.
    """
    check_totals(texts, limits)
    for i in range(len(texts)):
        check_length(texts, i, limits)


async def detect_texts(
    texts: Sequence[str], models: Models, markup: Markup | None = None
) -> list[Detection]:
    """Tell the language of each text, of its words alone if it has tags."""
    # In a thread, for the first call loads the detector.
    return await asyncio.to_thread(lambda: [models.detect(visible(text, markup)) for text in texts])


async def detect_all(text: str, most: int, models: Models) -> list[Detection]:
    """Tell the likeliest languages of a text, the best first."""
    return await asyncio.to_thread(models.detect_all, text, most)


async def translate_texts(
    texts: Sequence[str],
    sources: Sequence[str],
    target: str,
    options: TranslationOptions,
    models: Models,
) -> list[Translation]:
    """Translate each text from its source language; one that is the target's stays as it is.

    The deadline of the options is one for all of them. If one fails, the others are given up.

    Raises:
        ServiceError: what `Translator.translate` raises, and `UnsupportedPair`.
    """
    return await _paced(
        texts,
        options,
        lambda i, own: translate_text(texts[i], sources[i], target, own, models),
    )


async def attempt_each(
    texts: Sequence[str], options: TranslationOptions, work: Work[T]
) -> list[T | ServiceError]:
    """Do work for each text, paced as translations are; a failure stands in its text's place.

    Args:
        work: takes the index of a text, and the options with what is left of their deadline.
    """

    async def attempt(i: int, own: TranslationOptions) -> T | ServiceError:
        try:
            return await work(i, own)
        except ServiceError as failure:
            return failure

    return await _paced(texts, options, attempt)


async def _paced(texts: Sequence[str], options: TranslationOptions, work: Work[T]) -> list[T]:
    seconds = options.deadline_seconds
    deadline = None if seconds is None else monotonic() + seconds

    async def begin(i: int) -> T:
        # What is left of it: the texts of a long request do not begin together.
        left = None if deadline is None else max(0.0, deadline - monotonic())
        return await work(i, replace(options, deadline_seconds=left))

    tasks: list[asyncio.Task[T]] = []
    running: dict[asyncio.Task[T], int] = {}
    try:
        for i, text in enumerate(texts):
            while running and sum(running.values()) + len(text) > CHARACTERS_AT_ONCE:
                done, _ = await asyncio.wait(running, return_when=asyncio.FIRST_COMPLETED)
                for task in done:
                    del running[task]
                    task.result()  # raises if it failed: then the rest is in vain
            tasks.append(asyncio.create_task(begin(i)))
            running[tasks[-1]] = len(text)
        return await asyncio.gather(*tasks)
    finally:
        for task in tasks:
            task.cancel()


async def translate_text(
    text: str, source: str, target: str, options: TranslationOptions, models: Models
) -> Translation:
    """Translate one text, unless it is in the target language.

    Raises:
        ServiceError: what `Translator.translate` raises, and `UnsupportedPair`.
    """
    if is_same_language(source, target):
        return Translation.unchanged(text, source)
    translation = await models.find(source, target).translate(text, options)
    if record := current_record():
        record.note_model(translation.model)
    return translation
