"""Which formats there are, and which one a file is in."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import PurePath

from service.errors import UnsupportedFormat
from service.formats import docx, gettext, markdown, pages, plain, subtitles, tables, tmx, xliff
from service.formats.draft import Draft, FormatOptions


@dataclass(frozen=True, slots=True)
class Format:
    """A kind of file that can be translated."""

    name: str
    suffixes: tuple[str, ...]
    """The first one is that of a file without one."""
    media_type: str
    parse: Callable[[bytes, FormatOptions], Draft]
    """Raises `InvalidDocument` for what is not of this format, or more than it should be."""
    looks_like: Callable[[bytes], bool] = lambda content: False
    """Whether a file without a telling name is of this format."""


FORMATS = (
    Format("text", (".txt",), "text/plain", plain.parse),
    Format("html", (".html", ".htm", ".xhtml"), "text/html", pages.parse, pages.looks_like),
    Format("markdown", (".md", ".markdown"), "text/markdown", markdown.parse),
    Format("subrip", (".srt",), "application/x-subrip", subtitles.parse),
    Format(
        "gettext", (".po", ".pot"), "text/x-gettext-translation", gettext.parse, gettext.looks_like
    ),
    Format(
        "word",
        (".docx",),
        "application/vnd.openxmlformats-officedocument.wordprocessingml.document",
        docx.parse,
        docx.looks_like,
    ),
    Format("tmx", (".tmx",), "application/x-tmx+xml", tmx.parse, tmx.looks_like),
    Format("xliff", (".xlf", ".xliff"), "application/xliff+xml", xliff.parse, xliff.looks_like),
    Format("table", (".csv", ".tsv"), "text/csv", tables.parse),
)


FORMATS_BY_NAME = {format.name: format for format in FORMATS}
_FORMATS_BY_SUFFIX = {suffix: format for format in FORMATS for suffix in format.suffixes}
_WITH_MACROS = {".docm", ".dotm"}


def find_format(file_name: str, content: bytes) -> Format:
    """Return the format of a file, by the end of its name or, if that has none, by its content.

    Raises:
        UnsupportedFormat: files of such a name cannot be translated.
    """
    suffix = PurePath(file_name).suffix.lower()
    if suffix:
        if suffix in _WITH_MACROS:
            raise UnsupportedFormat("files with macros are not accepted", field="file")
        if suffix not in _FORMATS_BY_SUFFIX:
            known = ", ".join(sorted(_FORMATS_BY_SUFFIX))
            message = f"files {suffix[:16]!a} cannot be translated, but these: {known}"
            raise UnsupportedFormat(message, field="file")
        return _FORMATS_BY_SUFFIX[suffix]
    return next((each for each in FORMATS if each.looks_like(content)), FORMATS[0])
