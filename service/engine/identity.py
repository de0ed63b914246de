"""How a version of a model is written: NAME@VERSION, NAME/VERSION, or NAME for what serves."""

import re

from service.errors import InvalidRequest

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
