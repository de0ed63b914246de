"""What lies on disk of an evaluation: one folder for each, which goes away as a whole.

evaluations/ID/  evaluation.json  source.txt  reference-1.txt ...  started.json
                 model-0.json ...  baseline-0.json ...  hypotheses.txt  baseline.txt  report.json
"""

import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict

from service.evaluation import MetricName, PairedTest
from service.evaluations.report import BaselineKind, DecodeInfo, ModelInfo
from service.job_folders import JobFolders, dump, load, write

Side = Literal["model", "baseline"]
"""Whose translations: those that are measured, or those they are compared with."""

SOURCE, HYPOTHESES, BASELINE, REPORT = "source.txt", "hypotheses.txt", "baseline.txt", "report.json"
_RECORD, _STARTED = "evaluation.json", "started.json"


class _Kept(BaseModel):
    # What is wrong with a damaged file goes to the log, and what it holds does not.
    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)


class ModelChoice(_Kept):
    """A bundle, whatever serves now or later."""

    name: str
    version: str


class Decode(_Kept):
    """What was asked of the search; None is the model's own choice."""

    beam: int | None = None
    length_penalty: float | None = None
    max_tokens: int | None = None
    no_repeat_ngram: int = 0
    coverage_penalty: float = 0.0


class Measures(_Kept):
    """What to measure, and how surely."""

    metrics: tuple[MetricName, ...]
    resamples: int
    seed: int
    paired: PairedTest
    examples: int


class Part(_Kept):
    """A chunk of the source: so many lines, and where they are in its file."""

    lines: int
    begin: int
    end: int


class Record(_Kept):
    """What is known of an evaluation from its arrival on; nothing of it changes."""

    owner: str | None
    """Who alone may see it; None if whoever knows its id may."""
    source: str
    target: str
    sentences: int
    num_references: int
    model: ModelChoice | None
    """None if the hypotheses were given."""
    baseline_kind: BaselineKind | None
    baseline_model: ModelChoice | None
    baseline_job: str | None
    decode: Decode
    measures: Measures
    test_set: str | None
    has_source: bool
    characters: int
    """To translate, by all models."""
    parts: tuple[Part, ...]
    """Of the source, if a model translates it."""
    key_sha256: str | None
    """Of the owner and his idempotency key."""
    content_sha256: str
    """Of what was asked."""
    texts_sha256: str
    """Of the source, or of the first reference if there is no source."""
    created: float
    """Seconds since 1970."""

    @property
    def created_at(self) -> datetime:
        """When it arrived."""
        return datetime.fromtimestamp(self.created, UTC)

    @property
    def sides(self) -> tuple[tuple[Side, ModelChoice], ...]:
        """Which models translate, in this order."""
        both: tuple[tuple[Side, ModelChoice | None], ...] = (
            ("model", self.model),
            ("baseline", self.baseline_model),
        )
        return tuple((side, choice) for side, choice in both if choice is not None)

    @property
    def chunk_sizes(self) -> tuple[int, ...]:
        """Lines in each chunk of the job: those of the one model, then those of the other."""
        return tuple(part.lines for _ in self.sides for part in self.parts)


class Chunk(_Kept):
    """What a model made of a chunk."""

    lines: tuple[str, ...]
    model: ModelInfo
    decode: DecodeInfo
    truncated: int
    repetition_stopped: int
    placeholder_lost: int
    seconds: float
    target_tokens: int
    characters: int


class EvaluationFiles:
    """The folders of all evaluations; any thread may use it."""

    def __init__(self, root: Path) -> None:
        self.folders = JobFolders(root)

    def create(self, id: str, record: Record, texts: Mapping[str, Sequence[str]]) -> None:
        """Keep a new evaluation.

        Args:
            texts: lines by the name of the file they go to.

        Raises:
            StoreUnavailable: the disk is full, or cannot be written to.
        """
        with self.folders.create(id) as draft:
            for name, lines in texts.items():
                write(draft / name, encode(lines))
            write(draft / _RECORD, record.model_dump_json().encode())

    def record(self, id: str) -> Record | None:
        """Return what is known of an evaluation; None if there is none."""
        folder = self.folders.find(id)
        with suppress(FileNotFoundError):  # removed meanwhile
            return Record.model_validate_json((folder / _RECORD).read_bytes()) if folder else None
        return None

    def begin(self, id: str) -> None:
        """Note when the work began, if it has not begun before."""
        path = self.folders.path(id) / _STARTED
        if not path.exists():
            dump(path, time.time())

    def started(self, id: str) -> float:
        """Return when the work began, in seconds since 1970."""
        found: float = load(self.folders.path(id) / _STARTED)
        return found

    def part(self, id: str, part: Part) -> list[str]:
        """Return the lines of a chunk of the source."""
        with (self.folders.path(id) / SOURCE).open("rb") as file:
            file.seek(part.begin)
            return decode(file.read(part.end - part.begin))

    def lines(self, id: str, name: str) -> list[str]:
        """Return the lines of a file."""
        return decode((self.folders.path(id) / name).read_bytes())

    def keep_lines(self, id: str, name: str, lines: Sequence[str]) -> None:
        """Write the lines of a file."""
        write(self.folders.path(id) / name, encode(lines))

    def keep_chunk(self, id: str, side: Side, number: int, chunk: Chunk) -> None:
        """Keep what a model made of a chunk, instead of what an earlier try made of it."""
        write(self._chunk(id, side, number), chunk.model_dump_json().encode())

    def chunk(self, id: str, side: Side, number: int) -> Chunk:
        """Return what a model made of a chunk."""
        return Chunk.model_validate_json(self._chunk(id, side, number).read_bytes())

    def is_translated(self, id: str, record: Record) -> bool:
        """Tell whether the last of all chunks is there, and so all others are."""
        if not record.chunk_sizes:
            return False
        side, _ = record.sides[-1]
        return self._chunk(id, side, len(record.parts) - 1).exists()

    def keep_report(self, id: str, content: bytes) -> None:
        """Keep the report."""
        write(self.folders.path(id) / REPORT, content)

    def read(self, id: str, name: str) -> bytes | None:
        """Return a file as it is; None if there is none."""
        with suppress(FileNotFoundError):
            return (self.folders.path(id) / name).read_bytes()
        return None

    def _chunk(self, id: str, side: Side, number: int) -> Path:
        return self.folders.path(id) / f"{side}-{number}.json"


def reference(number: int) -> str:
    """Return the name of the file of a reference, counted from 1."""
    return f"reference-{number}.txt"


def encode(lines: Sequence[str]) -> bytes:
    """Return lines as a file, each with its end."""
    return "".join(f"{line}\n" for line in lines).encode()


def decode(content: bytes) -> list[str]:
    """Return the lines of such a file."""
    return content.decode().split("\n")[:-1]
