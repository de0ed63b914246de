"""The job that evaluates: models translate a chunk of lines at a time, then all is measured."""

from collections import Counter
from collections.abc import Callable, Generator, Iterable, Sequence
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime
from time import perf_counter, time
from typing import cast

from service.engine import (
    AnyTranslator,
    FinishReason,
    Library,
    Models,
    Translation,
    TranslationOptions,
)
from service.errors import UnusableModel
from service.evaluation import Task, analyse_apart, one_line
from service.evaluations.files import (
    BASELINE,
    HYPOTHESES,
    SOURCE,
    Chunk,
    Decode,
    EvaluationFiles,
    ModelChoice,
    Record,
    Side,
    reference,
)
from service.evaluations.report import (
    BaselineInfo,
    Counts,
    DecodeInfo,
    ModelInfo,
    PairInfo,
    Performance,
    Report,
)

Check = Callable[[], None]

_FILES: dict[Side, str] = {"model": HYPOTHESES, "baseline": BASELINE}


@dataclass(frozen=True, slots=True)
class Translated:
    """What one model made of the whole source."""

    lines: Sequence[str]
    model: ModelInfo
    decode: DecodeInfo
    counts: Counts
    performance: Performance
    warnings: Sequence[str]


class EvaluationWork:
    """What jobs do that evaluate; see `service.jobs.Work`."""

    def __init__(self, files: EvaluationFiles, library: Library) -> None:
        self._files = files
        self._library = library

    def plan(self, id: str) -> Sequence[int]:
        """Return the number of lines in each chunk."""
        self._files.begin(id)
        return self._record(id).chunk_sizes

    def run(self, id: str, chunk: int, check: Check) -> None:
        """Translate a chunk and keep its translations beside it."""
        record = self._record(id)
        turn, number = divmod(chunk, len(record.parts))
        side, choice = record.sides[turn]
        lines = self._files.part(id, record.parts[number])
        with self._library.lend(choice.name, choice.version) as models:
            done = _translate(models, record, choice, lines, check)
        self._files.keep_chunk(id, side, number, done)

    def finish(self, id: str, results: Sequence[None], check: Check) -> None:
        """Put the translations together, measure them, and report."""
        record = self._record(id)
        translated = {side: self._join(id, record, side) for side, _ in record.sides}
        for side, each in translated.items():
            self._files.keep_lines(id, _FILES[side], each.lines)
        analysis = analyse_apart(self._task(id, record), check)
        model, baseline = translated.get("model"), translated.get("baseline")
        counts = model.counts if model else _no_counts()
        report = Report(
            job_id=id,
            pair=PairInfo(source=record.source, target=record.target),
            model=model.model if model else None,
            baseline=_describe_baseline(record, baseline),
            decode=next((each.decode for each in translated.values()), None),
            test_set=record.test_set,
            sentences=record.sentences,
            created=record.created_at,
            started=_moment(self._files.started(id)),
            finished=_moment(time()),
            metrics=analysis.metrics,
            comparison=analysis.comparison,
            buckets=analysis.buckets,
            worst=analysis.worst,
            changed=analysis.changed,
            identical=analysis.identical,
            counts=counts.model_copy(update={"empty": analysis.empty}),
            performance=model.performance if model else None,
            baseline_performance=baseline.performance if baseline else None,
            warnings=[
                *analysis.warnings,
                *(warning for each in translated.values() for warning in each.warnings),
            ],
        )
        self._files.keep_report(id, report.model_dump_json(indent=2).encode())

    def _task(self, id: str, record: Record) -> Task:
        references = [
            self._files.lines(id, reference(number))
            for number in range(1, record.num_references + 1)
        ]
        measures = record.measures
        return Task(
            source=self._files.lines(id, SOURCE) if record.has_source else None,
            references=references,
            hypotheses=self._files.lines(id, HYPOTHESES),
            baseline=self._files.lines(id, BASELINE) if record.baseline_kind else None,
            target=record.target,
            metrics=measures.metrics,
            resamples=measures.resamples,
            seed=measures.seed,
            paired=measures.paired,
            examples=measures.examples,
        )

    def _join(self, id: str, record: Record, side: Side) -> Translated:
        chunks = [self._files.chunk(id, side, number) for number in range(len(record.parts))]
        model = chunks[-1].model
        if any(chunk.model.sha256 != model.sha256 for chunk in chunks):
            reason = "its files were replaced while it was measured"
            raise UnusableModel(f"{model.name}/{model.version}", reason)
        return Translated(
            lines=[line for chunk in chunks for line in chunk.lines],
            model=model,
            decode=chunks[-1].decode,
            counts=Counts(
                truncated=sum(chunk.truncated for chunk in chunks),
                repetition_stopped=sum(chunk.repetition_stopped for chunk in chunks),
                placeholder_lost=sum(chunk.placeholder_lost for chunk in chunks),
                empty=0,
            ),
            performance=_performance(chunks),
            warnings=_changes(chunks),
        )

    def _record(self, id: str) -> Record:
        record = self._files.record(id)
        assert record is not None, "an evaluation is removed after its job"
        return record


def _translate(
    models: Models, record: Record, choice: ModelChoice, lines: Sequence[str], check: Check
) -> Chunk:
    translator = models.find(record.source, record.target)
    options = _options(record.decode)
    translations: list[Translation] = []
    began = perf_counter()
    # Closed if `check` raises, lest the rest be decoded for nobody.
    found = cast("Generator[Translation]", translator.translate_all(lines, options))
    with closing(found):
        for translation in found:
            check()
            translations.append(translation)
    seconds = perf_counter() - began
    reasons: Counter[FinishReason] = Counter(each.finish_reason for each in translations)
    return Chunk(
        lines=tuple(one_line(each.text) for each in translations),
        model=_describe(models, choice),
        decode=_resolve(translator, record.decode),
        truncated=reasons["length"],
        repetition_stopped=reasons["repetition"],
        placeholder_lost=sum(bool(each.lost) for each in translations),
        seconds=seconds,
        target_tokens=sum(s.num_tokens for each in translations for s in each.sentences),
        characters=sum(map(len, lines)),
    )


def _options(decode: Decode) -> TranslationOptions:
    # From no memory: what is remembered is the same, but would be measured as if it were decoded.
    return TranslationOptions(**decode.model_dump(), use_cache=False, priority="batch")


def _resolve(translator: AnyTranslator, decode: Decode) -> DecodeInfo:
    defaults = translator.defaults
    return DecodeInfo(
        beam=defaults.beam if decode.beam is None else decode.beam,
        length_penalty=defaults.length_penalty
        if decode.length_penalty is None
        else decode.length_penalty,
        no_repeat_ngram=decode.no_repeat_ngram,
        coverage_penalty=decode.coverage_penalty,
        max_tokens=decode.max_tokens,
    )


def _describe(models: Models, choice: ModelChoice) -> ModelInfo:
    [described] = models.describe()  # what is lent is one model
    return ModelInfo(
        name=choice.name,
        version=choice.version,
        sha256=described.sha256,
        precision=described.variant,
        provider=described.provider,
    )


def _describe_baseline(record: Record, translated: Translated | None) -> BaselineInfo | None:
    if record.baseline_kind is None:
        return None
    model = translated.model if translated else None
    return BaselineInfo(kind=record.baseline_kind, model=model, job_id=record.baseline_job)


def _performance(chunks: Sequence[Chunk]) -> Performance:
    seconds = max(1e-9, sum(chunk.seconds for chunk in chunks))
    return Performance(
        sentences_per_second=sum(len(chunk.lines) for chunk in chunks) / seconds,
        target_tokens_per_second=sum(chunk.target_tokens for chunk in chunks) / seconds,
        characters_per_second=sum(chunk.characters for chunk in chunks) / seconds,
        seconds=seconds,
    )


def _changes(chunks: Sequence[Chunk]) -> list[str]:
    """Tell whether the model was run in several ways: the service was set up anew meanwhile."""
    ways = dict.fromkeys((chunk.model.precision, chunk.model.provider) for chunk in chunks)
    if len(ways) == 1:
        return []
    model = chunks[-1].model
    return [f"{model.name}@{model.version} was run in {len(ways)} ways: {_named(ways)}"]


def _named(ways: Iterable[tuple[str, str]]) -> str:
    return ", then ".join(f"{precision} by {provider}" for precision, provider in ways)


def _no_counts() -> Counts:
    return Counts(truncated=0, repetition_stopped=0, placeholder_lost=0, empty=0)


def _moment(seconds: float) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)
