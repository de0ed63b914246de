"""Glossaries as version 2 has them: each for one pair of languages."""

from fastapi import APIRouter, Request, Response
from pydantic import BaseModel, Field

from service.api.bodies import Fields, request_body
from service.api.deepl.answers import FAILURES, DeepLFailure, render
from service.api.deepl.dictionaries import DictionaryRequest, pairs, read_dictionary, tell_time
from service.api.deepl.fields import parse
from service.api.deepl.keys import AnyCaller, GlossaryCaller
from service.api.dependencies import CurrentGlossaries, Models
from service.api.dialect import dialect, failures
from service.entries import EntriesFormat, render_entries
from service.errors import NotFound, UnsupportedFormat
from service.glossaries import Glossaries, Glossary

router = APIRouter(prefix="/v2", tags=["DeepL"], route_class=dialect(render), responses=FAILURES)

FORMATS_BY_TYPE: dict[str, EntriesFormat] = {"text/tab-separated-values": "tsv", "text/csv": "csv"}


class LanguagePair(BaseModel):
    """Two languages that a glossary may be for."""

    source_lang: str = Field(examples=["de"])
    target_lang: str = Field(examples=["en"])


class LanguagePairs(BaseModel):
    """All of them."""

    supported_languages: list[LanguagePair]


class GlossaryRequest(DictionaryRequest):
    """A glossary that is to be made."""

    name: str


class DeepLGlossary(BaseModel):
    """A glossary without its entries."""

    glossary_id: str
    name: str
    ready: bool = Field(description="Always true.")
    source_lang: str
    target_lang: str
    creation_time: str = Field(examples=["2026-01-31T12:00:00.123456Z"])
    entry_count: int


class DeepLGlossaries(BaseModel):
    """All glossaries of the caller that are for one pair of languages."""

    glossaries: list[DeepLGlossary]


# Plain functions, which FastAPI calls in threads: glossaries block.


@router.get("/glossary-language-pairs")
async def list_glossary_language_pairs(_: AnyCaller, models: Models) -> LanguagePairs:
    """List the pairs of languages that a glossary may be for."""
    return LanguagePairs(
        supported_languages=[
            LanguagePair(source_lang=source, target_lang=target) for source, target in pairs(models)
        ]
    )


@router.post("/glossaries", status_code=201, openapi_extra=request_body(GlossaryRequest))
def create_glossary(
    fields: Fields, caller: GlossaryCaller, glossaries: CurrentGlossaries, models: Models
) -> DeepLGlossary:
    """Lay down a glossary."""
    body = parse(GlossaryRequest, fields)
    dictionary = read_dictionary(body, glossaries, models)
    return _tell(glossaries.create(body.name, [dictionary], caller.id))


@router.get("/glossaries")
def list_glossaries(caller: GlossaryCaller, glossaries: CurrentGlossaries) -> DeepLGlossaries:
    """List the glossaries of the key."""
    own = glossaries.find_all(caller.id)
    return DeepLGlossaries(glossaries=[_tell(each) for each in own if len(each.dictionaries) == 1])


@router.get("/glossaries/{id}")
def find_glossary(id: str, caller: GlossaryCaller, glossaries: CurrentGlossaries) -> DeepLGlossary:
    """Tell of a glossary."""
    return _tell(_find(id, glossaries, caller.id))


@router.get(
    "/glossaries/{id}/entries",
    response_class=Response,
    responses=failures(DeepLFailure, 415)
    | {
        200: {
            "content": {each: {"schema": {"type": "string"}} for each in FORMATS_BY_TYPE},
            "description": "The entries, of the type that `Accept` names",
        },
    },
)
def read_glossary_entries(
    id: str, request: Request, caller: GlossaryCaller, glossaries: CurrentGlossaries
) -> Response:
    """Return the entries of a glossary."""
    media_type = _accepted(request.headers.get("Accept", ""))
    pair = _find(id, glossaries, caller.id).dictionaries[0]
    dictionary = glossaries.entries(id, pair.source, pair.target, caller.id)
    text = render_entries(dictionary.entries, FORMATS_BY_TYPE[media_type])
    return Response(text, media_type=media_type)


@router.delete("/glossaries/{id}", status_code=204)
def delete_glossary(id: str, caller: GlossaryCaller, glossaries: CurrentGlossaries) -> None:
    """Forget a glossary."""
    glossaries.delete(id, caller.id)


def _find(id: str, glossaries: Glossaries, owner: str) -> Glossary:
    glossary = glossaries.find(id, owner)
    if len(glossary.dictionaries) != 1:
        number = len(glossary.dictionaries)
        raise NotFound(f"the glossary has {number} dictionaries: ask for it at /v3/glossaries")
    return glossary


def _accepted(ranges: str) -> str:
    types = [each.partition(";")[0].strip().lower() for each in ranges.split(",") if each.strip()]
    for each in FORMATS_BY_TYPE:
        if each in types:
            return each
    if types and not {"*/*", "text/*"} & set(types):
        known = ", ".join(FORMATS_BY_TYPE)
        raise UnsupportedFormat(f"Accept: entries come as {known}", field="Accept")
    return next(iter(FORMATS_BY_TYPE))


def _tell(glossary: Glossary) -> DeepLGlossary:
    (dictionary,) = glossary.dictionaries
    return DeepLGlossary(
        glossary_id=glossary.id,
        name=glossary.name,
        ready=True,
        source_lang=dictionary.source,
        target_lang=dictionary.target,
        creation_time=tell_time(glossary.created),
        entry_count=dictionary.entry_count,
    )
