"""HTML pages: every stretch of text within a block is a segment, with the tags that stand in it.

The page's `lang` becomes the target language. Titles and descriptions in attributes are translated.
All else is kept to the character: scripts, styles, comments, code, and how tags are written.
Nothing is run or fetched.
"""

import re
from collections import deque
from collections.abc import Iterator
from functools import partial
from html import escape, unescape

from service.engine import PageTag, find_blocks, find_tags
from service.formats.draft import Draft, FormatOptions, Template, edges, has_letters
from service.formats.encodings import decode

_CHARSET = re.compile(rb"<meta[^>]+charset\s*=\s*[\"']?([\w.:-]+)", re.IGNORECASE)
_CHARSET_BYTES = 1024
"""Where browsers look for it."""
_LATIN = {"ascii", "iso-8859-1", "iso8859-1", "latin1", "latin-1", "us-ascii"}
_START = re.compile(rb"\s*<(?:!doctype\s+html|html)\b", re.IGNORECASE)
_LANG = re.compile(r"(\s(?:xml:)?lang\s*=\s*)(?:\"[^\"]*\"|'[^']*'|[^\s\"'>]+)", re.IGNORECASE)
_NAMES = "title|alt|placeholder|aria-label|aria-description"
_SPOKEN = re.compile(rf"\s(?:{_NAMES})\s*=\s*(\"[^\"]*\"|'[^']*')", re.IGNORECASE)
_CONTENT = re.compile(r"\scontent\s*=\s*(\"[^\"]*\"|'[^']*')", re.IGNORECASE)
_DESCRIPTION = re.compile(
    r"\s(?:name|property)\s*=\s*[\"']?(?:og:|twitter:)?(?:title|description)[\"'\s/>]",
    re.IGNORECASE,
)


def looks_like(content: bytes) -> bool:
    """Whether a file seems to be a page."""
    return _START.match(content) is not None


def parse(content: bytes, options: FormatOptions) -> Draft:
    """Parse a page, whatever is wrong with it."""
    decoded = decode(content, options.encoding, _declared)
    page = _Page(decoded.text, options.target)
    end = 0
    for begin, block_end in find_blocks(decoded.text):
        page.keep(end, begin)
        page.ask(begin, block_end)
        end = block_end
    page.keep(end, len(decoded.text))
    return page.template.draft(partial(decoded.encode, errors="xmlcharrefreplace"))


class _Page:
    """A page that is gone through once."""

    def __init__(self, text: str, target: str) -> None:
        self.template = Template()
        self._text = text
        self._target = target
        self._tags = deque(find_tags(text))

    def keep(self, begin: int, end: int) -> None:
        """Keep a part of the page, but for what its tags say in words."""
        for tag in self._until(end):
            self.template.keep(self._text[begin : tag.begin])
            self._keep_tag(tag)
            begin = tag.end
        self.template.keep(self._text[begin:end])

    def ask(self, begin: int, end: int) -> None:
        """Ask for the translation of a block, and of what its tags say in words."""
        written = self._text[begin:end]
        changes: dict[str, str] = {}
        for tag in self._until(end):
            self._ask_for_words(tag, changes)
        if any(sign in written for sign in "<>&"):
            self.template.ask(written, markup="html", restore=partial(_change, changes=changes))
        else:
            self.template.ask(written, split="nonewlines", restore=_escape)

    def _until(self, end: int) -> Iterator[PageTag]:
        while self._tags and self._tags[0].begin < end:
            yield self._tags.popleft()

    def _keep_tag(self, tag: PageTag) -> None:
        raw, end = self._raw(tag), 0
        for begin, value_end in _words(tag.name, raw):
            value, quote = raw[begin:value_end], raw[begin - 1]
            self.template.keep(raw[end:begin])
            self.template.ask(unescape(value), restore=partial(_quoted, value=value, quote=quote))
            end = value_end
        self.template.keep(raw[end:])

    def _ask_for_words(self, tag: PageTag, changes: dict[str, str]) -> None:
        """Ask for what a tag says that stands in a block, whose translation will hold the tag."""
        raw = self._raw(tag)
        for begin, end in _words(tag.name, raw):
            value = raw[begin - 1 : end + 1]
            text = unescape(value[1:-1]).strip()
            if has_letters(text):
                self.template.ask(text, restore=partial(_note, value=value, changes=changes))

    def _raw(self, tag: PageTag) -> str:
        raw = self._text[tag.begin : tag.end]
        if tag.name != "html":
            return raw
        if not _LANG.search(raw):
            return f'{raw[:5]} lang="{self._target}"{raw[5:]}'
        return _LANG.sub(rf'\g<1>"{self._target}"', raw)


def _declared(content: bytes) -> str | None:
    found = _CHARSET.search(content[:_CHARSET_BYTES])
    name = found[1].decode().lower() if found else None
    # As browsers do: what is called Latin-1 is Windows' own set, which has more characters.
    return "cp1252" if name in _LATIN else name


def _words(name: str, raw: str) -> list[tuple[int, int]]:
    """Return where a tag says something in words, without the quotes."""
    pattern = _SPOKEN
    if name == "meta":
        if not _DESCRIPTION.search(raw):
            return []
        pattern = _CONTENT
    spans = (found.span(1) for found in pattern.finditer(raw))
    return [(begin + 1, end - 1) for begin, end in spans]


def _quoted(translation: str, *, value: str, quote: str) -> str:
    if translation == unescape(value).strip():
        return value.strip()
    return _escape(translation).replace(quote, "&quot;" if quote == '"' else "&#39;")


def _note(translation: str, *, value: str, changes: dict[str, str]) -> str:
    """Keep a translated value, quotes included, for the block in which its tag stands."""
    quote, (head, core, tail) = value[0], edges(value[1:-1])
    said = _quoted(translation, value=core, quote=quote)
    changes[value] = f"{quote}{head}{said}{tail}{quote}"
    return ""


def _change(translation: str, *, changes: dict[str, str]) -> str:
    def change(found: re.Match[str]) -> str:
        said = found[0]
        return said.removesuffix(found[1]) + changes.get(found[1], found[1])

    return _SPOKEN.sub(change, translation) if changes else translation


def _escape(text: str) -> str:
    return escape(text, quote=False)
