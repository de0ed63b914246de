"""Catalogues of gettext: entries without a translation get one, in all plural forms.

What is translated already stays, and so do comments, contexts, flags and obsolete entries.
"""

import re
from collections.abc import Iterator, Sequence

import polib

from service.errors import InvalidDocument
from service.formats.draft import (
    Draft,
    FormatOptions,
    Segment,
    Translated,
    edges,
    has_letters,
    markup_of,
)
from service.formats.encodings import decode

_CHARSET = re.compile(rb"charset=([\w.:-]+)", re.IGNORECASE)
_FIRST_ENTRY = re.compile(rb"^msgid \"", re.MULTILINE)
_NUM_PLURALS = re.compile(r"nplurals\s*=\s*([1-6])\b")  # no language has more than six
_PLURALS = "nplurals=2; plural=(n != 1);"
_PLURALS_BY_LANGUAGE = {
    **dict.fromkeys(("fr", "pt"), "nplurals=2; plural=(n > 1);"),
    **dict.fromkeys(("id", "ja", "ko", "th", "vi", "zh"), "nplurals=1; plural=0;"),
}
# How gettext's tools break long lines, and how others leave them.
_WRAP_WIDTHS = (78, 0)
_FUZZY = "fuzzy"


def parse(content: bytes, options: FormatOptions) -> Draft:
    """Parse a catalogue or its template.

    Raises:
        InvalidDocument: it is none.
    """
    decoded = decode(content, options.encoding, _declared)
    catalogue = _read(decoded.text)
    entries = [entry for entry in catalogue if _is_open(entry)]
    texts = [edges(text)[1] for entry in entries for text in _texts(entry) if has_letters(text)]

    def render(translations: Sequence[Translated]) -> bytes:
        remaining = iter(translations)
        _describe(catalogue, options.target)
        for entry in entries:
            is_whole = _fill(entry, remaining, _num_plurals(catalogue))
            if (options.mark_fuzzy or not is_whole) and not entry.fuzzy:
                entry.flags.append(_FUZZY)
        if not decoded.can_encode(f"{catalogue}"):
            _declare_utf8(catalogue)
        return decoded.encode(_write(catalogue, decoded.text))

    return Draft([Segment(text, markup_of(text)) for text in texts], render)


def looks_like(content: bytes) -> bool:
    """Whether a file seems to be a catalogue."""
    return _FIRST_ENTRY.search(content) is not None


def _declared(content: bytes) -> str | None:
    found = _CHARSET.search(content)
    # A template says CHARSET, for whoever translates it to fill in.
    return found[1].decode() if found and found[1] != b"CHARSET" else None


def _read(text: str) -> polib.POFile:
    # polib opens what it is given if there is a file of that name. No name ends in a newline.
    content = f"{text}\n"
    if "msgid" not in content:
        raise InvalidDocument("the file is no catalogue: it has no msgid", field="file")
    try:
        catalogue = polib.pofile(content, encoding="utf-8")
    except (OSError, ValueError, LookupError) as error:
        raise InvalidDocument(f"the file is no catalogue{_place(error)}", field="file") from None
    for width in _WRAP_WIDTHS:
        catalogue.wrapwidth = width
        if _write(catalogue, text).strip() == text.strip():
            return catalogue
    catalogue.wrapwidth = _WRAP_WIDTHS[0]
    return catalogue


def _place(error: Exception) -> str:
    found = re.search(r"line \d+", str(error))
    return f", from {found[0]} on" if found else ""


def _write(catalogue: polib.POFile, original: str) -> str:
    # polib writes an empty comment on top where there was none.
    written = str(catalogue)
    return written if original.startswith("#") else written.removeprefix("#\n")


def _is_open(entry: polib.POEntry) -> bool:
    has_translation = entry.msgstr or any(entry.msgstr_plural.values())
    return not (entry.obsolete or has_translation)


def _texts(entry: polib.POEntry) -> list[str]:
    return [entry.msgid, entry.msgid_plural] if entry.msgid_plural else [entry.msgid]


def _fill(entry: polib.POEntry, remaining: Iterator[Translated], num_plurals: int) -> bool:
    """Put translations into an entry; return whether they have all that they should."""
    filled = []
    is_whole = True
    for text in _texts(entry):
        if has_letters(text):
            head, _, tail = edges(text)
            translated = next(remaining)
            filled.append(f"{head}{translated.text}{tail}")
            is_whole = is_whole and translated.is_whole
        else:
            filled.append(text)
    if entry.msgid_plural:
        one, many = filled
        forms = [one, *[many] * (num_plurals - 1)] if num_plurals > 1 else [many]
        entry.msgstr_plural = dict(enumerate(forms))
    else:
        [entry.msgstr] = filled
    return is_whole


def _describe(catalogue: polib.POFile, target: str) -> None:
    """Let the header name the language and its plural forms, if there is a header."""
    if not catalogue.metadata:
        return
    catalogue.metadata["Language"] = target.replace("-", "_")
    if not _NUM_PLURALS.search(catalogue.metadata.get("Plural-Forms", "")):
        language = target.partition("-")[0].lower()
        catalogue.metadata["Plural-Forms"] = _PLURALS_BY_LANGUAGE.get(language, _PLURALS)
    if "CHARSET" in catalogue.metadata.get("Content-Type", ""):
        _declare_utf8(catalogue)


def _declare_utf8(catalogue: polib.POFile) -> None:
    catalogue.metadata["Content-Type"] = "text/plain; charset=UTF-8"


def _num_plurals(catalogue: polib.POFile) -> int:
    found = _NUM_PLURALS.search(catalogue.metadata.get("Plural-Forms", ""))
    return int(found[1]) if found else 2
