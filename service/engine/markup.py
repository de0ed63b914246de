"""Texts with tags: what of them is markup, and how it is to be treated."""

from dataclasses import dataclass
from typing import Literal

MarkupKind = Literal["html", "xml"]


@dataclass(frozen=True, slots=True)
class Markup:
    """How the tags of a text are to be treated."""

    kind: MarkupKind
    ignore_tags: tuple[str, ...] = ()
    """Elements whose content stays as it is."""
    splitting_tags: tuple[str, ...] = ()
    """Elements at whose borders a sentence ends."""
    non_splitting_tags: tuple[str, ...] = ()
    """Elements that stand within a sentence."""
    outline_detection: bool = True
    """Whether the structure of the text tells which elements end a sentence."""
