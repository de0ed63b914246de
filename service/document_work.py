"""The job that translates a document: a chunk of its segments at a time, as nobody waits for it."""

from collections.abc import Callable, Sequence

from service.document_files import DocumentFiles, Record
from service.engine import Library, TranslationOptions, is_same_language
from service.formats import FORMATS_BY_NAME, Segment, Translated
from service.segments import filled, translate_segments

CHUNK_CHARACTERS = 16_000
"""Half a second of work for two cores: what a crash may lose, and how often progress is told."""


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
            options = TranslationOptions(beam=record.beam, terms=self._files.terms(id))
            with self._library.hold() as models:
                translator = models.find(record.options.source, record.options.target)
                translations = filled(translate_segments(translator, segments, options, check))
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
