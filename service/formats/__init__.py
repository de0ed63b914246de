"""File formats: bytes to segments, translations to bytes.

    content -> parse -> Draft(segments, render) -> translations -> render -> content

Formats know nothing of models, jobs and requests. They run and fetch nothing that a file asks
for, and what they do not translate they hand back as it was, as far as its format lets them:
`service/README.md` says what is kept of each.
"""

from service.formats.draft import Draft, FormatOptions, Segment, Template, Translated
from service.formats.encodings import BlockDecoder
from service.formats.table import FORMATS, FORMATS_BY_NAME, Format, find_format
from service.formats.xml import find_encoding as find_xml_encoding

__all__ = [
    "FORMATS",
    "FORMATS_BY_NAME",
    "BlockDecoder",
    "Draft",
    "Format",
    "FormatOptions",
    "Segment",
    "Template",
    "Translated",
    "find_format",
    "find_xml_encoding",
]
