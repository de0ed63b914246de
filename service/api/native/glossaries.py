"""Glossaries in the native API: laid down, listed, changed, used by `glossary` of a request."""

import asyncio
from collections.abc import Sequence
from typing import Annotated, Literal

from fastapi import APIRouter, Query, Response
from fastapi.responses import JSONResponse, PlainTextResponse
from pydantic import AwareDatetime, BaseModel, ConfigDict, Discriminator, Field, Tag

from service.api.dependencies import CurrentGlossaries, GlossariesCaller
from service.api.dialect import dialect, failures
from service.api.failure import FAILURES, FailureBody, render
from service.api.native.inputs import Text
from service.api.native.options import TermBody
from service.engine import Term
from service.entries import EntriesFormat, render_entries
from service.glossaries import Dictionary, Glossaries, Glossary

router = APIRouter(
    prefix="/v1/glossaries", tags=["glossaries"], route_class=dialect(render), responses=FAILURES
)

_KNOWN = failures(FailureBody, 404)
_MEDIA_TYPES = {"tsv": "text/tab-separated-values", "csv": "text/csv"}


def _kind(entries: object) -> str | None:
    if isinstance(entries, str):
        return "text"
    return "terms" if isinstance(entries, list) else None


Entries = Annotated[
    Annotated[Text, Tag("text")] | Annotated[list[TermBody], Tag("terms")],
    Discriminator(
        _kind,
        custom_error_type="entries_type",
        custom_error_message="Input should be a text with an entry in each line, or a list",
    ),
]


class DictionaryRequest(BaseModel):
    """Entries for a pair of languages."""

    model_config = ConfigDict(extra="forbid", strict=True)

    source: str = Field(examples=["de"])
    target: str = Field(examples=["en"])
    entries: Entries = Field(
        description="Terms; or a text with a term in each line, source and target separated by a "
        "tab, or by a comma as CSV has it."
    )
    format: EntriesFormat = Field("tsv", description="Of entries that are a text.")


class GlossaryRequest(BaseModel):
    """A glossary as it shall be."""

    model_config = ConfigDict(extra="forbid", strict=True)

    name: Text = Field(examples=["Products"])
    dictionaries: list[DictionaryRequest]


class GlossaryChange(BaseModel):
    """What shall be changed of a glossary."""

    model_config = ConfigDict(extra="forbid", strict=True)

    name: Text | None = Field(None, description="The present one if not given.")
    dictionaries: list[DictionaryRequest] = Field(
        [], description="Entries to add; they replace those of the same source."
    )


class DictionaryBody(BaseModel):
    """How many entries there are for a pair of languages."""

    source: str
    target: str
    entry_count: int


class GlossaryBody(BaseModel):
    """A glossary without its entries."""

    id: str
    name: str
    created: AwareDatetime
    dictionaries: list[DictionaryBody]


class GlossariesBody(BaseModel):
    """The glossaries of a caller, the newest first."""

    glossaries: list[GlossaryBody]


class EntriesBody(BaseModel):
    """The entries for a pair of languages."""

    source: str
    target: str
    entries: list[TermBody]


@router.post("", status_code=201)
async def create_glossary(
    caller: GlossariesCaller, body: GlossaryRequest, glossaries: CurrentGlossaries
) -> GlossaryBody:
    """Lay down a glossary; its `id` is what requests for translations name."""

    def create() -> Glossary:
        return glossaries.create(body.name, _read(body.dictionaries, glossaries), caller.id)

    return _tell(await asyncio.to_thread(create))


@router.get("")
async def list_glossaries(
    caller: GlossariesCaller, glossaries: CurrentGlossaries
) -> GlossariesBody:
    """List what this caller has laid down."""
    found = await asyncio.to_thread(glossaries.find_all, caller.id)
    return GlossariesBody(glossaries=[_tell(each) for each in found])


@router.get("/{id}", responses=_KNOWN)
async def find_glossary(
    caller: GlossariesCaller, id: str, glossaries: CurrentGlossaries
) -> GlossaryBody:
    """Describe one glossary."""
    return _tell(await asyncio.to_thread(glossaries.find, id, caller.id))


@router.put("/{id}", responses=_KNOWN)
async def replace_glossary(
    caller: GlossariesCaller, id: str, body: GlossaryRequest, glossaries: CurrentGlossaries
) -> GlossaryBody:
    """Give a glossary another name and other dictionaries."""

    def replace() -> Glossary:
        dictionaries = _read(body.dictionaries, glossaries)
        return glossaries.replace(id, body.name, dictionaries, caller.id)

    return _tell(await asyncio.to_thread(replace))


@router.patch("/{id}", responses=_KNOWN)
async def change_glossary(
    caller: GlossariesCaller, id: str, body: GlossaryChange, glossaries: CurrentGlossaries
) -> GlossaryBody:
    """Rename a glossary, or add entries to it."""

    def change() -> Glossary:
        dictionaries = _read(body.dictionaries, glossaries)
        return glossaries.patch(id, body.name, dictionaries, caller.id)

    return _tell(await asyncio.to_thread(change))


@router.delete("/{id}", status_code=204, responses=_KNOWN)
async def delete_glossary(caller: GlossariesCaller, id: str, glossaries: CurrentGlossaries) -> None:
    """Forget a glossary."""
    await asyncio.to_thread(glossaries.delete, id, caller.id)


Language = Annotated[str, Query(examples=["de"])]


@router.get(
    "/{id}/entries",
    response_model=EntriesBody,
    responses=_KNOWN
    | {
        200: {
            "content": {each: {"schema": {"type": "string"}} for each in _MEDIA_TYPES.values()},
            "description": "The entries, in the format asked for",
        }
    },
)
async def read_entries(  # one parameter for each thing it is handed
    caller: GlossariesCaller,
    id: str,
    source: Language,
    target: Language,
    glossaries: CurrentGlossaries,
    format: Literal["json", "tsv", "csv"] = "json",
) -> Response:
    """Return the entries for a pair of languages."""
    found = await asyncio.to_thread(glossaries.entries, id, source, target, caller.id)
    if format != "json":
        text = render_entries(found.entries, format)
        return PlainTextResponse(text, media_type=_MEDIA_TYPES[format])
    entries = [TermBody.of(each) for each in found.entries]
    body = EntriesBody(source=found.source, target=found.target, entries=entries)
    return JSONResponse(body.model_dump())


@router.delete("/{id}/entries", status_code=204, responses=_KNOWN)
async def delete_entries(
    caller: GlossariesCaller,
    id: str,
    source: Language,
    target: Language,
    glossaries: CurrentGlossaries,
) -> None:
    """Take all entries for a pair of languages from a glossary."""
    await asyncio.to_thread(glossaries.delete_dictionary, id, source, target, caller.id)


def _read(dictionaries: Sequence[DictionaryRequest], glossaries: Glossaries) -> list[Dictionary]:
    return [
        Dictionary(each.source, each.target, _read_entries(each, glossaries))
        for each in dictionaries
    ]


def _read_entries(body: DictionaryRequest, glossaries: Glossaries) -> tuple[Term, ...]:
    if isinstance(body.entries, str):
        return glossaries.parse(body.entries, body.format)
    return tuple(each.term for each in body.entries)


def _tell(glossary: Glossary) -> GlossaryBody:
    return GlossaryBody.model_validate(glossary, from_attributes=True)
