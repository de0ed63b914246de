"""Markdown (CommonMark, with tables): paragraphs, headings, list items and cells are segments.

Where blocks are is markdown-it's to say; their places in the file are found again from that, so
that all else stays to the character: code, HTML blocks, link definitions, front matter, and how
lists, quotes and emphasis are written.
"""

import re
from collections.abc import Iterator
from itertools import chain, pairwise, repeat
from typing import Any

from markdown_it import MarkdownIt
from markdown_it.token import Token

from service.errors import TextTooLong
from service.formats.draft import Draft, FormatOptions, MarkupKind, Template
from service.formats.encodings import decode
from service.formats.markdown_inline import Sentence

MAX_CHARACTERS = 1_000_000
"""Of a file, whatever is text in it: to find its blocks takes a tenth of a millisecond each."""
_FRONT_MATTER = re.compile(r"---[ \t]*\r?\n.*?\r?\n(?:---|\.\.\.)[ \t]*(?:\r?\n|\Z)", re.DOTALL)

Span = tuple[int, int]


def parse(content: bytes, options: FormatOptions) -> Draft:
    """Parse a page of Markdown.

    Raises:
        TextTooLong: it has more than `MAX_CHARACTERS`.
    """
    decoded = decode(content, options.encoding)
    if len(decoded.text) > MAX_CHARACTERS:
        message = f"file: {len(decoded.text)} characters of Markdown exceed {MAX_CHARACTERS}"
        raise TextTooLong(message, field="file", limit=MAX_CHARACTERS)
    front = _FRONT_MATTER.match(decoded.text)
    begin = front.end() if front else 0
    text = decoded.text[begin:]
    template = Template()
    template.keep(decoded.text[:begin])
    references: dict[str, Any] = {}
    end = 0
    for spans in _find_blocks(text, references):
        template.keep(text[end : spans[0][0]])
        _ask(template, text, spans, references)
        end = spans[-1][1]
    template.keep(text[end:])
    return template.draft(decoded.encode)


def _ask(template: Template, text: str, spans: list[Span], references: dict[str, Any]) -> None:
    """Ask for the translation of lines that belong together, each of which has its place."""
    sentence = Sentence("\n".join(text[begin:end] for begin, end in spans), references)
    if not sentence.has_letters:
        template.keep(text[spans[0][0] : spans[-1][1]])
        return
    # What stands between them, such as the sign of a quote, comes back between as many lines.
    gaps = [text[left[1] : right[0]] for left, right in pairwise(spans)]

    def restore(translation: str) -> str:
        lines = sentence.restore(translation).split("\n")
        between = chain(gaps, repeat(gaps[-1] if gaps else " "))
        return lines[0] + "".join(gap + line for gap, line in zip(between, lines[1:], strict=False))

    markup: MarkupKind | None = "xml" if sentence.has_tags else None
    template.ask(sentence.text, markup=markup, split="nonewlines", restore=restore)


def _find_blocks(text: str, references: dict[str, Any]) -> Iterator[list[Span]]:
    """Yield where the lines of each block are, without what marks the block."""
    lines = [match.span() for match in re.finditer(r"[^\r\n]*(?:\r\n|\r|\n|$)", text)]
    # A row has several cells, so the next one is looked for behind the last.
    place = 0
    for token in _BLOCKS.parse(text, references):
        if token.type == "inline" and token.map and token.content.strip():
            found = _find_lines(text, lines, token, place)
            if found:
                place = found[-1][1]
                yield found


_BLOCKS = (
    MarkdownIt("commonmark").enable(["table", "strikethrough"]).disable(["inline", "text_join"])
)


def _find_lines(text: str, lines: list[Span], token: Token, place: int) -> list[Span]:
    """Return where the lines of a block are; nothing if they are not as they are written."""
    assert token.map is not None, "blocks have lines"
    spans = []
    for number, line in enumerate(token.content.split("\n"), token.map[0]):
        begin, end = lines[number]
        found = text.find(line, max(begin, place), end)
        if found < 0:
            return []
        place = found + len(line)
        spans.append((found, place))
    return spans
