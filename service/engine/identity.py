"""How a version of a model is written: NAME@VERSION, NAME/VERSION, or NAME for what serves."""

import re
from collections.abc import Collection

from service.errors import InvalidRequest

Key = tuple[str, str]
"""Name and version, as the folders of bundles are called."""

# The name as `models.manifest` has it; a version is a number without leading zeros.
_MODEL = re.compile(r"([a-z0-9][a-z0-9_-]*)(?:[@/]([1-9][0-9]{0,17}))?")
_MOST_SHOWN = 80


def parse_model(text: str, *, field: str = "model") -> tuple[str, str | None]:
    """Return the name, and the version if one is given.

    Args:
        field: the part of the request that the text comes from.

    Raises:
        InvalidRequest: the text is neither.
    """
    if found := _MODEL.fullmatch(text):
        return found[1], found[2]
    shown = text if len(text) <= _MOST_SHOWN else f"{text[:_MOST_SHOWN]}..."
    message = f"{field}: {shown!r} is neither NAME nor NAME@VERSION, such as en-de@3"
    raise InvalidRequest(message, field=field)


def versions_of(name: str, known: Collection[Key]) -> list[str]:
    """Return the versions of one name, in ascending order."""
    return sorted({each[1] for each in known if each[0] == name}, key=lambda v: (len(v), v))


def what_there_is(name: str, version: int | str | None, known: Collection[Key]) -> str:
    """Say that a model is none of those that are known, and which are."""
    versions = versions_of(name, known)
    if not versions:
        names = ", ".join(sorted({each[0] for each in known}))
        return f"there is no model {name}; there are {names}"
    if version is None:
        return f"no version of the model {name} serves; there are {', '.join(versions)}"
    return f"the model {name} has no version {version}; it has {', '.join(versions)}"
