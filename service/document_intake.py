"""What becomes of a file before it is kept: it is parsed, measured, and its language found."""

import hashlib
import secrets
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import PurePath

from service.document_files import Record
from service.document_work import cut
from service.engine import Library, Term, is_same_language
from service.errors import TextTooLong, TooLarge
from service.formats import Draft, FormatOptions, Segment, find_format

AUTO = "auto"
"""Instead of a source language: find it."""

_DETECTED_CHARACTERS = 2_000
_FILE_NAME_CHARACTERS = 200


@dataclass(frozen=True, slots=True)
class DocumentLimits:
    """The most that is accepted, and how long it is kept."""

    max_bytes: int
    max_characters: int
    max_segments: int
    max_documents: int
    """Kept at a time, of all owners."""
    keep_seconds: float
    """Since the document was last worked on."""
    max_running: int = 2
    """Translated at a time."""


@dataclass(frozen=True, slots=True)
class DocumentOptions:
    """What the caller may choose."""

    encoding: str | None = None
    """Of a text that does not say it itself."""
    columns: tuple[str, ...] = ()
    """Of a table, those to translate, by their names or numbers from 1; all if there is none."""
    mark_fuzzy: bool = False
    """Whether entries of a catalogue are marked as fuzzy."""
    beam: int | None = None
    """Width of the beam; the model's own if None."""
    terms: tuple[Term, ...] = ()
    """What must be translated in a given way."""


@dataclass(frozen=True, slots=True)
class Upload:
    """A file and what is wanted of it."""

    content: bytes
    file_name: str
    """Its end tells the format; if it has none, the content does."""
    target: str
    source: str = AUTO
    owner: str | None = None
    """Who alone may see the document; whoever knows its id if None."""
    options: DocumentOptions = DocumentOptions()


@dataclass(frozen=True, slots=True)
class Examined:
    """A file that can be translated."""

    record: Record
    chunks: Sequence[Sequence[Segment]]
    key: str = field(repr=False)
    """A secret of which the record has the hash."""


def examine(upload: Upload, library: Library, limits: DocumentLimits) -> Examined:
    """Parse a file and see whether it can be translated.

    Raises:
        UnsupportedFormat: files of this kind cannot be.
        InvalidDocument: the file is not what its name says, or holds what it must not.
        TooLarge: it has too many bytes or segments.
        TextTooLong: it has too many characters.
        UnsupportedPair: no model translates between these languages.
        Overloaded: the models are still being loaded.
    """
    _check("bytes", len(upload.content), limits.max_bytes)
    format = find_format(upload.file_name, upload.content)
    draft = format.parse(upload.content, _format_options(upload, upload.source))
    segments = draft.segments
    _check("segments", len(segments), limits.max_segments)
    characters = sum(len(segment.text) for segment in segments)
    if characters > limits.max_characters:
        message = f"file: {characters} characters exceed {limits.max_characters}"
        raise TextTooLong(message, field="file", limit=limits.max_characters)
    chunks = cut(segments)
    key = secrets.token_hex(32)
    record = Record(
        file_name=_plain(upload.file_name),
        format=format.name,
        options=_format_options(upload, _find_source(upload, draft, library)),
        owner=upload.owner,
        key_sha256=sha256(key),
        characters=characters,
        chunk_sizes=tuple(map(len, chunks)),
        beam=upload.options.beam,
    )
    return Examined(record, chunks, key)


def sha256(key: str) -> str:
    """Return what is kept of a key."""
    return hashlib.sha256(key.encode()).hexdigest()


def _check(what: str, number: int, most: int) -> None:
    if number > most:
        raise TooLarge(f"file: {number} {what} exceed {most}", field="file", limit=most)


def _format_options(upload: Upload, source: str) -> FormatOptions:
    options = upload.options
    return FormatOptions(
        source, upload.target, options.encoding, options.columns, options.mark_fuzzy
    )


def _find_source(upload: Upload, draft: Draft, library: Library) -> str:
    source = draft.source or upload.source
    with library.hold() as models:
        if source == AUTO:
            source = models.detect(_sample(draft.segments)).language
        if not is_same_language(source, upload.target):
            models.find(source, upload.target)  # else it would not be missed before the job runs
    return source


def _sample(segments: Sequence[Segment]) -> str:
    sample, room = [], _DETECTED_CHARACTERS
    for segment in segments:
        sample.append(segment.text[:room])
        room -= len(segment.text)
        if room <= 0:
            break
    return "\n".join(sample)


def _plain(file_name: str) -> str:
    """Return the last part of a name, without what could end it or lead elsewhere."""
    last = file_name.replace("\\", "/").rpartition("/")[2]
    plain = "".join(character for character in last if character.isprintable()).strip(". ")
    suffix = PurePath(plain).suffix
    stem = plain.removesuffix(suffix)[: _FILE_NAME_CHARACTERS - len(suffix)]
    return f"{stem or 'document'}{suffix}"
