"""Translate segments of a file, whose markup and splitting may differ from one to the next."""

from collections import defaultdict
from collections.abc import Callable, Generator, Iterable, Sequence
from contextlib import closing
from dataclasses import replace
from typing import cast

from service.engine import AnyTranslator, Markup, SplitMode, Translation, TranslationOptions
from service.formats import Segment, Translated

_MARKUPS = {
    "html": Markup("html"),
    # These are all the tags there are, and each stands within a sentence.
    "xml": Markup("xml", non_splitting_tags=("g", "x"), outline_detection=False),
}


def translate_segments(
    translator: AnyTranslator,
    segments: Sequence[Segment],
    options: TranslationOptions,
    check: Callable[[], None],
) -> list[Translation]:
    """Return the translation of each segment.

    Args:
        options: what all have in common; how a segment is split, and what markup it has, is its
            own, unless the options ask for another way to split than `sentences`.
        check: called after each translation; what it raises gives up the others.
    """
    translations: dict[int, Translation] = {}
    for (split, markup), places in _alike(segments).items():
        texts = [segments[i].text for i in places]
        own = replace(
            options,
            split=split if options.split == "sentences" else options.split,
            markup=_MARKUPS[markup] if markup else None,
        )
        # Closed if `check` raises, lest the rest be decoded for nobody.
        found = cast("Generator[Translation]", translator.translate_all(texts, own))
        with closing(found):
            for i, translation in zip(places, found, strict=True):
                check()
                translations[i] = translation
    return [translations[i] for i in range(len(segments))]


def filled(translations: Iterable[Translation]) -> list[Translated]:
    """Return what a draft wants to know of translations."""
    return [Translated(each.text, not each.lost) for each in translations]


def _alike(segments: Iterable[Segment]) -> dict[tuple[SplitMode, str | None], list[int]]:
    """Return the places of segments by their mode of splitting and their markup."""
    places: dict[tuple[SplitMode, str | None], list[int]] = defaultdict(list)
    for i, segment in enumerate(segments):
        places[segment.split, segment.markup].append(i)
    return places
