"""Many texts at once, as every dialect translates them."""

import asyncio
from collections.abc import Callable, Coroutine, Sequence
from dataclasses import replace
from time import monotonic
from typing import Any, TypeVar

from service.api.dependencies import RequestLimits
from service.engine import Detection, Models, Translation, TranslationOptions, is_same_language
from service.errors import ServiceError, TextTooLong, TooLarge
from service.record import current_record

CHARACTERS_AT_ONCE = 10_000
"""Of one request, in the engine together: enough to fill batches, and far less than may wait
there, so that a long request neither fills the waiting line nor is refused by its own length.
"""

T = TypeVar("T")


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


def check_length(texts: Sequence[str], i: int, limits: RequestLimits) -> TextTooLong | None:
    """Return what is wrong with the length of the text at `i`, if something is."""
    most, length = limits.max_text_characters, len(texts[i])
    if length <= most:
        return None
    field = f"text.{i}" if len(texts) > 1 else "text"
    return TextTooLong(f"{field}: {length} characters exceed {most}", field=field, limit=most)


def check_texts(texts: Sequence[str], limits: RequestLimits) -> None:
    """Refuse texts that go beyond the limits.

    Raises:
        TextTooLong: one has too many characters, or all of them have.
        TooLarge: there are too many.
    """
    check_totals(texts, limits)
    for i in range(len(texts)):
        if failure := check_length(texts, i, limits):
            raise failure


async def detect_texts(texts: Sequence[str], models: Models) -> list[Detection]:
    """Tell the language of each text."""
    # In a thread, for the first call loads the detector.
    return await asyncio.to_thread(lambda: [models.detect(text) for text in texts])


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
    at = _deadline(options)

    async def translate(text: str, source: str) -> Translation:
        return await _translate(text, source, target, _until(at, options), models)

    return await _paced(texts, sources, translate)


async def translate_each(
    texts: Sequence[str],
    sources: Sequence[str],
    target: str,
    options: TranslationOptions,
    models: Models,
) -> list[Translation | ServiceError]:
    """Translate each text as `translate_texts` does, but a failure stands in its text's place."""
    at = _deadline(options)

    async def attempt(text: str, source: str) -> Translation | ServiceError:
        try:
            return await _translate(text, source, target, _until(at, options), models)
        except ServiceError as failure:
            return failure

    return await _paced(texts, sources, attempt)


async def _paced(
    texts: Sequence[str], sources: Sequence[str], work: Callable[[str, str], Coroutine[Any, Any, T]]
) -> list[T]:
    tasks: list[asyncio.Task[T]] = []
    running: dict[asyncio.Task[T], int] = {}
    try:
        for text, source in zip(texts, sources, strict=True):
            while running and sum(running.values()) + len(text) > CHARACTERS_AT_ONCE:
                done, _ = await asyncio.wait(running, return_when=asyncio.FIRST_COMPLETED)
                for task in done:
                    del running[task]
                    task.result()  # raises if it failed: then the rest is in vain
            tasks.append(asyncio.create_task(work(text, source)))
            running[tasks[-1]] = len(text)
        return await asyncio.gather(*tasks)
    finally:
        for task in tasks:
            task.cancel()


def _deadline(options: TranslationOptions) -> float | None:
    seconds = options.deadline_seconds
    return None if seconds is None else monotonic() + seconds


def _until(deadline: float | None, options: TranslationOptions) -> TranslationOptions:
    # What is left of it: the texts of a long request do not begin together.
    if deadline is None:
        return options
    return replace(options, deadline_seconds=max(0.0, deadline - monotonic()))


async def _translate(
    text: str, source: str, target: str, options: TranslationOptions, models: Models
) -> Translation:
    if is_same_language(source, target):
        return Translation.unchanged(text, source)
    translation = await models.find(source, target).translate(text, options)
    if record := current_record():
        record.note_model(translation.model)
    return translation
