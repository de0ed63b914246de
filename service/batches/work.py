"""The job that translates a batch: a piece at a time, of which nothing but itself is in memory."""

from collections.abc import Callable, Sequence
from dataclasses import asdict
from typing import Any

from service.batches.files import BatchFiles, Record, Summary
from service.engine import Library, Translation, TranslationOptions
from service.segments import filled, translate_segments


class BatchWork:
    """What jobs do that translate a batch; see `service.jobs.Work`."""

    def __init__(self, files: BatchFiles, library: Library) -> None:
        self._files = files
        self._library = library

    def plan(self, id: str) -> Sequence[int]:
        """Return the number of lines, rows or units in each piece."""
        return self._files.sizes(id)

    def run(self, id: str, chunk: int, check: Callable[[], None]) -> dict[str, Any]:
        """Translate a piece and keep what becomes of it."""
        record, piece = self._record(id), self._files.piece(id, chunk)
        if not piece.size:
            self._files.keep_translation(id, chunk, piece.text.encode())
            return asdict(Summary())
        draft = record.layout.read(piece.text)
        options = TranslationOptions(
            beam=record.beam,
            length_penalty=record.length_penalty,
            split=record.split,
            terms=self._files.terms(id),
        )
        with self._library.hold() as models:
            translator = models.find(record.layout.source, record.layout.target)
            translations = translate_segments(translator, draft.segments, options, check)
        self._files.keep_translation(id, chunk, draft.render(filled(translations)))
        return asdict(_summary(translations))

    def finish(self, id: str, results: Sequence[dict[str, Any]], check: Callable[[], None]) -> None:
        """Put the pieces together."""
        self._files.summarise(id, _sum(results))
        self._files.assemble(id, len(results), check)

    def _record(self, id: str) -> Record:
        record = self._files.record(id)
        assert record is not None, "a batch is removed after its job"
        return record


def _summary(translations: Sequence[Translation]) -> Summary:
    return Summary(
        models=tuple(sorted({each.model for each in translations if each.model})),
        truncated=sum(each.finish_reason == "length" for each in translations),
        repetition_stopped=sum(each.finish_reason == "repetition" for each in translations),
        placeholder_lost=sum(bool(each.lost) for each in translations),
        empty=sum(not each.text.strip() for each in translations),
    )


def _sum(results: Sequence[dict[str, Any]]) -> Summary:
    def total(name: str) -> int:
        return sum(result[name] for result in results)

    return Summary(
        models=tuple(sorted({model for result in results for model in result["models"]})),
        truncated=total("truncated"),
        repetition_stopped=total("repetition_stopped"),
        placeholder_lost=total("placeholder_lost"),
        empty=total("empty"),
    )
