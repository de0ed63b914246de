"""Many texts at once, as every dialect translates them."""

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from time import monotonic

from service.engine import Detection, Models, Translation, TranslationOptions, is_same_language

CHARACTERS_AT_ONCE = 10_000
"""Of one request, in the engine together: enough to fill batches, and far less than may wait
there, so that a long request neither fills the waiting line nor is refused by its own length.
"""


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
    deadline = None if options.deadline_seconds is None else monotonic() + options.deadline_seconds
    tasks: list[asyncio.Task[Translation]] = []
    running: dict[asyncio.Task[Translation], int] = {}
    try:
        for text, source in zip(texts, sources, strict=True):
            while running and sum(running.values()) + len(text) > CHARACTERS_AT_ONCE:
                done, _ = await asyncio.wait(running, return_when=asyncio.FIRST_COMPLETED)
                for task in done:
                    del running[task]
                    task.result()  # raises if it failed: then the rest is in vain
            # What is left of it: the texts of a long request do not begin together.
            left = None if deadline is None else max(0.0, deadline - monotonic())
            own = replace(options, deadline_seconds=left)
            tasks.append(asyncio.create_task(_translate(text, source, target, own, models)))
            running[tasks[-1]] = len(text)
        return await asyncio.gather(*tasks)
    finally:
        for task in tasks:
            task.cancel()


async def _translate(
    text: str, source: str, target: str, options: TranslationOptions, models: Models
) -> Translation:
    if is_same_language(source, target):
        return Translation.unchanged(text, source)
    return await models.find(source, target).translate(text, options)
