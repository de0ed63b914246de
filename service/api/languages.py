"""Languages under the names and codes that people and clients know them by."""

from functools import lru_cache

import langcodes


@lru_cache(maxsize=256)
def name_of(language: str) -> str:
    """Return the English name of a BCP-47 tag, such as `Portuguese (Brazil)` of `pt-BR`."""
    return langcodes.Language.get(language).display_name()
