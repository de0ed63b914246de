"""Texts come back whole: what the model must not touch is taken out before and put back after.

    text -> flows -> sentences -> what the model reads          (`markup`, `flow`, `masking`)
    what it wrote, its attention -> names and marks put back    (`restoration`, `placement`)

What surrounds the sentences is a slice of the text as it was written.
"""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from models.normalisation import Span
from service.engine.flow import read_flow
from service.engine.markup import Markup, read_markup, read_plain
from service.engine.masking import LONGEST_NAME, Cutter, MaskedSentence
from service.engine.placeholders import ATOM, IsKnown
from service.engine.segmenter import segment
from service.engine.translation import SplitMode

_LINE_ENDS = re.compile("[\n\r\f]")


@dataclass(frozen=True, slots=True)
class Layout:
    """The sentences of a text, in its order; whatever else it holds stays as it is."""

    text: str
    sentences: tuple[MaskedSentence, ...]

    def join(self, texts: Sequence[str]) -> str:
        """Return the text with other sentences in the places of its own."""
        parts: list[str] = []
        end = 0
        for sentence, text in zip(self.sentences, texts, strict=True):
            parts += (self.text[end : sentence.span[0]], text)
            end = sentence.span[1]
        return "".join([*parts, self.text[end:]])

    def spans(self, texts: Sequence[str]) -> list[Span]:
        """Return [begin, end) of each of these sentences in the text that `join` makes of them."""
        spans: list[Span] = []
        end = written_end = 0
        for sentence, text in zip(self.sentences, texts, strict=True):
            begin = end + sentence.span[0] - written_end
            end, written_end = begin + len(text), sentence.span[1]
            spans.append((begin, end))
        return spans


def protect(
    text: str,
    language: str,
    *,
    split: SplitMode,
    markup: Markup | None,
    fits: Callable[[str], bool],
    is_known: IsKnown,
) -> Layout:
    """Find the sentences of a text and take out of them what must be kept.

    Args:
        fits: Whether a sentence, as the model would read it, is short enough.
        is_known: Whether the vocabulary can write a character.

    Raises:
        InvalidRequest: the text is not well-formed XML.
    """
    flows, escape = read_plain(text) if markup is None else read_markup(text, markup)
    is_html = markup is not None and markup.kind == "html"

    def fits_masked(sentence: str) -> bool:
        return fits(sentence.replace(ATOM, LONGEST_NAME))

    sentences: list[MaskedSentence] = []
    for meant, tags in flows:
        flow = read_flow(meant, tags, is_known)
        cutter = Cutter(text, flow, escape, keeps_layout=not is_html)
        # HTML knows no lines, only white space.
        read = _LINE_ENDS.sub(" ", flow.text) if is_html else flow.text
        found = segment(read, language, fits_masked, split=split)
        sentences += (cutter.cut(*span) for span in found.spans(found.sentences))
    return Layout(text, tuple(sentences))
