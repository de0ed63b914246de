"""The job that translates a document: a chunk of its segments at a time, as nobody waits for it."""

from collections import defaultdict
from collections.abc import Callable, Generator, Iterable, Sequence
from contextlib import closing
from typing import cast

from service.document_files import DocumentFiles, Record
from service.engine import (
    Library,
    Markup,
    Models,
    SplitMode,
    Terms,
    Translation,
    TranslationOptions,
    is_same_language,
)
from service.formats import FORMATS_BY_NAME, Segment, Translated

CHUNK_CHARACTERS = 16_000
"""Half a second of work for two cores: what a crash may lose, and how often progress is told."""

_MARKUPS = {
    "html": Markup("html"),
    # These are all the tags there are, and each stands within a sentence.
    "xml": Markup("xml", non_splitting_tags=("g", "x"), outline_detection=False),
}


def cut(segments: Sequence[Segment]) -> list[list[Segment]]:
    """Divide segments into chunks, in order; none is divided itself."""
    chunks: list[list[Segment]] = []
    room = 0
    for segment in segments:
        if room <= 0:
            chunks.append([])
            room = CHUNK_CHARACTERS
        chunks[-1].append(segment)
        room -= len(segment.text)
    return chunks


class DocumentWork:
    """What jobs do that translate a document; see `service.jobs.Work`."""

    def __init__(self, files: DocumentFiles, library: Library) -> None:
        self._files = files
        self._library = library

    def plan(self, id: str) -> Sequence[int]:
        """Return the number of segments in each chunk."""
        return self._record(id).chunk_sizes

    def run(self, id: str, chunk: int, check: Callable[[], None]) -> None:
        """Translate a chunk and keep its translations beside it."""
        record = self._record(id)
        segments = self._files.segments(id, chunk)
        if is_same_language(record.options.source, record.options.target):
            translations = [Translated(segment.text) for segment in segments]
        else:
            terms = self._files.terms(id)
            with self._library.hold() as models:
                translations = _translate(models, record, segments, terms, check)
        self._files.keep_translations(id, chunk, translations)

    def finish(self, id: str, results: Sequence[None], check: Callable[[], None]) -> None:
        """Put the translations in the places of their segments."""
        record, upload = self._record(id), self._files.upload(id)
        draft = FORMATS_BY_NAME[record.format].parse(upload, record.options)
        translations = list(self._files.translations(id, len(results)))
        self._files.keep_result(id, draft.render(translations))

    def _record(self, id: str) -> Record:
        record = self._files.record(id)
        assert record is not None, "a document is removed after its job"
        return record


def _translate(
    models: Models,
    record: Record,
    segments: Sequence[Segment],
    terms: Terms,
    check: Callable[[], None],
) -> list[Translated]:
    translator = models.find(record.options.source, record.options.target)
    translations: dict[int, Translated] = {}
    for (split, markup), places in _alike(segments).items():
        texts = [segments[i].text for i in places]
        options = TranslationOptions(
            beam=record.beam,
            split=split,
            markup=_MARKUPS[markup] if markup else None,
            terms=terms,
        )
        # Closed if `check` raises, lest the rest be decoded for nobody.
        found = cast("Generator[Translation]", translator.translate_all(texts, options))
        with closing(found):
            for i, translation in zip(places, found, strict=True):
                check()
                translations[i] = Translated(translation.text, not translation.lost)
    return [translations[i] for i in range(len(segments))]


def _alike(segments: Iterable[Segment]) -> dict[tuple[SplitMode, str | None], list[int]]:
    """Return the places of segments by their mode of splitting and their markup."""
    places: dict[tuple[SplitMode, str | None], list[int]] = defaultdict(list)
    for i, segment in enumerate(segments):
        places[segment.split, segment.markup].append(i)
    return places
