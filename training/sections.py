"""The parts of a recipe that a run was made by, as they are kept beside what was made.

A later version may know keys that an earlier one did not. What it wrote is read again before it is
compared, so that a key that came later has its default and a run that is there stays in use.
"""

from collections.abc import Mapping
from typing import Any

from pydantic import ValidationError

from training.recipe import NetworkRecipe, Recipe, TokenizerRecipe
from training.text_recipe import CorpusRecipe, Section

Sections = dict[str, Any]

_KINDS: dict[str, type[Section]] = {
    "corpus": CorpusRecipe,
    "tokenizer": TokenizerRecipe,
    "network": NetworkRecipe,
}


def dump_sections(recipe: Recipe, *names: str) -> Sections:
    """Return sections of a recipe to be kept."""
    return recipe.model_dump(mode="json", include=set(names))


def reread_sections(kept: Mapping[str, Any]) -> Sections:
    """Return kept sections as `dump_sections` writes them today; what it cannot read stays."""
    return {name: _reread(name, section) for name, section in kept.items()}


def _reread(name: str, section: Any) -> Any:  # noqa: ANN401  # whatever JSON held
    try:
        kind = _KINDS[name]
        # what a section may not name unless it needs it stands in a dump all the same
        fields = kind.model_fields
        named = {k: v for k, v in section.items() if k not in fields or v != fields[k].default}
        return kind.model_validate(named).model_dump(mode="json")
    except (KeyError, AttributeError, ValidationError):
        return section
