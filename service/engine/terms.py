"""The terms of a glossary: where a sentence has them, and what their translation must have."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Term:
    """An entry of a glossary: wherever the source says the one, the target says the other."""

    source: str
    target: str
    is_case_sensitive: bool = False
    """Whether the source must be written so; a sentence may begin with a capital in any case."""
