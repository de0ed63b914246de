"""A recipe with some values changed: another seed, or a row of an ablation.

It is written out whole, so that every result has the file that made it; comments are lost,
for they speak of the values that were there.
"""

import json
import tomllib
from collections.abc import Mapping, Sequence
from typing import Any


def vary(toml: str, changes: Mapping[str, Any], without: Sequence[str] = ()) -> str:
    """Return a recipe's text with other values.

    Args:
        toml: A recipe that can be parsed.
        changes: The new values, nested as in the recipe; what it does not name stays.
        without: Keys to leave out, as `training.clip_norm`.

    Raises:
        ValueError: a key to leave out is not there.
    """
    recipe = tomllib.loads(toml)
    for key in without:
        *sections, last = key.split(".")
        section = recipe
        for each in sections:
            section = section.get(each, {})
        if last not in section:
            raise ValueError(f"without {key}: the recipe has no such key")
        del section[last]
    _merge(recipe, changes)
    return _render(recipe)


def _merge(section: dict[str, Any], changes: Mapping[str, Any]) -> None:
    for key, value in changes.items():
        if isinstance(value, Mapping):
            _merge(section.setdefault(key, {}), value)
        else:
            section[key] = value


def _render(recipe: Mapping[str, Any]) -> str:
    """Write a recipe as TOML: its own keys, then each section, then that section's texts."""
    sections = {key: value for key, value in recipe.items() if isinstance(value, Mapping)}
    blocks = [_block(recipe)]
    for name, section in sections.items():
        blocks.append(f"[{name}]\n{_block(section, inline=True)}")
        for key, value in section.items():
            if _is_tables(value):
                blocks += [f"[[{name}.{key}]]\n{_block(each, inline=True)}" for each in value]
    return "\n".join(blocks)


def _block(section: Mapping[str, Any], *, inline: bool = False) -> str:
    """Write the lines of one section, with the tables in it where they may be inline."""
    return "".join(
        f"{key} = {_value(value)}\n"
        for key, value in section.items()
        if not _is_tables(value) and (inline or not isinstance(value, Mapping))
    )


def _is_tables(value: object) -> bool:
    return isinstance(value, list) and bool(value) and all(isinstance(v, dict) for v in value)


def _value(value: object) -> str:
    if isinstance(value, Mapping):
        return f"{{ {', '.join(f'{key} = {_value(each)}' for key, each in value.items())} }}"
    if isinstance(value, list):
        return f"[{', '.join(map(_value, value))}]"
    # strings, numbers and booleans of TOML are written as those of JSON are
    return json.dumps(value, ensure_ascii=False)
