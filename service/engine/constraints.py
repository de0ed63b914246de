"""What must appear in a translation."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Term:
    """An entry of a glossary: wherever the source says the one, the target says the other."""

    source: str
    target: str
