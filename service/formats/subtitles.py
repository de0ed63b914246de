"""SubRip subtitles: every cue is a segment, whose lines are read as one text.

Numbers, times and whatever stands beside the times are kept to the character. Cues are told apart
line by line; the patterns of the package srt take minutes over some thousand blank lines.
"""

import re
from collections.abc import Iterator

from service.errors import InvalidDocument
from service.formats.draft import Draft, FormatOptions, Template, edges, markup_of
from service.formats.encodings import decode

_MARK = "[,.:，．。：]"  # noqa: RUF001  # as Asian programs write them
_TIME = rf"[0-9]+{_MARK}[0-9]+{_MARK}[0-9]+(?:{_MARK}[0-9]*)?"
_TIMES = re.compile(rf"[ \t]*{_TIME} *-[ -] *> *{_TIME}")
_ARROW = "-->"
_NUMBER = re.compile(r"[ \t]*-?[0-9]+(?:\.[0-9]*)?[ \t]*[\r\n]*")
_LINE = re.compile(r"[^\r\n]*(?:\r\n|\r|\n)|[^\r\n]+")
_OVERRIDES = re.compile(r"(?:\{\\[^{}]*\})*")
"""Where and how to show a cue, as `{\\an8}`; these stand before its text."""
_LINE_ENDS = re.compile(r"[\r\n](?:\s*[\r\n])*")


def parse(content: bytes, options: FormatOptions) -> Draft:
    """Parse a file of cues.

    Raises:
        InvalidDocument: a part of it is no cue.
    """
    decoded = decode(content, options.encoding)
    template = Template()
    for heading, text in _cues(_LINE.findall(decoded.text)):
        template.keep(heading)
        _ask(template, text)
    return template.draft(decoded.encode)


def _cues(lines: list[str]) -> Iterator[tuple[str, str]]:
    """Yield what stands before the text of each cue, and its text; together they are all lines."""
    times = [number for number, line in enumerate(lines) if _is_times(line, number)]
    begins = [_begin(lines, number) for number in times]
    before = "".join(lines[: begins[0]] if begins else lines)
    if before.strip():
        raise InvalidDocument("line 1: there should be a cue", field="file")
    yield before, ""
    ends = [*begins, len(lines)][1:]
    for number, begin, end in zip(times, begins, ends, strict=True):
        yield "".join(lines[begin : number + 1]), "".join(lines[number + 1 : end])


def _is_times(line: str, number: int) -> bool:
    if _TIMES.match(line):
        return True
    if _ARROW in line:
        message = f"line {number + 1}: there should be the times of a cue"
        raise InvalidDocument(message, field="file")
    return False


def _begin(lines: list[str], times: int) -> int:
    """Return the line in which a cue begins: its number, if it has one, or its times."""
    return times - 1 if times and _NUMBER.fullmatch(lines[times - 1]) else times


def _ask(template: Template, cue: str) -> None:
    overrides = _OVERRIDES.match(cue)
    assert overrides is not None, "it matches the empty text"
    template.keep(overrides.group())
    line_end = "\r\n" if "\r\n" in cue else "\n"
    head, core, tail = edges(cue[overrides.end() :])
    template.keep(head)
    lines = core.replace("\r\n", "\n")
    template.ask(
        lines,
        markup=markup_of(core),
        split="nonewlines",
        # A blank line could end the cue, unless it has one already.
        restore=lambda translation: (
            translation.replace("\n", line_end)
            if _LINE_ENDS.sub("\n", lines) != lines
            else _LINE_ENDS.sub(line_end, translation)
        ),
    )
    template.keep(tail)
