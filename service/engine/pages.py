"""HTML pages for whoever takes them apart: where their text is, and which tags may be changed."""

from collections.abc import Iterator
from typing import NamedTuple

from service.engine.html_reader import HtmlReader
from service.engine.markup import Markup, read_markup
from service.engine.rewriting import Span
from service.engine.tags import Event


class PageTag(NamedTuple):
    """A start tag outside of what must stay as it is."""

    name: str
    begin: int
    end: int


def find_blocks(text: str) -> list[Span]:
    """Return where the stretches of a page are whose text belongs together, tags included.

    What must not be translated is in none of them, unless it stands in the midst of a sentence.
    Each may be translated by itself, as HTML.
    """
    blocks = []
    for meant, tags in read_markup(text, Markup("html")).flows:
        places = [meant.origin(0, 1), meant.origin(meant.size - 1, meant.size)]
        places += [tag.written for tag in tags]
        blocks.append((min(begin for begin, _ in places), max(end for _, end in places)))
    return blocks


def find_tags(text: str) -> Iterator[PageTag]:
    """Yield the start tags of a page, but those within elements that stay as they are."""
    kept, depth = "", 0
    for event in HtmlReader((), (), ()).read(text):
        if kept:
            depth += _change(event, kept)
            kept = kept if depth else ""
        elif event.kind == "start" and (event.role.startswith("kept") or event.translates is False):
            kept, depth = event.name, 1
        elif event.kind in ("start", "alone"):
            yield PageTag(event.name, event.begin, event.end)


def _change(event: Event, name: str) -> int:
    if event.name != name:
        return 0
    return {"start": 1, "end": -1}.get(event.kind, 0)
