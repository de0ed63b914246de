"""Languages by their BCP-47 tags, however callers write them.

`DE`, `de_DE.UTF-8` and `deu-AT` are all served by `de`. A tag serves another if both are of one
language and one script; of several, the nearest region goes first.
"""

import re
from collections.abc import Iterable
from functools import lru_cache

import langcodes
from langcodes.tag_parser import LanguageTagError

# What follows in the names of POSIX locales: an encoding or a modifier.
_LOCALE_END = re.compile(r"[.@].*", re.DOTALL)
# RFC 5646, section 4.4.1: no tag in use is longer.
_MAX_CHARACTERS = 35
# Between names of one language, such as no and nb, in the distances of CLDR.
_SAME_LANGUAGE = 1


def closest(wanted: str, served: Iterable[str]) -> list[str]:
    """Return which tags serve the wanted one, the nearest first; tags may be spelled in any way."""
    distances = {tag: _distance(wanted, tag) for tag in served}
    near = [(distance, tag) for tag, distance in distances.items() if distance is not None]
    return [tag for _, tag in sorted(near)]


def is_same_language(one: str, other: str) -> bool:
    """Whether two BCP-47 tags name one language in one script, whatever their regions and case."""
    return _distance(one, other) is not None


@lru_cache(maxsize=4096)
def _distance(wanted: str, served: str) -> int | None:
    """Return how far two tags are from each other; None if one does not serve the other."""
    one, other = _parse(wanted), _parse(served)
    if one is None or other is None or _script(one) != _script(other):
        return None
    if langcodes.tag_distance(str(one.language), str(other.language)) > _SAME_LANGUAGE:
        return None
    # 0 is for the tag itself, lest `en` and `en-US` were all one.
    return 0 if one == other else 1 + langcodes.tag_distance(one, other)


def _parse(tag: str) -> langcodes.Language | None:
    if len(tag) > _MAX_CHARACTERS:
        return None
    try:
        standard = langcodes.standardize_tag(_LOCALE_END.sub("", tag), macro=True)
        # Not all that it makes of several extended languages is a tag again.
        return langcodes.Language.get(standard, normalize=False)
    except LanguageTagError:
        return None


def _script(language: langcodes.Language) -> str | None:
    return language.script or language.maximize().script
