"""Dictionaries of glossaries: read from requests, and found for translations."""

import asyncio
from collections.abc import Sequence
from datetime import UTC, datetime

from pydantic import BaseModel, Field

from service.api.dependencies import Models
from service.engine import Term, is_same_language
from service.entries import EntriesFormat
from service.errors import InvalidRequest
from service.glossaries import Dictionary, Glossaries

MAX_GLOSSARIES = 5
"""Of one request."""


class DictionaryRequest(BaseModel):
    """Entries for a pair of languages."""

    source_lang: str = Field(examples=["de"])
    target_lang: str = Field(examples=["en"])
    entries: str = Field(examples=["Hund\thound\nKatze\tcat"])
    entries_format: EntriesFormat = "tsv"


def read_dictionary(body: DictionaryRequest, glossaries: Glossaries, models: Models) -> Dictionary:
    """Return what was sent as a dictionary.

    Raises:
        InvalidRequest: nothing is translated between the languages, or an entry is none.
    """
    if not any(
        is_same_language(body.source_lang, source) and is_same_language(body.target_lang, target)
        for source, target in pairs(models)
    ):
        message = "Unsupported glossary source and target language pair"
        raise InvalidRequest(message, field="target_lang")
    entries = glossaries.parse(body.entries, body.entries_format)
    return Dictionary(body.source_lang, body.target_lang, entries)


def pairs(models: Models) -> list[tuple[str, str]]:
    """Return the pairs of languages that a glossary may be for."""
    return [
        (source, target) for source, targets in models.languages().items() for target in targets
    ]


def tell_time(moment: datetime) -> str:
    """Return a time as the clients parse it, always with a fraction of the second."""
    return moment.astimezone(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")


def choose_glossaries(id: str | None, ids: Sequence[str], source: str | None) -> list[str]:
    """Return the ids of the glossaries that a request asks for.

    Raises:
        InvalidRequest: there are too many, or there must not be any without a source language.
    """
    if id and ids:
        message = "Parameters 'glossary_id' and 'glossary_ids' must not be used together."
        raise InvalidRequest(message, field="glossary_ids")
    chosen = [id] if id else list(ids)
    if len(chosen) > MAX_GLOSSARIES:
        message = f"glossary_ids: {len(chosen)} glossaries exceed {MAX_GLOSSARIES}"
        raise InvalidRequest(message, field="glossary_ids", limit=MAX_GLOSSARIES)
    if chosen and source is None:
        message = "Use of a glossary requires the source_lang parameter to be specified"
        raise InvalidRequest(message, field="source_lang")
    return chosen


async def find_terms(
    ids: Sequence[str], source: str | None, target: str, owner: str, glossaries: Glossaries
) -> tuple[Term, ...]:
    """Return the terms of some glossaries; of two for the same words, the first one's.

    Raises:
        NotFound: there is no such glossary, or it has nothing for these languages.
    """
    terms: dict[str, Term] = {}
    for id in ids:
        assert source is not None, "choose_glossaries has seen to it"
        found = await asyncio.to_thread(glossaries.terms, id, source, target, owner)
        terms = {term.source: term for term in found} | terms
    return tuple(terms.values())
