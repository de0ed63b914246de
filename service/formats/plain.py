"""Plain text: every line is a segment, and line ends stay as they are."""

import re

from service.formats.draft import Draft, FormatOptions, Template
from service.formats.encodings import decode

_LINE_END = re.compile(r"(\r\n|\r|\n)")


def parse(content: bytes, options: FormatOptions) -> Draft:
    """Parse a file of lines."""
    decoded = decode(content, options.encoding)
    template = Template()
    for i, piece in enumerate(_LINE_END.split(decoded.text)):
        if i % 2:
            template.keep(piece)
        else:
            template.ask(piece, restore=one_line)
    return template.draft(decoded.encode)


def one_line(text: str) -> str:
    """Return a text without line ends, which a model can spell out as any other character."""
    return text.replace("\r", " ").replace("\n", " ")
