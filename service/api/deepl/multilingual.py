"""Glossaries as version 3 has them: each with dictionaries for any pairs of languages."""

import re
from typing import Any

from fastapi import APIRouter
from pydantic import BaseModel, Field

from service.api.bodies import JSON, Fields, query_parameters, request_body
from service.api.deepl.answers import FAILURES, render
from service.api.deepl.dictionaries import DictionaryRequest, read_dictionary, tell_time
from service.api.deepl.fields import parse
from service.api.deepl.keys import GlossaryCaller
from service.api.dependencies import CurrentGlossaries, Models
from service.api.dialect import dialect
from service.entries import EntriesFormat, render_entries
from service.glossaries import DictionaryInfo, Glossary

router = APIRouter(
    prefix="/v3/glossaries", tags=["DeepL"], route_class=dialect(render), responses=FAILURES
)

PART = re.compile(r"dictionaries\[(\d{1,3})\]\.(\w+)")
"""Name of a field in a form, which has no lists of objects."""


class MultilingualRequest(BaseModel):
    """A glossary that is to be made."""

    name: str
    dictionaries: list[DictionaryRequest] = Field(
        description="In a form: `dictionaries[0].source_lang` and so on."
    )


class ChangeRequest(BaseModel):
    """What is to be changed of a glossary."""

    name: str | None = Field(None, description="The same if not given.")
    dictionaries: list[DictionaryRequest] = Field(
        [],
        description="Entries to be added, or to replace those of the same source; a dictionary "
        "that is not there yet is added.",
    )


class PairRequest(BaseModel):
    """Which dictionary of a glossary is meant."""

    source_lang: str
    target_lang: str


class DictionaryTold(BaseModel):
    """A dictionary without its entries."""

    source_lang: str
    target_lang: str
    entry_count: int


class MultilingualGlossary(BaseModel):
    """A glossary without its entries."""

    glossary_id: str
    name: str
    dictionaries: list[DictionaryTold]
    creation_time: str = Field(examples=["2026-01-31T12:00:00.123456Z"])


class MultilingualGlossaries(BaseModel):
    """All glossaries of the caller."""

    glossaries: list[MultilingualGlossary]


class DictionaryEntries(BaseModel):
    """A dictionary with its entries."""

    source_lang: str
    target_lang: str
    entries: str
    entries_format: EntriesFormat


class DictionariesEntries(BaseModel):
    """The dictionary that was asked for, in a list."""

    dictionaries: list[DictionaryEntries]


# Plain functions, which FastAPI calls in threads: glossaries block.


@router.post("", status_code=201, openapi_extra=request_body(MultilingualRequest, JSON))
def create_multilingual_glossary(
    fields: Fields, caller: GlossaryCaller, glossaries: CurrentGlossaries, models: Models
) -> MultilingualGlossary:
    """Lay down a glossary."""
    body = parse(MultilingualRequest, _nested(fields))
    dictionaries = [read_dictionary(each, glossaries, models) for each in body.dictionaries]
    return _tell(glossaries.create(body.name, dictionaries, caller.id))


@router.get("")
def list_multilingual_glossaries(
    caller: GlossaryCaller, glossaries: CurrentGlossaries
) -> MultilingualGlossaries:
    """List the glossaries of the key."""
    return MultilingualGlossaries(
        glossaries=[_tell(each) for each in glossaries.find_all(caller.id)]
    )


@router.get("/{id}")
def find_multilingual_glossary(
    id: str, caller: GlossaryCaller, glossaries: CurrentGlossaries
) -> MultilingualGlossary:
    """Tell of a glossary."""
    return _tell(glossaries.find(id, caller.id))


@router.patch("/{id}", openapi_extra=request_body(ChangeRequest, JSON))
def change_multilingual_glossary(
    id: str,
    fields: Fields,
    caller: GlossaryCaller,
    glossaries: CurrentGlossaries,
    models: Models,
) -> MultilingualGlossary:
    """Rename a glossary, or add entries."""
    body = parse(ChangeRequest, _nested(fields))
    dictionaries = [read_dictionary(each, glossaries, models) for each in body.dictionaries]
    return _tell(glossaries.patch(id, body.name, dictionaries, caller.id))


@router.delete("/{id}", status_code=204)
def delete_multilingual_glossary(
    id: str, caller: GlossaryCaller, glossaries: CurrentGlossaries
) -> None:
    """Forget a glossary."""
    glossaries.delete(id, caller.id)


@router.get("/{id}/entries", openapi_extra=query_parameters(PairRequest))
def read_dictionary_entries(
    id: str, fields: Fields, caller: GlossaryCaller, glossaries: CurrentGlossaries
) -> DictionariesEntries:
    """Return the entries of a dictionary."""
    pair = parse(PairRequest, fields)
    found = glossaries.entries(id, pair.source_lang, pair.target_lang, caller.id)
    entries = DictionaryEntries(
        source_lang=found.source,
        target_lang=found.target,
        entries=render_entries(found.entries, "tsv"),
        entries_format="tsv",
    )
    return DictionariesEntries(dictionaries=[entries])


@router.put("/{id}/dictionaries", openapi_extra=request_body(DictionaryRequest))
def put_dictionary(
    id: str,
    fields: Fields,
    caller: GlossaryCaller,
    glossaries: CurrentGlossaries,
    models: Models,
) -> DictionaryTold:
    """Give a glossary a dictionary, instead of the one it may have for these languages."""
    dictionary = read_dictionary(parse(DictionaryRequest, fields), glossaries, models)
    glossary = glossaries.put_dictionary(id, dictionary, caller.id)
    wanted = dictionary.source.lower(), dictionary.target.lower()
    return next(
        _tell_dictionary(each)
        for each in glossary.dictionaries
        if (each.source, each.target) == wanted
    )


@router.delete("/{id}/dictionaries", status_code=204, openapi_extra=query_parameters(PairRequest))
def delete_dictionary(
    id: str, fields: Fields, caller: GlossaryCaller, glossaries: CurrentGlossaries
) -> None:
    """Take a dictionary from a glossary."""
    pair = parse(PairRequest, fields)
    glossaries.delete_dictionary(id, pair.source_lang, pair.target_lang, caller.id)


def _nested(fields: dict[str, Any]) -> dict[str, Any]:
    dictionaries: dict[int, dict[str, Any]] = {}
    for name, value in fields.items():
        if part := PART.fullmatch(name):
            dictionaries.setdefault(int(part[1]), {})[part[2]] = value
    if not dictionaries:
        return fields
    return fields | {"dictionaries": [dictionaries[i] for i in sorted(dictionaries)]}


def _tell(glossary: Glossary) -> MultilingualGlossary:
    return MultilingualGlossary(
        glossary_id=glossary.id,
        name=glossary.name,
        dictionaries=[_tell_dictionary(each) for each in glossary.dictionaries],
        creation_time=tell_time(glossary.created),
    )


def _tell_dictionary(info: DictionaryInfo) -> DictionaryTold:
    return DictionaryTold(
        source_lang=info.source, target_lang=info.target, entry_count=info.entry_count
    )
