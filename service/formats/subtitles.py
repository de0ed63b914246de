"""SubRip subtitles: every cue is a segment, whose lines are read as one text.

Numbers, times and whatever stands beside the times are kept to the character.
"""

import re

import srt

from service.errors import InvalidDocument
from service.formats.draft import Draft, FormatOptions, Template, edges, markup_of
from service.formats.encodings import decode

_CONTENT = 5
"""The group of `srt.SRT_REGEX` that is the text of a cue."""
_OVERRIDES = re.compile(r"(?:\{\\[^{}]*\})*")
"""Where and how to show a cue, as `{\\an8}`; these stand before its text."""
_LINE_ENDS = re.compile(r"[\r\n](?:\s*[\r\n])*")


def parse(content: bytes, options: FormatOptions) -> Draft:
    """Parse a file of cues.

    Raises:
        InvalidDocument: a part of it is no cue.
    """
    decoded = decode(content, options.encoding)
    text = decoded.text
    template = Template()
    end = 0
    for cue in srt.SRT_REGEX.finditer(text):
        if cue.start() != end:
            break
        template.keep(text[end : cue.start(_CONTENT)])
        _ask(template, cue.group(_CONTENT))
        template.keep(text[cue.end(_CONTENT) : cue.end()])
        end = cue.end()
    if text[end:].strip():
        line = text.count("\n", 0, end) + 1
        raise InvalidDocument(f"line {line}: there should be a cue", field="file")
    template.keep(text[end:])
    return template.draft(decoded.encode)


def _ask(template: Template, cue: str) -> None:
    overrides = _OVERRIDES.match(cue)
    assert overrides is not None, "it matches the empty text"
    template.keep(overrides.group())
    line_end = "\r\n" if "\r\n" in cue else "\n"
    head, core, tail = edges(cue[overrides.end() :])
    template.keep(head)
    template.ask(
        core.replace("\r\n", "\n"),
        markup=markup_of(core),
        split="nonewlines",
        # A blank line would end the cue.
        restore=lambda translation: _LINE_ENDS.sub(line_end, translation),
    )
    template.keep(tail)
