"""Languages under the names and codes that people and clients know them by."""

from functools import lru_cache

import langcodes
from langcodes.tag_parser import LanguageTagError


@lru_cache(maxsize=256)
def name_of(language: str) -> str:
    """Return the English name of a BCP-47 tag, such as `Portuguese (Brazil)` of `pt-BR`."""
    return langcodes.Language.get(language).display_name()


def standard(code: str) -> str:
    """Return a code as BCP-47 has it, such as `de` of `deu`; what is no code stays as it is."""
    try:
        return langcodes.standardize_tag(code)
    except LanguageTagError:
        return code
