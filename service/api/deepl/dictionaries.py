"""Dictionaries of glossaries: read from requests, and found for translations."""

import asyncio
from datetime import UTC, datetime

from pydantic import BaseModel, Field

from service.api.deepl.fields import Names
from service.api.dependencies import Models
from service.engine import Term, Terms, is_same_language
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


class GlossaryChoice(BaseModel):
    """Which glossaries a translation is bound to, as part of a request."""

    source_lang: str | None = Field(
        None, description="Language of what is sent; found if not given."
    )
    target_lang: str = Field(
        description="Language to translate into; a region picks no other model.",
        examples=["DE"],
    )
    glossary_id: str | None = Field(None, description="Needs `source_lang`.")
    glossary_ids: Names = Field(
        [], description="Instead of `glossary_id`; the first that has a term decides."
    )


async def find_terms(choice: GlossaryChoice, owner: str, glossaries: Glossaries) -> Terms:
    """Return the terms of the glossaries that a request asks for; of two, the first one's.

    Raises:
        InvalidRequest: there are too many, or there must not be any without a source language.
        NotFound: there is no such glossary, or it has nothing for these languages.
    """
    ids, source = _chosen(choice), choice.source_lang or ""
    terms: dict[str, Term] = {}
    for id in ids:
        found = await asyncio.to_thread(glossaries.terms, id, source, choice.target_lang, owner)
        terms = {term.source: term for term in found} | terms
    return Terms(terms.values())


def _chosen(choice: GlossaryChoice) -> list[str]:
    id, ids = choice.glossary_id, choice.glossary_ids
    if id and ids:
        message = "Parameters 'glossary_id' and 'glossary_ids' must not be used together."
        raise InvalidRequest(message, field="glossary_ids")
    chosen = [id] if id else ids
    if len(chosen) > MAX_GLOSSARIES:
        message = f"glossary_ids: {len(chosen)} glossaries exceed {MAX_GLOSSARIES}"
        raise InvalidRequest(message, field="glossary_ids", limit=MAX_GLOSSARIES)
    if chosen and choice.source_lang is None:
        message = "Use of a glossary requires the source_lang parameter to be specified"
        raise InvalidRequest(message, field="source_lang")
    return chosen
